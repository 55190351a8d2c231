//! What must hold for any bytes as the diff of any state of a session; the fuzz target `session` and
//! `tests/hostile.rs` call it.

use tern_sync::State;
use tern_sync::log::{LOG_SIZE_MAX, Log, WHOLE_SIZE_MAX, Whole};
use tern_sync::session::{Farewell, HostEvent, HostStanding, Topology, ViewerAction, ViewerEvent};

/// The first byte says which state.
pub(crate) fn session_diff(bytes: &[u8]) {
    let Some((which, diff)) = bytes.split_first() else { return };
    match which % 6 {
        0 => log::<Log<ViewerEvent>>(diff),
        1 => log::<Log<HostEvent>>(diff),
        2 => log::<Log<ViewerAction>>(diff),
        3 => log::<Log<Farewell>>(diff),
        4 => whole::<Whole<Topology>>(diff),
        _ => whole::<Whole<HostStanding>>(diff),
    }
}

fn log<S: State + Default>(diff: &[u8]) {
    if let Ok(log) = S::default().apply(diff) {
        assert!(diff.len() <= LOG_SIZE_MAX);
        assert_eq!(log.diff(&S::default()), diff, "a log's diff is its entries");
    }
}

fn whole<S: State + Default>(diff: &[u8]) {
    if let Ok(value) = S::default().apply(diff) {
        assert!(diff.len() <= WHOLE_SIZE_MAX);
        let again = S::default().apply(&value.diff(&S::default())).expect("our own diff");
        assert!(again.is_same(&value));
    }
}
