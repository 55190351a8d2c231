//! What viewers are told of their keys with each picture: where the next ones go, by the settings of
//! the terminal that they reach, and which of the former ones it shows the effect of.

use crate::core::keys_place::KeysPlace;
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{LocalModes, tcgetattr};
use std::os::fd::AsFd;
use std::sync::Arc;
use tern_sync::session::ViewerId;
use tern_term::{Frame, KeyReport, KeyTarget, Shown};

/// Makes the reports of a tmux session.
#[derive(Debug, Default)]
pub struct Reporter {
    place: KeysPlace,
    marks: Vec<(ViewerId, u32)>,
    /// Somebody wants to know.
    is_wanted: bool,
}

impl Reporter {
    /// It is like this now.
    pub fn update(&mut self, place: KeysPlace, marks: Vec<(ViewerId, u32)>) {
        (self.place, self.marks, self.is_wanted) = (place, marks, true);
    }

    /// The picture with its report.
    pub fn shown(&self, frame: Frame) -> Shown {
        if !self.is_wanted {
            return frame.into();
        }
        let target = self.target(&frame);
        let prefixes = self.place.prefixes.clone();
        Shown { frame, keys: Arc::new(KeyReport { target, prefixes, marks: self.marks.clone() }) }
    }

    fn target(&self, frame: &Frame) -> KeyTarget {
        let (top, bottom) = self.place.status_rows;
        let (row, rows) = (frame.cursor().row, frame.size().rows);
        let is_at_prompt = row < top || row >= rows.saturating_sub(bottom);
        if self.place.is_in_mode || is_at_prompt {
            return KeyTarget::Multiplexer;
        }
        if self.place.tty.is_empty() {
            return KeyTarget::Unknown;
        }
        // Open only for this moment: who holds a pane's terminal open keeps tmux from seeing its
        // end.
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match open(self.place.tty.as_str(), flags, Mode::empty()) {
            Ok(terminal) => target_of(terminal),
            Err(_) => KeyTarget::Unknown,
        }
    }
}

/// Where keys go that a terminal is given, by its settings (termios(3)).
pub fn target_of(terminal: impl AsFd) -> KeyTarget {
    let Ok(settings) = tcgetattr(terminal) else { return KeyTarget::Unknown };
    let has = |mode| settings.local_modes.contains(mode);
    match (has(LocalModes::ICANON), has(LocalModes::ECHO)) {
        (true, true) => KeyTarget::Echoed,
        (true, false) => KeyTarget::Hidden,
        (false, _) => KeyTarget::Raw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::pty::Pty;
    use rustix::termios::{OptionalActions, tcsetattr};
    use tern_term::Size;

    const SIZE: Size = Size { cols: 40, rows: 10 };

    #[tokio::test]
    async fn settings_of_the_terminal_say_where_keys_go() {
        let (pty, _child) =
            Pty::spawn(tokio::process::Command::new("cat"), SIZE).expect("cat runs");
        let mut reporter = Reporter::default();
        let frame = Frame::blank(SIZE);
        assert_eq!(*reporter.shown(frame.clone()).keys, KeyReport::default());
        let place = KeysPlace { tty: pty.name.clone(), ..KeysPlace::default() };
        reporter.update(place.clone(), vec![(ViewerId(3), 9)]);
        let keys = reporter.shown(frame.clone()).keys;
        assert_eq!((keys.target, keys.mark(ViewerId(3))), (KeyTarget::Echoed, Some(9)));
        let mut settings = tcgetattr(&pty.master).expect("a terminal");
        settings.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&pty.master, OptionalActions::Now, &settings).expect("a terminal");
        assert_eq!(reporter.shown(frame.clone()).keys.target, KeyTarget::Hidden);
        assert_eq!(target_of(&pty.master), KeyTarget::Hidden);
        settings.local_modes.remove(LocalModes::ICANON);
        tcsetattr(&pty.master, OptionalActions::Now, &settings).expect("a terminal");
        assert_eq!(reporter.shown(frame.clone()).keys.target, KeyTarget::Raw);
        reporter.update(KeysPlace { status_rows: (1, 0), ..place.clone() }, Vec::new());
        assert_eq!(reporter.shown(frame.clone()).keys.target, KeyTarget::Multiplexer);
        reporter.update(KeysPlace { tty: "/dev/pts/none".into(), ..place }, Vec::new());
        assert_eq!(reporter.shown(frame).keys.target, KeyTarget::Unknown);
    }
}
