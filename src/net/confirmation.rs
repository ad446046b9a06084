//! The confirmations of changes of subscriptions.

use redis::PushKind;

/// What a confirmation says. Each has the name of the command that it confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmation {
    Subscribe,
    PSubscribe,
    SSubscribe,
    Unsubscribe,
    PUnsubscribe,
    SUnsubscribe,
}

impl Confirmation {
    /// What a push confirms; `None` if it confirms nothing.
    pub(crate) fn of(push: &PushKind) -> Option<Self> {
        Some(match push {
            PushKind::Subscribe => Self::Subscribe,
            PushKind::PSubscribe => Self::PSubscribe,
            PushKind::SSubscribe => Self::SSubscribe,
            PushKind::Unsubscribe => Self::Unsubscribe,
            PushKind::PUnsubscribe => Self::PUnsubscribe,
            PushKind::SUnsubscribe => Self::SUnsubscribe,
            _ => return None,
        })
    }

    /// What the confirmations of this command say; `None` if it changes no subscriptions.
    pub(crate) fn of_command(name: &[u8]) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_slice() {
            b"SUBSCRIBE" => Self::Subscribe,
            b"PSUBSCRIBE" => Self::PSubscribe,
            b"SSUBSCRIBE" => Self::SSubscribe,
            b"UNSUBSCRIBE" => Self::Unsubscribe,
            b"PUNSUBSCRIBE" => Self::PUnsubscribe,
            b"SUNSUBSCRIBE" => Self::SUnsubscribe,
            _ => return None,
        })
    }
}
