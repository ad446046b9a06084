//! Redis Sentinel: where the primary of a service is, and the news of its failovers.
//!
//! - values without a clock or a connection: `roll` (which sentinels there are) · `inquiry` (what their answers
//!   mean together) · `knowledge` (the primary, and whether it is in doubt) · `words` (what a sentinel says)
//! - `conversation`: a connection to one sentinel · `question`: all of them asked at once · `follower`: listens to
//!   them · `service`: what is known of one service · `directory`: all services, for the dials of all databases

mod conversation;
mod directory;
mod follower;
mod inquiry;
mod knowledge;
mod question;
mod roll;
mod service;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use directory::Directory;
pub(crate) use follower::follow;
pub(crate) use service::Service;
