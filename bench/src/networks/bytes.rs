//! What the host sends, IP headers and all: in an idle hour, per typed key, and in 10 s of `yes`.

use super::Run;
use super::place::Place;
use super::stage::Stage;
use super::system::{System, side_by_side};
use super::typist::Typist;
use crate::latency::ECHO;
use crate::pty::pause;
use crate::table::Target;
use std::time::{Duration, Instant};

/// After the start, before anything is counted: the handshake and the first screen are over, the
/// path's size was probed, and Tern's faster heartbeats, which follow work for 15 s, have ended.
const SETTLE_TIME: Duration = Duration::from_secs(20);
/// An hour's worth is scaled up from so much of it, whole and quick: 50 heartbeats of Tern's, or 15.
const IDLE_TIME: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(90));
/// Keys typed, and the time between two.
const KEYS: (u32, u32) = (200, 40);
const KEY_INTERVAL: Duration = Duration::from_millis(150);
/// How long `yes` runs.
const FLOOD_TIME: Duration = Duration::from_secs(10);
/// The program of the flood: one key begins it.
const FLOOD: &str = "echo rea\"\"dy-; read -r line; yes";
/// What mosh's server sent in 10 s of `yes` when targets were set.
const MOSH_FLOOD_KB: f64 = 27.0;

struct Sent {
    idle_kb_per_hour: f64,
    bytes_per_key: f64,
    packets_per_key: f64,
}

/// Idle, then typing; then a flood, on a stage of its own.
pub(crate) fn measure(run: &mut Run) {
    let packets = run.packets("bytes");
    let setting = run.setting(ECHO, packets.as_deref());
    let (idle, keys) = (run.count(IDLE_TIME.0, IDLE_TIME.1), run.count(KEYS.0, KEYS.1));
    let outcomes = side_by_side(
        &run.systems,
        |_| Place::line(),
        &setting,
        |stage| idle_and_typing(stage, idle, keys),
    );
    let seconds = idle.as_secs();
    let title = format!("bytes from the host: idle, kB per hour (scaled from {seconds} s)");
    run.add("bytes_idle", &title, &outcomes, Target::AtMost(100.0), |sent| sent.idle_kb_per_hour);
    let title = "bytes from the host: per typed key";
    run.add("bytes_key", title, &outcomes, Target::TimesMosh(2.0), |sent| sent.bytes_per_key);
    let title = "packets from the host: per typed key";
    run.add("packets_key", title, &outcomes, Target::Informative, |sent| sent.packets_per_key);

    let packets = run.packets("flood");
    let setting = run.setting(FLOOD, packets.as_deref());
    // ssh would send hundreds of megabytes here, into a queue without bounds.
    let systems: Vec<System> =
        run.systems.iter().copied().filter(|system| *system != System::Ssh).collect();
    let outcomes = side_by_side(&systems, |_| Place::line(), &setting, flood);
    let title = "bytes from the host: 10 s of yes, kB";
    run.add("bytes_flood", title, &outcomes, Target::AtMost(MOSH_FLOOD_KB), |kb| *kb);
}

fn idle_and_typing(stage: &mut Stage, idle: Duration, keys: u32) -> anyhow::Result<Sent> {
    pause(SETTLE_TIME);
    let start = stage.passed()?.0;
    pause(idle);
    let quiet = stage.passed()?.0;
    let idle_bytes = (quiet.entered_bytes - start.entered_bytes) as f64;
    let per_second = idle_bytes / idle.as_secs_f64();
    let begun = Instant::now();
    for key in 0..keys {
        stage.viewer.write(&[b'a' + (key % 26) as u8])?;
        pause(KEY_INTERVAL);
    }
    // The last ones' echoes.
    Typist::default().time_to_echo(&mut stage.viewer, crate::pty::PATIENCE);
    let end = stage.passed()?.0;
    let bytes = (end.entered_bytes - quiet.entered_bytes) as f64;
    let background = per_second * begun.elapsed().as_secs_f64();
    let keys = f64::from(keys + 1);
    Ok(Sent {
        idle_kb_per_hour: per_second * 3.6,
        bytes_per_key: (bytes - background) / keys,
        packets_per_key: (end.entered - quiet.entered) as f64 / keys,
    })
}

fn flood(stage: &mut Stage) -> anyhow::Result<f64> {
    pause(SETTLE_TIME);
    let start = stage.passed()?.0;
    stage.viewer.write(b"\r")?;
    pause(FLOOD_TIME);
    let end = stage.passed()?.0;
    Ok((end.entered_bytes - start.entered_bytes) as f64 / 1000.0)
}
