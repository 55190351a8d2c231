//! Somebody types on through an outage and a change of address: for the plot.

use super::place::{HOST, LINE, Place};
use super::system::side_by_side;
use super::typist::{Typist, echoes};
use super::{Run, Samples};
use crate::latency::ECHO;
use crate::plot::Span;
use netsim::Action;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// Seconds from the begin.
const DOWN_AT: u64 = 8;
const UP_AT: u64 = 18;
const MOVE_AT: u64 = 36;
const END_AT: u64 = 46;
/// How long after the last key an echo may still come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the plot marks.
pub(crate) const EVENTS: [Span; 2] = [
    Span { from_s: DOWN_AT as f64, to_s: UP_AT as f64, text: "no network" },
    Span { from_s: MOVE_AT as f64, to_s: MOVE_AT as f64, text: "new address" },
];

/// Keys and echoes through it all.
pub(crate) fn measure(run: &mut Run) {
    let packets = run.packets("timeline");
    let setting = run.setting(ECHO, packets.as_deref());
    let place = |system: super::System| Place::mobile(system.mobile());
    let outcomes = side_by_side(&run.systems, place, &setting, |stage| {
        let mobile = stage.mobile.unwrap_or(HOST);
        let moved = Action::address(mobile, &[IpAddr::V4(Ipv4Addr::new(10, 0, 1, 77))]);
        let steps = [
            (DOWN_AT, Some(Action::down(LINE))),
            (UP_AT, Some(Action::up(LINE))),
            (MOVE_AT, Some(moved)),
            (END_AT, None),
        ];
        let mut typist = Typist::default();
        let (start, mut keys) = (Instant::now(), Vec::new());
        for (at, event) in steps {
            let until = start + Duration::from_secs(at);
            let left = until.saturating_duration_since(Instant::now());
            // A system whose program has ended is typed at no more.
            keys.extend(typist.type_for(&mut stage.viewer, left).unwrap_or_default());
            if let Some(event) = event {
                stage.event(event)?;
            }
        }
        Ok(echoes(&stage.viewer, &keys, start, PATIENCE))
    });
    for (system, outcome) in outcomes {
        match outcome {
            Ok(echoes) => run.keep("timeline", system, Samples::Echoes(echoes)),
            Err(error) => eprintln!("  {}: {error:#}", system.name()),
        }
    }
}
