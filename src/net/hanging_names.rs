//! Names for tests: some resolve, and the look-ups of others hang.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::resolver::Resolver;

/// A resolver whose look-ups hang for names that begin with `hangs`, until they are released. Names are
/// 127.0.0.1, except that `hangs-missing` fails and `panics` panics.
#[derive(Debug, Default)]
pub(crate) struct HangingNames(Arc<Names>);

#[derive(Debug, Default)]
struct Names {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    looked_up: Vec<String>,
    hanging: usize,
    is_released: bool,
}

impl HangingNames {
    pub(crate) fn resolver(&self) -> Resolver {
        let names = self.0.clone();
        Resolver::new(move |host| names.look_up(host))
    }

    /// The names of all look-ups, in the order in which these began.
    pub(crate) fn looked_up(&self) -> Vec<String> {
        self.0.state().looked_up.clone()
    }

    /// The number of look-ups that hang now.
    pub(crate) fn hanging(&self) -> usize {
        self.0.state().hanging
    }

    /// Ends the look-ups that hang, and lets no other hang.
    pub(crate) fn release(&self) {
        self.0.state().is_released = true;
        self.0.changed.notify_all();
    }
}

impl Drop for HangingNames {
    /// No thread stays behind, also if a test fails.
    fn drop(&mut self) {
        self.release();
    }
}

impl Names {
    fn look_up(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        let mut state = self.state();
        state.looked_up.push(host.into());
        if host.starts_with("hangs") {
            state.hanging += 1;
            let hangs = |state: &mut State| !state.is_released;
            let released = self.changed.wait_while(state, hangs);
            state = released.unwrap_or_else(PoisonError::into_inner);
            state.hanging -= 1;
        }
        drop(state);
        match host {
            "hangs-missing" => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
            "panics" => panic!("told to"),
            _ => Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))]),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
