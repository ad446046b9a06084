//! A client in one line, as CLIENT LIST shows it.

use std::fmt::Write;

use bytes::Bytes;

use super::{
    acl::DEFAULT_USER, keyspace::Millis, reply::Protocol, session::Session, subscriptions::Kind,
    tracking::Tracking,
};

/// The description of a client, with the end of the line.
pub(super) fn line(session: &Session, local: &str, now: Millis) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seconds = |since: Millis| now.saturating_sub(since) / 1000;
    let queued = session.transaction.as_ref().map(|all| &all.queued);
    let queued_bytes: usize = queued
        .iter()
        .flat_map(|all| all.iter())
        .flat_map(|(_, request)| request.iter().map(Bytes::len))
        .sum();
    let unread = session.unread();
    let subscriptions = |kind: Kind| session.subscriptions.of(kind).len();
    let mut line = format!(
        "id={} addr={} laddr={local} fd=-1 name={} age={} idle={} flags={} db={}",
        session.id,
        session.address,
        text(&session.name),
        seconds(session.connected_at),
        seconds(session.used_at),
        flags(session),
        session.database,
    );
    // Nothing fails to be written into a string.
    let _ = write!(
        line,
        " sub={} psub={} ssub={} multi={} watch={}",
        subscriptions(Kind::Channel),
        subscriptions(Kind::Pattern),
        subscriptions(Kind::Shard),
        queued.map_or(-1, |all| all.len() as i64),
        session.watched.len(),
    );
    let _ = write!(
        line,
        " qbuf={} qbuf-free=0 argv-mem=0 multi-mem={queued_bytes} rbs=0 rbp=0 obl={unread} oll=0 omem=0 \
         tot-mem={}",
        session.input.len(),
        session.input.len() + queued_bytes + unread,
    );
    let (library, version) = &session.library;
    let _ = writeln!(
        line,
        " events=r cmd={} user={} redir={} resp={} lib-name={} lib-ver={}",
        session.last_command,
        text(session.user.as_deref().unwrap_or(DEFAULT_USER)),
        redirect(session.tracking.as_ref()),
        match session.protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        },
        text(library),
        text(version),
    );
    line
}

/// The client that is told of changed keys instead; 0 if there is none, and -1 without tracking.
pub(super) fn redirect(tracking: Option<&Tracking>) -> i64 {
    let redirect = tracking.map(|tracking| tracking.redirect.unwrap_or(0));
    redirect.map_or(-1, |id| id as i64)
}

fn flags(session: &Session) -> String {
    let tracks = |is_so: fn(&Tracking) -> bool| session.tracking.as_ref().is_some_and(is_so);
    let flags = [
        (!session.subscriptions.is_empty(), 'P'),
        (session.transaction.is_some(), 'x'),
        (session.waiting.is_some() || session.held.is_some(), 'b'),
        (session.tracking.is_some(), 't'),
        (tracks(|tracking| tracking.is_redirect_broken), 'R'),
        (tracks(Tracking::broadcasts), 'B'),
        (session.is_outdated, 'd'),
        (session.is_closing, 'c'),
        (session.exemptions.from_eviction, 'e'),
        (session.exemptions.from_touching, 'T'),
    ];
    let flags: String = flags
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, letter)| letter)
        .collect();
    if flags.is_empty() { "N".into() } else { flags }
}
