//! While read-write viewers are there, the session's windows have `window-size smallest`, so that
//! the viewers count as tmux clients always did; afterwards each has again what it had.

use crate::core::tmux_version::TmuxVersion;
use std::collections::BTreeMap;

/// What tmux is asked or told next, as command lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// What this window has; the answer goes to [`WindowSizes::handle_answer`].
    Ask {
        /// tmux's number of the window.
        window: u32,
        /// The command.
        line: String,
    },
    /// A setting.
    Set(String),
}

/// Values that `window-size` may have.
const VALUES: [&str; 4] = ["smallest", "largest", "latest", "manual"];

/// Which windows were touched, and what they had.
#[derive(Debug, Default)]
pub struct WindowSizes {
    touched: BTreeMap<u32, Before>,
}

#[derive(Debug)]
enum Before {
    /// tmux was asked.
    Asked,
    /// The window had no value of its own.
    Unset,
    /// It had this one.
    Set(&'static str),
}

impl WindowSizes {
    /// Some writer is there: asks about windows that weren't touched yet.
    pub fn hold(
        &mut self,
        windows: impl Iterator<Item = u32>,
        version: TmuxVersion,
    ) -> Vec<Request> {
        if !version.has_window_size() {
            return Vec::new();
        }
        let mut requests = Vec::new();
        for window in windows {
            self.touched.entry(window).or_insert_with(|| {
                let line = format!("show-options -qwv -t @{window} window-size");
                requests.push(Request::Ask { window, line });
                Before::Asked
            });
        }
        requests
    }

    /// What tmux answered about a window: empty if it has no value of its own, `None` if tmux did
    /// not know.
    pub fn handle_answer(&mut self, window: u32, answer: Option<&str>) -> Option<Request> {
        // It may have been let go since.
        let before = self.touched.get_mut(&window)?;
        let Some(answer) = answer else {
            self.touched.remove(&window);
            return None;
        };
        *before = match VALUES.iter().find(|value| **value == answer.trim()) {
            Some(value) => Before::Set(value),
            None => Before::Unset,
        };
        Some(Request::Set(format!("set-option -w -t @{window} window-size smallest")))
    }

    /// tmux will not answer any more: it is asked again.
    pub fn handle_answers_lost(&mut self) {
        self.touched.retain(|_, before| !matches!(before, Before::Asked));
    }

    /// No writer is left: gives every window back what it had.
    pub fn release(&mut self) -> Vec<Request> {
        let line = |(window, before)| match before {
            Before::Asked => None,
            Before::Unset => Some(format!("set-option -wu -t @{window} window-size")),
            Before::Set(value) => Some(format!("set-option -w -t @{window} window-size {value}")),
        };
        std::mem::take(&mut self.touched).into_iter().filter_map(line).map(Request::Set).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: TmuxVersion = TmuxVersion::new(3, 3);

    fn set(line: &str) -> Request {
        Request::Set(line.into())
    }

    #[test]
    fn windows_get_back_what_they_had() {
        let mut sizes = WindowSizes::default();
        assert_eq!(sizes.hold([1, 2].into_iter(), NEW).len(), 2);
        let smallest = |window| set(&format!("set-option -w -t @{window} window-size smallest"));
        assert_eq!(sizes.handle_answer(1, Some("")), Some(smallest(1)));
        assert_eq!(sizes.handle_answer(2, Some("largest\n")), Some(smallest(2)));
        assert_eq!(sizes.hold([1, 2].into_iter(), NEW), []);
        assert_eq!(
            sizes.release(),
            [
                set("set-option -wu -t @1 window-size"),
                set("set-option -w -t @2 window-size largest")
            ]
        );
        assert_eq!(sizes.release(), []);
    }

    #[test]
    fn window_that_tmux_did_not_know_is_not_touched() {
        let mut sizes = WindowSizes::default();
        sizes.hold([1, 2].into_iter(), NEW);
        assert_eq!(sizes.handle_answer(1, None), None);
        assert_eq!(sizes.release(), []);
        assert_eq!(sizes.handle_answer(2, Some("")), None, "the answer came too late");
    }

    #[test]
    fn old_tmux_has_nothing_to_set() {
        let mut sizes = WindowSizes::default();
        assert_eq!(sizes.hold([1].into_iter(), TmuxVersion::new(2, 6)), []);
    }
}
