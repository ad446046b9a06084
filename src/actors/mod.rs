//! The control plane. Actors sequence what `policy` decides and `net` does; none of them
//! awaits I/O, and only the supervisor knows the others' types.

#[cfg(test)]
mod fake_server;
mod guard;
mod health;
mod janitor;
#[cfg(test)]
mod panicking;
#[cfg(test)]
mod paused;
mod pool;
mod readiness;
mod supervisor;

#[cfg(test)]
mod ageing_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod growing_tests;
#[cfg(test)]
mod outage_tests;

pub(crate) use supervisor::SupervisorActor;
