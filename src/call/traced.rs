//! Calls as traces tell of them.

use redis::{Cmd, Pipeline};

use super::{CallEngine, args};
use crate::{
    backend::Backend,
    error::Error,
    policy::command::{Class, display_name},
    span::{self, Operation},
};

impl<B: Backend> CallEngine<B> {
    /// Runs a call of this command in a span.
    pub(super) async fn in_span<T>(
        &self,
        command: &Cmd,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let operation = Operation {
            name: self.operation_name(command),
            batch_size: None,
            script: digest(command),
        };
        span::run(&self.state.settings.share(), operation, call).await
    }

    /// Runs a call of this pipeline in a span.
    pub(super) async fn in_span_of<T>(
        &self,
        pipeline: &Pipeline,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let name = if pipeline.is_transaction() {
            "MULTI"
        } else {
            "PIPELINE"
        };
        let mut names = pipeline
            .cmd_iter()
            .map(|command| self.operation_name(command));
        let first = names.next();
        let name = match first {
            Some(first) if names.all(|name| name == first) => format!("{name} {first}"),
            _ => name.to_owned(),
        };
        let operation = Operation {
            name,
            batch_size: u64::try_from(pipeline.len()).ok().filter(|size| *size >= 2),
            script: None,
        };
        span::run(&self.state.settings.share(), operation, call).await
    }

    /// The name of a command that is known; what is not may be a secret that was sent by mistake.
    fn operation_name(&self, command: &Cmd) -> String {
        match self.class(command) {
            Class::Unknown => "OTHER".to_owned(),
            _ => display_name(args(command)),
        }
    }
}

/// The digest by which a command calls its script.
fn digest(command: &Cmd) -> Option<String> {
    let mut args = args(command);
    let name = args.next()?;
    let is_by_digest = [&b"EVALSHA"[..], b"EVALSHA_RO"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known));
    let digest = args.next().filter(|_| is_by_digest)?;
    let is_digest = digest.len() == 40 && digest.iter().all(u8::is_ascii_hexdigit);
    is_digest.then(|| String::from_utf8_lossy(digest).into_owned())
}
