//! The control plane. Actors carry out the decisions of `policy` by means of `net`. No actor awaits I/O,
//! and only the supervisor knows the types of the other actors.

mod clusters;
mod exit_guard;
#[cfg(test)]
mod fake_server;
mod health;
mod janitor;
#[cfg(test)]
mod panicking;
#[cfg(test)]
mod paused;
mod pool;
mod question;
mod readiness;
mod relay;
mod replicas;
mod sentinels;
mod subscribers;
mod supervisor;

#[cfg(test)]
mod ageing_tests;
#[cfg(test)]
mod blocked_tests;
#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod growing_tests;
#[cfg(test)]
mod hanging_names_tests;
#[cfg(test)]
mod outage_tests;
#[cfg(test)]
mod sentinel_crash_tests;
#[cfg(test)]
mod subscriber_crash_tests;

pub(crate) use supervisor::SupervisorActor;
