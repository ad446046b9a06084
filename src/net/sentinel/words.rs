//! What sentinels say, as values.

use redis::{Cmd, ServerError, Value, cmd};

use crate::{config::Address, sanitize};

/// What one sentinel knows of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// The primary; `None` if the sentinel does not know the service.
    pub(super) primary: Option<Address>,
    /// The version of the configuration, which grows with each failover. `None` if the sentinel does not say it.
    pub(super) epoch: Option<u64>,
    /// The name of the sentinel itself, which servers before 6.2 do not say.
    pub(super) id: Option<String>,
    /// The other sentinels, if it says them, by their names.
    pub(super) others: Option<Vec<(String, Address)>>,
    /// The replicas of the primary, if it says them. Some of them may be dead.
    pub(super) replicas: Option<Vec<Address>>,
}

/// The questions to one sentinel, in one write.
pub(super) fn questions(service: &str) -> Vec<Cmd> {
    let ask = |about: &str| cmd("SENTINEL").arg(about).arg(service).take();
    vec![
        // Of a failover that is under way, its leader tells the new primary as soon as it is one.
        ask("GET-MASTER-ADDR-BY-NAME"),
        ask("MASTER"),
        ask("SENTINELS"),
        cmd("SENTINEL").arg("MYID").take(),
        ask("REPLICAS"),
    ]
}

impl Words {
    /// Reads the answers to the [questions]. Only the first has to be understood.
    ///
    /// # Errors
    /// Why they are no answers of a sentinel that serves this client.
    pub(super) fn of(answers: &[Value]) -> Result<Self, String> {
        let [primary, about, others, id, replicas] = answers else {
            return Err("it answers with something else".into());
        };
        let primary = match primary {
            Value::Nil => None,
            Value::Array(parts) => match &parts[..] {
                [host, port] => Some(address(host, port).ok_or("it names an unusable address")?),
                _ => return Err("it is no sentinel".into()),
            },
            Value::ServerError(error) if error.code() == "ERR" => {
                // A server knows no SENTINEL.
                return Err(format!("it is no sentinel ({})", refusal(error)));
            }
            Value::ServerError(error) => return Err(refusal(error)),
            _ => return Err("it is no sentinel".into()),
        };
        let epoch = field(about, "config-epoch").and_then(|epoch| epoch.parse().ok());
        Ok(Self {
            primary,
            epoch,
            id: text(id).map(str::to_owned),
            others: listed(others, |one| {
                Some((field(one, "runid")?.to_owned(), address_in(one)?))
            }),
            replicas: listed(replicas, address_in),
        })
    }
}

/// What a list tells of each sentinel or server. Those that the answering sentinel believes dead are listed as well: they
/// may come back.
fn listed<T>(list: &Value, one: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    match list {
        Value::Array(list) => Some(list.iter().filter_map(one).collect()),
        _ => None,
    }
}

fn address_in(one: &Value) -> Option<Address> {
    address_of(field(one, "ip")?, field(one, "port")?)
}

/// A value of a list of names and values.
fn field<'a>(fields: &'a Value, wanted: &str) -> Option<&'a str> {
    match fields {
        Value::Array(items) => {
            let mut pairs = items.chunks_exact(2);
            let pair = pairs.find(|pair| text(&pair[0]) == Some(wanted))?;
            text(&pair[1])
        }
        Value::Map(pairs) => {
            let pair = pairs.iter().find(|(key, _)| text(key) == Some(wanted))?;
            text(&pair.1)
        }
        _ => None,
    }
}

fn address(host: &Value, port: &Value) -> Option<Address> {
    address_of(text(host)?, text(port)?)
}

fn address_of(host: &str, port: &str) -> Option<Address> {
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Address::of_host(host, port)
}

/// The text of an error, made harmless.
pub(super) fn refusal(error: &ServerError) -> String {
    let details = error.details().unwrap_or_default();
    sanitize::text(&format!("{} {details}", error.code()))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The channels of the news.
pub(super) const CHANNELS: [&str; 2] = ["+switch-master", "+sentinel"];

/// A message of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The service has another primary from now on.
    Switched { from: Address, to: Address },
    /// There is another sentinel.
    Sentinel,
    /// It is about something else, or only says that the sentinel is there.
    Nothing,
}

impl News {
    /// Reads a message, for the subscriber of a service.
    pub(super) fn of(message: &Value, service: &str) -> Self {
        let (Value::Array(parts) | Value::Push { data: parts, .. }) = message else {
            return Self::Nothing;
        };
        // A push names its kind apart.
        let [.., channel, payload] = &parts[..] else {
            return Self::Nothing;
        };
        let (Some(channel), Some(payload)) = (text(channel), text(payload)) else {
            return Self::Nothing;
        };
        let words: Vec<_> = payload.split(' ').collect();
        match (channel, &words[..]) {
            ("+switch-master", [name, old_host, old_port, host, port]) if *name == service => {
                let switched = address_of(old_host, old_port).zip(address_of(host, port));
                switched.map_or(Self::Nothing, |(from, to)| Self::Switched { from, to })
            }
            // Kind, name, host and port of the sentinel, then @, and the service.
            ("+sentinel", [_, _, _, _, "@", name, ..]) if *name == service => Self::Sentinel,
            _ => Self::Nothing,
        }
    }
}
