//! The control socket: events, statistics and what happens, by lines of text over a Unix socket.
//!
//! A request is a line: an event as in a timetable (`down wifi`), `stats` (answered by a line of
//! JSON), `hosts`, `namespaces HOST` (three paths: network, mount, PID), `watch` (a line
//! `SECONDS EVENT` for every event from then on), or `stop`. The answer ends with a line `ok` or
//! `error: ...`; after `watch` nothing more is answered.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

use crate::real::Lab;

/// Bytes of a request.
const REQUEST_MAX: u64 = 16 * 1024;
/// Callers at once.
const CALLERS_MAX: usize = 64;

static CALLERS: AtomicUsize = AtomicUsize::new(0);

/// Serves a lab at `path` for as long as it lives; `stop` is told when a caller asks for the end. A
/// socket that was left by a process that died is replaced.
///
/// # Errors
/// Where somebody serves there, or the socket can't be made.
pub fn serve(path: &Path, lab: Weak<Lab>, stop: SyncSender<()>) -> io::Result<()> {
    if path.exists() {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another netsim serves there"));
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::thread::Builder::new().name("netsim-control".to_owned()).spawn(move || {
        for caller in listener.incoming() {
            let Ok(caller) = caller else { return };
            let (lab, stop) = (lab.clone(), stop.clone());
            if CALLERS.load(Ordering::Relaxed) >= CALLERS_MAX {
                continue;
            }
            CALLERS.fetch_add(1, Ordering::Relaxed);
            let served = std::thread::Builder::new().spawn(move || {
                // An error says that the caller is gone.
                drop(answer_all(&caller, &lab, &stop));
                CALLERS.fetch_sub(1, Ordering::Relaxed);
            });
            if served.is_err() {
                CALLERS.fetch_sub(1, Ordering::Relaxed);
            }
        }
    })?;
    Ok(())
}

fn answer_all(caller: &UnixStream, lab: &Weak<Lab>, stop: &SyncSender<()>) -> io::Result<()> {
    let mut reader = BufReader::new(caller);
    let mut writer = caller;
    loop {
        let mut request = String::new();
        if (&mut reader).take(REQUEST_MAX).read_line(&mut request)? == 0 {
            return Ok(());
        }
        let request = request.trim();
        if request == "watch" {
            return watch(writer, lab);
        }
        let answer = match lab.upgrade() {
            None => Err("the network has ended".to_owned()),
            Some(lab) => answer(request, &lab, stop),
        };
        match answer {
            Ok(text) => writeln!(writer, "{text}{}ok", if text.is_empty() { "" } else { "\n" })?,
            Err(message) => writeln!(writer, "error: {message}")?,
        }
    }
}

fn answer(request: &str, lab: &Lab, stop: &SyncSender<()>) -> Result<String, String> {
    match request.split_once(' ').unwrap_or((request, "")) {
        ("stats", "") => {
            let stats = lab.stats().map_err(|error| error.to_string())?;
            serde_json::to_string(&stats).map_err(|error| error.to_string())
        }
        ("hosts", "") => Ok(lab.hosts().collect::<Vec<_>>().join("\n")),
        ("namespaces", host) => {
            let paths = lab.namespace_paths(host).map_err(|error| error.to_string())?;
            Ok(paths.map(|path| path.display().to_string()).join("\n"))
        }
        ("stop", "") => {
            // Full: the end was asked for already.
            let _ = stop.try_send(());
            Ok(String::new())
        }
        _ => {
            let action = crate::parse::action(request).map_err(|error| {
                format!("{}; besides: stats, hosts, namespaces HOST, watch, stop", error.message)
            })?;
            lab.handle_event(action).map_err(|error| error.to_string())?;
            Ok(String::new())
        }
    }
}

fn watch(mut writer: &UnixStream, lab: &Weak<Lab>) -> io::Result<()> {
    // The lab isn't held meanwhile: its end closes the channel.
    let events = lab.upgrade().map(|lab| lab.subscribe());
    for (at, action) in events.into_iter().flatten() {
        writeln!(writer, "{:.3} {action}", at.as_secs_f64())?;
    }
    Ok(())
}
