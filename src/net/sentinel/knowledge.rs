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

    /// A failover was announced. One from elsewhere than what is known may be long past, and is not believed: whoever was
    /// cut off tells it when it catches up. Tells whether sentinels are to be asked.
    pub(super) fn announced(&mut self, from: &Address, to: Address) -> bool {
        if self.primary() == Some(&to) {
            return false;
        }
        if self.primary().is_some_and(|known| known != from) {
            return true;
        }
        let epoch = self.epoch();
        self.believe(Primary {
            address: to,
            epoch,
            is_announced: true,
        });
        false
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
            return self.believe(Primary::told(address, words.epoch));
        }
        // It has announced what is past: the majority's answer counts at once.
        if let Some(known) = &mut self.primary
            && known.is_announced
            && words.epoch < known.epoch
        {
            known.is_announced = false;
            self.is_doubted = true;
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
        if self.is_older(&address, epoch, is_of_majority) {
            // A failover may have been announced while they were asked.
            let known = self.trusted().cloned();
            if !is_of_majority {
                return known.ok_or("the sentinels that answer lag behind".into());
            }
            let since = *self.older_since.get_or_insert(now);
            if now.saturating_duration_since(since) < SET_UP_ANEW {
                return known.ok_or("most sentinels lag behind".into());
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

    /// Whether this is a configuration of before the known one. Without epochs only a majority can tell another one.
    fn is_older(&self, address: &Address, epoch: Option<u64>, is_of_majority: bool) -> bool {
        let Some(known) = &self.primary else {
            return false;
        };
        match (epoch, known.epoch) {
            (Some(epoch), Some(of_known)) if epoch == of_known => {
                known.is_announced && *address != known.address
            }
            (Some(epoch), Some(of_known)) => epoch < of_known,
            (None, Some(_)) => *address != known.address,
            (_, None) => *address != known.address && !is_of_majority,
        }
    }
}
