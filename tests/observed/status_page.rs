//! Goal: the status page tells the truth in time, keeps nothing for slow readers, and takes actions from its own page
//! alone. Method: requests of no framework, to databases on embedded servers that are stopped and started.

use std::time::Duration;

use futures_util::StreamExt;
use redis_steward::{
    Config, DatabaseConfig, HealthState, MemoryServer, StatusEvents, StatusPage, StatusRequest,
    StatusResponse, Supervisor,
};
use serde_json::Value;
use tokio::time::timeout;

use super::common::eventually_async;

const SOON: Duration = Duration::from_secs(10);

struct Site {
    server: MemoryServer,
    supervisor: Supervisor,
    page: StatusPage,
}

impl Site {
    async fn start() -> Self {
        let server = MemoryServer::new();
        let main = DatabaseConfig::from_url(server.url());
        // Neither the alias nor the default may lead an action to it.
        let config = Config::new().database("main", main.clone());
        let config = config.database("<b>&\"x\"", main).alias("first", "main");
        let supervisor = Supervisor::spawn(config.default_database("main")).await;
        let supervisor = supervisor.expect("a supervisor");
        supervisor.ready(SOON).await.expect("ready");
        let page = StatusPage::new(&supervisor);
        Self {
            server,
            supervisor,
            page,
        }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        read(self.page.respond(StatusRequest::new("GET", path)).await).await
    }

    /// The first item of a stream that is to go on after a place.
    async fn first_after(&self, place: &Value) -> Value {
        let query = format!("after={}", place.as_str().expect("a text"));
        let request = StatusRequest::new("GET", "events").query(&query);
        let mut body = self.page.respond(request).await.body;
        let item = timeout(SOON, body.next()).await.expect("in time");
        let Ok(item) = item.expect("an item");
        data(&item)
    }

    /// The status of an action that the page itself asks for.
    async fn act(&self, action: &str, database: &str) -> u16 {
        let query: String = [("database", database)]
            .iter()
            .map(|(key, value)| format!("{key}={}", percent_encoded(value)))
            .collect();
        let request = StatusRequest::new("POST", action).query(&query);
        let request = request.header("X-Redis-Steward", b"status-page");
        let request = request.header("Sec-Fetch-Site", b"same-origin");
        self.page.respond(request).await.status
    }

    fn state(&self, database: &str) -> HealthState {
        self.supervisor.states()[database].clone()
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn read(mut response: StatusResponse) -> (u16, String) {
    let mut text = Vec::new();
    while let Some(Ok(part)) = response.body.next().await {
        text.extend_from_slice(&part);
    }
    (response.status, String::from_utf8(text).expect("a text"))
}

/// The data of the next item.
async fn next(events: &mut StatusEvents) -> Value {
    let item = timeout(SOON, events.next()).await.expect("in time");
    data(&item.expect("an item"))
}

fn data(item: &[u8]) -> Value {
    let item = str::from_utf8(item).expect("a text");
    let data = item.split_once("data: ").expect("data").1;
    let json = data.strip_suffix("\n\n").expect("the end of an item");
    assert!(!json.contains('\n'), "data of one line");
    serde_json::from_str(json).expect("JSON")
}

/// The first item that this holds of.
async fn next_with(events: &mut StatusEvents, is_meant: impl Fn(&Value) -> bool) -> Value {
    loop {
        let item = next(events).await;
        if is_meant(&item) {
            return item;
        }
    }
}

fn state_in(item: &Value) -> &str {
    let main = &item["statistics"]["databases"]["main"];
    main["state"].as_str().expect("a state")
}

#[tokio::test]
async fn each_path_has_its_content_and_protection() {
    let site = Site::start().await;
    for path in ["", "/"] {
        let page = site.page.respond(StatusRequest::new("GET", path)).await;
        let headers: std::collections::BTreeMap<_, _> = page.headers.iter().copied().collect();
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(headers["cache-control"], "no-store, no-transform");
        let policy = headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"));
        assert_eq!(read(page).await, (200, StatusPage::html().to_owned()));
    }
    let (status, snapshot) = site.get("/snapshot").await;
    assert_eq!(status, 200);
    let snapshot: Value = serde_json::from_str(&snapshot).expect("JSON");
    let main = &snapshot["statistics"]["databases"]["main"];
    assert_eq!(
        (main["state"].as_str(), main["circuit_state"].as_str()),
        (Some("healthy"), Some("closed"))
    );
    assert!(main["pool"]["max"].is_number() && main["state_seconds"].is_number());
    assert_eq!(snapshot["has_actions"], true);
    assert_eq!(snapshot["events"].as_array().map(Vec::len), Some(2));
    assert_eq!(site.get("/else").await.0, 404);
    for (method, path) in [
        ("POST", ""),
        ("PUT", "snapshot"),
        ("GET", "isolate"),
        ("GET", "reset"),
    ] {
        let refused = site.page.respond(StatusRequest::new(method, path)).await;
        assert_eq!(refused.status, 405, "{method} {path}");
        assert!(refused.headers.iter().any(|(name, _)| *name == "allow"));
    }
}

#[tokio::test]
async fn a_stream_tells_the_present_at_once_each_change_and_each_second() {
    let site = Site::start().await;
    let main = site.supervisor.database("main").expect("main");
    let mut events = site.page.events().expect("a stream");
    let first = next(&mut events).await;
    assert_eq!(state_in(&first), "healthy");
    assert_eq!(first["events"].as_array().map(Vec::len), Some(2));
    assert!(first["interval"].is_null());

    main.query::<()>(redis::cmd("PING")).await.expect("a reply");
    let second = next_with(&mut events, |item| !item["interval"].is_null()).await;
    let point = &second["interval"]["databases"]["main"];
    assert_eq!(
        (point["commands"].as_u64(), point["failures"].as_u64()),
        (Some(1), Some(0))
    );
    assert!(point["p50_ms"].is_number() && point["p99_ms"].is_number());

    site.server.stop();
    let down = next_with(&mut events, |item| state_in(item) == "down").await;
    assert!(down["statistics"]["databases"]["main"]["cause"].is_string());
    site.server.start();
    next_with(&mut events, |item| state_in(item) == "healthy").await;
}

#[tokio::test]
async fn a_slow_reader_gets_the_newest_state_and_one_interval_for_all_its_silence() {
    let site = Site::start().await;
    let mut events = site.page.events().expect("a stream");
    next(&mut events).await;
    for _ in 0..200 {
        site.supervisor.isolate("main").await.expect("isolated");
        site.supervisor.reset("main").await.expect("reset");
    }
    site.supervisor.isolate("main").await.expect("isolated");
    let item = next(&mut events).await;
    assert_eq!(state_in(&item), "isolated");
    let told = item["events"].as_array().expect("events");
    assert!(told.len() <= 256);
    assert!(told.iter().any(|event| event["missed"].as_u64() > Some(0)));
}

#[tokio::test]
async fn a_stream_goes_on_after_the_place_where_its_reader_was() {
    let site = Site::start().await;
    let mut events = site.page.events().expect("a stream");
    let first = next(&mut events).await;
    assert_eq!(first["is_continued"], false);
    assert_eq!(next(&mut events).await["is_continued"], true);
    drop(events);
    site.supervisor.isolate("main").await.expect("isolated");
    site.supervisor.reset("main").await.expect("reset");

    let resumed = site.first_after(&first["place"]).await;
    assert_eq!(resumed["is_continued"], true);
    let told = resumed["events"].as_array().expect("events");
    let sequence = |event: &Value| event["sequence"].as_u64().expect("a number");
    let last = first["events"].as_array().expect("events").iter();
    let last = last.map(sequence).max().expect("an event");
    assert_eq!(told[0]["state"], "isolated");
    assert_eq!(
        told.iter().map(sequence).collect::<Vec<_>>(),
        (last + 1..).take(told.len()).collect::<Vec<_>>()
    );
    let again = site.first_after(&resumed["place"]).await;
    assert_eq!(again["events"].as_array().map(Vec::len), Some(0));

    for _ in 0..200 {
        site.supervisor.isolate("main").await.expect("isolated");
        site.supervisor.reset("main").await.expect("reset");
    }
    let late = site.first_after(&again["place"]).await;
    let late = late["events"].as_array().expect("events").iter();
    assert!(late.map(|event| event["missed"].as_u64()).max() > Some(Some(0)));

    let other = Site::start().await;
    for place in [&first["place"], &Value::from("nonsense")] {
        let unknown = other.first_after(place).await;
        assert_eq!(unknown["is_continued"], false);
        assert_eq!(unknown["events"].as_array().map(Vec::len), Some(2));
    }
}

#[tokio::test]
async fn actions_are_taken_on_the_named_database_alone() {
    let site = Site::start().await;
    assert_eq!(site.act("isolate", "<b>&\"x\"").await, 200);
    assert_eq!(site.state("<b>&\"x\""), HealthState::Isolated);
    assert_eq!(site.act("reset", "<b>&\"x\"").await, 200);
    assert_ne!(site.state("<b>&\"x\""), HealthState::Isolated);
    for unknown in ["first", "nothing", ""] {
        assert_eq!(site.act("isolate", unknown).await, 404, "{unknown:?}");
    }
    let unnamed = StatusRequest::new("POST", "isolate");
    let unnamed = unnamed.header("x-redis-steward", b"status-page");
    assert_eq!(site.page.respond(unnamed).await.status, 400);
    assert_eq!(site.state("main"), HealthState::Healthy);
}

#[tokio::test]
async fn other_sites_take_no_action_and_a_page_may_have_none() {
    let site = Site::start().await;
    let bare = StatusRequest::new("POST", "isolate").query("database=main");
    let marked = bare.header("x-redis-steward", b"status-page");
    let foreign = marked.header("sec-fetch-site", b"cross-site");
    for request in [bare, foreign] {
        assert_eq!(site.page.respond(request).await.status, 403);
    }
    let quiet = site.page.clone().without_actions();
    assert_eq!(quiet.respond(marked).await.status, 403);
    let snapshot = quiet.snapshot().expect("a snapshot");
    assert!(snapshot.contains("\"has_actions\":false"));
    assert_eq!(site.state("main"), HealthState::Healthy);
}

#[tokio::test]
async fn streams_end_with_the_supervisor_which_a_page_does_not_keep_running() {
    let Site {
        server,
        supervisor,
        page,
    } = Site::start().await;
    let mut events = page.events().expect("a stream");
    next(&mut events).await;
    assert!(server.connections() > 0);
    drop(supervisor);
    let end = async { while events.next().await.is_some() {} };
    timeout(SOON, end).await.expect("an end");
    eventually_async(SOON, "no connection is left", || server.connections() == 0).await;
    assert!(page.snapshot().is_none() && page.events().is_none());
    for path in ["snapshot", "events"] {
        let response = page.respond(StatusRequest::new("GET", path)).await;
        assert_eq!(response.status, 503);
    }
}

#[tokio::test]
async fn streams_are_bounded_in_number_and_can_be_ended() {
    let site = Site::start().await;
    let mut open: Vec<_> = (0..64).map(|_| site.page.events().expect("one")).collect();
    assert!(site.page.clone().events().is_none());
    assert_eq!(site.get("events").await.0, 503);
    open.pop();
    let mut last = site.page.events().expect("the place of another");
    next(&mut last).await;
    let waiting = tokio::spawn(async move { while last.next().await.is_some() {} });
    site.page.close_streams();
    timeout(SOON, waiting)
        .await
        .expect("an end")
        .expect("no panic");
    drop(open);
    assert!(site.page.events().is_none());
    assert!(site.page.snapshot().is_some());
}
