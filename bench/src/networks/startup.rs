//! From `tern` to a join line, on a path of 50 ms: what a script waits for. Beside it, `ssh` with a
//! command that does nothing, which takes as many round trips as SSH does. (tmate takes 475 ms, 9.5
//! round trips, to a server that isn't packaged.)

use super::Run;
use super::place::{HOST, LINE, VIEWER};
use super::stage::{RelayProcess, wait_for_port};
use super::system::System;
use super::typist::ms;
use crate::pty::Starter;
use crate::report::quantile;
use crate::sshd::Sshd;
use crate::table::{Figure, Target};
use anyhow::Context as _;
use netsim::real::{Lab, LabOptions};
use netsim::{Description, Link};
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tern_tests::World;
use tern_tests::process::{binary, text};

/// There and back.
const PATH_RTT: Duration = Duration::from_millis(50);
/// Four of them, and what the machine itself takes.
const TARGET_MS: f64 = 4.0 * 50.0 + 100.0;
/// Of the relay, and of sshd.
const PORTS: (u16, u16) = (2200, 2222);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 2);

/// The median and the worst.
pub(crate) fn measure(run: &mut Run) {
    let times = run.count(20, 5);
    let has = |system| run.systems.contains(&system);
    let (has_tern, has_ssh) = (has(System::Tern), has(System::Ssh));
    let outcome = times_of(run.seed, times, has_tern, has_ssh);
    let (tern, ssh) = outcome.unwrap_or_else(|error| {
        eprintln!("  startup: {error:#}");
        (vec![f64::INFINITY], vec![f64::INFINITY])
    });
    for (key, name, share) in [("p50", "median", 0.5), ("max", "worst", 1.0)] {
        let figures = [("Tern", has_tern, &tern), ("ssh", has_ssh, &ssh)];
        let figures = figures.into_iter().filter(|(_, is_there, _)| *is_there);
        let figures: Vec<(&str, Figure)> =
            figures.map(|(name, _, times)| (name, quantile(times, share).into())).collect();
        let title = format!("from tern to a join line, 50 ms path: {name}, ms");
        run.table.add(&format!("startup_{key}"), &title, figures, Target::AtMost(TARGET_MS));
    }
}

fn times_of(
    seed: u64,
    times: u32,
    has_tern: bool,
    has_ssh: bool,
) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let world = World::new();
    let link = Link::new(LINE, HOST, VIEWER).delay(PATH_RTT / 2);
    let description = Description::new().host(HOST).host(VIEWER).link(link);
    let lab = Lab::new(&description, &LabOptions { seed, ..LabOptions::default() })?;
    lab.start();
    let (mut tern, mut ssh) = (Vec::new(), Vec::new());
    if has_tern {
        let address = SocketAddrV4::new(FAR, PORTS.0);
        let relay =
            RelayProcess::start(&lab, &world, world.home("relay"), VIEWER, address, *address.ip())?;
        let fingerprint = relay.fingerprint()?;
        let home = world.home("laptop");
        let config = format!(
            "set -g tmate-server-host {FAR}\nset -g tmate-server-port {}\n\
             set -g tmate-server-ed25519-fingerprint {fingerprint}\n",
            PORTS.0
        );
        fs::write(home.join(".tern.conf"), config)?;
        for number in 0..times {
            let socket = home.join(format!("sock{number}")).display().to_string();
            let command = |args: &[&str]| {
                let mut command = world.command(binary("tern"), &home);
                command.args(["-S", &socket]).args(args);
                command
            };
            let start = Instant::now();
            finish(&lab, command(&["new-session", "-d"]))?;
            finish(&lab, command(&["wait", "tmate-ready"]))?;
            tern.push(ms(start.elapsed()));
            finish(&lab, command(&["kill-server"]))?;
        }
    }
    if has_ssh {
        let at_the_other_end: Starter<'_> = &|command| lab.spawn(VIEWER, command);
        let address = SocketAddrV4::new(FAR, PORTS.1);
        let sshd = Sshd::start_by(at_the_other_end, &world, address)?;
        wait_for_port(&lab, VIEWER, address)?;
        for _ in 0..times {
            let start = Instant::now();
            finish(&lab, sshd.command("true")?)?;
            ssh.push(ms(start.elapsed()));
        }
    }
    Ok((tern, ssh))
}

/// Runs it on the host to its end.
fn finish(lab: &Lab, mut command: Command) -> anyhow::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = command.get_program().display().to_string();
    let output = lab.spawn(HOST, command)?.wait_with_output().context(name)?;
    anyhow::ensure!(output.status.success(), "{}", text(&output));
    Ok(())
}
