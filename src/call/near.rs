//! Calls of a handle with a near cache: see [`Database::cached`](crate::Database::cached). Calls of other handles do not
//! come here.

use std::{sync::Arc, time::Instant};

use redis::{Cmd, Pipeline, Value, cmd};

use super::{CallEngine, CallOptions, args};
use crate::{
    backend::Backend,
    error::Error,
    execution::Source,
    net::{Expected, Reply, Request, Responder},
    policy::{
        gate_state::GateState,
        near_cache::{Cacheable, lives_for},
        retry::Idempotence,
    },
    state::{Filling, Missed, NearCache, Tracking, as_resp2, clock, is_of_none},
};

type Words = Arc<[Box<[u8]>]>;

impl<B: Backend> CallEngine<B> {
    /// The reply to a command, if it is kept and may be used. A database that is out of use answers nothing.
    #[inline]
    pub(super) fn hit(&self, command: &Cmd) -> Option<Value> {
        let words = args(command);
        let Cacheable::One(key) = Cacheable::of(words.clone())? else {
            return None;
        };
        if self.state.gate.state() != GateState::Free {
            return None;
        }
        let now = clock::now().into_std();
        self.state.near_cache().reply(key, words, now)
    }

    /// Runs a command for which no reply is kept.
    pub(super) async fn execute_near(
        &self,
        command: &Cmd,
        options: CallOptions,
    ) -> Result<(Value, Source), Error> {
        if options.is_to_be_traced() {
            let call = self.execute_near(command, options.traced());
            return Box::pin(self.in_span(command, call)).await;
        }
        let mut options = options.without_near_cache();
        if let Some(cacheable) = Cacheable::of(args(command))
            && self.state.gate.state() == GateState::Free
            // A read that is lost is made again the usual way.
            && options.idempotence != Idempotence::No
            && let Some(tracking) = self.state.near_cache().tracking()
        {
            let began = clock::now();
            // The usual way begins with what is left.
            options = options.counted_from(began);
            let rest = options.end(began) - began;
            let limit = self.state.settings.load().attempt_timeout.min(rest / 2);
            let read = Read {
                tracking,
                began,
                deadline: began + limit,
                seen: options.remembers.then(|| self.state.seen.begin()),
            };
            let answered = match cacheable {
                Cacheable::One(key) => self.read_one(key, command, read).await,
                Cacheable::Each => self.read_each(command, read).await,
            };
            if let Some(answered) = answered {
                return Ok(answered);
            }
        }
        let _write = self.writes([command]);
        self.execute_from(command, &options).await
    }

    /// What commands may change is not kept until their end, nor what is read meanwhile.
    pub(super) fn writes<'a>(
        &'a self,
        commands: impl IntoIterator<Item = &'a Cmd>,
    ) -> NearWrite<'a> {
        let cache = self.state.near_cache();
        let mut written = Written::Words(Vec::new());
        for command in commands {
            match (self.class(command), &mut written) {
                (class, _) if class.only_reads() => {}
                (class, Written::Words(words)) if class.names_its_keys() => {
                    words.extend(args(command).skip(1));
                }
                _ => written = Written::All,
            }
        }
        NearWrite::begins(cache, written)
    }

    /// The same for a pipeline.
    pub(super) fn pipeline_writes<'a>(&'a self, pipeline: &'a Pipeline) -> NearWrite<'a> {
        self.writes(pipeline.cmd_iter())
    }

    /// Reads one key over the connection that tracks, unless another call does so already. `None` if the command is to go
    /// the usual way.
    async fn read_one(&self, key: &[u8], command: &Cmd, read: Read) -> Option<(Value, Source)> {
        let cache = self.state.near_cache();
        let words: Words = args(command).map(Box::from).collect();
        let life = read.tracking.life;
        let reply = match cache.missed(key, words, life, read.deadline) {
            Missed::Ask(filling, reply) => {
                let seen = read.seen;
                let key = Asked::One([key]);
                self.ask_server(command, key, vec![Some(filling)], &read)?;
                let reply = reply.await.ok()??;
                if let Some(seen) = seen {
                    let words: Vec<_> = args(command).collect();
                    self.state.seen.note(&words, &reply, seen);
                }
                reply
            }
            Missed::Wait(reply) => reply.await.ok()??,
            Missed::PassBy => return None,
        };
        Some((reply, Source::Redis))
    }

    /// Reads the keys of an MGET: those that are kept from there, and the others over the connection that tracks.
    async fn read_each(&self, command: &Cmd, read: Read) -> Option<(Value, Source)> {
        let cache = self.state.near_cache();
        let keys: Vec<_> = args(command).skip(1).collect();
        let now = read.began.into_std();
        let kept = keys.iter().map(|key| cache.reply(key, part(key), now));
        let mut replies: Vec<_> = kept.collect();
        let missing = keys.iter().zip(&replies);
        let missing = missing.filter(|(_, reply)| reply.is_none());
        let missing: Vec<_> = missing.map(|(key, _)| *key).collect();
        if missing.is_empty() {
            let replies = replies.into_iter().flatten().collect();
            return Some((Value::Array(replies), Source::Cache));
        }
        let (mut fillings, mut answers) = (Vec::new(), Vec::new());
        for key in &missing {
            let words = part(key).map(Box::from).collect();
            let (filling, answer) =
                match cache.missed(key, words, read.tracking.life, read.deadline) {
                    Missed::Ask(filling, answer) => (Some(filling), Some(answer)),
                    // Then this reply is not kept, but that of the other call.
                    Missed::Wait(answer) => (None, Some(answer)),
                    Missed::PassBy => (None, None),
                };
            fillings.push(filling);
            answers.push(answer);
        }
        let is_asked = |filling: &Option<Filling>| filling.is_some();
        if answers.iter().any(Option::is_none) {
            // Another call may take longer than there is time.
            return None;
        }
        let asked = missing.iter().zip(&fillings);
        let asked = asked.filter(|(_, filling)| is_asked(filling));
        let asked: Vec<_> = asked.map(|(key, _)| *key).collect();
        if !asked.is_empty() {
            let mget = cmd("MGET").arg(&asked).take();
            fillings.retain(is_asked);
            self.ask_server(&mget, Asked::Each(&asked), fillings, &read)?;
        }
        let mut answers = answers.into_iter().flatten();
        for reply in &mut replies {
            if reply.is_none() {
                *reply = Some(answers.next()?.await.ok()??);
            }
        }
        let reply = Value::Array(replies.into_iter().flatten().collect());
        if let Some(seen) = read.seen {
            let words: Vec<_> = args(command).collect();
            self.state.seen.note(&words, &reply, seen);
        }
        Some((reply, Source::Redis))
    }

    /// Sends a read with the question how long each of its keys has to live, over the connection that tracks. A task of its
    /// own hands the reply to all who wait for it: a caller may look at its call late, or never again. Without a good
    /// reply they go the usual way, which tells what is wrong.
    fn ask_server(
        &self,
        command: &Cmd,
        asked: Asked<'_>,
        fillings: Vec<Option<Filling>>,
        read: &Read,
    ) -> Option<()> {
        let mut bytes = Vec::new();
        cmd("CLIENT")
            .arg("CACHING")
            .arg("YES")
            .write_packed_command(&mut bytes);
        command.write_packed_command(&mut bytes);
        let keys = asked.keys();
        for key in keys {
            cmd("PTTL").arg(key).write_packed_command(&mut bytes);
        }
        let permit = self.state.in_flight.enter(bytes.len()).ok()?;
        let (responder, answer) = Responder::new(permit);
        let expected = Expected::Many(2 + keys.len());
        let request = Request {
            began: Some(read.began),
            ..Request::new(bytes, expected, read.deadline, responder)
        };
        read.tracking.mailbox.send(request).ok()?;
        let cache = self.state.near_cache().clone();
        let is_each = matches!(asked, Asked::Each(_));
        let (tracking, began) = (read.tracking.clone(), read.began.into_std());
        let filling = async move {
            let Ok(Ok(answered)) = answer.await else {
                return;
            };
            if let Some((replies, pttls)) = split(answered.reply, fillings.len(), is_each) {
                let fillings = fillings.into_iter().flatten();
                for ((filling, reply), pttl) in fillings.zip(replies).zip(pttls) {
                    let reply = tracking.form(reply);
                    filling.answered(&reply, until(&cache, &reply, &pttl, began));
                }
            }
        };
        // If there is no runtime any more, it is dropped, and all go the usual way.
        self.state.executor.spawn(filling).ok().map(drop)
    }
}

/// A read over the connection that tracks.
struct Read {
    tracking: Arc<Tracking>,
    began: tokio::time::Instant,
    deadline: tokio::time::Instant,
    /// The number of the read, if what is read is remembered for an outage.
    seen: Option<u64>,
}

/// The keys of a read.
enum Asked<'a> {
    /// The whole reply is about one key.
    One([&'a [u8]; 1]),
    /// Each key has an element of the reply.
    Each(&'a [&'a [u8]]),
}

impl<'a> Asked<'a> {
    fn keys(&self) -> &[&'a [u8]] {
        match self {
            Self::One(key) => key,
            Self::Each(keys) => keys,
        }
    }
}

/// The replies to a read of so many keys, and what PTTL has told of them; `None` if one of them is an error.
fn split(reply: Reply, keys: usize, is_each: bool) -> Option<(Vec<Value>, Vec<Value>)> {
    let Reply::Many(mut answers) = reply else {
        return None;
    };
    let is_error = |answer: &Value| matches!(answer, Value::ServerError(_));
    if answers.len() != 2 + keys || answers.iter().any(is_error) {
        return None;
    }
    let pttls = answers.split_off(2);
    let reply = answers.pop()?;
    match reply {
        Value::Array(replies) if is_each => (replies.len() == keys).then_some((replies, pttls)),
        _ if is_each => None,
        reply => Some((vec![reply], pttls)),
    }
}

impl Tracking {
    fn form(&self, reply: Value) -> Value {
        if self.as_resp2 {
            as_resp2(reply)
        } else {
            reply
        }
    }
}

/// The words of the part of an MGET that is about one key.
fn part(key: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    [&b"MGET"[..], key].into_iter()
}

fn until(cache: &NearCache, reply: &Value, pttl: &Value, asked: Instant) -> Option<Instant> {
    let Value::Int(pttl) = *pttl else {
        return None;
    };
    let lives_for = lives_for(is_of_none(reply), pttl, cache.max_age())?;
    asked.checked_add(lives_for)
}

/// A write that is under way. Replies about its keys are forgotten when it begins and when it ends.
pub(super) struct NearWrite<'a> {
    cache: &'a NearCache,
    written: Written<'a>,
}

enum Written<'a> {
    /// Keys among these words.
    Words(Vec<&'a [u8]>),
    /// Any key.
    All,
}

impl<'a> NearWrite<'a> {
    fn begins(cache: &'a NearCache, written: Written<'a>) -> Self {
        let write = Self { cache, written };
        write.outdate();
        write
    }

    fn outdate(&self) {
        match &self.written {
            Written::Words(words) => words.iter().for_each(|word| self.cache.outdate(word)),
            Written::All => self.cache.outdate_all(),
        }
    }
}

impl Drop for NearWrite<'_> {
    fn drop(&mut self) {
        self.outdate();
    }
}
