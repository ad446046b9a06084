//! One user.

use bytes::Bytes;

use super::{Fault, SYNTAX, denial::Denial, selector::Selector, sha256::digest};
use crate::memory::{
    arguments::is,
    signature::{Signature, Table},
    subscriptions::Kind,
};

const NO_SUCH_PASSWORD: Fault =
    "The password you are trying to remove from the user does not exist";
const NO_DIGEST: Fault = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";

#[derive(Clone, Debug)]
pub(in crate::memory) struct User {
    table: &'static Table,
    pub(in crate::memory) is_on: bool,
    /// Any password is right.
    pub(in crate::memory) needs_no_password: bool,
    /// Payloads of RESTORE are checked for it. Nothing follows from that here.
    checks_payloads: bool,
    /// Digests of its passwords.
    pub(in crate::memory) passwords: Vec<String>,
    root: Selector,
    pub(in crate::memory) selectors: Vec<Selector>,
}

impl User {
    /// One that may do nothing, not even log in.
    pub(super) fn new(table: &'static Table) -> Self {
        Self {
            table,
            is_on: false,
            needs_no_password: false,
            checks_payloads: true,
            passwords: Vec::new(),
            root: Selector::new(table),
            selectors: Vec::new(),
        }
    }

    /// One that may do everything, with any password.
    pub(super) fn with_all_rights(table: &'static Table) -> Self {
        let mut user = Self::new(table);
        user.is_on = true;
        user.needs_no_password = true;
        user.root.allow_all();
        user
    }

    /// Makes this password the only one; none is needed if it is empty.
    pub(super) fn set_password(&mut self, password: &[u8]) {
        self.passwords.clear();
        self.needs_no_password = password.is_empty();
        if !password.is_empty() {
            self.passwords.push(digest(password));
        }
    }

    pub(super) fn accepts(&self, password: &[u8]) -> bool {
        self.is_on && (self.needs_no_password || self.passwords.contains(&digest(password)))
    }

    pub(super) fn allows_all(&self) -> bool {
        self.root.allows_all()
    }

    /// The rules that stand in no parentheses.
    pub(in crate::memory) fn root(&self) -> &Selector {
        &self.root
    }

    /// Follows a rule of ACL SETUSER.
    pub(super) fn apply(&mut self, rule: &[u8]) -> Result<(), Fault> {
        if is(rule, "ON") || is(rule, "OFF") {
            self.is_on = is(rule, "ON");
        } else if is(rule, "NOPASS") || is(rule, "RESETPASS") {
            self.passwords.clear();
            self.needs_no_password = is(rule, "NOPASS");
        } else if is(rule, "SANITIZE-PAYLOAD") || is(rule, "SKIP-SANITIZE-PAYLOAD") {
            self.checks_payloads = is(rule, "SANITIZE-PAYLOAD");
        } else if is(rule, "CLEARSELECTORS") {
            self.selectors.clear();
        } else if is(rule, "RESET") {
            *self = Self::new(self.table);
        } else {
            match rule {
                [b'>', password @ ..] => self.add(digest(password)),
                [b'#', digest @ ..] => self.add(checked(digest)?),
                [b'<', password @ ..] => self.remove(&digest(password))?,
                [b'!', digest @ ..] => self.remove(&checked(digest)?)?,
                [b'(', rules @ .., b')'] => self.selectors.push(selector(self.table, rules)?),
                [b'(', ..] => return Err(SYNTAX),
                _ => self.root.apply(rule)?,
            }
        }
        Ok(())
    }

    fn add(&mut self, digest: String) {
        self.needs_no_password = false;
        if !self.passwords.contains(&digest) {
            self.passwords.push(digest);
        }
    }

    fn remove(&mut self, digest: &str) -> Result<(), Fault> {
        let before = self.passwords.len();
        self.passwords.retain(|known| known != digest);
        if self.passwords.len() == before {
            return Err(NO_SUCH_PASSWORD);
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// Why it may not run a command, if it may not: none of its selectors allows all of it.
    pub(in crate::memory) fn denial(&self, command: &Signature, args: &[Bytes]) -> Option<Denial> {
        let denials: Option<Vec<_>> = self
            .all()
            .map(|rules| rules.denial(command, args))
            .collect();
        denials?.into_iter().max_by_key(Denial::rank)
    }

    pub(super) fn allows_channel(&self, kind: Kind, name: &Bytes) -> bool {
        self.all().any(|rules| rules.allows_channel(kind, name))
    }

    /// Whether it may run a command that reads any key.
    pub(super) fn reads_all_keys(&self, command: &Signature, args: &[Bytes]) -> bool {
        self.all().any(|rules| rules.reads_all_keys(command, args))
    }

    pub(in crate::memory) fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.is_on { "on" } else { "off" }];
        if self.needs_no_password {
            flags.push("nopass");
        }
        flags.push(if self.checks_payloads {
            "sanitize-payload"
        } else {
            "skip-sanitize-payload"
        });
        flags
    }

    /// As ACL LIST shows it.
    pub(super) fn description(&self, name: &[u8]) -> Vec<u8> {
        let mut parts = vec![b"user".to_vec(), name.to_vec()];
        parts.extend(self.flags().iter().map(|flag| flag.as_bytes().to_vec()));
        let passwords = self.passwords.iter();
        parts.extend(passwords.map(|digest| format!("#{digest}").into_bytes()));
        parts.push(self.root.description());
        let selectors = self.selectors.iter();
        parts.extend(selectors.map(|rules| [b"(", &rules.description()[..], b")"].concat()));
        parts.join(&b' ')
    }
}

fn selector(table: &'static Table, rules: &[u8]) -> Result<Selector, Fault> {
    let mut selector = Selector::new(table);
    let rules = rules.split(u8::is_ascii_whitespace);
    for rule in rules.filter(|rule| !rule.is_empty()) {
        selector.apply(rule)?;
    }
    Ok(selector)
}

/// A digest as it is given.
fn checked(digest: &[u8]) -> Result<String, Fault> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_digest = digest.len() == 64 && digest.iter().all(is_digit);
    let text = String::from_utf8_lossy(digest).into_owned();
    is_digest.then_some(text).ok_or(NO_DIGEST)
}
