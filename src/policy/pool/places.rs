//! The places for connections, by lane and state.

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// All callers send on it.
    Shared,
    /// One caller at a time has it.
    Leased,
}

/// The present state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// It is being dialled.
    Opening,
    /// It waits for a caller to lease it.
    Idle,
    /// A caller has leased it, or all callers share it.
    InUse,
    /// It is out of service, and its socket is not closed yet.
    Closing,
}

/// Connections by lane and state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([[usize; 4]; 2]);

impl Counts {
    pub(crate) fn of(&self, lane: Lane, state: State) -> usize {
        self.0[lane as usize][state as usize]
    }

    pub(crate) fn in_lane(&self, lane: Lane) -> usize {
        self.0[lane as usize].iter().sum()
    }

    pub(crate) fn in_state(&self, state: State) -> usize {
        self.0.iter().map(|lane| lane[state as usize]).sum()
    }

    pub(crate) fn total(&self) -> usize {
        self.0.iter().flatten().sum()
    }

    pub(crate) fn at(&mut self, lane: Lane, state: State) -> &mut usize {
        &mut self.0[lane as usize][state as usize]
    }
}

/// All places of one database. They outlast a pool that crashes, as its connections do.
pub(crate) trait Places {
    /// The right to have one connection.
    type Place: Place;

    /// The right to open a connection, if there is room for one.
    fn request(&self, lane: Lane) -> Option<Self::Place>;

    /// The right to open a shared connection in the place of one that still serves: beyond the maximum, if that is
    /// reached, but one at a time, until those before have ended.
    fn request_successor(&self) -> Option<Self::Place>;

    /// The number of leased connections in service that are too many. There are some after the maximum was
    /// lowered.
    fn excess(&self) -> usize;

    /// A consistent snapshot.
    fn counts(&self) -> Counts;
}

/// The right to have one connection. Its holders share it: the dial, later the task of the connection,
/// and the pool. The place is free again when the last of them has let go.
pub(crate) trait Place: Clone {
    fn lane(&self) -> Lane;

    fn set(&self, next: State);
}
