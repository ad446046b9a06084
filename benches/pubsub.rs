//! Messages of channels per second: subscriptions of this crate, which share a connection, beside those of the redis
//! crate, each of which has one of its own, on a real server. Subscribers do nothing with a message.
//!
//! `cargo bench --bench pubsub`. Both take turns on the same server; the figures are medians, with the lowest and the
//! highest. A message counts once for each subscriber.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use redis::aio::{MultiplexedConnection, PubSub};
use redis_steward::{Database, DatabaseConfig, PubSubEvent, Subscription};
use tokio::{runtime::Builder, task::JoinSet};

use self::common::RedisServer;

const MESSAGES: usize = 50_000;
const ROUNDS: usize = 7;
/// Published in one write.
const BURST: usize = 500;
const PAYLOAD: usize = 100;

fn main() {
    // Without the argument of `cargo bench` it only shows that it works.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let (messages, rounds) = if is_test {
        (BURST, 1)
    } else {
        (MESSAGES, ROUNDS)
    };
    for threads in [1, 2] {
        let runtime = if threads == 1 {
            Builder::new_current_thread().enable_all().build()
        } else {
            Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build()
        };
        let runtime = runtime.expect("a runtime");
        println!("{threads} thread(s), {messages} messages of {PAYLOAD} B:");
        for (channels, subscribers) in [(1, 1), (1, 8), (100, 1), (100, 8)] {
            println!(" {channels} channel(s), {subscribers} subscriber(s)");
            let load = Load {
                messages,
                channels,
                subscribers,
            };
            runtime.block_on(load.compare(rounds));
        }
    }
}

struct Load {
    messages: usize,
    channels: usize,
    /// Each listens to all channels.
    subscribers: usize,
}

impl Load {
    async fn compare(&self, rounds: usize) {
        let server = RedisServer::start();
        let client = redis::Client::open(server.url()).expect("a URL");
        let publisher = client.get_multiplexed_async_connection().await;
        let mut publisher = publisher.expect("a connection");
        let (supervisor, main) = common::spawn(DatabaseConfig::from_url(server.url())).await;
        let mut rates = [const { Vec::new() }; 2];
        for _ in 0..rounds {
            rates[0].push(self.with_steward(&main, &mut publisher).await);
            rates[1].push(self.with_redis(&client, &mut publisher).await);
        }
        for (name, rates) in ["this crate", "redis crate"].into_iter().zip(&mut rates) {
            rates.sort_by(f64::total_cmp);
            let (median, least, most) = (rates[rates.len() / 2], rates[0], rates[rates.len() - 1]);
            println!("  {name}: {median:.0}/s ({least:.0} to {most:.0})");
        }
        supervisor.shutdown(Duration::from_secs(5)).await;
    }

    async fn with_steward(&self, main: &Database, publisher: &mut MultiplexedConnection) -> f64 {
        let mut readers = JoinSet::new();
        for _ in 0..self.subscribers {
            let builder = main.subscription().max_messages(self.messages);
            let builder = builder.max_bytes(usize::MAX);
            let subscription = builder.subscribe(self.channels()).await;
            readers.spawn(read_steward(
                subscription.expect("confirmed"),
                self.messages,
            ));
        }
        self.rate(readers, publisher).await
    }

    async fn with_redis(
        &self,
        client: &redis::Client,
        publisher: &mut MultiplexedConnection,
    ) -> f64 {
        let mut readers = JoinSet::new();
        for _ in 0..self.subscribers {
            let mut subscription = client.get_async_pubsub().await.expect("a connection");
            let channels = self.channels();
            subscription.subscribe(&channels).await.expect("confirmed");
            readers.spawn(read_redis(subscription, self.messages));
        }
        self.rate(readers, publisher).await
    }

    fn channels(&self) -> Vec<String> {
        let numbers = 0..self.channels;
        numbers.map(|number| format!("news:{number}")).collect()
    }

    /// Publishes all, and waits until all are read.
    async fn rate(&self, readers: JoinSet<()>, publisher: &mut MultiplexedConnection) -> f64 {
        let (channels, payload) = (self.channels(), "x".repeat(PAYLOAD));
        let start = Instant::now();
        for burst in 0..self.messages / BURST {
            let mut publish = redis::pipe();
            for number in 0..BURST {
                let channel = &channels[(burst * BURST + number) % channels.len()];
                publish.publish(channel, &payload).ignore();
            }
            let () = publish.query_async(publisher).await.expect("published");
        }
        readers.join_all().await;
        (self.messages * self.subscribers) as f64 / start.elapsed().as_secs_f64()
    }
}

async fn read_steward(mut subscription: Subscription, messages: usize) {
    for _ in 0..messages {
        match subscription.next().await {
            Some(PubSubEvent::Message { payload, .. }) => assert_eq!(payload.len(), PAYLOAD),
            other => panic!("no message: {other:?}"),
        }
    }
}

async fn read_redis(subscription: PubSub, messages: usize) {
    let mut stream = subscription.into_on_message();
    for _ in 0..messages {
        let message = stream.next().await.expect("a message");
        assert_eq!(message.get_payload_bytes().len(), PAYLOAD);
    }
}
