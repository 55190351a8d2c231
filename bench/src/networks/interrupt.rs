//! Ctrl-C under `yes`: 1 Mbit/s, a queue of 64 kB, 100 ms there and back.

use super::place::{Place, RTT};
use super::stage::Stage;
use super::system::side_by_side;
use super::typist::ms;
use super::{Run, Samples};
use crate::glyphs::glyph;
use crate::pty::pause;
use crate::report::quantile;
use crate::table::Target;
use netsim::Rate;
use std::time::{Duration, Instant};

/// A line in, a flood until Ctrl-C, and the line out again: the sign that the flood is over. What is
/// typed isn't echoed.
const PROGRAM: &str =
    "stty -echo; echo rea\"\"dy-; trap : INT; while read -r line; do yes; echo \"$line\"; done";
/// How long the flood goes on before Ctrl-C: queues fill.
const FLOOD_TIME: Duration = Duration::from_secs(6);
/// How long the sign may take: 64 kB need half a second, ssh's buffers many times that.
const PATIENCE: Duration = Duration::from_secs(60);
/// Quiet between floods.
const QUIET_TIME: Duration = Duration::from_secs(2);
/// Bytes that wait in the line's queue at most.
const QUEUE_BYTES: usize = 64_000;

struct Calm {
    times: Vec<f64>,
    /// 99 % of packets from the host were delayed by less than this by queueing, in milliseconds.
    queueing_p99: f64,
}

/// Time from Ctrl-C to the flood's end before the viewer's eyes.
pub(crate) fn measure(run: &mut Run) {
    let packets = run.packets("interrupt");
    let setting = run.setting(PROGRAM, packets.as_deref());
    let count = run.count(5, 1);
    let place = |_| Place::narrow(Rate::mbit(1), QUEUE_BYTES);
    let outcomes = side_by_side(&run.systems, place, &setting, |stage| {
        let mut times = Vec::new();
        for time in 0..count {
            times.push(interrupt(stage, time)?);
            pause(QUIET_TIME);
        }
        let delay = stage.passed()?.0.delay.quantile(0.99);
        Ok(Calm { times, queueing_p99: ms(delay) - ms(RTT / 2) })
    });
    let title = "Ctrl-C under yes, 1 Mbit/s, 64 kB queue: median, ms";
    run.add("interrupt_p50", title, &outcomes, Target::AtMost(160.0), |calm| {
        quantile(&calm.times, 0.5)
    });
    let title = "Ctrl-C under yes, 1 Mbit/s, 64 kB queue: worst, ms";
    run.add("interrupt_max", title, &outcomes, Target::Informative, |calm| {
        quantile(&calm.times, 1.0)
    });
    let title = "added queueing delay under yes: p99, ms";
    run.add("queueing_p99", title, &outcomes, Target::AtMost(50.0), |calm| calm.queueing_p99);
    for (system, outcome) in outcomes {
        if let Ok(calm) = outcome {
            let times = calm.times.into_iter().map(|time| time.is_finite().then_some(time));
            run.keep("interrupt", system, Samples::Times(times.collect()));
        }
    }
}

fn interrupt(stage: &mut Stage, time: u32) -> anyhow::Result<f64> {
    let sign = glyph(time);
    stage.viewer.write(format!("{sign}\r").as_bytes())?;
    pause(FLOOD_TIME);
    // Whether it floods can't be told from the viewer's bytes: a screen full of `y` doesn't change.
    anyhow::ensure!(stage.viewer.first_seen(sign).is_none(), "the flood ended by itself");
    let start = Instant::now();
    stage.viewer.write(b"\x03")?;
    stage.viewer.wait_until(PATIENCE, |glyphs| glyphs.first_seen(sign).is_some());
    let seen = stage.viewer.first_seen(sign);
    Ok(seen.map_or(f64::INFINITY, |seen| ms(seen.saturating_duration_since(start))))
}
