//! The primary of a service, as far as it is known.

use std::time::{Duration, Instant};

use super::{inquiry::Verdict, words::Words};
use crate::config::Address;

/// The primary, and whether it is in doubt. It never goes back to an older configuration of the service, so that a
/// sentinel that lags behind, or was cut off from the others, does not lead back to an old primary.
#[derive(Clone, Debug, Default)]
pub(super) struct Knowledge {
    primary: Option<Primary>,
    /// The primary is not where it was, or does not answer: sentinels are to be asked.
    is_doubted: bool,
    /// Since when a majority tells an older configuration.
    older_since: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Primary {
    address: Address,
    epoch: Option<u64>,
    /// It was announced, and no sentinel was asked since: its epoch is a later one.
    is_announced: bool,
}

impl Primary {
    fn told(address: &Address, epoch: Option<u64>) -> Self {
        Self {
            address: address.clone(),
            epoch,
            is_announced: false,
        }
    }
}

/// Sentinels agree on a configuration within a few seconds: each publishes its own every 2 s. If a majority tells an
/// older one for longer than this, the sentinels were set up anew.
const SET_UP_ANEW: Duration = Duration::from_secs(10);

impl Knowledge {
    pub(super) fn primary(&self) -> Option<&Address> {
        self.primary.as_ref().map(|primary| &primary.address)
    }

    pub(super) fn epoch(&self) -> Option<u64> {
        self.primary.as_ref()?.epoch
    }

    /// The primary, if it is not in doubt.
    pub(super) fn trusted(&self) -> Option<&Address> {
        self.primary().filter(|_| !self.is_doubted)
    }

    /// There is no primary at this address, or it cannot be reached.
    pub(super) fn doubt(&mut self, address: &Address) {
        self.is_doubted |= self.primary() == Some(address);
    }

    /// A failover was announced.
    pub(super) fn announced(&mut self, address: Address) {
        if self.primary() != Some(&address) {
            let epoch = self.epoch();
            self.believe(Primary {
                address,
                epoch,
                is_announced: true,
            });
        }
    }

    /// Takes the word of one sentinel, if it confirms what is known, or tells a newer configuration. Otherwise the
    /// others are to be asked.
    pub(super) fn take_word(&mut self, words: &Words) -> bool {
        let Some(address) = &words.primary else {
            return false;
        };
        let Some(primary) = &self.primary else {
            return false;
        };
        let is_newer = primary.epoch.is_some() && words.epoch > primary.epoch;
        let is_same = *address == primary.address && words.epoch >= primary.epoch;
        if is_newer {
            self.believe(Primary::told(address, words.epoch));
        }
        if is_same {
            self.older_since = None;
        }
        is_same || is_newer
    }

    /// Takes the word of the sentinel that has announced a failover. It knows the configuration that it has announced, or a
    /// later one.
    pub(super) fn confirm(&mut self, words: &Words) {
        let known = self.primary.as_ref();
        let is_open = known.is_some_and(|known| known.is_announced && words.epoch >= known.epoch);
        if let (true, Some(address)) = (is_open, &words.primary) {
            self.believe(Primary::told(address, words.epoch));
        }
    }

    /// Takes the verdict of all sentinels.
    ///
    /// # Errors
    /// Why no primary follows from it.
    pub(super) fn settle(&mut self, verdict: Verdict, now: Instant) -> Result<Address, String> {
        let (address, epoch, is_of_majority) = match verdict {
            Verdict::Primary {
                address,
                epoch,
                is_of_majority,
            } => (address, epoch, is_of_majority),
            Verdict::None(why) => return Err(why),
        };
        if self.is_older(&address, epoch) {
            if !is_of_majority {
                return Err("the sentinels that answer lag behind".into());
            }
            let since = *self.older_since.get_or_insert(now);
            if now.saturating_duration_since(since) < SET_UP_ANEW {
                return Err("most sentinels lag behind".into());
            }
        }
        self.believe(Primary::told(&address, epoch));
        Ok(address)
    }

    fn believe(&mut self, primary: Primary) {
        self.primary = Some(primary);
        self.is_doubted = false;
        self.older_since = None;
    }

    /// Whether this is a configuration of before the known one.
    fn is_older(&self, address: &Address, epoch: Option<u64>) -> bool {
        let Some(known) = &self.primary else {
            return false;
        };
        match (epoch, known.epoch) {
            (Some(epoch), Some(of_known)) if epoch == of_known => {
                known.is_announced && *address != known.address
            }
            (Some(epoch), Some(of_known)) => epoch < of_known,
            _ => false,
        }
    }
}
