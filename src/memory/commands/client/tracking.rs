//! CLIENT TRACKING and what belongs to it.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::memory::{
    arguments::{Words, integer, is},
    client_info::redirect,
    context::Context,
    halt::{Halt, Outcome, text_of},
    reply::Reply,
    session::ClientId,
    tracking::{Mode, Tracking},
};

#[derive(Default)]
struct Options {
    redirect: Option<ClientId>,
    broadcasts: bool,
    prefixes: Vec<Bytes>,
    is_opt_in: bool,
    is_opt_out: bool,
    skips_own: bool,
}

impl Options {
    fn parse(cx: &Context<'_>, args: &[Bytes]) -> Result<Self, Halt> {
        let mut options = Self::default();
        let mut words = Words::new(args);
        while let Some(word) = words.next() {
            if is(word, "REDIRECT") && !words.is_empty() {
                if options.redirect.is_some() {
                    return Err(Halt::error(
                        "ERR A client can only redirect to a single other client",
                    ));
                }
                options.redirect = Some(target(cx, words.expect()?)?);
            } else if is(word, "BCAST") {
                options.broadcasts = true;
            } else if is(word, "OPTIN") {
                options.is_opt_in = true;
            } else if is(word, "OPTOUT") {
                options.is_opt_out = true;
            } else if is(word, "NOLOOP") {
                options.skips_own = true;
            } else if is(word, "PREFIX") && !words.is_empty() {
                options.prefixes.push(words.expect()?.clone());
            } else {
                return Err(Halt::SYNTAX);
            }
        }
        Ok(options)
    }

    /// Whether the options agree with each other, and with what the client does already.
    fn check(&self, present: Option<&Tracking>) -> Result<(), Halt> {
        let error = |text| Err(Halt::error(text));
        if !self.broadcasts && !self.prefixes.is_empty() {
            return error("ERR PREFIX option requires BCAST mode to be enabled");
        }
        if present.is_some_and(|present| present.broadcasts() != self.broadcasts) {
            return error(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
                 re-enabling it with a different mode.",
            );
        }
        if self.broadcasts && (self.is_opt_in || self.is_opt_out) {
            return error("ERR OPTIN and OPTOUT are not compatible with BCAST");
        }
        if self.is_opt_in && self.is_opt_out {
            return error("ERR You can't specify both OPTIN mode and OPTOUT mode");
        }
        let is_switched = match present.map(|present| &present.mode) {
            Some(Mode::OptIn) => self.is_opt_out,
            Some(Mode::OptOut) => self.is_opt_in,
            _ => false,
        };
        if is_switched {
            return error(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
                 re-enabling it with a different mode.",
            );
        }
        check_prefixes(&self.prefixes, present)
    }

    /// Prefixes are added to those that the client has.
    fn mode(self, present: Option<&Tracking>) -> Mode {
        if self.is_opt_in {
            Mode::OptIn
        } else if self.is_opt_out {
            Mode::OptOut
        } else if self.broadcasts {
            let mut all: BTreeSet<_> = present
                .into_iter()
                .flat_map(Tracking::prefixes)
                .cloned()
                .collect();
            if self.prefixes.is_empty() {
                // That of every key.
                all.insert(Bytes::new());
            }
            all.extend(self.prefixes);
            Mode::Broadcast(all)
        } else {
            Mode::All
        }
    }
}

/// A client that is connected.
fn target(cx: &Context<'_>, id: &[u8]) -> Result<ClientId, Halt> {
    let id = u64::try_from(integer(id)?).ok();
    let mut clients = cx.engine.clients();
    id.filter(|id| clients.any(|client| client.id == *id))
        .ok_or(Halt::error(
            "ERR The client ID you want redirect to does not exist",
        ))
}

/// No prefix of a client begins with another one, so that no key is told twice.
fn check_prefixes(prefixes: &[Bytes], present: Option<&Tracking>) -> Result<(), Halt> {
    let overlap = |one: &Bytes, other: &Bytes| one.starts_with(other) || other.starts_with(one);
    for (at, prefix) in prefixes.iter().enumerate() {
        let mut known = present.into_iter().flat_map(Tracking::prefixes);
        let existing = known.find(|known| overlap(known, prefix));
        let existing = existing.map(|existing| ("an existing", existing));
        let mut later = prefixes[at + 1..].iter();
        let mut provided = || later.find(|later| overlap(later, prefix));
        let other = existing.or_else(|| provided().map(|other| ("another provided", other)));
        if let Some((which, other)) = other {
            let (prefix, other) = (text_of(prefix), text_of(other));
            return Err(Halt::error(format!(
                "ERR Prefix '{prefix}' overlaps with {which} prefix '{other}'. Prefixes for a single client must not \
                 overlap."
            )));
        }
    }
    Ok(())
}

pub(super) fn tracking(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let options = Options::parse(cx, &args[3..])?;
    let id = cx.client;
    if is(&args[2], "OFF") {
        cx.engine.untrack(id);
        return Ok(Reply::OK);
    }
    if !is(&args[2], "ON") {
        return Err(Halt::SYNTAX);
    }
    let present = cx.session().tracking.as_ref();
    options.check(present)?;
    let tracking = Tracking {
        skips_own: options.skips_own,
        redirect: options.redirect,
        is_redirect_broken: false,
        is_caching_set: present.is_some_and(|present| present.is_caching_set),
        mode: options.mode(present),
    };
    cx.engine.track(id, tracking);
    Ok(Reply::OK)
}

pub(super) fn caching(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let Some(tracking) = &mut cx.session().tracking else {
        return Err(Halt::error(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
             enabled",
        ));
    };
    if is(&args[2], "YES") {
        if tracking.mode != Mode::OptIn {
            return Err(Halt::error(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
    } else if is(&args[2], "NO") {
        if tracking.mode != Mode::OptOut {
            return Err(Halt::error(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ));
        }
    } else {
        return Err(Halt::SYNTAX);
    }
    tracking.is_caching_set = true;
    Ok(Reply::OK)
}

pub(super) fn getredir(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let redirect = redirect(cx.session().tracking.as_ref());
    Ok(Reply::Integer(redirect))
}

pub(super) fn trackinginfo(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let tracking = cx.session().tracking.as_ref();
    let mode = tracking.map(|tracking| &tracking.mode);
    let has = |is_so: fn(&Tracking) -> bool| tracking.is_some_and(is_so);
    let is_caching_set = has(|tracking| tracking.is_caching_set);
    let flags = [
        (tracking.is_none(), "off"),
        (tracking.is_some(), "on"),
        (has(Tracking::broadcasts), "bcast"),
        (mode == Some(&Mode::OptIn), "optin"),
        (mode == Some(&Mode::OptIn) && is_caching_set, "caching-yes"),
        (mode == Some(&Mode::OptOut), "optout"),
        (mode == Some(&Mode::OptOut) && is_caching_set, "caching-no"),
        (has(|tracking| tracking.skips_own), "noloop"),
        (
            has(|tracking| tracking.is_redirect_broken),
            "broken_redirect",
        ),
    ];
    let flags = flags.into_iter().filter(|(is_set, _)| *is_set);
    let flags = flags.map(|(_, flag)| Reply::text(flag));
    let prefixes = tracking.into_iter().flat_map(Tracking::prefixes);
    Ok(Reply::Map(vec![
        (Reply::text("flags"), Reply::Set(flags.collect())),
        (Reply::text("redirect"), Reply::Integer(redirect(tracking))),
        (Reply::text("prefixes"), Reply::bulks(prefixes.cloned())),
    ]))
}
