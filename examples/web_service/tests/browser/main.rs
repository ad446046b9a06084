//! Goal: operators see on the status page what happens. Method: the example beside a real redis-server, and its page in a
//! headless Chromium. Screenshots are in `tmp` of the target directory.

#[path = "../../../../tests/common/mod.rs"]
mod common;

mod announced;
mod chromium;
mod devtools;
mod look;
mod operation;
mod service;

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use self::{chromium::Chromium, common::RedisServer, devtools::Page, service::Service};

/// The bound of what the page has to show.
const TWO_SECONDS: Duration = Duration::from_secs(2);
/// Longer than anything else should take.
const SOON: Duration = Duration::from_secs(60);
const ACTIX: &str = env!("CARGO_BIN_EXE_web-service");
const AXUM: &str = env!("CARGO_BIN_EXE_axum_page");
const FREE: &str = "127.0.0.1:0";

/// A browser is heavy, so there is one at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// A server, a service on it, and its page in a browser.
struct Site {
    page: Page,
    service: Service,
    server: RedisServer,
    browser: Chromium,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    /// `None` without a browser.
    async fn start(program: &str) -> Option<Self> {
        let turn = TURN.lock().await;
        let browser = Chromium::start()?;
        let server = RedisServer::start();
        let service = Service::start(program, &server.url(), FREE);
        let mut page = Page::open(&browser.address).await;
        page.go_to(&service.url).await;
        page.wait_for(&all_are("healthy"), SOON).await;
        Some(Self {
            page,
            service,
            server,
            browser,
            _turn: turn,
        })
    }
}

/// Whether there are databases, and all of them are shown in this state.
fn all_are(state: &str) -> String {
    format!(
        "(() => {{ const all = [...document.querySelectorAll('article')]; \
         return all.length > 0 && all.every((one) => one.dataset.state === '{state}' \
         && one.querySelector('.badge').textContent.startsWith('{state}')); }})()"
    )
}

/// Whether this database is shown in this state.
fn is(database: &str, state: &str) -> String {
    format!("document.querySelector('[data-database={database}]')?.dataset.state === '{state}'")
}
