//! `tmate -F`, which prints what happens.

use crate::drop_in::Scripter;
use crate::process::send_signal;
use crate::relay::Relay;
use crate::world::World;
use rustix::process::Signal;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// `tmate -F`, and what it has printed.
pub struct Foreground {
    /// Its process.
    pub child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    /// What was waited for last, or printed last.
    pub last: String,
}

impl Foreground {
    /// Starts it; `command` is in shell syntax.
    pub fn start(script: &Scripter, relay: &Relay, command: &str) -> Self {
        let config = format!(
            "set -g tmate-server-host {}\nset -g tmate-server-port {}\n\
             set -g tmate-server-ed25519-fingerprint {}\n",
            relay.address, relay.port, relay.fingerprint
        );
        let config = script.write("foreground.conf", &config).display().to_string();
        let socket = script.socket.display().to_string();
        let words = format!("exec \"$0\" -S {socket} -F -f {config} {command}");
        let shell = script.bare(&[]);
        let program = shell.get_program().to_owned();
        // The shell reads the quotes; `exec -a` keeps the name.
        let words = words.replacen("exec \"$0\"", "exec -a tmate \"$0\"", 1);
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(words).arg(program).env_clear();
        bash.envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?))));
        bash.current_dir(&script.home);
        let errors = File::create(script.home.join("foreground.log")).expect("our own home");
        let mut child = bash
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("it can be started");
        let output = child.stdout.take().expect("it was asked for");
        let (sender, lines) = std::sync::mpsc::sync_channel(1000);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, last: String::new() }
    }

    /// Waits for a line that begins like this.
    #[track_caller]
    pub fn expect(&mut self, world: &World, prefix: &str) -> String {
        world.wait_for(&format!("the foreground prints {prefix:?}"), || {
            let found = self.lines.try_iter().find(|line| line.starts_with(prefix))?;
            self.last.clone_from(&found);
            Some(found)
        })
    }

    /// Ends it by a signal; gives the exit code.
    pub fn end(&mut self, signal: Signal) -> Option<i32> {
        send_signal(self.child.id().try_into().expect("process numbers fit"), signal);
        let code = self.child.wait().expect("our own child").code();
        if let Some(last) = self.lines.iter().last() {
            self.last = last;
        }
        code
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
