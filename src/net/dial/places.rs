//! The addresses that one dial tries, one after the other.

use std::{collections::VecDeque, sync::Arc};

use tokio::time::timeout_at;

use super::{
    Dialler,
    allowance::Allowance,
    error::{CONNECTING, DialError},
    moved::WhileMoving,
};
use crate::config::{Address, DatabaseSettings};

/// Those of a server that moves, or those that are located: the nodes of a cluster, or one.
pub(super) struct PlacesToTry<'a> {
    dialler: &'a Dialler,
    settings: &'a DatabaseSettings,
    moving: VecDeque<Address>,
    /// So many were not tried yet.
    left: usize,
}

impl<'a> PlacesToTry<'a> {
    pub(super) fn of(dialler: &'a Dialler, settings: &'a DatabaseSettings) -> Self {
        let moving = dialler
            .moved
            .places(&settings.address, dialler.while_moving);
        let all = match moving.len() {
            0 => dialler.locator.choices(settings),
            places => places,
        };
        Self {
            dialler,
            settings,
            moving,
            left: all,
        }
    }

    /// The next one. Beyond the last one it is located once more.
    pub(super) async fn next(&mut self, time: Allowance) -> Result<Address, DialError> {
        self.left = self.left.saturating_sub(1);
        if let Some(moving) = self.moving.pop_front() {
            return Ok(moving);
        }
        let locating = self.dialler.locator.locate(self.settings);
        match timeout_at(time.deadline, locating).await {
            Ok(located) => located.map_err(|error| DialError::Connect(Arc::new(error))),
            Err(_) => Err(time.over(CONNECTING)),
        }
    }

    /// Whether there are some that were not tried yet.
    pub(super) fn has_more(&self) -> bool {
        self.left > 0
    }

    /// The part of the time for the one that is tried now.
    pub(super) fn share(&self, time: Allowance) -> Allowance {
        let is_moving = !self.moving.is_empty();
        if is_moving && self.dialler.while_moving == WhileMoving::NewFirst {
            // All callers wait for it, and the old address has served until just now.
            return time.quarter();
        }
        time.share(self.left)
    }
}
