//! Moves of an element from a list to another one, or to the other end.

use bytes::Bytes;

use super::end;
use crate::memory::{
    context::Context,
    halt::{Halt, Outcome},
    keyspace::{End, List},
    reply::Reply,
};

/// From where to where.
pub(super) struct Move<'a> {
    pub(super) source: &'a Bytes,
    pub(super) target: &'a Bytes,
    pub(super) from: End,
    pub(super) to: End,
}

impl<'a> Move<'a> {
    /// The arguments of LMOVE and BLMOVE.
    pub(super) fn parse(args: &'a [Bytes]) -> Result<Self, Halt> {
        Ok(Self {
            source: &args[1],
            target: &args[2],
            from: end(&args[3])?,
            to: end(&args[4])?,
        })
    }

    /// The arguments of RPOPLPUSH and BRPOPLPUSH.
    pub(super) fn of_rpoplpush(args: &'a [Bytes]) -> Self {
        Self {
            source: &args[1],
            target: &args[2],
            from: End::Right,
            to: End::Left,
        }
    }

    /// Moves an element, if there is one, and returns it.
    pub(super) fn run(&self, cx: &mut Context<'_>) -> Result<Option<Bytes>, Halt> {
        if cx.db().read::<List>(self.source)?.is_none() {
            return Ok(None);
        }
        // Nothing is taken where nothing can be put.
        cx.db().read::<List>(self.target)?;
        // Within one list the key stays, with its expiry, though it be empty in between.
        let mut source = cx.db().edit::<List>(self.source)?;
        let Some(item) = source.pop(self.from) else {
            return Ok(None);
        };
        source.touch();
        if self.source == self.target {
            source.push(self.to, item.clone());
            return Ok(Some(item));
        }
        drop(source);
        let mut target = cx.db().edit::<List>(self.target)?;
        target.push(self.to, item.clone());
        target.touch();
        Ok(Some(item))
    }
}

pub(super) fn lmove(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Move::parse(args)?.run(cx).map(Reply::optional)
}

pub(super) fn rpoplpush(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Move::of_rpoplpush(args).run(cx).map(Reply::optional)
}
