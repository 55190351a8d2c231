//! A person at a shell, who joins from there; and whether their terminal is as it was afterwards.

use crate::host::{Host, JoinLine};
use crate::process::{Process, binary};
use crate::shared::wait_until_shows;
use crate::terminal::Terminal;
use crate::viewer::wait_until_same;
use crate::world::World;

/// Echo and line editing, as `stty -a` tells.
const USUAL_MODE: &str = "mode: icanon echo";

/// A shell in a terminal, which says what the mode of its terminal is.
pub struct Shell {
    world: World,
    /// Where it runs.
    pub terminal: Terminal,
}

impl Shell {
    /// Opens one, of 80x24.
    pub fn open(world: &World) -> Self {
        let home = world.home(&world.unique("person"));
        let mut environment = world.environment(&home);
        environment.push(("TERM".into(), "tmux-256color".into()));
        let args = ["bash".to_owned()];
        let terminal = Terminal::open(world, "shell", (80, 24), &environment, &args);
        wait_until_shows(world, &terminal, "$");
        Self { world: world.clone(), terminal }
    }

    /// Joins as a job of the shell; gives the process when the session shows.
    #[track_caller]
    pub fn join(&self, host: &Host) -> Process {
        self.start_joining(&host.read_write);
        wait_until_same(&self.world, &host.terminal, &self.terminal);
        self.viewer()
    }

    /// Runs `tern join` as a job of the shell.
    pub fn start_joining(&self, line: &JoinLine) {
        let tern = binary("tern").display().to_string();
        let JoinLine { port, token, host: address, .. } = line;
        let command = format!("clear; {tern} join -p{port} {token}@{address}");
        self.terminal.enter_line(&command);
    }

    /// The `tern` that joins.
    #[track_caller]
    pub fn viewer(&self) -> Process {
        let is_it = |process: &Process| process.args.get(1).is_some_and(|arg| arg == "join");
        self.world.wait_for("tern join runs", || self.world.processes().into_iter().find(is_it))
    }

    /// What tmux says of the terminal, in its format.
    pub fn flag(&self, format: &str) -> String {
        self.terminal.tmux(&["display-message", "-p", format]).trim().to_owned()
    }

    /// Waits until this program has the terminal.
    #[track_caller]
    pub fn wait_until_runs(&self, program: &str) {
        self.world.wait_until(&format!("{program} has the terminal"), || {
            self.flag("#{pane_current_command}") == program
        });
    }

    /// Waits until what the shell ran has ended, with these words; fails unless it has this exit
    /// status, and the terminal is as a shell expects it.
    #[track_caller]
    pub fn assert_ended(&self, exit_status: i32, words: &str) {
        self.wait_until_runs("bash");
        wait_until_shows(&self.world, &self.terminal, "\n$");
        wait_until_shows(&self.world, &self.terminal, words);
        self.terminal.enter_line("echo code: $?");
        wait_until_shows(&self.world, &self.terminal, &format!("\ncode: {exit_status}\n"));
        self.assert_usual(&format!("an end with {exit_status}"));
    }

    /// Fails unless the terminal is as a shell expects it.
    #[track_caller]
    pub fn assert_usual(&self, why: &str) {
        let flags = "#{alternate_on}#{cursor_flag}#{wrap_flag}#{mouse_any_flag}#{keypad_flag}\
                     #{keypad_cursor_flag}#{insert_flag}";
        self.world.wait_until(&format!("the modes are the usual ones after {why}"), || {
            self.flag(flags) == "0110000"
        });
        // Without this shell's line editor, which sets the mode itself.
        self.terminal.enter_line(
            "clear; stty -a | tr ' ;' '\\n\\n' | grep -x 'icanon\\|echo' | xargs echo mode:",
        );
        wait_until_shows(&self.world, &self.terminal, USUAL_MODE);
    }
}
