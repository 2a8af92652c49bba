//! Lets requests pass, or holds them, as a test wants it.

use tokio::sync::watch;

#[derive(Clone, Copy, Default)]
struct State {
    is_closed: bool,
    /// Whether somebody came since it was closed.
    is_wanted: bool,
}

pub struct Gate(watch::Sender<State>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(State::default()))
    }
}

impl Gate {
    pub fn close(&self) {
        self.0.send_replace(State { is_closed: true, is_wanted: false });
    }

    pub fn open(&self) {
        self.0.send_replace(State::default());
    }

    pub async fn pass(&self) {
        let mut states = self.0.subscribe();
        self.0.send_modify(|state| state.is_wanted = state.is_closed);
        // The sender lives as long as the gate.
        let _open = states.wait_for(|state| !state.is_closed).await;
    }

    pub async fn until_somebody_waits(&self) {
        let mut states = self.0.subscribe();
        let _waits = states.wait_for(|state| state.is_wanted).await;
    }
}
