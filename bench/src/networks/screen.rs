//! A full new coloured screen of 200x60, until all of it is before the viewer's eyes.

use super::place::{Place, RTT, lose};
use super::stage::{Setting, Stage};
use super::system::side_by_side;
use super::typist::ms;
use super::{Run, Samples};
use crate::glyphs::glyph;
use crate::pty::pause;
use crate::report::quantile;
use crate::screens;
use crate::table::Target;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a screen may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Quiet between screens, so that nobody is still repairing the one before.
const QUIET_TIME: Duration = Duration::from_millis(900);

/// The times of one screen, in milliseconds.
struct Shown {
    /// Since the key that asked for it.
    since_key: f64,
    /// Since the program wrote it.
    since_write: f64,
}

/// With 10 % and 29 % loss.
pub(crate) fn measure(run: &mut Run) {
    for (percent, target) in [(10.0, 2.5), (29.0, 4.0)] {
        at(run, percent, target);
    }
}

fn at(run: &mut Run, percent: f64, target: f64) {
    let key = format!("screen_{percent}");
    let log = std::env::temp_dir().join(format!("tern-bench-{}-{percent}", std::process::id()));
    let log_of = |stage: &Stage| log.with_extension(stage.system.file_name());
    let Ok(bench) = std::env::current_exe() else { return };
    let (count, packets) = (run.count(30, 4), run.packets(&key));
    let program =
        format!("stty raw -echo; exec {} paint {}.SYSTEM", bench.display(), log.display());
    let setting = Setting { size: screens::SIZE, ..run.setting(&program, packets.as_deref()) };
    let outcomes = side_by_side(
        &run.systems,
        |_| Place::line(),
        &setting,
        |stage| {
            pause(2 * QUIET_TIME);
            stage.event(lose(percent))?;
            let log = log_of(stage);
            let shown = (0..count).map(|number| show(stage, number, &log)).collect();
            drop(fs::remove_file(&log));
            shown
        },
    );
    let of = |share: f64, pick: fn(&Shown) -> f64| {
        move |shown: &Vec<Shown>| {
            quantile(&shown.iter().map(pick).collect::<Vec<_>>(), share) / ms(RTT)
        }
    };
    let title = format!("new 200x60 screen, {percent} % loss: key to complete, median, RTT");
    run.add(
        &format!("{key}_p50"),
        &title,
        &outcomes,
        Target::AtMost(target),
        of(0.5, |s| s.since_key),
    );
    let title = format!("new 200x60 screen, {percent} % loss: write to complete, median, RTT");
    run.add(
        &format!("{key}_write_p50"),
        &title,
        &outcomes,
        Target::Informative,
        of(0.5, |s| s.since_write),
    );
    let title = format!("new 200x60 screen, {percent} % loss: key to complete, p90, RTT");
    run.add(
        &format!("{key}_p90"),
        &title,
        &outcomes,
        Target::Informative,
        of(0.9, |s| s.since_key),
    );
    for (system, outcome) in outcomes {
        if let Ok(shown) = outcome {
            let times = shown.iter().map(|s| s.since_key.is_finite().then_some(s.since_key));
            run.keep(&key, system, Samples::Times(times.collect()));
        }
    }
}

fn show(stage: &mut Stage, number: u32, log: &Path) -> anyhow::Result<Shown> {
    pause(QUIET_TIME);
    let wanted = number * screens::GLYPHS..(number + 1) * screens::GLYPHS;
    let (start, wall) = (Instant::now(), SystemTime::now());
    stage.viewer.write(b" ")?;
    let mut complete_at = None;
    stage.viewer.wait_until(PATIENCE, |glyphs| {
        let seen: Option<Vec<Instant>> =
            wanted.clone().map(|number| glyphs.first_seen(glyph(number))).collect();
        complete_at = seen.and_then(|seen| seen.into_iter().max());
        complete_at.is_some()
    });
    let Some(complete_at) = complete_at else {
        return Ok(Shown { since_key: f64::INFINITY, since_write: f64::INFINITY });
    };
    let since_key = ms(complete_at.saturating_duration_since(start));
    let text = fs::read_to_string(log)?;
    let written: f64 = text.lines().nth(number as usize).unwrap_or("nothing").parse()?;
    let key_at = wall.duration_since(UNIX_EPOCH)?.as_nanos() as f64;
    Ok(Shown { since_key, since_write: since_key - (written - key_at) / 1e6 })
}
