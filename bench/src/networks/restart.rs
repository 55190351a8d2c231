//! The relay is killed, starts again with the same data folder, and the viewer joins again with the
//! same line.

use super::Run;
use super::place::Place;
use super::stage::Stage;
use super::system::{System, side_by_side};
use super::typist::{Typist, ms};
use crate::latency::ECHO;
use crate::pty::{PATIENCE, Pty, pause};
use crate::report::quantile;
use crate::table::{Figure, Target};
use std::time::{Duration, Instant};

/// A relay that isn't back to work by then doesn't come back.
const RETURN_TIME_MAX: Duration = Duration::from_secs(20);
/// Between two attempts to join.
const JOIN_PAUSE: Duration = Duration::from_millis(50);
/// How long one attempt may show nothing: the host may have to come back first.
const JOIN_TIME_MAX: Duration = Duration::from_secs(5);
/// What the program has printed, and every viewer of the session sees.
const SIGN: &str = "ready-";

/// First echo after the relay listens again.
pub(crate) fn measure(run: &mut Run) {
    let packets = run.packets("restart");
    let setting = run.setting(ECHO, packets.as_deref());
    let times = run.count(10, 2);
    let systems: Vec<System> = run.systems.iter().copied().filter(has_relay).collect();
    let outcomes = side_by_side(
        &systems,
        |_| Place::line(),
        &setting,
        |stage| {
            let mut typist = Typist::default();
            let mut found = Vec::new();
            for _ in 0..times {
                let time = restart(stage, &mut typist)?;
                found.push(time.map_or(f64::INFINITY, ms));
                if time.is_none() {
                    break;
                }
            }
            Ok(found)
        },
    );
    let title = "relay killed and started: to the first echo, worst, ms";
    let mut figures = vec![("mosh", Figure::not_applicable()), ("ssh", Figure::not_applicable())];
    for (system, outcome) in &outcomes {
        let figure = match outcome {
            Ok(times) if times.iter().any(|time| time.is_infinite()) => {
                Figure::None("not yet".into())
            }
            Ok(times) => quantile(times, 1.0).into(),
            Err(error) => {
                eprintln!("  {}: {error:#}", system.name());
                Figure::None("failed".into())
            }
        };
        figures.push((system.name(), figure));
    }
    run.table.add("restart_max", title, figures, Target::AtMost(1000.0));
}

fn has_relay(system: &System) -> bool {
    matches!(system, System::Tern | System::Join)
}

/// `None`: the session didn't come back in time.
fn restart(stage: &mut Stage, typist: &mut Typist) -> anyhow::Result<Option<Duration>> {
    anyhow::ensure!(typist.time_to_echo(&mut stage.viewer, PATIENCE).is_some(), "no echo at first");
    stage.restart_relay()?;
    let start = Instant::now();
    if stage.system == System::Join {
        // It comes back by itself.
        let echo = typist.time_to_echo(&mut stage.viewer, RETURN_TIME_MAX);
        return Ok(echo.map(|_| start.elapsed()));
    }
    while start.elapsed() < RETURN_TIME_MAX {
        let mut viewer = stage.join_again()?;
        if is_joined(&viewer) && typist.time_to_echo(&mut viewer, JOIN_TIME_MAX).is_some() {
            stage.viewer = viewer;
            return Ok(Some(start.elapsed()));
        }
        pause(JOIN_PAUSE);
    }
    Ok(None)
}

/// Whether the session shows. Before that, what is typed is echoed by the viewer's own terminal.
fn is_joined(viewer: &Pty) -> bool {
    let deadline = Instant::now() + JOIN_TIME_MAX;
    while Instant::now() < deadline && !viewer.is_closed() {
        if viewer.recent().contains(SIGN) {
            return true;
        }
        pause(Duration::from_millis(1));
    }
    false
}
