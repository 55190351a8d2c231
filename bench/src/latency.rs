//! From a key to its echo.
//!
//! Every key is another character (from U+4E00 on), so its first appearance in what the terminal
//! gets is its echo, whatever escape sequences are around it. All systems take turns, key by key.

use crate::pty::{Pty, pause};
use crate::report::{Line, Report, quantile};
use crate::sharing::{Sharing, attach, plain_tmux};
use crate::sshd::Sshd;
use std::time::Duration;
use tern_tests::{Relay, World};

/// Between two keys, for each system; a fast typist's 10 keys per second, over all systems' turns.
const GAP: Duration = Duration::from_millis(20);
/// Wide glyphs of one typist before a new line. Two share a terminal of 80 columns, and no glyph may
/// meet the margin: tmux 3.3 erases one that scrolls the screen as it wraps.
const KEYS_PER_LINE: u32 = 15;
/// Keys whose times are not counted, while everything warms up.
const WARM_UP: u32 = 20;

/// Echoes what is typed and nothing else.
pub(crate) const ECHO: &str = "stty -icanon; echo rea\"\"dy-; cat >/dev/null; stty icanon";

/// Types `keys` keys at each system in turn and reports the times.
pub(crate) fn measure(report: &mut Report, keys: u32) -> anyhow::Result<()> {
    let world = World::new();
    let relay = Relay::start(&world);
    let sshd = Sshd::start(&world)?;

    let (mut tmux, _, _) = plain_tmux(&world)?;
    start_echo(&mut tmux)?;
    let ssh = sshd.run(&format!("sh -c '{ECHO}'"))?;
    ssh.wait_for("ready-")?;
    let (mut inner, socket, _) = plain_tmux(&world)?;
    start_echo(&mut inner)?;
    let ssh_tmux = sshd.run(&format!("tmux -u -S {} attach", socket.display()))?;
    ssh_tmux.wait_for("ready-")?;
    let mut sharing = Sharing::over(&world, &relay, &[])?;
    start_echo(&mut sharing.terminal)?;
    let viewer = sharing.join()?;
    viewer.wait_for("ready-")?;
    let local = attach(&world, &sharing.socket())?;
    local.wait_for("ready-")?;

    let mut systems = [
        ("tmux alone", tmux),
        ("ssh", ssh),
        ("ssh with tmux", ssh_tmux),
        ("tern viewer", viewer),
        ("tern host", local),
    ];
    let mut times = vec![Vec::new(); systems.len()];
    let mut glyphs = ('\u{4e00}'..'\u{9fff}').cycle();
    for key in 0..WARM_UP + keys {
        for ((name, pty), times) in systems.iter_mut().zip(&mut times) {
            let glyph = glyphs.next().expect("it goes round").to_string();
            let time = pty.time_of_echo(&glyph, &glyph).map_err(|e| e.context(*name))?;
            if key >= WARM_UP {
                times.push(time.as_secs_f64() * 1000.0);
            }
            if key % KEYS_PER_LINE == KEYS_PER_LINE - 1 {
                pty.write(b"\r")?;
            }
            pause(GAP);
        }
    }
    let ssh_median = quantile(&times[1], 0.5);
    let lines: Vec<Line> = systems
        .iter()
        .zip(&times)
        .map(|((name, _), times)| {
            let median = quantile(times, 0.5);
            let columns = vec![
                ("median ms", median),
                ("p90 ms", quantile(times, 0.9)),
                ("p99 ms", quantile(times, 0.99)),
                ("above ssh ms", median - ssh_median),
                ("times ssh", median / ssh_median),
            ];
            ((*name).to_owned(), columns)
        })
        .collect();
    report.add("latency", "key to echo on loopback (target: viewer within 3 ms of ssh)", &lines);
    Ok(())
}

/// Starts the echo in a terminal whose shell prompts.
fn start_echo(pty: &mut Pty) -> anyhow::Result<()> {
    pty.wait_for("$ ")?;
    pty.write(format!("clear; {ECHO}\n").as_bytes())?;
    pty.wait_for("ready-")
}
