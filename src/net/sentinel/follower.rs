//! Follows the failovers of a service: a subscription on each sentinel, and a question now and then.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_util::future::select;
use redis::cmd;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{
    conversation::Conversation,
    service::Service,
    words::{CHANNELS, News, refusal},
};
use crate::config::Address;

/// One sentinel is asked so often whether all is as it is known, in case that a message was lost.
const POLL: Duration = Duration::from_secs(10);
/// A sentinel that says nothing for so long is asked for a sign of life.
const QUIET: Duration = Duration::from_secs(10);
/// The pauses before a sentinel is listened to again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Keeps what is known of the service up to date. It does not end.
///
/// It listens to all sentinels: the one that leads a failover tells first, and the others up to 2 s later.
pub(crate) async fn follow(service: Arc<Service>) {
    let listening = pin!(listen_to_all(&service));
    let polling = pin!(poll_in_turn(&service));
    select(listening, polling).await;
}

async fn poll_in_turn(service: &Service) {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The subscriptions begin with a question.
    ticks.reset();
    let mut turn = fastrand::usize(..);
    loop {
        ticks.tick().await;
        let sentinels = service.sentinels();
        turn = turn.wrapping_add(1);
        service.consult(&sentinels[turn % sentinels.len()]).await;
    }
}

type Listener<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

async fn listen_to_all(service: &Service) {
    let mut listeners: Vec<(Address, Listener<'_>)> = Vec::new();
    loop {
        let sentinels = service.sentinels();
        listeners.retain(|(sentinel, _)| sentinels.contains(sentinel));
        for sentinel in sentinels {
            if listeners.iter().all(|(known, _)| *known != sentinel) {
                let listener = Box::pin(listen(service, sentinel.clone()));
                listeners.push((sentinel, listener));
            }
        }
        // They do not end.
        let all = poll_fn(|cx| {
            for (_, listener) in &mut listeners {
                let _ = listener.as_mut().poll(cx);
            }
            Poll::<()>::Pending
        });
        let changed = async {
            service.roll_changed.notified().await;
            // Sentinels that name each other differently would change it without end.
            sleep(FIRST_PAUSE).await;
        };
        select(pin!(all), pin!(changed)).await;
    }
}

/// Listens to one sentinel for ever.
async fn listen(service: &Service, sentinel: Address) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut has_begun = false;
        // The error is told to dials, which meet it as well.
        let _ = hear(service, &sentinel, &mut has_begun).await;
        if has_begun {
            pause = FIRST_PAUSE;
        }
        sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = (2 * pause).min(LAST_PAUSE);
    }
}

/// Listens on one connection, until it ends.
async fn hear(service: &Service, sentinel: &Address, has_begun: &mut bool) -> Result<(), String> {
    let limit = service.settings.load().connect_timeout;
    let opening = subscribe(service, sentinel);
    let silent = |_| "it does not answer".to_owned();
    let mut conversation = timeout(limit, opening).await.map_err(silent)??;
    *has_begun = true;
    // What has happened before is not announced.
    service.consult(sentinel).await;
    loop {
        let message = match timeout(QUIET, conversation.next()).await {
            Ok(message) => message?,
            Err(_) => {
                conversation.send(&cmd("PING")).await?;
                timeout(limit, conversation.next())
                    .await
                    .map_err(silent)??
            }
        };
        match News::of(&message, &service.name) {
            News::Switched { from, to } => service.announced(sentinel, &from, to).await,
            News::Sentinel => service.consult(sentinel).await,
            News::Nothing => {}
        }
    }
}

async fn subscribe(service: &Service, sentinel: &Address) -> Result<Conversation, String> {
    let settings = service.settings.load_full();
    let connector = &*service.connector;
    let mut conversation = Conversation::open(connector, &settings, sentinel).await?;
    // The login goes with it. Whether the user may ask for it does not matter.
    conversation.ask(&[cmd("PING")]).await?;
    conversation
        .send(&cmd("SUBSCRIBE").arg(&CHANNELS[..]).take())
        .await?;
    for _ in CHANNELS {
        if let redis::Value::ServerError(error) = conversation.next().await? {
            return Err(refusal(&error));
        }
    }
    Ok(conversation)
}
