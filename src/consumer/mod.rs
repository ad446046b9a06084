//! The consumer of a stream: it calls a handler for each entry that a consumer group gives to it.
//!
//! - `builder`: the settings · `handle`: a consumer that runs · `entry`, `error`, `statistics`: what applications see
//! - `driver`: carries out what the machine in `policy/consumer` decides · `group`: its commands, `replies`: their replies ·
//!   `handler`: code of the application, `recipient`: an actor as such

mod builder;
mod driver;
mod entry;
mod error;
mod group;
mod handle;
mod handler;
mod recipient;
mod replies;
mod statistics;

pub use builder::ConsumerBuilder;
pub use entry::StreamEntry;
pub use error::ConsumerError;
pub use group::StartFrom;
pub use handle::Consumer;
pub use recipient::HandleEntry;
pub use statistics::ConsumerStats;
