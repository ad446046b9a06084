//! The question where the primary is, to one sentinel or to all.

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::timeout;

use super::{
    conversation::Conversation,
    inquiry::{Inquiry, Verdict},
    words::{self, Words},
};
use crate::{
    config::{Address, DatabaseSettings},
    net::transport::Connector,
    rounded::Rounded,
};

/// Asks one sentinel, within half of the connect timeout, so that as much is left for the server itself.
///
/// # Errors
/// Why it does not answer.
pub(super) async fn ask(
    connector: &dyn Connector,
    settings: &DatabaseSettings,
    sentinel: &Address,
    service: &str,
) -> Result<Words, String> {
    let conversation = async {
        let mut conversation = Conversation::open(connector, settings, sentinel).await?;
        let answers = conversation.ask(&words::questions(service)).await?;
        Words::of(&answers)
    };
    let limit = settings.connect_timeout / 2;
    match timeout(limit, conversation).await {
        Ok(words) => words,
        Err(_) => Err(format!("no answer within {}", Rounded(limit))),
    }
}

/// Asks all sentinels at the same time, so that one that is dead or hangs costs nothing as long as a majority answers:
/// the verdict is there after two round trips. `known` is the epoch of the known primary.
pub(super) async fn ask_all(
    connector: &dyn Connector,
    settings: &DatabaseSettings,
    sentinels: Vec<Address>,
    service: &str,
    known: Option<u64>,
) -> (Inquiry, Verdict) {
    let mut inquiry = Inquiry::new(sentinels.len());
    let question = |sentinel: Address| async move {
        let words = ask(connector, settings, &sentinel, service).await;
        (sentinel, words)
    };
    let mut questions: FuturesUnordered<_> = sentinels.into_iter().map(question).collect();
    loop {
        if let Some(verdict) = inquiry.verdict(service, known) {
            return (inquiry, verdict);
        }
        match questions.next().await {
            Some((sentinel, Ok(words))) => inquiry.heard(sentinel, words),
            Some((sentinel, Err(why))) => inquiry.failed(sentinel, why),
            None => unreachable!("BUG: there is no verdict after all answers"),
        }
    }
}
