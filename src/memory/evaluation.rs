//! A script that runs on the server: it is one command, and what it calls are commands, too.

use std::mem;

use bytes::Bytes;

use super::{
    arguments::is,
    cluster::slot_of,
    engine::Engine,
    halt::{Evaluation, Halt, Outcome},
    keyspace::Millis,
    reply::{Protocol, Reply},
    request::Request,
    scripts::Host,
    session::{ClientId, OPERATOR},
    signature::{Signature, flags},
};
use crate::policy::slots::Slot;

impl Engine {
    /// Runs a script for a client. The database and the protocol that it chooses end with it.
    pub(super) fn evaluate(
        &mut self,
        id: ClientId,
        evaluation: &Evaluation,
        now: Millis,
    ) -> Outcome {
        let declared = self.scripts.declared(&evaluation.digest);
        let mut run = Run {
            is_read_only: evaluation.is_read_only,
            // Whether there is memory is settled at the beginning.
            is_full: id != OPERATOR && self.lacks_memory(true, false),
            has_written: false,
            slot: evaluation.keys.first().map(|key| Slot::of(key)),
            // As in Redis, a script that declares nothing is not bound to one slot.
            crosses_slots: declared.is_none_or(|declared| declared.crosses_slots),
            engine: self,
            client: id,
            now,
        };
        if let Some(declared) = declared {
            if declared.refuses_clusters {
                run.engine.refuse_in_cluster(
                    "ERR Can not run script on cluster, 'no-cluster' flag is set.",
                )?;
            }
            let needs_memory = !declared.needs_no_memory && !declared.writes_nothing;
            if run.is_full && needs_memory {
                return Err(Halt::OUT_OF_MEMORY);
            }
            if run.is_read_only && !declared.writes_nothing {
                return Err(Halt::error(
                    "ERR Can not execute a script with write flag using *_ro command.",
                ));
            }
            run.is_read_only |= declared.writes_nothing;
            run.is_full = false;
        }
        run.evaluate(evaluation)
    }
}

struct Run<'a> {
    engine: &'a mut Engine,
    client: ClientId,
    /// The time is the same for all commands of a script.
    now: Millis,
    is_read_only: bool,
    is_full: bool,
    has_written: bool,
    /// That of the keys so far.
    slot: Option<Slot>,
    crosses_slots: bool,
}

impl Run<'_> {
    fn evaluate(mut self, evaluation: &Evaluation) -> Outcome {
        let limit = self.engine.settings.script_time_limit;
        let session = self.engine.session(self.client);
        let before = (session.database, session.protocol);
        session.protocol = Protocol::Resp2;
        // No script can run another one.
        let scripts = mem::take(&mut self.engine.scripts);
        let outcome = scripts.run(evaluation, limit, &mut self);
        self.engine.scripts = scripts;
        let session = self.engine.session(self.client);
        (session.database, session.protocol) = before;
        outcome
    }

    /// Whether a command may run in this script: the checks of Redis, in its order.
    fn check(&mut self, request: &Request) -> Result<&'static Signature, Halt> {
        let command = self
            .find(request)
            .ok_or(Halt::error("ERR Unknown Redis command called from script"))?;
        if !command.takes(request.len()) {
            return Err(Halt::error(
                "ERR Wrong number of args calling Redis command from script",
            ));
        }
        if command.has(flags::NOSCRIPT) {
            return Err(Halt::error(
                "ERR This Redis command is not allowed from script",
            ));
        }
        if let Err(denial) = self.engine.permit("lua", self.client, command, request) {
            let text = denial.text(self.engine.user_of(self.client));
            return Err(Halt::error(format!("ERR ACL failure in script: {text}")));
        }
        let meets_faults = self.client != OPERATOR;
        if meets_faults && let Some(error) = self.engine.faults.failure(command) {
            return Err(Halt::error(error));
        }
        if self.is_read_only && command.has(flags::WRITE | flags::MAY_REPLICATE) {
            return Err(Halt::error(
                "ERR Write commands are not allowed from read-only scripts.",
            ));
        }
        // A script that has begun to write is not stopped half-way.
        let is_first_write = command.has(flags::WRITE) && !self.has_written;
        if meets_faults && is_first_write && self.engine.faults.is_read_only {
            return Err(Halt::READ_ONLY);
        }
        if self.is_full && !self.has_written && command.has(flags::DENYOOM) {
            return Err(Halt::OUT_OF_MEMORY);
        }
        if command.has(flags::BLOCKING) && blocks(request) {
            let name = String::from_utf8_lossy(&request[0]);
            return Err(Halt::error(format!(
                "ERR {name} command is not allowed with BLOCK option from scripts"
            )));
        }
        self.check_slots(command, request)?;
        Ok(command)
    }

    /// Whether a node of a cluster permits the keys of a command.
    fn check_slots(&mut self, command: &Signature, request: &[Bytes]) -> Result<(), Halt> {
        // The application is not bound to one slot, in scripts as elsewhere.
        if self.engine.cluster.is_none() || self.client == OPERATOR {
            return Ok(());
        }
        let slot = slot_of(command, request).map_err(|_| {
            Halt::error("ERR Script attempted to access a non local key in a cluster node")
        })?;
        if let Some(slot) = slot
            && !self.crosses_slots
            && *self.slot.get_or_insert(slot) != slot
        {
            return Err(Halt::error(
                "ERR Script attempted to access keys that do not hash to the same slot",
            ));
        }
        Ok(())
    }

    fn find(&self, request: &[Bytes]) -> Option<&'static Signature> {
        let command = self.engine.table.of(request)?;
        let lacks_subcommand = command.is_container && request.len() > 1;
        (!lacks_subcommand).then_some(command)
    }
}

/// Whether a read of streams has the option to wait.
fn blocks(request: &[Bytes]) -> bool {
    let options = request.iter().take_while(|word| !is(word, "STREAMS"));
    options.skip(1).any(|word| is(word, "BLOCK"))
}

impl Host for Run<'_> {
    fn call(&mut self, request: Request) -> Reply {
        let command = match self.check(&request) {
            Ok(command) => command,
            Err(halt) => {
                if self.client != OPERATOR {
                    self.engine.statistics.note_refusal(None, &halt);
                }
                return halt.at_once();
            }
        };
        self.has_written |= command.has(flags::WRITE);
        let database = self.engine.session(self.client).database;
        self.engine
            .call(self.client, command, &request, self.now, database)
            .unwrap_or_else(Halt::at_once)
    }

    fn may_run(&self, request: &[Bytes]) -> Option<bool> {
        let command = self.find(request)?;
        let denial = self.engine.denial(self.client, command, request);
        Some(denial.is_none())
    }

    fn protocol(&mut self) -> Protocol {
        self.engine.session(self.client).protocol
    }

    fn set_protocol(&mut self, protocol: Protocol) {
        self.engine.session(self.client).protocol = protocol;
    }
}
