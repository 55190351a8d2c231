//! Whoever has the read-only line changes nothing, by any door.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tern_tests::process::text;
use tern_tests::viewer::{run_ssh, ssh_command};
use tern_tests::{JoinLine, Shared, Viewer, ViewerOptions, ports};

/// A shared session and a read-only viewer beside the read-write one.
fn with_read_only(size: (u16, u16)) -> (Shared, Viewer) {
    let shared = Shared::start();
    let options = ViewerOptions { size, ..ViewerOptions::default() };
    let viewer = Viewer::open(&shared.world, &shared.host.read_only, options);
    viewer.wait_until_shows("$");
    // Or tmux names it by its program when it finds the time.
    shared.host.tmux(&["rename-window", "shell"]);
    (shared, viewer)
}

/// Everything that a viewer might change, as the session's tmux tells it.
fn state(shared: &Shared) -> String {
    let windows =
        "#{window_index} #{window_width}x#{window_height} #{window_layout} #{window_name}";
    let panes = "#{pane_id} #{pane_active} #{pane_in_mode} #{scroll_position} #{selection_present}";
    [&["list-windows", "-F", windows][..], &["list-panes", "-s", "-F", panes], &["list-buffers"]]
        .map(|command| shared.host.tmux(command))
        .join("\n")
}

/// A change by the read-write viewer that comes after whatever the other one tried.
fn settle(shared: &Shared, viewer: &Viewer) {
    shared.viewer_runs("clear; echo settled", "\nsettled");
    viewer.wait_until_same(&shared.host);
}

#[test]
fn keys_mouse_and_paste_of_a_read_only_viewer_reach_nothing() {
    let (shared, viewer) = with_read_only((80, 24));
    shared.host.tmux(&["set", "-g", "mouse", "on"]);
    shared.host.tmux(&["split-window", "-h", "-d"]);
    shared.wait_until_same();
    let before = state(&shared);
    viewer.terminal.type_text("touch by-keys; exit");
    viewer.terminal.press(&["Enter", "C-b", "c", "C-b", "%", "C-b", "[", "C-b", "x", "y"]);
    viewer.terminal.press(&["F1", "Up", "M-x", "C-z", "C-b", ":"]);
    viewer.terminal.send_bytes(b"\x1b[200~touch by-paste\r\x1b[201~");
    // Wheel, a click into the other pane, a drag of the border.
    viewer.terminal.send_bytes(b"\x1b[<64;10;5M\x1b[<64;10;5M\x1b[<0;60;5M\x1b[<0;60;5m");
    viewer.terminal.send_bytes(b"\x1b[<0;41;5M\x1b[<32;20;5M\x1b[<0;20;5m\x1b[M !!\x1b[I\x1b[O");
    settle(&shared, &viewer);
    assert_eq!(state(&shared), before, "{}", shared.world.report());
    for name in ["by-keys", "by-paste"] {
        assert!(!shared.host.home.join("work").join(name).exists(), "{name} was run");
    }
    assert_eq!(viewer.terminal.exit_code(), None, "the viewer still watches");
}

#[test]
fn size_of_a_read_only_viewers_terminal_changes_nothing() {
    let (shared, viewer) = with_read_only((60, 15));
    let before = state(&shared);
    for (cols, rows) in [(40, 10), (20, 5), (200, 50), (80, 24)] {
        viewer.terminal.resize(cols, rows);
        shared.viewer_runs(&format!("clear; echo size {cols}"), &format!("\nsize {cols}"));
        viewer.wait_until_shows(&format!("size {cols}"));
    }
    settle(&shared, &viewer);
    assert_eq!(state(&shared), before);
}

#[test]
fn read_only_viewer_runs_no_command_and_no_subsystem() {
    let (shared, viewer) = with_read_only((80, 24));
    for line in [&shared.host.read_only, &shared.host.read_write] {
        assert_refused(&shared, line, &[], &["touch /tmp/tern-exec; id"]);
        assert_refused(&shared, line, &["-t"], &["id"]);
        assert_refused(&shared, line, &["-s"], &["sftp"]);
        assert_refused(&shared, line, &["-s"], &["tern"]);
        assert_refused(&shared, line, &["-s"], &["netconf"]);
    }
    settle(&shared, &viewer);
}

fn assert_refused(shared: &Shared, line: &JoinLine, options: &[&str], command: &[&str]) {
    let output = run_ssh(&shared.world, line, options, command);
    let said = text(&output);
    assert!(!output.status.success(), "{options:?} {command:?} is not refused: {said}");
    assert_ne!(output.status.code(), Some(124), "{options:?} {command:?} hangs: {said}");
    assert!(!said.contains("uid="), "{options:?} {command:?} ran: {said}");
}

#[test]
fn forwarding_leads_nowhere() {
    let (shared, viewer) = with_read_only((80, 24));
    for line in [&shared.host.read_only, &shared.host.read_write] {
        local_forwarding_leads_nowhere(&shared, line, "-L");
        local_forwarding_leads_nowhere(&shared, line, "-D");
        let port = ports::free(Ipv4Addr::LOCALHOST);
        let remote = format!("127.0.0.1:{port}:127.0.0.1:{}", shared.relay.port);
        let options = ["-N", "-o", "ExitOnForwardFailure=yes", "-R", &remote];
        let output = run_ssh(&shared.world, line, &options, &[]);
        assert!(!output.status.success(), "-R is not refused: {}", text(&output));
        assert_ne!(output.status.code(), Some(124), "-R is granted");
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the relay listens for a viewer");
    }
    settle(&shared, &viewer);
}

/// `-L` to a port of this machine, or `-D` and a request for it: no byte may come through.
fn local_forwarding_leads_nowhere(shared: &Shared, line: &JoinLine, kind: &str) {
    let target = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let reached = count_connections(target.try_clone().expect("a socket can be shared"));
    let target = target.local_addr().expect("a bound socket has an address").port();
    let port = ports::free(Ipv4Addr::LOCALHOST);
    let forward = match kind {
        "-L" => format!("127.0.0.1:{port}:127.0.0.1:{target}"),
        _ => format!("127.0.0.1:{port}"),
    };
    let home = shared.world.home(&shared.world.unique("viewer"));
    // With a session, as a person would: a relay may hang up on whoever opens none.
    let options = ["-tt", kind, &forward].map(str::to_owned);
    let args = ssh_command(&shared.world, line, &options);
    let mut command = shared.world.command(&args[0], &home);
    command.args(&args[1..]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut ssh = command.spawn().expect("ssh can be started");
    let mut stream =
        shared.world.wait_for("ssh listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    if kind == "-D" {
        use std::io::Write as _;
        let [high, low] = target.to_be_bytes();
        let _ = stream.write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low]);
    }
    // The end comes when the relay refuses the channel.
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(reached.load(Ordering::Relaxed), 0, "{kind} got through");
    let _ = ssh.kill();
    let _ = ssh.wait();
}

#[test]
fn agent_of_a_viewer_is_never_asked() {
    let (shared, _viewer) = with_read_only((80, 24));
    let socket = shared.world.folder().join("agent.socket");
    let listener = UnixListener::bind(&socket).expect("the sandbox can be written");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for _ in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let options = ViewerOptions {
        ssh_args: vec![
            "-A".into(),
            // ForwardAgent with a socket of its own: ssh itself doesn't use it to authenticate.
            "-o".into(),
            format!("ForwardAgent={}", socket.display()),
        ],
        ..ViewerOptions::default()
    };
    for line in [&shared.host.read_only, &shared.host.read_write] {
        let viewer = Viewer::open(&shared.world, line, options.clone());
        viewer.wait_until_same(&shared.host);
    }
    shared.viewer_runs("echo SSH_AUTH_SOCK=[$SSH_AUTH_SOCK]", "SSH_AUTH_SOCK=[]");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn viewer_without_a_terminal_is_told_what_to_do() {
    let shared = Shared::start();
    let output = run_ssh(&shared.world, &shared.host.read_only, &["-T"], &[]);
    assert!(!output.status.success());
    assert!(text(&output).contains("terminal is needed"), "{}", text(&output));
}

fn count_connections(listener: TcpListener) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        for _ in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    count
}

#[test]
fn nothing_in_the_home_of_the_relay_is_made_by_viewers() {
    let (shared, viewer) = with_read_only((80, 24));
    let before = files(&shared.relay.folder());
    run_ssh(&shared.world, &shared.host.read_only, &["-s"], &["sftp"]);
    run_ssh(&shared.world, &shared.host.read_only, &[], &["touch x"]);
    settle(&shared, &viewer);
    assert_eq!(files(&shared.relay.folder()), before);
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        found.push(path.display().to_string());
        if path.is_dir() {
            found.extend(files(&path));
        }
    }
    found.sort();
    found
}
