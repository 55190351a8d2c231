//! Whatever a program writes: diffs lead from any picture to any other, and a viewer's terminal
//! shows what the host's does.

#[allow(dead_code, reason = "shared with other tests and the fuzz targets")]
#[path = "../fuzz/checks.rs"]
mod checks;
mod output;

use std::time::Instant;

use proptest::prelude::*;
use tern_sync::State as _;
use tern_term::{Clusters, Frame, Screen};

use output::Step;

/// Pictures after each step of a program.
fn frames(steps: &[Step], clusters: Clusters) -> Vec<Frame> {
    let now = Instant::now();
    let mut screen = Screen::new(output::SIZE);
    screen.set_clusters(clusters);
    let mut frames = vec![screen.frame()];
    for step in steps {
        match step {
            Step::Write(bytes) => screen.handle_output(bytes, now),
            Step::Resize(size) => screen.resize(*size),
        }
        frames.push(screen.frame());
    }
    frames
}

fn last_frame(steps: &[Step], clusters: Clusters) -> Frame {
    frames(steps, clusters).pop().expect("there is a frame before the first step")
}

fn clusters() -> impl Strategy<Value = Clusters> {
    prop::sample::select(vec![Clusters::ByWidth, Clusters::Joined, Clusters::Emoji])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn frames_follow_each_other_by_diff_and_on_every_viewer(
        steps in output::steps(),
        clusters in clusters(),
    ) {
        checks::check_chain(&frames(&steps, clusters), clusters);
    }

    #[test]
    fn any_frame_turns_into_any_other(
        a in output::steps(),
        b in output::steps(),
        clusters in clusters(),
    ) {
        let (a, b) = (last_frame(&a, clusters), last_frame(&b, clusters));
        checks::check_pair(&a, &b);
        let mut watched = checks::Watched::new(clusters);
        watched.show(&a);
        watched.show(&b);
        watched.show(&a);
    }

    #[test]
    fn hostile_diffs_are_refused_or_harmless(bytes: Vec<u8>) {
        checks::check_apply(&bytes);
    }

    #[test]
    fn damaged_diffs_are_refused_or_harmless(
        a in output::steps(),
        b in output::steps(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let clusters = Clusters::default();
        let (a, b) = (last_frame(&a, clusters), last_frame(&b, clusters));
        let mut diff = b.diff(&a);
        if diff.is_empty() {
            return Ok(());
        }
        for (at, byte) in damage {
            let at = at.index(diff.len());
            diff[at] = byte;
        }
        if let Ok(frame) = a.apply(&diff) {
            checks::check_pair(&a, &frame);
        }
    }
}
