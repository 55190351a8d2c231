//! The relay's memory per idle session.

use crate::pty::{Pty, pause};
use crate::report::Report;
use crate::sharing::Sharing;
use std::net::Ipv4Addr;
use std::time::Duration;
use tern_tests::{Relay, World};

/// Sessions before counting begins: what the first ones cost is the program's own.
const WARM_UP: usize = 5;
/// Target per idle session.
const TARGET_KB: f64 = 300.0;

/// Starts `sessions` sessions, then a viewer for each, and reports what each added to the relay.
pub(crate) fn measure(report: &mut Report, sessions: usize) -> anyhow::Result<()> {
    let world = World::new();
    let many = (10 * sessions).to_string();
    let flags = [
        "--connections-per-address",
        &many,
        "--tries-per-minute",
        &many,
        "--sessions-per-address",
        &many,
        "--connections-pending",
        &many,
    ];
    let relay = Relay::start_with(&world, Ipv4Addr::LOCALHOST, &flags);
    let mut hosts = start(&world, &relay, WARM_UP)?;
    let empty = settled(&relay);
    hosts.extend(start(&world, &relay, sessions)?);
    let idle = settled(&relay);
    let viewers: Vec<Pty> =
        hosts[WARM_UP..].iter().map(Sharing::join).collect::<anyhow::Result<_>>()?;
    for viewer in &viewers {
        viewer.wait_for("idle")?;
    }
    let watched = settled(&relay);
    let per_session = |more: f64, less: f64| (more - less) / 1000.0 / sessions as f64;
    let lines = [
        ("idle session".to_owned(), vec![("kB each", per_session(idle, empty))]),
        ("its viewer".to_owned(), vec![("kB each", per_session(watched, idle))]),
        ("relay with 5 sessions".to_owned(), vec![("kB each", empty / 1000.0)]),
    ];
    let title = format!("memory of the relay over {sessions} sessions (target: {TARGET_KB} kB)");
    report.add("memory", &title, &lines);
    Ok(())
}

/// Shells that have printed a screen and wait, without tmux: the relay can't tell the difference.
fn start(world: &World, relay: &Relay, count: usize) -> anyhow::Result<Vec<Sharing>> {
    let show = "for i in $(seq 23); do echo $i idle line of an idle session; done; read x";
    let args = ["--no-tmux", "--", "bash", "-c", show];
    (0..count).map(|_| Sharing::over(world, relay, &args)).collect()
}

/// Resident memory once it has stopped changing.
fn settled(relay: &Relay) -> f64 {
    let mut last = relay.resident_bytes();
    for _ in 0..30 {
        pause(Duration::from_secs(2));
        let now = relay.resident_bytes();
        if now.abs_diff(last) < 64 * 1024 {
            return now as f64;
        }
        last = now;
    }
    last as f64
}
