//! A program on a plain pty that is shared: its size, and what viewers type.

use crate::core::decisions::{Bans, Deciding, KeptOut, Undecided};
use crate::core::input::InputMerger;
use crate::core::marks::Marks;
use crate::core::sizes::smallest;
use crate::core::viewers::{Change, Viewers, writer_who_joined};
use std::collections::VecDeque;
use std::time::Instant;
use tern_sync::session::{HostEvent, ViewerEvent, ViewerId};
use tern_term::Size;

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Give the pty this size.
    Resize(Size),
    /// Type this.
    Write(Vec<u8>),
    /// Tell the relay.
    Tell(HostEvent),
    /// The relay is to keep these out.
    Refuse(KeptOut),
    /// Tell the person, and the message log.
    Notice(String),
    /// Add to the message log.
    Log(String),
    /// Whether what scrolls off is wanted.
    Scrollback(bool),
    /// The screen shows the effect of these inputs.
    Marks(Vec<(ViewerId, u32)>),
}

/// The machine.
#[derive(Debug)]
pub struct PlainSession {
    local: Size,
    size: Size,
    viewers: Viewers,
    bans: Bans,
    input: InputMerger,
    marks: Marks,
    commands: VecDeque<Command>,
}

impl PlainSession {
    /// The local terminal has the size `local`, and so has the pty.
    pub fn new(local: Size) -> Self {
        Self {
            local,
            size: local,
            viewers: Viewers::default(),
            bans: Bans::default(),
            input: InputMerger::default(),
            marks: Marks::default(),
            commands: VecDeque::new(),
        }
    }

    /// Who watches, and who waits to be let in.
    pub fn viewers(&self) -> &Viewers {
        &self.viewers
    }

    /// Who is kept out.
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// The host's person has decided about somebody. Gives what was done, a line each.
    pub fn decide(&mut self, deciding: Deciding) -> Result<Vec<String>, Undecided> {
        let decided = self.viewers.decide(deciding, &mut self.bans)?;
        self.commands.extend(decided.refused.map(Command::Refuse));
        self.commands.extend(decided.events.into_iter().map(Command::Tell));
        self.commands.extend(decided.told.iter().cloned().map(Command::Log));
        Ok(decided.told)
    }

    /// The pty's size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The local terminal changed its size.
    pub fn handle_local_resize(&mut self, local: Size) {
        self.local = local;
        self.update_size();
    }

    /// The relay told what a viewer did.
    pub fn handle_viewer_event(&mut self, event: ViewerEvent, now: Instant) {
        if let ViewerEvent::Scrollback { is_wanted } = event {
            return self.commands.push_back(Command::Scrollback(is_wanted));
        }
        if let ViewerEvent::Left { viewer } | ViewerEvent::Away { viewer } = &event {
            self.input.handle_left(*viewer, now);
            self.marks.handle_left(*viewer);
        }
        let newcomer = writer_who_joined(&event);
        match self.viewers.handle_event(event, now) {
            Change::Roster { notice } => {
                if let Some(viewer) = newcomer {
                    self.input.handle_joined(viewer);
                }
                self.commands.push_back(Command::Notice(notice));
                self.update_size();
            }
            Change::Door { notice } => self.commands.extend(notice.map(Command::Notice)),
            Change::Sizes => self.update_size(),
            Change::Typed { viewer, bytes, mark } => {
                self.marks.handle_input(viewer, mark);
                self.input.handle_input(viewer, bytes, now);
            }
            Change::Nothing => {}
        }
        self.pass_input(now);
    }

    /// The relay knows no viewers any more; those that still are there will be told anew.
    pub fn handle_viewers_forgotten(&mut self, now: Instant) {
        self.viewers.clear();
        self.commands.push_back(Command::Scrollback(false));
        self.input.handle_viewers_forgotten();
        self.marks.clear();
        self.pass_input(now);
        self.update_size();
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.input.handle_timeout(now);
        if self.marks.handle_timeout(now) {
            self.commands.push_back(Command::Marks(self.marks.answered()));
        }
        self.pass_input(now);
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.input.poll_timeout(), self.marks.poll_timeout()].into_iter().flatten().min()
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn update_size(&mut self) {
        let sizes = self.viewers.writer_sizes().into_iter().chain([self.local]);
        let size = smallest(sizes).unwrap_or(self.local);
        if size != self.size {
            self.size = size;
            self.commands.push_back(Command::Resize(size));
        }
    }

    fn pass_input(&mut self, now: Instant) {
        let output = self.input.take_output();
        if !output.is_empty() {
            self.commands.push_back(Command::Write(output));
        }
        if !self.input.is_holding() {
            self.marks.handle_typed(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_sync::session::{Role, Visitor};

    #[test]
    fn pty_shrinks_to_the_smallest_writer_and_grows_back() {
        let (mut session, now) = (PlainSession::new(Size { cols: 100, rows: 30 }), Instant::now());
        let viewer = ViewerId(1);
        let (role, address) = (Role::ReadWrite, "192.0.2.1".to_owned());
        let who = Visitor { role, address, key: None, place: None };
        let joined = ViewerEvent::Joined { viewer, who, cols: 120, rows: 20 };
        session.handle_viewer_event(joined, now);
        let mut commands = || std::iter::from_fn(|| session.poll_command()).collect::<Vec<_>>();
        assert!(commands().contains(&Command::Resize(Size { cols: 100, rows: 20 })));
        session.handle_viewer_event(ViewerEvent::Left { viewer }, now);
        let mut commands = || std::iter::from_fn(|| session.poll_command()).collect::<Vec<_>>();
        assert!(commands().contains(&Command::Resize(Size { cols: 100, rows: 30 })));
    }
}
