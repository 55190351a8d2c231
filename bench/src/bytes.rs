//! What a host sends to its relay over a link of 1 Mbit/s, with a viewer watching: per typed key,
//! and while a program floods its terminal.

use crate::pty::{pause, wait_until};
use crate::report::Report;
use crate::shaper::Link;
use crate::sharing::Sharing;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tern_tests::{Relay, World};

const BITS_PER_SECOND: u64 = 1_000_000;
/// Between two keys: a person who types fast.
const KEY_INTERVAL: Duration = Duration::from_millis(120);
/// What nobody does costs, too: measured as long, and told apart.
const QUIET_TIME: Duration = Duration::from_secs(10);

/// Types `keys` keys, then floods for `seconds`, and reports what went up.
pub(crate) fn measure(report: &mut Report, keys: u32, seconds: u64) -> anyhow::Result<()> {
    let world = World::new();
    let port = tern_tests::ports::free(Ipv4Addr::LOCALHOST);
    let address = Ipv4Addr::new(127, 0, 0, 2);
    let relay = Relay::start_in(&world, world.home("relay"), address, port, &[]);
    let link = Link::start(port, SocketAddrV4::new(address, port), BITS_PER_SECOND)?;
    let reach =
        ["--relay", &format!("127.0.0.1:{port}"), "--relay-fingerprint", &relay.fingerprint]
            .map(str::to_owned);
    let mut sharing = Sharing::start(&world, &reach, &[])?;
    sharing.terminal.wait_for("$ ")?;
    sharing.terminal.write(format!("clear; {}\n", crate::latency::ECHO).as_bytes())?;
    let viewer = sharing.join()?;
    viewer.wait_for("ready-")?;
    pause(Duration::from_secs(5));

    let sent = || {
        let up = &link.up;
        (up.bytes.load(Ordering::Relaxed), up.packets.load(Ordering::Relaxed))
    };
    let quiet_start = sent();
    pause(QUIET_TIME);
    let quiet = sent();
    let quiet_per_second = (quiet.0 - quiet_start.0) as f64 / QUIET_TIME.as_secs_f64();

    let (start, raw_start) = (sent(), sharing.terminal.total());
    let begun = Instant::now();
    for key in 0..keys {
        let key = char::from(b'a' + (key % 26) as u8);
        sharing.terminal.write(&[key as u8])?;
        pause(KEY_INTERVAL);
    }
    let took = begun.elapsed().as_secs_f64();
    let (end, raw_end) = (sent(), sharing.terminal.total());
    let bytes = (end.0 - start.0) as f64;
    let per_key = vec![
        ("bytes/key", bytes / f64::from(keys)),
        ("less quiet", (bytes - quiet_per_second * took) / f64::from(keys)),
        ("packets/key", (end.1 - start.1) as f64 / f64::from(keys)),
        ("tmux's bytes", (raw_end - raw_start) as f64 / f64::from(keys)),
        ("quiet bytes/s", quiet_per_second),
    ];
    let title = "host to relay, per typed key (IP and UDP headers counted)";
    report.add("bytes_per_key", title, &[("typing".into(), per_key)]);

    // A shell that is interrupted throws away what was typed ahead, so its prompt is waited for.
    sharing.terminal.time_of_echo("\x03", "$ ")?;
    let count = sharing.folder().join("count");
    let program = std::env::current_exe()?;
    let flood = format!("{} flood {} {seconds}\n", program.display(), count.display());
    let (start, seen_start) = (sent(), viewer.total());
    sharing.terminal.write(flood.as_bytes())?;
    wait_until("the flood ends", || count.exists())?;
    let end = sent();
    let raw: f64 = fs::read_to_string(&count)?.trim().parse()?;
    let bytes = (end.0 - start.0) as f64;
    let flood = vec![
        ("sent MB", bytes / 1e6),
        ("raw MB", raw / 1e6),
        ("raw / sent", raw / bytes),
        ("sent kbit/s", bytes * 8.0 / 1000.0 / seconds as f64),
        ("viewer MB", (viewer.total() - seen_start) as f64 / 1e6),
    ];
    let title = "host to relay, while `yes` floods the terminal, link of 1 Mbit/s";
    report.add("bytes_of_flood", title, &[(format!("{seconds} s of yes"), flood)]);
    // The end must come soon: what is on the link is at most a moment old.
    sharing.terminal.write(b"clear; echo calm$((40+2))\n")?;
    let begun = Instant::now();
    viewer.wait_for("calm42")?;
    println!("  after the flood the viewer is calm within {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// What `yes` does, counted.
pub(crate) fn flood(file: &Path, seconds: u64) -> anyhow::Result<()> {
    let block = "y\n".repeat(4096);
    let (start, mut count) = (Instant::now(), 0);
    let mut output = std::io::stdout().lock();
    while start.elapsed() < Duration::from_secs(seconds) {
        output.write_all(block.as_bytes())?;
        count += block.len();
    }
    let new = file.with_extension("new");
    fs::write(&new, count.to_string())?;
    Ok(fs::rename(new, file)?)
}
