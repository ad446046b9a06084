//! The scripts that a server knows.

use std::{collections::HashMap, fmt, time::Duration};

use mlua::Function;

use super::{api, host::Host, sandbox::Sandbox, shebang};
use crate::memory::halt::{Evaluation, Halt, Outcome};

pub(in crate::memory) use shebang::Declared;

/// Scripts that came by EVAL, beyond which the one is forgotten that was not used for longest; as in Redis 7.4.
const EVALUATED: usize = 500;

#[derive(Default)]
pub(in crate::memory) struct Scripts {
    /// Made for the first script.
    sandbox: Option<Sandbox>,
    /// By the digest of the source.
    known: HashMap<String, Script>,
    uses: u64,
}

struct Script {
    function: Function,
    declared: Option<Declared>,
    /// The number of its last use. None that SCRIPT LOAD has brought is forgotten.
    used: Option<u64>,
}

impl Scripts {
    /// Remembers a script, for as long as there is room, or until SCRIPT FLUSH. Returns its digest.
    pub(in crate::memory) fn load(&mut self, source: &[u8], is_kept: bool) -> Result<String, Halt> {
        let digest = api::digest(source);
        self.uses += 1;
        let used = (!is_kept).then_some(self.uses);
        if let Some(script) = self.known.get_mut(&digest) {
            script.used = script.used.and(used);
            return Ok(digest);
        }
        let (declared, code) = shebang::split(source).map_err(Halt::error)?;
        let function = self.sandbox()?.compile(code).map_err(|error| {
            Halt::error(format!(
                "ERR Error compiling script (new function): {error}"
            ))
        })?;
        if !is_kept {
            self.make_room();
        }
        let script = Script {
            function,
            declared,
            used,
        };
        self.known.insert(digest.clone(), script);
        Ok(digest)
    }

    fn sandbox(&mut self) -> Result<&Sandbox, Halt> {
        if self.sandbox.is_none() {
            let sandbox =
                Sandbox::new().map_err(|error| Halt::error(format!("ERR no Lua: {error}")))?;
            return Ok(self.sandbox.insert(sandbox));
        }
        self.sandbox.as_ref().ok_or(Self::NO_SCRIPT)
    }

    fn make_room(&mut self) {
        let evaluated = self.known.iter().filter_map(|(digest, script)| {
            let used = script.used?;
            Some((used, digest))
        });
        if evaluated.clone().count() >= EVALUATED
            && let Some((_, oldest)) = evaluated.min()
        {
            let oldest = oldest.clone();
            self.known.remove(&oldest);
        }
    }

    pub(in crate::memory) const NO_SCRIPT: Halt = Halt::Error(std::borrow::Cow::Borrowed(
        "NOSCRIPT No matching script. Please use EVAL.",
    ));

    /// Notes the use of a script, by its digest in lower case. Tells whether there is one.
    pub(in crate::memory) fn touch(&mut self, digest: &str) -> bool {
        self.uses += 1;
        let Some(script) = self.known.get_mut(digest) else {
            return false;
        };
        script.used = script.used.and(Some(self.uses));
        true
    }

    /// Whether there is a script of this digest, in lower case.
    pub(in crate::memory) fn has(&self, digest: &str) -> bool {
        self.known.contains_key(digest)
    }

    /// What a script has declared of itself, if it has declared something.
    pub(in crate::memory) fn declared(&self, digest: &str) -> Option<Declared> {
        self.known.get(digest)?.declared
    }

    pub(in crate::memory) fn clear(&mut self) {
        self.known.clear();
    }

    /// Runs a script. A limit of zero is none.
    pub(in crate::memory) fn run(
        &self,
        evaluation: &Evaluation,
        limit: Duration,
        host: &mut dyn Host,
    ) -> Outcome {
        let digest = &evaluation.digest;
        let script = self.known.get(digest).ok_or(Self::NO_SCRIPT)?;
        let sandbox = self.sandbox.as_ref().ok_or(Self::NO_SCRIPT)?;
        let (keys, arguments) = (&evaluation.keys, &evaluation.arguments);
        sandbox
            .run(&script.function, host, keys, arguments, limit)
            .map_err(|failure| {
                let text = failure.text;
                Halt::error(match failure.place {
                    Some(place) => format!("{text} script: {digest}, on {place}."),
                    None => text,
                })
            })
    }
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scripts({})", self.known.len())
    }
}
