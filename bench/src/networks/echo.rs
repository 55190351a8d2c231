//! From a key to its echo: without loss, and with 29 % each way.

use super::place::{Place, RTT, lose};
use super::system::{Outcome, side_by_side};
use super::typist::{Echo, Typist, echoes, ms};
use super::{Run, Samples};
use crate::latency::ECHO;
use crate::report::quantile;
use crate::table::Target;
use std::time::{Duration, Instant};

/// Time of typing that isn't counted: systems learn the path.
const WARM_UP: Duration = Duration::from_secs(4);
/// How long after the last key an echo may still come.
const PATIENCE: Duration = Duration::from_secs(90);
/// A full run types 300 keys, a quick one 40.
const TIME: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(8));

/// Loss of each direction in the mosh paper's measurement.
pub(crate) const LOSS_PERCENT: f64 = 29.0;

/// What the path alone costs, and a little more.
pub(crate) fn without_loss(run: &mut Run) {
    let outcomes = type_over(run, "echo", 0.0);
    let above = |share| move |echoes: &Vec<Echo>| quantile(&delays(echoes), share) - ms(RTT);
    run.add(
        "echo_p50",
        "echo, no loss: median above RTT, ms",
        &outcomes,
        Target::AtMost(3.0),
        above(0.5),
    );
    run.add(
        "echo_p99",
        "echo, no loss: p99 above RTT, ms",
        &outcomes,
        Target::AtMost(8.0),
        above(0.99),
    );
    keep(run, "echo", outcomes);
}

/// The mosh paper's network.
pub(crate) fn with_loss(run: &mut Run) {
    let outcomes = type_over(run, "loss", LOSS_PERCENT);
    let share_of = |share| move |echoes: &Vec<Echo>| quantile(&delays(echoes), share) / ms(RTT);
    run.add(
        "loss_p50",
        "echo, 29 % loss, 5 keys/s: median, RTT",
        &outcomes,
        Target::AtMost(1.1),
        share_of(0.5),
    );
    run.add(
        "loss_p90",
        "echo, 29 % loss, 5 keys/s: p90, RTT",
        &outcomes,
        Target::Informative,
        share_of(0.9),
    );
    run.add(
        "loss_p99",
        "echo, 29 % loss, 5 keys/s: p99, RTT",
        &outcomes,
        Target::AtMost(2.2),
        share_of(0.99),
    );
    run.add(
        "loss_max",
        "echo, 29 % loss, 5 keys/s: worst, RTT",
        &outcomes,
        Target::Informative,
        share_of(1.0),
    );
    keep(run, "loss", outcomes);
}

fn type_over(run: &Run, row: &str, percent: f64) -> Vec<Outcome<Vec<Echo>>> {
    let packets = run.packets(row);
    let setting = run.setting(ECHO, packets.as_deref());
    let time = run.count(TIME.0, TIME.1);
    side_by_side(
        &run.systems,
        |_| Place::line(),
        &setting,
        |stage| {
            stage.event(lose(percent))?;
            let mut typist = Typist::default();
            typist.type_for(&mut stage.viewer, WARM_UP)?;
            let start = Instant::now();
            let keys = typist.type_for(&mut stage.viewer, time)?;
            Ok(echoes(&stage.viewer, &keys, start, PATIENCE))
        },
    )
}

/// In milliseconds; what never came is infinitely late.
fn delays(echoes: &[Echo]) -> Vec<f64> {
    echoes.iter().map(|echo| echo.delay_ms.unwrap_or(f64::INFINITY)).collect()
}

fn keep(run: &mut Run, key: &str, outcomes: Vec<Outcome<Vec<Echo>>>) {
    for (system, outcome) in outcomes {
        if let Ok(echoes) = outcome {
            run.keep(key, system, Samples::Echoes(echoes));
        }
    }
}
