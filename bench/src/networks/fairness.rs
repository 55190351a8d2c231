//! A whole new screen four times a second and a TCP download, both over 1 Mbit/s: what each gets.

use super::Run;
use super::place::Place;
use super::stage::Stage;
use super::system::side_by_side;
use crate::pty::pause;
use crate::screens;
use crate::table::Target;
use netsim::Rate;
use std::time::{Duration, Instant};

/// The line, and the bytes that wait in its queue at most.
const RATE_BITS: u64 = 1_000_000;
const QUEUE_BYTES: usize = 64_000;
/// The download's bytes until it is in full swing: eight times the queue.
const FILL_BYTES: u64 = 512_000;
/// Between two screens.
const SCREEN_INTERVAL: Duration = Duration::from_millis(250);
/// How long each is watched, whole and quick.
const WATCH_TIME: (Duration, Duration) = (Duration::from_secs(40), Duration::from_secs(15));
/// What a download has to keep of the line, in percent, of which half is the fair share of two who both
/// want all.
const DOWNLOAD_MIN: f64 = 33.0;
/// The same for screens, of which nobody needs as many as there are: what was not yet sent is passed over.
const SCREENS_MIN: f64 = 15.0;

struct Shares {
    /// Percent of the bytes that the screens took without the download.
    screens: f64,
    /// Percent of the line, headers left out.
    download: f64,
}

/// Screens alone, then beside the download.
pub(crate) fn measure(run: &mut Run) {
    let packets = run.packets("fairness");
    let Ok(bench) = std::env::current_exe() else { return };
    let program = format!("stty raw -echo; exec {} paint /dev/null", bench.display());
    let setting =
        super::stage::Setting { size: screens::SIZE, ..run.setting(&program, packets.as_deref()) };
    let time = run.count(WATCH_TIME.0, WATCH_TIME.1);
    let place = |_| Place::narrow(Rate::mbit(RATE_BITS / 1_000_000), QUEUE_BYTES);
    let outcomes = side_by_side(&run.systems, place, &setting, |stage| share(stage, time));
    let title = "screens beside a TCP download: share of the bytes that they take alone, %";
    run.add("fair_screens", title, &outcomes, Target::AtLeast(SCREENS_MIN), |shares| {
        shares.screens
    });
    let title = "the TCP download beside them: share of the line, %";
    run.add("fair_download", title, &outcomes, Target::AtLeast(DOWNLOAD_MIN), |shares| {
        shares.download
    });
}

fn share(stage: &mut Stage, time: Duration) -> anyhow::Result<Shares> {
    let start = stage.passed()?.0.delivered_bytes;
    paint(stage, time)?;
    let alone = stage.passed()?.0.delivered_bytes - start;

    let download = stage.download(FILL_BYTES)?;
    let (start, read) = (stage.passed()?.0.delivered_bytes, download.read_bytes());
    paint(stage, time)?;
    let read = download.read_bytes() - read;
    let both = stage.passed()?.0.delivered_bytes - start;
    let line = RATE_BITS as f64 / 8.0 * time.as_secs_f64();
    Ok(Shares {
        screens: 100.0 * both.saturating_sub(read) as f64 / alone as f64,
        download: 100.0 * read as f64 / line,
    })
}

/// Asks for screens for so long, seen or not.
fn paint(stage: &mut Stage, time: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        stage.viewer.write(b" ")?;
        pause(SCREEN_INTERVAL);
    }
    Ok(())
}
