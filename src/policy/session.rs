//! The session of a leased connection: the state that the next caller would find on it.

use super::command::Effect;

/// What the commands of one caller have left behind on its connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    was_used: bool,
    /// A command was sent and not answered, so its reply may still come.
    awaits_reply: bool,
    in_transaction: bool,
    /// It differs from that of a new connection.
    is_changed: bool,
    /// The server is not the one that is wanted, so a new connection may lead to another one.
    is_suspect: bool,
    /// Since the transaction began, a command was sent that voids it.
    transaction_is_void: bool,
}

impl Session {
    /// No command has been sent yet.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.was_used
    }

    /// The next caller would find the connection as if it were new.
    pub(crate) fn is_clean(&self) -> bool {
        !self.awaits_reply && !self.in_transaction && !self.is_changed
    }

    /// A reply has shown that the connection may lead to the wrong server.
    pub(crate) fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// Whether a question of the crate's own may be sent: it is answered at once, and the caller notices
    /// nothing of it. In a transaction it would be queued.
    pub(crate) fn takes_questions(&self) -> bool {
        !self.in_transaction && !self.awaits_reply
    }

    /// A command with this effect is being sent. The effect counts at once, because the caller may drop
    /// the call before the answer, and send more.
    pub(crate) fn begin(&mut self, effect: Effect) {
        self.was_used = true;
        self.awaits_reply = true;
        self.transaction_is_void |= !matches!(effect, Effect::Nothing | Effect::Watches);
        match effect {
            Effect::Nothing | Effect::EndsTransaction => {}
            Effect::Watches | Effect::Queues => self.in_transaction = true,
            Effect::Lasting => self.is_changed = true,
        }
    }

    /// It differs from a new one from now on.
    pub(crate) fn change(&mut self) {
        self.is_changed = true;
    }

    /// The connection seems to lead to the wrong server.
    pub(crate) fn suspect(&mut self) {
        self.is_suspect = true;
    }

    /// The last command is answered, and with it all earlier ones.
    pub(crate) fn settle(&mut self, has_ended_transaction: bool) {
        self.awaits_reply = false;
        self.in_transaction &= !has_ended_transaction;
    }

    /// A transaction begins: its keys are watched, if it has any.
    pub(crate) fn begin_transaction(&mut self) {
        self.transaction_is_void = false;
    }

    /// Whether the transaction can be executed: its keys are still watched, if it has any, no command is
    /// queued, and the session has not changed.
    pub(crate) fn keeps_transaction(&self, has_keys: bool) -> bool {
        !self.transaction_is_void && (self.in_transaction || !has_keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session in which a command with this effect was sent and answered.
    fn after(effect: Effect, has_ended_transaction: bool) -> Session {
        let mut session = Session::default();
        session.begin(effect);
        session.settle(has_ended_transaction);
        session
    }

    #[test]
    fn only_an_answered_session_without_traces_is_clean() {
        assert!(Session::default().is_clean() && Session::default().is_fresh());
        assert!(after(Effect::Nothing, false).is_clean());
        assert!(!after(Effect::Nothing, false).is_fresh());
        assert!(!after(Effect::Lasting, false).is_clean());
        for effect in [Effect::Watches, Effect::Queues] {
            let mut session = after(effect, false);
            assert!(!session.is_clean(), "{effect:?}");
            session.begin(Effect::EndsTransaction);
            session.settle(true);
            assert!(session.is_clean(), "{effect:?}");
        }
        let mut unanswered = Session::default();
        unanswered.begin(Effect::Nothing);
        assert!(!unanswered.is_clean());
        unanswered.settle(false);
        assert!(unanswered.is_clean() && !unanswered.is_suspect());
    }

    #[test]
    fn a_question_between_commands_disturbs_no_transaction() {
        assert!(Session::default().takes_questions());
        assert!(after(Effect::Lasting, false).takes_questions());
        for effect in [Effect::Watches, Effect::Queues] {
            assert!(!after(effect, false).takes_questions(), "{effect:?}");
        }
        let mut unanswered = Session::default();
        unanswered.begin(Effect::Nothing);
        assert!(!unanswered.takes_questions(), "its reply comes first");
    }

    #[test]
    fn a_transaction_holds_while_its_keys_are_watched_and_nothing_voids_it() {
        let mut session = after(Effect::Watches, false);
        session.begin_transaction();
        assert!(session.keeps_transaction(true));
        session.begin(Effect::Nothing);
        assert!(session.keeps_transaction(true), "reads are permitted");
        for effect in [Effect::EndsTransaction, Effect::Queues, Effect::Lasting] {
            let mut session = after(Effect::Watches, false);
            session.begin_transaction();
            session.begin(effect);
            assert!(!session.keeps_transaction(true), "{effect:?}");
        }
        assert!(
            !Session::default().keeps_transaction(true),
            "no key is watched"
        );
        assert!(
            Session::default().keeps_transaction(false),
            "it has no keys"
        );
    }
}
