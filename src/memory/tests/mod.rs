//! What the tests of the embedded server need, the comparison with a real one, and with its page in `docs`.

pub(super) mod client;
mod differential;
mod invalidations;
mod invariants;
mod page;
mod tracking;

use crate::common::{skip_notice, version};

/// Whether the real server is of the version to which the comparisons were fitted. Others differ in texts, in flags of
/// commands, and in commands.
fn is_comparable() -> bool {
    let is_comparable = version() == (7, 0);
    if !is_comparable {
        skip_notice("the comparison is with Redis 7.0");
    }
    is_comparable
}
