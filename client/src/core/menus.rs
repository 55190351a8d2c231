//! Menus at the host's terminals: may this one come in? When one is shown, where, and what of the
//! keys that were pressed there was meant for it.
//!
//! ```text
//!  who waits, terminals ->+-------+-> show a menu, take it away
//!  a menu is gone ------->| Menus |-> remind by a line
//!  a choice ------------->+-------+-> what is decided
//! ```
//!
//! A menu comes while somebody types for something else, and takes their keys. So nothing counts that
//! is chosen within a second, and whoever types on falls on "Not now" first. To let somebody in takes
//! two keys, in two menus: no word that is typed has both of them with a second in between.

use crate::core::notice::{cut_to, for_tmux};
use crate::core::person::{Person, ViewerRole};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// What is chosen sooner was typed for something else: the time in which people see that something
/// has come up, and stop (Firefox: `security.dialog_enable_delay`).
pub const GUARD_TIME: Duration = Duration::from_secs(1);
/// How long a choice may take to arrive after its menu has gone: a process is started for it.
pub const CHOICE_TIME: Duration = Duration::from_secs(2);
/// How long a terminal is left alone at which a menu went at once without a choice: something else is
/// shown there, or it is too small.
pub const REST_TIME: Duration = Duration::from_secs(3);
/// How long no menu comes after "Not now", whoever asks: somebody works here.
pub const QUIET_TIME: Duration = Duration::from_secs(30);
/// Most terminals that show menus at the same time; a process waits for each.
pub const TERMINALS_MAX: usize = 8;
/// Longest line of a menu, in characters: a key's fingerprint and a frame fit into 80 columns.
const LINE_CHARS_MAX: usize = 60;
/// What a menu needs beside its lines: the frame and the letters of the keys.
const FRAME_CHARS: usize = 10;

/// A terminal of the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    /// By which tmux knows it.
    pub tty: String,
    /// Its columns.
    pub cols: u16,
}

/// What somebody chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Choice {
    /// The menu goes, the question stays.
    Later,
    /// Let them in: a second menu asks whether that is meant.
    Approve,
    /// That is meant.
    Sure,
    /// Turn them away.
    Deny,
    /// Turn them away, and whoever has their key or address.
    Ban,
}

/// A choice, with its key and text.
pub type Item = (Choice, &'static str, &'static str);
/// Where Enter falls: it changes nothing.
const LATER: Item = (Choice::Later, "N", "Not now");
/// All choices. Capitals, since who types for something else types small letters.
pub const CHOICES: [Item; 4] = [
    LATER,
    (Choice::Approve, "A", "Let in"),
    (Choice::Deny, "D", "Turn away"),
    (Choice::Ban, "B", "Turn away for good"),
];
/// Those of the second menu, which asks whether somebody is meant to be let in.
pub const SURE_CHOICES: [Item; 2] = [LATER, (Choice::Sure, "Y", "Yes, let in")];

/// A menu that is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Where.
    pub tty: String,
    /// About whom.
    pub number: u32,
    /// The question and lines that say who it is; safe for tmux, which expands formats in them. (Its
    /// title is no place for them: tmux 3.1 cuts one that is longer than the choices.)
    pub lines: Vec<String>,
    /// What can be chosen.
    pub choices: &'static [Item],
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Show a menu; [`Menus::handle_shown`] tells when it is there, [`Menus::handle_closed`] its end.
    Show(Shown),
    /// The menu at this terminal is of no use any more.
    TakeAway(String),
    /// No menu asks about this one now: a line on the status lines does.
    Remind(u32),
}

/// The machine.
#[derive(Debug, Default)]
pub struct Menus {
    terminals: BTreeMap<String, State>,
    /// Who is not asked about by menus any more, of those that wait.
    put_off: BTreeSet<u32>,
    /// Who was told of by a line, of those that wait.
    reminded: BTreeSet<u32>,
    /// Whom somebody wants to let in at a terminal, and is asked about once more.
    unsure: BTreeMap<String, u32>,
    /// Somebody waits whom a menu should ask about.
    is_wanted: bool,
    quiet_until: Option<Instant>,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is to be shown, and its process doesn't run yet.
    Starting {
        number: u32,
    },
    Open {
        number: u32,
        since: Instant,
    },
    /// It is of no use any more, and may have been told to go.
    Leaving,
    /// It is gone; a choice may be on its way.
    Closed {
        number: u32,
        opened: Instant,
        at: Instant,
    },
    Resting {
        until: Instant,
    },
}

impl Menus {
    /// Who waits, in the order in which they came, and at which terminals the host's people sit.
    pub fn update(&mut self, waiting: &[&Person], terminals: &[Terminal], now: Instant) {
        let waits = |number: &u32| waiting.iter().any(|person| person.number == *number);
        self.put_off.retain(waits);
        self.reminded.retain(waits);
        let is_there = |tty: &String| terminals.iter().any(|terminal| terminal.tty == *tty);
        self.terminals.retain(|tty, _| is_there(tty));
        self.unsure.retain(|tty, number| is_there(tty) && waits(number));
        for (tty, state) in &mut self.terminals {
            match *state {
                State::Starting { number } | State::Open { number, .. } if !waits(&number) => {
                    *state = State::Leaving;
                    self.outputs.push_back(Output::TakeAway(tty.clone()));
                }
                State::Closed { number, .. } if !waits(&number) => {
                    *state = State::Resting { until: now };
                }
                State::Starting { .. }
                | State::Open { .. }
                | State::Leaving
                | State::Closed { .. }
                | State::Resting { .. } => {}
            }
        }
        self.rouse(now);
        let next = waiting.iter().find(|person| !self.put_off.contains(&person.number));
        self.is_wanted = next.is_some();
        let Some(next) = next.filter(|_| self.quiet_until.is_none()) else { return };
        for terminal in terminals {
            if self.terminals.len() < TERMINALS_MAX && !self.terminals.contains_key(&terminal.tty) {
                let unsure = self.unsure.get(&terminal.tty);
                let meant = waiting.iter().find(|person| Some(&person.number) == unsure);
                let (asked, menu) = match meant {
                    Some(meant) => (*meant, sure_menu(meant, terminal)),
                    None => (*next, menu(next, terminal)),
                };
                let state = State::Starting { number: asked.number };
                self.terminals.insert(terminal.tty.clone(), state);
                self.outputs.push_back(Output::Show(menu));
            }
        }
    }

    /// The process of the menu at this terminal runs: not before that can somebody have read it.
    pub fn handle_shown(&mut self, tty: &str, now: Instant) {
        if let Some(state) = self.terminals.get_mut(tty)
            && let State::Starting { number } = *state
        {
            *state = State::Open { number, since: now };
        }
    }

    /// The menu at this terminal is gone.
    pub fn handle_closed(&mut self, tty: &str, now: Instant) {
        let closed = match self.terminals.get(tty) {
            Some(State::Starting { number }) => (*number, now),
            Some(State::Open { number, since }) => (*number, *since),
            Some(State::Leaving) => {
                self.terminals.remove(tty);
                return;
            }
            Some(State::Closed { .. } | State::Resting { .. }) | None => return,
        };
        let (number, opened) = closed;
        self.terminals.insert(tty.to_owned(), State::Closed { number, opened, at: now });
    }

    /// Somebody chose at this terminal. Whether that decides.
    pub fn handle_choice(&mut self, tty: &str, number: u32, choice: Choice, now: Instant) -> bool {
        // A menu goes when the key is pressed; that its choice took longer to arrive makes it no later.
        let (opened, pressed) = match self.terminals.get(tty) {
            Some(State::Starting { number: asked }) if *asked == number => (now, now),
            Some(State::Open { number: asked, since }) if *asked == number => (*since, now),
            Some(State::Closed { number: asked, opened, at }) if *asked == number => (*opened, *at),
            Some(_) | None => return false,
        };
        self.terminals.remove(tty);
        if pressed.saturating_duration_since(opened) < GUARD_TIME {
            // It comes again at once: whoever meant it sees that it didn't count.
            return false;
        }
        match choice {
            Choice::Later => {
                self.put_off(number, now);
                false
            }
            Choice::Approve => {
                self.unsure.insert(tty.to_owned(), number);
                false
            }
            Choice::Sure => self.unsure.remove(tty) == Some(number),
            Choice::Deny | Choice::Ban => true,
        }
    }

    /// Time passed; [`Self::update`] follows.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (tty, state) in self.terminals.clone() {
            let State::Closed { number, opened, at } = state else { continue };
            if at + CHOICE_TIME > now {
                continue;
            }
            if at.saturating_duration_since(opened) < GUARD_TIME {
                self.rest(&tty, number, now);
            } else {
                self.terminals.remove(&tty);
                self.put_off(number, now);
            }
        }
        self.rouse(now);
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = |state: &State| match *state {
            State::Closed { at, .. } => Some(at + CHOICE_TIME),
            State::Resting { until } if self.is_wanted => Some(until),
            State::Starting { .. }
            | State::Open { .. }
            | State::Leaving
            | State::Resting { .. } => None,
        };
        let quiet = self.quiet_until.filter(|_| self.is_wanted);
        self.terminals.values().filter_map(due).chain(quiet).min()
    }

    /// Whether newcomers are told of by lines only.
    pub fn is_quiet(&self) -> bool {
        self.quiet_until.is_some()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn put_off(&mut self, number: u32, now: Instant) {
        self.put_off.insert(number);
        self.unsure.clear();
        self.quiet_until = Some(now + QUIET_TIME);
        self.remind(number);
        for (tty, state) in &mut self.terminals {
            if matches!(*state, State::Starting { .. } | State::Open { .. }) {
                *state = State::Leaving;
                self.outputs.push_back(Output::TakeAway(tty.clone()));
            }
        }
    }

    fn rest(&mut self, tty: &str, number: u32, now: Instant) {
        self.terminals.insert(tty.to_owned(), State::Resting { until: now + REST_TIME });
        self.remind(number);
    }

    fn remind(&mut self, number: u32) {
        if self.reminded.insert(number) {
            self.outputs.push_back(Output::Remind(number));
        }
    }

    fn rouse(&mut self, now: Instant) {
        self.quiet_until = self.quiet_until.filter(|until| *until > now);
        self.terminals
            .retain(|_, state| !matches!(state, State::Resting { until } if *until <= now));
    }
}

fn menu(person: &Person, terminal: &Terminal) -> Shown {
    let wish = match person.role {
        ViewerRole::ReadWrite => "A mate wants to join?",
        ViewerRole::ReadOnly => "A mate wants to look on?",
    };
    shown(person, wish, &CHOICES, terminal)
}

fn sure_menu(person: &Person, terminal: &Terminal) -> Shown {
    shown(person, "Let this mate in?", &SURE_CHOICES, terminal)
}

fn shown(person: &Person, question: &str, choices: &'static [Item], terminal: &Terminal) -> Shown {
    let room = usize::from(terminal.cols).saturating_sub(FRAME_CHARS).min(LINE_CHARS_MAX);
    let line = |text: &str| for_tmux(&cut_to(text, room));
    let rights = match person.role {
        ViewerRole::ReadWrite => "may type",
        ViewerRole::ReadOnly => "may only look",
    };
    let mut lines =
        vec![line(question), line(&format!("from {}, by {}", person.address, person.program()))];
    if let Some(key) = &person.key {
        lines.push(line(&format!("key {}", key.fingerprint)));
        lines.extend((!key.comment.is_empty()).then(|| line(&format!("named {}", key.comment))));
    }
    lines.push(line(rights));
    Shown { tty: terminal.tty.clone(), number: person.number, lines, choices }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::Key;
    use proptest::prelude::*;

    const TTY: &str = "/dev/pts/3";

    fn person(number: u32) -> Person {
        Person {
            number,
            role: ViewerRole::ReadWrite,
            address: "192.0.2.7".into(),
            key: None,
            is_by_tern: false,
        }
    }

    struct World {
        menus: Menus,
        waiting: Vec<Person>,
        terminals: Vec<Terminal>,
        now: Instant,
        /// Processes take their time to start.
        is_slow: bool,
    }

    impl World {
        /// Numbers 1 and 2 wait; somebody sits at one terminal.
        fn new() -> Self {
            let mut world = Self {
                menus: Menus::default(),
                waiting: vec![person(1), person(2)],
                terminals: vec![Terminal { tty: TTY.into(), cols: 80 }],
                now: Instant::now(),
                is_slow: false,
            };
            assert_eq!(world.update(), ["show 1"]);
            world
        }

        fn update(&mut self) -> Vec<String> {
            let waiting: Vec<&Person> = self.waiting.iter().collect();
            self.menus.update(&waiting, &self.terminals, self.now);
            let mut told = Vec::new();
            while let Some(output) = self.menus.poll_output() {
                told.push(match output {
                    Output::Show(shown) => {
                        if !self.is_slow {
                            self.menus.handle_shown(&shown.tty, self.now);
                        }
                        let is_sure_asked = shown.choices == SURE_CHOICES;
                        format!("{} {}", if is_sure_asked { "sure" } else { "show" }, shown.number)
                    }
                    Output::TakeAway(_) => "take away".into(),
                    Output::Remind(number) => format!("remind {number}"),
                });
            }
            told
        }

        fn pass(&mut self, time: Duration) -> Vec<String> {
            self.now += time;
            self.menus.handle_timeout(self.now);
            self.update()
        }

        /// Somebody presses a key, the menu goes, and the choice comes. Whether it decides.
        fn choose(&mut self, number: u32, choice: Choice) -> bool {
            self.menus.handle_closed(TTY, self.now);
            self.menus.handle_choice(TTY, number, choice, self.now)
        }

        fn leave(&mut self, number: u32) {
            self.waiting.retain(|person| person.number != number);
        }
    }

    #[test]
    fn one_is_asked_about_after_the_other() {
        let mut world = World::new();
        assert!(world.update().is_empty());
        assert!(world.pass(GUARD_TIME).is_empty());
        assert!(!world.choose(1, Choice::Approve));
        assert_eq!(world.update(), ["sure 1"]);
        world.pass(GUARD_TIME);
        assert!(world.choose(1, Choice::Sure));
        world.leave(1);
        assert_eq!(world.update(), ["show 2"]);
        world.pass(GUARD_TIME);
        assert!(
            !world.choose(1, Choice::Approve),
            "a choice is about the one that was asked about"
        );
        assert!(world.menus.handle_choice(TTY, 2, Choice::Ban, world.now));
        world.leave(2);
        assert!(world.update().is_empty());
        assert_eq!(world.menus.poll_timeout(), None);
    }

    #[test]
    fn keys_that_were_meant_for_something_else_decide_nothing() {
        let mut world = World::new();
        world.pass(GUARD_TIME / 2);
        assert!(!world.choose(1, Choice::Approve));
        assert_eq!(world.update(), ["show 1"], "it comes again");
        world.pass(GUARD_TIME / 2);
        assert!(!world.choose(1, Choice::Approve), "the time begins anew");
        assert_eq!(world.update(), ["show 1"]);
        world.pass(GUARD_TIME);
        assert!(world.choose(1, Choice::Deny));
    }

    #[test]
    fn key_that_was_pressed_early_does_not_count_however_late_its_choice_comes() {
        let mut world = World::new();
        world.pass(GUARD_TIME / 2);
        world.menus.handle_closed(TTY, world.now);
        world.now += GUARD_TIME;
        assert!(!world.menus.handle_choice(TTY, 1, Choice::Approve, world.now));
        assert_eq!(world.update(), ["show 1"]);
    }

    #[test]
    fn time_to_read_a_menu_begins_when_its_process_runs() {
        let mut world = World::new();
        world.pass(GUARD_TIME / 2);
        world.is_slow = true;
        assert!(!world.choose(1, Choice::Approve));
        assert_eq!(world.update(), ["show 1"]);
        world.pass(GUARD_TIME);
        world.menus.handle_shown(TTY, world.now);
        world.pass(GUARD_TIME / 2);
        assert!(!world.choose(1, Choice::Approve), "it was there for half the time");
        world.is_slow = false;
        assert_eq!(world.update(), ["show 1"]);
        world.pass(GUARD_TIME);
        assert!(world.choose(1, Choice::Deny));
    }

    #[test]
    fn who_types_on_lets_nobody_in_by_two_keys_in_a_row() {
        let mut world = World::new();
        world.pass(GUARD_TIME);
        assert!(!world.choose(1, Choice::Sure), "nobody was asked whether they are sure");
        assert_eq!(world.update(), ["show 1"]);
        world.pass(GUARD_TIME);
        assert!(!world.choose(1, Choice::Approve));
        assert_eq!(world.update(), ["sure 1"]);
        world.pass(GUARD_TIME / 2);
        assert!(!world.choose(1, Choice::Sure));
        assert_eq!(world.update(), ["sure 1"], "its time begins anew");
        world.pass(GUARD_TIME);
        assert!(!world.choose(1, Choice::Later));
        assert_eq!(world.update(), ["remind 1"]);
        assert_eq!(world.pass(QUIET_TIME), ["show 2"], "it is as if nothing had been chosen");
        world.waiting.clear();
        world.update();
        world.menus.handle_closed(TTY, world.now);
        world.waiting = vec![person(1)];
        assert_eq!(world.update(), ["show 1"]);
    }

    #[test]
    fn menu_that_can_not_be_shown_is_tried_again_and_told_once() {
        let mut world = World::new();
        for told in [vec!["remind 1"], vec![], vec![]] {
            world.menus.handle_closed(TTY, world.now);
            assert!(world.update().is_empty(), "a choice may be on its way");
            assert_eq!(world.pass(CHOICE_TIME), told);
            assert_eq!(world.pass(REST_TIME), ["show 1"]);
        }
    }

    #[test]
    fn who_is_busy_is_left_alone_for_a_while() {
        for is_chosen in [true, false] {
            let mut world = World::new();
            world.pass(GUARD_TIME);
            if is_chosen {
                assert!(!world.choose(1, Choice::Later));
                assert_eq!(world.update(), ["remind 1"]);
            } else {
                world.menus.handle_closed(TTY, world.now);
                assert_eq!(world.pass(CHOICE_TIME), ["remind 1"]);
            }
            assert!(world.menus.is_quiet());
            assert!(world.pass(QUIET_TIME / 2).is_empty());
            let due = world.menus.poll_timeout().expect("number 2 waits");
            let rest = due - world.now;
            assert_eq!(world.pass(rest), ["show 2"]);
            world.leave(2);
            assert_eq!(world.update(), ["take away"]);
        }
    }

    #[test]
    fn menu_goes_when_its_question_does_and_the_next_comes() {
        let mut world = World::new();
        world.leave(1);
        assert_eq!(world.update(), ["take away"]);
        assert!(world.update().is_empty(), "it is told to go once");
        assert!(!world.menus.handle_choice(TTY, 1, Choice::Approve, world.now + GUARD_TIME));
        world.menus.handle_closed(TTY, world.now);
        assert_eq!(world.update(), ["show 2"]);
    }

    #[test]
    fn all_terminals_show_it_and_one_answer_is_enough() {
        let mut world = World::new();
        let other = Terminal { tty: "/dev/pts/9".into(), cols: 80 };
        world.terminals.push(other.clone());
        assert_eq!(world.update(), ["show 1"]);
        world.pass(GUARD_TIME);
        assert!(world.choose(1, Choice::Deny));
        world.leave(1);
        assert_eq!(world.update(), ["take away", "show 2"]);
        world.terminals.clear();
        assert!(world.update().is_empty());
        world.terminals = vec![other; 100];
        for (number, terminal) in world.terminals.iter_mut().enumerate() {
            terminal.tty = format!("/dev/pts/{number}");
        }
        assert_eq!(world.update().len(), TERMINALS_MAX);
    }

    #[test]
    fn nothing_that_a_stranger_chose_is_read_by_tmux() {
        let key = Key { fingerprint: "SHA256:x".into(), comment: "#(reboot)#{x}\x1b[2J%H".into() };
        let stranger = Person { key: Some(key), ..person(1) };
        let shown = menu(&stranger, &Terminal { tty: TTY.into(), cols: 80 });
        assert_eq!(shown.lines[3], "named ?(reboot)?{x} [2J?H");
    }

    proptest! {
        #[test]
        fn lines_fit_their_terminal_and_hold_nothing_for_tmux(comment in any::<String>(), cols: u16) {
            let key = Key { fingerprint: "SHA256:x".repeat(9), comment };
            let stranger = Person { key: Some(key), ..person(1) };
            let shown = menu(&stranger, &Terminal { tty: TTY.into(), cols });
            for line in shown.lines {
                let room = usize::from(cols).saturating_sub(FRAME_CHARS).clamp(3, LINE_CHARS_MAX);
                prop_assert!(line.chars().count() <= room, "{line:?}");
                prop_assert!(!line.chars().any(|c| c == '#' || c == '%' || c.is_control()));
            }
        }

        /// Whatever happens: at most one menu at a terminal, and nothing is decided at once.
        #[test]
        fn any_order_of_events_keeps_one_menu_at_a_terminal(
            events in prop::collection::vec((0u8..6, 0u64..2000, 1u32..4), 0..60),
        ) {
            let mut world = World::new();
            let (mut is_open, mut opened, mut is_sure_asked) = (true, world.now, false);
            for (event, millis, number) in events {
                world.now += Duration::from_millis(millis);
                match event {
                    0 if is_open => {
                        world.menus.handle_closed(TTY, world.now);
                        is_open = false;
                    }
                    1 => {
                        // A choice comes of a menu that is gone.
                        world.menus.handle_closed(TTY, world.now);
                        is_open = false;
                        let choice = if number == 3 { Choice::Deny } else { Choice::Approve };
                        let is_decided =
                            world.menus.handle_choice(TTY, number, choice, world.now);
                        prop_assert!(!is_decided || world.now - opened >= GUARD_TIME);
                        prop_assert!(!is_decided || choice == Choice::Deny);
                    }
                    4 => {
                        world.menus.handle_closed(TTY, world.now);
                        is_open = false;
                        let is_decided =
                            world.menus.handle_choice(TTY, number, Choice::Sure, world.now);
                        let may_decide = is_sure_asked && world.now - opened >= GUARD_TIME;
                        prop_assert!(!is_decided || may_decide);
                    }
                    2 => world.leave(number),
                    3 => world.waiting.push(person(number)),
                    _ => world.menus.handle_timeout(world.now),
                }
                for told in world.update() {
                    if told.starts_with("show") || told.starts_with("sure") {
                        prop_assert!(!is_open);
                        is_sure_asked = told.starts_with("sure");
                        (is_open, opened) = (true, world.now);
                    }
                }
            }
        }
    }
}
