//! The usual cast: a relay, a host with a shell, a viewer who may type.

use crate::host::{Host, HostOptions};
use crate::relay::Relay;
use crate::screen::Cell;
use crate::terminal::Terminal;
use crate::viewer::{Viewer, ViewerOptions, wait_until_same};
use crate::world::World;

/// A shared session with one read-write viewer; both terminals have the same size.
pub struct Shared {
    /// The sandbox.
    pub world: World,
    /// In between.
    pub relay: Relay,
    /// Who shares.
    pub host: Host,
    /// Who joined.
    pub viewer: Viewer,
}

impl Default for Shared {
    fn default() -> Self {
        Self::start()
    }
}

impl Shared {
    /// Shares a shell, whose folder has the fixtures, and joins.
    pub fn start() -> Self {
        Self::start_with(HostOptions::default())
    }

    /// The same, with a host of one's own making.
    pub fn start_with(options: HostOptions) -> Self {
        Self::start_in(World::new(), options)
    }

    /// The same, in a sandbox of one's own making.
    pub fn start_in(world: World, options: HostOptions) -> Self {
        Self::start_for(world, options, ViewerOptions::default())
    }

    /// Shares a shell, and joins by `tern join` with these arguments.
    pub fn by_tern(args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let viewer = ViewerOptions { tern: Some(args), ..ViewerOptions::default() };
        Self::start_for(World::new(), HostOptions::default(), viewer)
    }

    fn start_for(world: World, host: HostOptions, viewer: ViewerOptions) -> Self {
        let relay = Relay::start(&world);
        let host = Host::share_with(&world, Some(&relay), host);
        crate::fixtures::write_into(&host.home.join("work"));
        let viewer = Viewer::open(&world, &host.read_write, viewer);
        viewer.wait_until_same(&host);
        Self { world, relay, host, viewer }
    }

    /// Waits until the host's terminal shows the text, then until the viewer's shows the same
    /// picture.
    #[track_caller]
    pub fn wait_until_both_show(&self, text: &str) {
        wait_until_shows(&self.world, &self.host.terminal, text);
        self.wait_until_same();
    }

    /// Waits until both terminals show the same, cell by cell.
    #[track_caller]
    pub fn wait_until_same(&self) {
        wait_until_same(&self.world, &self.host.terminal, &self.viewer.terminal);
    }

    /// Waits until the viewer's picture of the active pane is what the pane's own tmux says.
    #[track_caller]
    pub fn wait_until_pane_is_exact(&self) {
        self.world.wait_until_ok("the viewer shows the pane as it is", || {
            let (left, top, pane) = self.host.active_pane();
            let (cols, rows) = (pane.size.0.into(), pane.size.1.into());
            let shown = self.viewer.screen().region(left, top, cols, rows);
            match (0..rows).find(|row| !shows_row(&shown[*row], &pane.rows[*row])) {
                None => Ok(()),
                Some(row) => {
                    Err(format!("row {row}:\n{}", difference(&shown[row], &pane.rows[row])))
                }
            }
        });
    }

    /// Waits until the shell of the active pane waits for a command: a shell that is interrupted
    /// throws away what was typed ahead.
    #[track_caller]
    pub fn wait_until_prompt(&self) {
        self.world.wait_until("the shell prompts", || {
            let (_, _, pane) = self.host.active_pane();
            pane.text().trim_end().ends_with("\n$")
        });
    }

    /// The viewer types a line; waits until both show `answer`.
    #[track_caller]
    pub fn viewer_runs(&self, line: &str, answer: &str) {
        self.viewer.terminal.enter_line(line);
        self.wait_until_both_show(answer);
    }

    /// The viewer presses keys.
    pub fn viewer_presses(&self, keys: &[&str]) {
        self.viewer.terminal.press(keys);
    }
}

/// Waits until a terminal shows the text.
#[track_caller]
pub fn wait_until_shows(world: &World, terminal: &Terminal, text: &str) {
    world.wait_until(&format!("{} shows {text:?}", terminal.name()), || terminal.shows(text));
}

/// Whether a pane's row is shown so. `capture-pane` leaves out what was erased in colour after the
/// last character, so behind that any blank will do.
fn shows_row(shown: &[Cell], pane: &[Cell]) -> bool {
    let common = shown.len().min(pane.len());
    shown[..common] == pane[..common]
        && shown[common..].iter().all(|cell| cell.text == " ")
        && pane[common..].iter().all(|cell| cell.text == " ")
}

fn difference(shown: &[Cell], pane: &[Cell]) -> String {
    let at = (0..).find(|at| shown.get(*at) != pane.get(*at)).unwrap_or(0);
    format!("cell {at}:\n  shown {:?}\n  is    {:?}", shown.get(at), pane.get(at))
}
