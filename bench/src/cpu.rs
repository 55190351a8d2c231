//! What a viewer costs its own machine: `tern join` and `mosh-client` side by side, idle and under
//! `yes`, over loopback.
//!
//! A flood takes a core or two, and whoever is short of them draws fewer frames. So each is measured
//! under a flood of its own, in turn, and then both at once, as on a busy machine.

use crate::networks::stage::{MOSH_PORT, mosh_key};
use crate::networks::system;
use crate::pty::{Pty, pause};
use crate::report::{Line, Report};
use crate::sharing::Sharing;
use anyhow::Context as _;
use std::ops::AddAssign;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tern_tests::process::{self, text};
use tern_tests::{Relay, World};

/// After the start, before anything is counted: heartbeats slow down when nobody works.
const SETTLE_TIME: Duration = Duration::from_secs(15);
/// Enter begins a flood, Control-C ends it.
const PROGRAM: &str = "trap : INT; echo rea\"\"dy-; while read -r line; do yes; done";
/// A flood's begin isn't counted, nor what is on its way at its end.
const FILL_TIME: Duration = Duration::from_secs(2);
/// Who has a flood, in turn: none is always the first.
const TURNS: [usize; 4] = [0, 1, 1, 0];

/// Reports wake-ups and CPU time, per second, while idle, under a flood of one's own, and while both
/// have one, over `seconds` each.
pub(crate) fn measure(report: &mut Report, seconds: u64) -> anyhow::Result<()> {
    system::require_packages(&[system::System::Mosh])?;
    let world = World::new();
    let relay = Relay::start(&world);
    let sharing = Sharing::over(&world, &relay, &["--", "sh", "-c", PROGRAM])?;
    sharing.terminal.wait_for("ready-")?;
    let join = sharing.join_by_tern(&|mut command| command.spawn(), crate::pty::SIZE, &[])?;
    let mut viewers = [join, mosh(&world)?];
    for viewer in &viewers {
        viewer.wait_for("ready-")?;
    }
    pause(SETTLE_TIME);
    let time = Duration::from_secs(seconds);
    let idle = over(&viewers, time)?;
    let mut alone = [Work::default(); 2];
    for turn in TURNS {
        flood(&mut viewers[turn..=turn], true)?;
        alone[turn] += over(&viewers, time / 2)?[turn];
        flood(&mut viewers[turn..=turn], false)?;
    }
    flood(&mut viewers, true)?;
    let together = over(&viewers, time)?;
    let columns_of = |at: usize| {
        let (idle, alone, together) = (idle[at], alone[at], together[at]);
        vec![
            ("idle wakes/s", idle.wakes()),
            ("idle ms/s", idle.cpu_ms()),
            ("yes wakes/s", alone.wakes()),
            ("yes ms/s", alone.cpu_ms()),
            ("both: wakes/s", together.wakes()),
            ("both: ms/s", together.cpu_ms()),
        ]
    };
    let (tern, mosh) = (columns_of(0), columns_of(1));
    let ratio = tern.iter().zip(&mosh).map(|(tern, mosh)| (tern.0, tern.1 / mosh.1)).collect();
    let lines: Vec<Line> = vec![
        ("tern join".to_owned(), tern),
        ("mosh-client".to_owned(), mosh),
        ("ratio".to_owned(), ratio),
    ];
    let title = "CPU of a viewer, per second (target: less than mosh-client under yes)";
    report.add("cpu", title, &lines);
    Ok(())
}

/// Begins the floods of these viewers, or ends them.
fn flood(viewers: &mut [Pty], is_begin: bool) -> anyhow::Result<()> {
    for viewer in viewers {
        viewer.write(if is_begin { b"\r" } else { b"\x03" })?;
    }
    pause(FILL_TIME);
    Ok(())
}

/// `mosh-client`, with a server of its own on this machine.
fn mosh(world: &World) -> anyhow::Result<Pty> {
    let mut server = world.command("mosh-server", &world.home("host"));
    server.args(["new", "-i", "127.0.0.1", "-c", "256", "-p", &MOSH_PORT.to_string()]);
    server.args(["--", "sh", "-c", PROGRAM]).stdin(Stdio::null());
    let said = text(&server.output()?);
    let key = mosh_key(&said).with_context(|| format!("mosh-server gave no key: {said}"))?;
    let mut client = world.command("mosh-client", &world.home("person"));
    client.env("MOSH_KEY", key).args(["127.0.0.1", &MOSH_PORT.to_string()]);
    Pty::spawn(&client)
}

/// What a process did in some time.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    time: Duration,
    wakes: u64,
    cpu: Duration,
}

impl Work {
    /// Per second.
    fn wakes(self) -> f64 {
        self.wakes as f64 / self.time.as_secs_f64()
    }

    /// Per second.
    fn cpu_ms(self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / self.time.as_secs_f64()
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, more: Self) {
        self.time += more.time;
        self.wakes += more.wakes;
        self.cpu += more.cpu;
    }
}

/// What each viewer does in the same `time`.
fn over(viewers: &[Pty; 2], time: Duration) -> anyhow::Result<[Work; 2]> {
    let start = Instant::now();
    let before = [counts(&viewers[0])?, counts(&viewers[1])?];
    pause(time);
    let after = [counts(&viewers[0])?, counts(&viewers[1])?];
    let time = start.elapsed();
    let work = |at: usize| Work {
        time,
        // A thread that ended meanwhile is counted no more.
        wakes: after[at].0.saturating_sub(before[at].0),
        cpu: after[at].1.saturating_sub(before[at].1),
    };
    Ok([work(0), work(1)])
}

/// Wake-ups so far, and CPU time.
fn counts(viewer: &Pty) -> anyhow::Result<(u64, Duration)> {
    let pid = i32::try_from(viewer.pid())?;
    let wakes = process::wake_count(pid).context("the viewer is gone")?;
    let time = process::cpu_time(pid).context("the viewer is gone")?;
    Ok((wakes, time))
}
