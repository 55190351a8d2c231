//! `netsim ctl` and `netsim exec`: a running network from outside.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use netsim::real::{enter_pid_namespace, prepare_in_namespaces};
use nix::sys::signal::{SigSet, Signal};

use super::{FAILED, Failure};

pub(super) fn ctl(socket: &Path, request: &str) -> Result<ExitCode, Failure> {
    // Nobody reads on: that is an end like any.
    ask(socket, request, |line| writeln!(std::io::stdout(), "{line}").is_ok())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn exec(socket: &Path, host: &str, command: &[String]) -> Result<ExitCode, Failure> {
    let mut paths = Vec::new();
    ask(socket, &format!("namespaces {host}"), |line| {
        paths.push(line.to_owned());
        true
    })?;
    let [network, mount, pid] = paths.as_slice() else {
        return Err("the running netsim gave another answer than expected".to_owned());
    };
    let [program, arguments @ ..] = command else {
        return Err("which program?".to_owned());
    };
    let failed = |error: std::io::Error| format!("running {program} on {host}: {error}");
    let mut command = Command::new(program);
    command.args(arguments).env("NETSIM_HOST", host);
    let open = |path: &String| File::open(path).map(Into::into);
    prepare_in_namespaces(
        &mut command,
        open(network).map_err(failed)?,
        open(mount).map_err(failed)?,
    )
    .map_err(failed)?;
    enter_pid_namespace(Path::new(pid)).map_err(failed)?;
    // Ctrl-C is the program's; this process waits for it. (Programs begin with no signal blocked.)
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    set.add(Signal::SIGQUIT);
    set.thread_block().map_err(|error| failed(error.into()))?;
    let status = command.status().map_err(failed)?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.map_or(FAILED, |code| code as u8)))
}

/// Sends a request and gives each line of the answer to `on_line`, until that says `false`.
fn ask(socket: &Path, request: &str, mut on_line: impl FnMut(&str) -> bool) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        format!("{}: {error}; is a netsim running with --control {0}?", socket.display())
    };
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    writeln!(stream, "{request}").map_err(failed)?;
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(failed)?;
        if line == "ok" {
            return Ok(());
        }
        match line.strip_prefix("error: ") {
            Some(message) => return Err(message.to_owned()),
            None if on_line(&line) => {}
            None => return Ok(()),
        }
    }
    // The network has ended: what `stop` asks for, perhaps before its answer, and how `watch` ends.
    match request {
        "watch" | "stop" => Ok(()),
        _ => Err("the running netsim gave no answer".to_owned()),
    }
}
