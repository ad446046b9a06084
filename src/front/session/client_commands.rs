//! The members of CLIENT: the front answers what is true of its own client, and refuses the rest with the reason.

use bytes::Bytes;

use super::{
    Session,
    own::{Outcome, arity, check_name, is},
    watch::Watch,
};
use crate::{
    front::{name::upper, service::DEFAULT_USER},
    wire::reply::Reply,
};

impl Session {
    pub(super) fn client(&mut self, words: &[Bytes]) -> Outcome {
        let (member, arguments) = words.split_first().ok_or_else(|| arity("client"))?;
        let member = upper(member);
        match (&*member, arguments) {
            ("ID", []) => Ok(Reply::Integer(self.id as i64)),
            ("GETNAME", []) => {
                let name = (!self.name.is_empty()).then(|| self.name.clone());
                Ok(Reply::optional(name))
            }
            ("SETNAME", [name]) => {
                check_name(name, "Client names")?;
                self.name = name.clone();
                Ok(Reply::OK)
            }
            ("SETINFO", [option, value]) => self.set_info(option, value),
            ("INFO", []) => Ok(Reply::Verbatim(self.description().into())),
            // The connections of the front have none of these on.
            ("NO-EVICT" | "NO-TOUCH" | "TRACKING", [setting]) if is(setting, "OFF") => {
                Ok(Reply::OK)
            }
            ("REPLY", [setting]) if is(setting, "ON") => Ok(Reply::OK),
            ("GETREDIR", []) => Ok(Reply::Integer(-1)),
            ("TRACKINGINFO", []) => Ok(not_tracking()),
            (
                "ID" | "GETNAME" | "SETNAME" | "SETINFO" | "INFO" | "GETREDIR" | "TRACKINGINFO",
                _,
            ) => {
                let member = member.to_ascii_lowercase();
                Err(arity(&format!("client|{member}")))
            }
            _ => Err(format!(
                "REFUSED CLIENT {member} is refused: {}; the command was not sent",
                refusal(&member)
            )),
        }
    }

    fn set_info(&mut self, option: &[u8], value: &Bytes) -> Outcome {
        let (name, version) = &mut self.library;
        let (place, subject) = if is(option, "LIB-NAME") {
            (name, "lib-name")
        } else if is(option, "LIB-VER") {
            (version, "lib-ver")
        } else {
            return Err(format!(
                "ERR Unrecognized option '{}'",
                option.escape_ascii()
            ));
        };
        check_name(value, subject)?;
        *place = value.clone();
        Ok(Reply::OK)
    }

    /// The fields of CLIENT INFO that the front knows.
    fn description(&self) -> String {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let user = self.user.as_deref().unwrap_or(DEFAULT_USER);
        let subscription = self.subscription.as_ref();
        let counts = subscription.map(|subscription| subscription.counts());
        let counts = counts.unwrap_or_default();
        format!(
            "id={} addr={} name={} db={} sub={} psub={} ssub={} multi=-1 watch={} user={user} resp={} \
             lib-name={} lib-ver={}\n",
            self.id,
            self.address,
            text(&self.name),
            self.number.max(0),
            counts.channels,
            counts.patterns,
            counts.shard_channels,
            u8::from(matches!(self.watch, Watch::Held(_))),
            self.version_number(),
            text(&self.library.0),
            text(&self.library.1),
        )
    }
}

/// The reply to TRACKINGINFO of a client that tracks nothing.
fn not_tracking() -> Reply {
    Reply::Map(vec![
        (Reply::text("flags"), Reply::Set(vec![Reply::text("off")])),
        (Reply::text("redirect"), Reply::Integer(-1)),
        (Reply::text("prefixes"), Reply::Array(Vec::new())),
    ])
}

fn refusal(member: &str) -> &'static str {
    match member {
        "LIST" | "KILL" | "PAUSE" | "UNPAUSE" | "UNBLOCK" => {
            "it concerns the connections of the server, which the clients of the front share; send it to the \
             server itself"
        }
        "TRACKING" | "CACHING" => {
            "the clients of the front share connections, so that it carries no invalidations of single clients"
        }
        "NO-EVICT" | "NO-TOUCH" => {
            "it would hold for a connection of the server, which the clients of the front share"
        }
        "REPLY" => "the front answers each request",
        _ => {
            "the front answers GETNAME, GETREDIR, ID, INFO, SETINFO, SETNAME and TRACKINGINFO, and other \
             members concern connections that its clients share"
        }
    }
}
