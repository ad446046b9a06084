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
        command::Class,
        gate_state::GateState,
        near_cache::{Cacheable, lives_for},
    },
    state::{Missed, NearCache, Tracking, as_resp2, clock, is_of_none},
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
        let options = options.without_near_cache();
        if self.state.gate.state() == GateState::Free
            && let Some(cacheable) = Cacheable::of(args(command))
            && let Some(tracking) = self.state.near_cache().tracking()
        {
            let read = match cacheable {
                Cacheable::One(key) => {
                    let words = args(command).map(Box::from).collect();
                    self.read_one(key, words, command, &tracking, &options)
                        .await
                }
                Cacheable::Each => self.read_each(command, &tracking, &options).await,
            };
            if let Some(read) = read {
                return Ok(read);
            }
        }
        let _write = self.writes([command]);
        self.execute_from(command, options).await
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
                (Class::Unknown, _) | (_, _) => written = Written::All,
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
    async fn read_one(
        &self,
        key: &[u8],
        words: Words,
        command: &Cmd,
        tracking: &Tracking,
        options: &CallOptions,
    ) -> Option<(Value, Source)> {
        let cache = self.state.near_cache();
        let deadline = options.end(clock::now());
        let filling = match cache.missed(key, words, tracking.life, deadline) {
            Missed::Ask(filling) => filling,
            Missed::Wait(reply) => return Some((reply.await.ok()??, Source::Redis)),
            Missed::PassBy => return None,
        };
        let asked = clock::now().into_std();
        let [reply, pttl] = self
            .track(command, &[key], tracking, options)
            .await?
            .try_into()
            .ok()?;
        let reply = tracking.form(reply);
        filling.answered(&reply, until(cache, &reply, &pttl, asked));
        Some((reply, Source::Redis))
    }

    /// Reads the keys of an MGET: those that are kept from there, and the others over the connection that tracks.
    async fn read_each(
        &self,
        command: &Cmd,
        tracking: &Tracking,
        options: &CallOptions,
    ) -> Option<(Value, Source)> {
        let cache = self.state.near_cache();
        let now = clock::now();
        let keys: Vec<_> = args(command).skip(1).collect();
        let kept = keys
            .iter()
            .map(|key| cache.reply(key, part(key), now.into_std()));
        let mut replies: Vec<_> = kept.collect();
        let missing = || {
            keys.iter()
                .zip(&replies)
                .filter(|(_, reply)| reply.is_none())
        };
        let missing: Vec<_> = missing().map(|(key, _)| *key).collect();
        if missing.is_empty() {
            let replies = replies.into_iter().flatten().collect();
            return Some((Value::Array(replies), Source::Cache));
        }
        let deadline = options.end(now);
        let fillings: Vec<_> = missing
            .iter()
            .map(|key| {
                let words = part(key).map(Box::from).collect();
                match cache.missed(key, words, tracking.life, deadline) {
                    Missed::Ask(filling) => Some(filling),
                    // Then this reply is not kept, but that of the other call.
                    Missed::Wait(_) | Missed::PassBy => None,
                }
            })
            .collect();
        let asked = clock::now().into_std();
        let read = cmd("MGET").arg(&missing).take();
        let mut answers = self
            .track(&read, &missing, tracking, options)
            .await?
            .into_iter();
        let Some(Value::Array(values)) = answers.next() else {
            return None;
        };
        if values.len() != missing.len() {
            return None;
        }
        for ((filling, value), pttl) in fillings.into_iter().zip(&values).zip(answers) {
            if let Some(filling) = filling {
                filling.answered(value, until(cache, value, &pttl, asked));
            }
        }
        let mut values = values.into_iter();
        for reply in &mut replies {
            if reply.is_none() {
                *reply = values.next();
            }
        }
        let replies = replies.into_iter().flatten().collect();
        Some((Value::Array(replies), Source::Redis))
    }

    /// Sends a read with the question how long each of its keys has to live, over the connection that tracks. Returns all
    /// answers; `None` without a good one, so that the usual way tells what is wrong.
    async fn track(
        &self,
        read: &Cmd,
        keys: &[&[u8]],
        tracking: &Tracking,
        options: &CallOptions,
    ) -> Option<Vec<Value>> {
        let mut bytes = Vec::new();
        cmd("CLIENT")
            .arg("CACHING")
            .arg("YES")
            .write_packed_command(&mut bytes);
        read.write_packed_command(&mut bytes);
        for key in keys {
            cmd("PTTL").arg(key).write_packed_command(&mut bytes);
        }
        let began = clock::now();
        let permit = self.state.in_flight.enter(bytes.len()).ok()?;
        let (responder, answer) = Responder::new(permit);
        let request = Request {
            began: Some(began),
            ..Request::new(
                bytes,
                Expected::Many(2 + keys.len()),
                options.end(began),
                responder,
            )
        };
        tracking.mailbox.send(request).ok()?;
        let Reply::Many(mut answers) = answer.await.ok()?.ok()?.reply else {
            return None;
        };
        let is_good = !answers
            .iter()
            .any(|answer| matches!(answer, Value::ServerError(_)));
        is_good.then(|| answers.split_off(1))
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
