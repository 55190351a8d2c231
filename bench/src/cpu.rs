//! What a viewer costs its own machine: `tern join` and `mosh-client` side by side, idle and under
//! `yes`, over loopback.

use crate::networks::stage::{MOSH_PORT, mosh_key};
use crate::networks::system;
use crate::pty::{Pty, pause};
use crate::report::{Line, Report};
use crate::sharing::Sharing;
use anyhow::Context as _;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tern_tests::process::{self, text};
use tern_tests::{Relay, World};

/// After the start, before anything is counted: heartbeats slow down when nobody works.
const SETTLE_TIME: Duration = Duration::from_secs(15);
/// One key begins the flood.
const PROGRAM: &str = "echo rea\"\"dy-; read -r line; yes";
/// The flood's begin isn't counted.
const FILL_TIME: Duration = Duration::from_secs(2);

/// Reports wake-ups a second and CPU time while idle, and CPU time under `yes`, over `seconds` each.
pub(crate) fn measure(report: &mut Report, seconds: u64) -> anyhow::Result<()> {
    system::require_packages(&[system::System::Mosh])?;
    let world = World::new();
    let relay = Relay::start(&world);
    let sharing = Sharing::over(&world, &relay, &["--", "sh", "-c", PROGRAM])?;
    sharing.terminal.wait_for("ready-")?;
    let join = sharing.join_by_tern(&|mut command| command.spawn(), crate::pty::SIZE, &[])?;
    let mosh = mosh(&world)?;
    let mut viewers = [("tern join", join), ("mosh-client", mosh)];
    for (_, viewer) in &viewers {
        viewer.wait_for("ready-")?;
    }
    pause(SETTLE_TIME);
    let idle = over(&viewers, seconds)?;
    for (_, viewer) in &mut viewers {
        viewer.write(b"\r")?;
    }
    pause(FILL_TIME);
    let flooded = over(&viewers, seconds)?;
    let lines: Vec<Line> = viewers
        .iter()
        .enumerate()
        .map(|(number, (name, _))| {
            let (idle, flooded) = (&idle[number], &flooded[number]);
            let columns = vec![
                ("idle wakes/s", idle.wakes),
                ("idle ms/s", idle.cpu_ms),
                ("yes wakes/s", flooded.wakes),
                ("yes ms/s", flooded.cpu_ms),
            ];
            ((*name).to_owned(), columns)
        })
        .collect();
    let title = "CPU of a viewer, per second (target: less than mosh-client under yes)";
    report.add("cpu", title, &lines);
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

/// What a process did, per second.
struct Work {
    wakes: f64,
    cpu_ms: f64,
}

/// What each viewer does in the same `seconds`.
fn over(viewers: &[(&str, Pty)], seconds: u64) -> anyhow::Result<Vec<Work>> {
    let count =
        || viewers.iter().map(|(_, viewer)| counts(viewer)).collect::<anyhow::Result<Vec<_>>>();
    let (before, start) = (count()?, Instant::now());
    pause(Duration::from_secs(seconds));
    let time = start.elapsed().as_secs_f64();
    let pairs = before.into_iter().zip(count()?);
    Ok(pairs
        .map(|(before, after)| Work {
            wakes: (after.0 - before.0) / time,
            cpu_ms: (after.1 - before.1) / time,
        })
        .collect())
}

/// Wake-ups so far, and milliseconds of CPU time.
fn counts(viewer: &Pty) -> anyhow::Result<(f64, f64)> {
    let pid = i32::try_from(viewer.pid())?;
    let wakes = process::wake_count(pid).context("the viewer is gone")?;
    let time = process::cpu_time(pid).context("the viewer is gone")?;
    Ok((wakes as f64, time.as_secs_f64() * 1000.0))
}
