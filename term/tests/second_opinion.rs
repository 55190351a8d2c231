//! Another terminal emulator, written by others, shows what the renderer was to draw.

mod opinion;
mod output;

use std::time::Instant;

use proptest::prelude::*;
use tern_term::{Clusters, Frame, Renderer, Screen};

use opinion::{assert_same, capabilities, parser};
use output::Step;

/// Pictures after each step of a program, until the window changes.
fn frames(steps: &[Step]) -> Vec<Frame> {
    let mut screen = Screen::new(output::SIZE);
    screen.set_clusters(Clusters::ByWidth);
    let mut frames = vec![screen.frame()];
    for step in steps {
        match step {
            Step::Write(bytes) => {
                screen.handle_output(&opinion::agreed(bytes), Instant::now());
            }
            Step::Resize(_) => break,
        }
        frames.push(screen.frame());
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn another_emulator_shows_what_the_host_does(steps in output::steps()) {
        let mut renderer = Renderer::new(capabilities());
        let mut parser = parser(output::SIZE);
        parser.process(&renderer.enter());
        for frame in frames(&steps) {
            let bytes = renderer.render(&frame);
            parser.process(&bytes);
            assert_same(&frame, parser.screen(), &bytes);
        }
    }
}
