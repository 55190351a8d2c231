//! The program `netsim`: exit codes, several hosts, the control socket, and that nothing remains.
//! Needs root; says so and passes where it isn't given.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Far more than anything here takes; reached only where something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

const NETWORK: &str = "\
host a
host b
nat home
link wifi a home      delay 3ms
link dsl  home internet delay 4ms
link data b internet
";

#[test]
fn ping_passes_and_takes_the_described_time() {
    let Some(lab) = Lab::new() else { return };
    if Command::new("ping").arg("-V").output().is_err() {
        println!("skipped: no ping");
        return;
    }
    let stats = lab.path("stats.json");
    let output = lab.run(&["--stats", &stats, "--", "ping", "-c", "3", "-i", "0.05", "b"]);
    assert!(output.status.success(), "{output:?}");
    let stats: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(stats).expect("statistics")).expect("JSON");
    let wifi = &stats["network"]["links"][0]["up"];
    assert!(wifi["delivered"].as_u64() >= Some(3), "{stats}");
    assert_eq!(wifi["delay"]["max_ns"].as_u64(), Some(3_000_000), "{stats}");
    // No answer came before the described round trip; how much later is the machine's affair.
    let text = String::from_utf8_lossy(&output.stdout);
    let times = text.split("time=").skip(1).filter_map(|rest| rest.split(' ').next());
    let times: Vec<f64> = times.map(|time| time.parse().expect("milliseconds")).collect();
    assert_eq!(times.len(), 3, "{text}");
    assert!(times.iter().all(|ms| *ms >= 14.0), "{text}");
}

#[test]
fn the_exit_code_is_the_programs() {
    let Some(lab) = Lab::new() else { return };
    assert_eq!(lab.run(&["--", "sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(lab.run(&["--", "sh", "-c", "kill -9 $$"]).status.code(), Some(137));
    assert_eq!(lab.run(&["--", "/nonexistent"]).status.code(), Some(125));
    let output = lab.run(&["--also", "at 5s down dls", "--", "true"]);
    assert_eq!(output.status.code(), Some(125));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("test.net:8") && said.contains("there are: wifi, dsl, data"), "{said}");
}

#[test]
fn programs_run_on_several_hosts_and_at_their_times() {
    let Some(lab) = Lab::new() else { return };
    let done = lab.path("done");
    // The order is made by what they wait for, not by time.
    let output = lab.run(&[
        "--on",
        "b",
        &format!("echo $NETSIM_HOST > {done}.b"),
        "--also",
        &format!("at 1ms run b while ! test -e {done}.b; do sleep 0.01; done; echo > {done}.run"),
        "--also",
        "at 2ms signal relay-restart",
        "--on-signal",
        "relay-restart",
        &format!("echo > {done}.signal"),
        "--",
        "sh",
        "-c",
        &format!(
            "while ! test -e {done}.run -a -e {done}.signal; do sleep 0.01; done; cat {done}.b"
        ),
    ]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b\n", "{output:?}");
}

#[test]
fn a_running_network_takes_events_and_programs() {
    let Some(lab) = Lab::new() else { return };
    let socket = lab.path("control.sock");
    let mut netsim = lab.start(&["--control", &socket]);
    wait_until("the control socket answers", || ctl(&socket, &["hosts"]).status.success());
    let mut watch = netsim_command(&["ctl", &socket, "watch"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().expect("netsim starts");
    let lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    // The watcher may come too late for one event, not for all.
    let seen = std::thread::spawn(move || lines.map_while(Result::ok).next());
    wait_until("an event is seen", || {
        assert!(ctl(&socket, &["set", "wifi", "delay", "1ms"]).status.success());
        seen.is_finished()
    });
    let seen = seen.join().expect("no panic").expect("a line");
    assert!(seen.ends_with(" set wifi delay 1ms"), "{seen}");
    let wrong = ctl(&socket, &["dwon", "wifi"]);
    assert_eq!(wrong.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("down LINK"), "{wrong:?}");
    let exec = ["exec", &socket, "b", "--", "sh", "-c", "ip -br addr; exit 3"];
    let exec = netsim_command(&exec).output().expect("netsim starts");
    assert_eq!(exec.status.code(), Some(3), "{exec:?}");
    assert!(String::from_utf8_lossy(&exec.stdout).contains("10.0.3.1/32"), "{exec:?}");
    let stats = String::from_utf8_lossy(&ctl(&socket, &["stats"]).stdout).into_owned();
    assert!(stats.contains("\"lateness\""), "{stats}");
    assert!(ctl(&socket, &["stop"]).status.success());
    assert_eq!(netsim.wait().expect("it ends").code(), Some(0));
    assert!(!Path::new(&socket).exists());
    assert!(watch.wait().expect("it ends").success());
}

#[test]
fn nothing_remains_after_sigkill() {
    ends_whole(Signal::SIGKILL, None);
}

#[test]
fn nothing_remains_after_sigterm() {
    ends_whole(Signal::SIGTERM, Some(143));
}

#[test]
fn nothing_remains_after_sigint() {
    ends_whole(Signal::SIGINT, Some(130));
}

/// Programs that hide from their parents end with netsim, and its namespaces and devices with them.
fn ends_whole(signal: Signal, code: Option<i32>) {
    let Some(lab) = Lab::new() else { return };
    let marker = lab.path("marker");
    let hidden = format!("exec -a {marker} sleep 1000");
    let script = format!("setsid bash -c '{hidden}' & trap '' TERM INT; {hidden}");
    let mut netsim = lab.start(&[
        "--on",
        "b",
        &script.replace("exec -a", "exec  -a"),
        "--",
        "bash",
        "-c",
        &script,
    ]);
    wait_until("all programs run", || with_argument(&marker).len() >= 3);
    let namespaces: Vec<_> =
        with_argument(&marker).iter().filter_map(|pid| network_of(pid)).collect();
    assert!(
        namespaces.len() >= 3
            && namespaces
                .iter()
                .all(|each| Some(each) != network_of(Path::new("/proc/self")).as_ref())
    );
    kill(Pid::from_raw(netsim.id() as i32), signal).expect("the signal is sent");
    assert_eq!(netsim.wait().expect("it ends").code(), code);
    wait_until("all programs are gone", || with_argument(&marker).is_empty());
    wait_until("nobody is in the namespaces", || {
        processes().iter().filter_map(|pid| network_of(pid)).all(|each| !namespaces.contains(&each))
    });
    let named = fs::read_dir("/run/netns").map_or(0, Iterator::count);
    assert_eq!(named, 0, "no namespace has a name");
}

fn processes() -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").expect("/proc");
    let all = all.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    all.filter(|path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit())
    })
    .collect()
}

/// The `/proc` folders of programs whose first argument (their name) is `name`.
fn with_argument(name: &str) -> Vec<PathBuf> {
    let is_named = |path: &PathBuf| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).next() == Some(name.as_bytes())
    };
    processes().into_iter().filter(is_named).collect()
}

fn network_of(process: &Path) -> Option<PathBuf> {
    fs::read_link(process.join("ns/net")).ok()
}

fn ctl(socket: &str, request: &[&str]) -> Output {
    netsim_command(&["ctl", socket]).args(request).output().expect("netsim starts")
}

fn netsim_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netsim"));
    command.args(arguments);
    command
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::yield_now();
    }
}

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: network namespaces need root");
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("test.net"), NETWORK).expect("written");
        Some(Self(folder))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a plain path").to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = netsim_command(&["run", &self.path("test.net")]);
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("netsim starts")
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("netsim starts")
    }
}
