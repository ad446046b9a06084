//! Goal: rustis works on the front. Method: its commands, a pipeline, a transaction and a subscription.

use futures_util::StreamExt;
use rustis::{
    client::{BatchPreparedCommand, Client},
    commands::{PubSubCommands, StringCommands},
};
use tokio::time::timeout;

use crate::site::{SOON, Site};

#[tokio::test(flavor = "multi_thread")]
async fn commands_pipelines_transactions_and_messages() {
    let site = Site::start().await;
    let client = Client::connect(site.url()).await.expect("connected");
    client.set("a", 1).await.expect("OK");
    let mut pipeline = client.create_pipeline();
    pipeline.incr("a").queue();
    pipeline.incr("a").queue();
    let counted: (i64, i64) = pipeline.execute().await.expect("numbers");
    assert_eq!(counted, (2, 3));
    let mut transaction = client.create_transaction();
    transaction.incr("a").queue();
    transaction.incr("a").queue();
    let counted: (i64, i64) = transaction.execute().await.expect("numbers");
    assert_eq!(counted, (4, 5));
    let mut news = client.subscribe("news").await.expect("subscribed");
    site.server.cli(&["PUBLISH", "news", "hello"]);
    let message = timeout(SOON, news.next()).await.expect("in time");
    let message = message.expect("a message").expect("no error");
    assert_eq!(message.payload(), b"hello");
    // It subscribes again by itself.
    site.kill_subscribers();
    let hears_again = async {
        loop {
            site.server.cli(&["PUBLISH", "news", "again"]);
            let pause = std::time::Duration::from_millis(50);
            if let Ok(Some(Ok(message))) = timeout(pause, news.next()).await
                && message.payload() == b"again"
            {
                return;
            }
        }
    };
    timeout(SOON, hears_again).await.expect("it hears again");
    client.set("a", 6).await.expect("OK");
}
