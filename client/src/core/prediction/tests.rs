//! The predictor against models of programs, with a network between, in virtual time.

mod motions;
mod slow;

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tern_term::{Capabilities, KeyReport, Renderer, Screen, Size};

const SIZE: Size = Size { cols: 40, rows: 8 };
const MS: Duration = Duration::from_millis(1);
/// As the host counts keys as answered.
const ECHO_TIME: Duration = crate::core::marks::ECHO_TIME;

/// A program at the host's terminal.
#[derive(Debug, Clone)]
enum Program {
    /// Reads lines; the kernel echoes.
    Cat(String),
    /// A shell with line editing.
    Shell(Editor),
    /// Reads a password, of which nothing shows; then the shell goes on.
    Password { is_cooked: bool },
    /// Reads a password, and shows a star for each of its characters.
    Masked,
    /// An editor with modes.
    Vi { is_inserting: bool },
    /// One line at the bottom, what is said above.
    Chat(String),
}

#[derive(Debug, Clone, Default)]
struct Editor {
    text: Vec<char>,
    cursor: usize,
}

const PROMPT: &str = "me@host:~$ ";

impl Program {
    fn start(&self) -> String {
        match self {
            Self::Cat(_) => String::new(),
            Self::Shell(_) => PROMPT.into(),
            Self::Password { .. } | Self::Masked => "Password: ".into(),
            Self::Vi { .. } => "\x1b[2J\x1b[H".into(),
            Self::Chat(_) => "\x1b[8;1H\x1b[K> ".into(),
        }
    }

    fn target(&self) -> KeyTarget {
        match self {
            Self::Cat(_) => KeyTarget::Echoed,
            Self::Password { is_cooked: true } => KeyTarget::Hidden,
            Self::Password { is_cooked: false }
            | Self::Masked
            | Self::Shell(_)
            | Self::Vi { .. }
            | Self::Chat(_) => KeyTarget::Raw,
        }
    }

    /// One key; gives what it writes.
    fn handle(&mut self, key: &str) -> String {
        match self {
            Self::Cat(line) => match key {
                "\r" => format!("\r\n{}\r\n", std::mem::take(line)),
                "\x7f" => line.pop().map_or(String::new(), |_| "\x08 \x08".into()),
                _ => {
                    line.push_str(key);
                    key.into()
                }
            },
            Self::Shell(editor) => {
                let mut out = String::new();
                match key {
                    "\r" => {
                        let line: String = editor.text.iter().collect();
                        *editor = Editor::default();
                        out += "\r\n";
                        match line.as_str() {
                            "su" => *self = Self::Password { is_cooked: true },
                            "rawsu" => *self = Self::Password { is_cooked: false },
                            "vi" => *self = Self::Vi { is_inserting: false },
                            "" => {}
                            _ => out += "output\r\n",
                        }
                        return out + &self.start();
                    }
                    "\x7f" if editor.cursor > 0 => {
                        editor.cursor -= 1;
                        editor.text.remove(editor.cursor);
                    }
                    "\x1b[D" => editor.cursor = editor.cursor.saturating_sub(1),
                    "\x1b[C" => editor.cursor = (editor.cursor + 1).min(editor.text.len()),
                    "\x01" => editor.cursor = 0,
                    "\t" => "completed".chars().for_each(|c| editor.insert(c)),
                    _ => key.chars().filter(|c| !c.is_control()).for_each(|c| editor.insert(c)),
                }
                let line: String = editor.text.iter().collect();
                let back: usize = editor.text[editor.cursor..].len();
                out += &format!("\r\x1b[K{PROMPT}{line}");
                if back > 0 {
                    out += &format!("\x1b[{back}D");
                }
                out
            }
            Self::Masked => "*".into(),
            Self::Password { .. } => match key {
                "\r" => {
                    *self = Self::Shell(Editor::default());
                    format!("\r\n{PROMPT}")
                }
                _ => String::new(),
            },
            Self::Vi { is_inserting } => match (key, *is_inserting) {
                ("i", false) => {
                    *is_inserting = true;
                    String::new()
                }
                ("l", false) => "\x1b[C".into(),
                ("j", false) => "\x1b[B".into(),
                (_, false) => String::new(),
                ("\x1b", true) => {
                    *is_inserting = false;
                    "\x08".into()
                }
                ("\r", true) => "\r\n".into(),
                ("\x7f", true) => "\x08 \x08".into(),
                (key, true) => key.into(),
            },
            Self::Chat(line) => match key {
                "\r" => {
                    let said = std::mem::take(line);
                    format!("\x1b[8;1H\x1b[K\x1b[7;1H{said}\x1b[8;1H\r\n\x1b[8;1H> ")
                }
                "\x7f" => line.pop().map_or(String::new(), |_| "\x08 \x08".into()),
                _ => {
                    line.push_str(key);
                    key.into()
                }
            },
        }
    }
}

impl Editor {
    fn insert(&mut self, c: char) {
        // Longer lines would wrap, which the model's redraw doesn't know.
        if self.text.len() + PROMPT.len() + 12 < usize::from(SIZE.cols) {
            self.text.insert(self.cursor, c);
            self.cursor += 1;
        }
    }
}

/// What is on its way, or due.
#[derive(Debug, Clone)]
enum Due {
    /// Keys reach the program.
    Typed(String, u32),
    /// Somebody else's.
    Foreign(String),
    /// The host counts them as answered.
    Answered(u32),
    /// A picture reaches the viewer.
    Shown(Shown),
}

struct World {
    start: Instant,
    now: Instant,
    delay: Duration,
    program: Program,
    screen: Screen,
    prefixes: Vec<Vec<u8>>,
    marks: Vec<(ViewerId, u32)>,
    mark: u32,
    due: BTreeMap<(Instant, u32), Due>,
    count: u32,
    predictor: Predictor,
}

impl World {
    fn new(program: Program, mode: Mode, round_trip: Duration) -> Self {
        let start = Instant::now();
        let mut predictor = Predictor::new(mode);
        predictor.handle_rtt(round_trip);
        let screen = Screen::new(SIZE);
        let mut world = Self {
            start,
            now: start,
            delay: round_trip / 2,
            program,
            screen,
            prefixes: Vec::new(),
            marks: Vec::new(),
            mark: 0,
            due: BTreeMap::new(),
            count: 0,
            predictor,
        };
        let greeting = world.program.start();
        world.screen.handle_output(greeting.as_bytes(), start);
        world.show();
        world.pass(round_trip + ECHO_TIME);
        world
    }

    fn later(&mut self, at: Instant, due: Due) {
        self.count += 1;
        self.due.insert((at, self.count), due);
    }

    fn show(&mut self) {
        let keys = KeyReport {
            target: self.program.target(),
            prefixes: self.prefixes.clone(),
            marks: self.marks.clone(),
        };
        let shown = Shown { frame: self.screen.frame(), keys: keys.into() };
        self.later(self.now + self.delay, Due::Shown(shown));
    }

    /// A key is typed at the viewer.
    fn key(&mut self, key: &str) {
        self.mark += 1;
        self.predictor.handle_keys(key.as_bytes(), self.mark, self.now);
        self.later(self.now + self.delay, Due::Typed(key.into(), self.mark));
    }

    /// A text, a key every `pause`.
    fn text(&mut self, text: &str, pause: Duration) {
        for c in text.chars() {
            self.key(&c.to_string());
            self.pass(pause);
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let event = self.due.first_key_value().map(|((at, _), _)| *at);
            let timeout = self.predictor.poll_timeout();
            let next = [event, timeout].into_iter().flatten().min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if event == Some(next) {
                let (_, due) = self.due.pop_first().expect("it was there");
                self.happens(due);
            } else {
                self.predictor.handle_timeout(self.now);
                assert!(self.predictor.poll_timeout().is_none_or(|at| at > next), "no progress");
            }
        }
        self.now = end;
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::Typed(key, mark) => {
                self.type_at_host(&key);
                self.later(self.now + ECHO_TIME, Due::Answered(mark));
            }
            Due::Foreign(key) => self.type_at_host(&key),
            Due::Answered(mark) => {
                self.marks = vec![(ViewerId(0), mark)];
                self.show();
            }
            Due::Shown(shown) => self.predictor.handle_shown(&shown, self.now),
        }
    }

    fn type_at_host(&mut self, key: &str) {
        let output = self.program.handle(key);
        if !output.is_empty() {
            self.screen.handle_output(output.as_bytes(), self.now);
        }
        self.show();
    }

    /// The cursor's row as it is shown.
    fn line(&self) -> String {
        let frame = self.predictor.overlay();
        let text = frame.to_text();
        text.lines().nth(frame.cursor().row.into()).unwrap_or_default().to_owned()
    }

    fn settle(&mut self) {
        self.pass(Duration::from_secs(5) + 4 * self.delay);
        let (shown, truth) = (self.predictor.overlay(), self.screen.frame());
        assert_eq!(shown.to_text(), truth.to_text());
        assert_eq!(shown.cursor(), truth.cursor());
        assert_eq!(self.predictor.poll_timeout(), None, "nothing is pending, nothing is due");
        assert!(self.predictor.pending.is_empty());
    }

    fn statistics(&self) -> Statistics {
        self.predictor.statistics()
    }
}

fn shell(round_trip: Duration) -> World {
    World::new(Program::Shell(Editor::default()), Mode::Always, round_trip)
}

#[test]
fn line_that_the_kernel_echoes_is_shown_from_the_first_key() {
    let mut world = World::new(Program::Cat(String::new()), Mode::Always, 300 * MS);
    world.text("hello", 10 * MS);
    assert_eq!(world.line(), "hello");
    world.key("\x7f");
    assert_eq!(world.line(), "hell");
    assert_eq!(world.statistics().shown_at_once, 6);
    world.settle();
    assert_eq!((world.statistics().wrong, world.statistics().right), (0, 6));
}

#[test]
fn shell_is_believed_after_its_first_echo_and_then_at_once() {
    let mut world = shell(300 * MS);
    world.text("ls", 10 * MS);
    assert_eq!(world.line(), "me@host:~$", "it may be reading a password");
    world.pass(400 * MS);
    world.text("-la", 10 * MS);
    assert_eq!(world.line(), "me@host:~$ ls-la");
    world.key("\r");
    world.pass(1000 * MS);
    world.text("pw", 10 * MS);
    assert_eq!(world.line(), "me@host:~$ pw", "this prompt is known");
    world.settle();
    assert_eq!(world.statistics().wrong, 0);
}

#[test]
fn line_that_goes_with_its_enter_proves_nothing() {
    let mut world = shell(200 * MS);
    world.text("ls\r", 400 * MS);
    // All of it is answered in one picture.
    world.mark += 1;
    let (mark, at) = (world.mark, world.now + world.delay);
    world.predictor.handle_keys(b"pwd\r", mark, world.now);
    for c in "pwd\r".chars() {
        let output = world.program.handle(&c.to_string());
        world.screen.handle_output(output.as_bytes(), world.now);
    }
    world.later(at, Due::Answered(mark));
    world.pass(400 * MS);
    world.key("x");
    assert_eq!(world.line(), "me@host:~$ x");
    world.settle();
    assert_eq!(world.statistics().wrong, 0);
}

#[test]
fn keys_typed_ahead_of_an_answer_to_enter_are_placed_when_it_comes() {
    let mut world = shell(200 * MS);
    world.text("a", 500 * MS);
    world.text("b\rcdefgh", 20 * MS);
    assert_eq!(world.line(), "me@host:~$ ab", "what follows Enter is not shown yet");
    world.text("ijk", 40 * MS);
    world.pass(100 * MS);
    world.text("lmn", 40 * MS);
    assert!(world.line().ends_with("cdefghijklmn"), "{}", world.line());
    world.settle();
    assert_eq!(world.statistics().wrong, 0);
}

#[test]
fn editing_in_the_middle_shifts_what_is_right_of_it() {
    let mut world = shell(200 * MS);
    world.text("abef", 400 * MS);
    for key in ["\x1b[D", "\x1b[D", "c", "d"] {
        world.key(key);
    }
    assert_eq!(world.line(), "me@host:~$ abcdef");
    world.key("\x7f");
    assert_eq!(world.line(), "me@host:~$ abcef");
    assert_eq!(world.predictor.overlay().cursor().col, 14);
    world.key("\x1b[C");
    assert_eq!(world.predictor.overlay().cursor().col, 15);
    world.settle();
    assert_eq!(world.statistics().wrong, 0);
}

#[test]
fn nothing_of_a_password_is_ever_shown() {
    for (command, round_trip) in [("su", 300), ("rawsu", 300), ("su", 1000), ("rawsu", 40)] {
        for pause in [10, 70, 400] {
            let mut world = shell(round_trip * MS);
            world.text("x", 2000 * MS);
            world.key("\x7f");
            world.text(command, pause * MS);
            world.key("\r");
            for c in "#####".chars() {
                world.key(&c.to_string());
                assert!(!world.predictor.overlay().to_text().contains('#'), "{command} {pause}");
                world.pass(pause * MS);
                assert!(!world.predictor.overlay().to_text().contains('#'), "{command} {pause}");
            }
            world.key("\r");
            world.settle();
            assert_eq!(world.statistics().wrong, 0, "{command} {round_trip} {pause}");
        }
    }
}

#[test]
fn mask_of_a_password_proves_nothing() {
    let mut world = World::new(Program::Masked, Mode::Always, 200 * MS);
    world.text("****#", 400 * MS);
    for c in "###".chars() {
        world.key(&c.to_string());
        assert!(!world.predictor.overlay().to_text().contains('#'));
        world.pass(50 * MS);
        assert!(!world.predictor.overlay().to_text().contains('#'));
    }
    world.settle();
}

#[test]
fn editor_with_modes_is_believed_while_it_inserts() {
    let mut world = World::new(Program::Vi { is_inserting: false }, Mode::Always, 200 * MS);
    world.text("lljjxd", 100 * MS);
    world.settle();
    world.text("i", 400 * MS);
    world.text("h", 400 * MS);
    world.text("ello", 10 * MS);
    assert!(world.line().ends_with("hello"), "{}", world.line());
    world.key("\x1b");
    world.text("ljl", 300 * MS);
    world.settle();
    assert_eq!(world.statistics().wrong, 0);
}

#[test]
fn chat_is_believed_at_its_prompt() {
    let mut world = World::new(Program::Chat(String::new()), Mode::Always, 200 * MS);
    world.text("hi\r", 400 * MS);
    world.pass(400 * MS);
    world.text("there", 10 * MS);
    assert!(world.line().ends_with("> there"), "{}", world.line());
    world.settle();
    assert_eq!(world.statistics().wrong, 0);
}

#[test]
fn prefix_and_what_follows_it_are_the_multiplexers() {
    let mut world = shell(200 * MS);
    world.prefixes = vec![vec![2]];
    world.text("a", 500 * MS);
    world.key("\x02");
    world.key("c");
    world.key("x");
    assert_eq!(world.line(), "me@host:~$ a");
    world.settle();
}

#[test]
fn others_keys_are_never_foretold_as_mine() {
    let mut world = shell(200 * MS);
    world.text("ab", 400 * MS);
    world.text("cd", 10 * MS);
    let at = world.now + 20 * MS;
    world.later(at, Due::Foreign("XY".into()));
    world.text("ef", 10 * MS);
    world.pass(2000 * MS);
    world.settle();
    assert!(world.line().contains("XY"));
}

#[test]
fn fast_links_show_the_truth_and_a_glitch_shows_predictions() {
    let mut world = World::new(Program::Cat(String::new()), Mode::Adaptive, MS);
    world.key("a");
    assert_eq!(world.line(), "");
    world.settle();
    assert_eq!(world.line(), "a");
    world.delay = 2000 * MS;
    world.key("b");
    assert_eq!(world.line(), "a");
    world.pass(260 * MS);
    assert_eq!(world.line(), "ab");
    world.settle();
}

#[test]
fn wide_characters_are_placed_and_combining_ones_wait() {
    let mut world = World::new(Program::Cat(String::new()), Mode::Always, 200 * MS);
    world.text("a漢b", 10 * MS);
    assert_eq!(world.line(), "a漢b");
    assert_eq!(world.predictor.overlay().cursor().col, 4);
    world.key("e");
    world.key("\u{301}");
    world.key("x");
    assert_eq!(world.line(), "a漢be");
    world.settle();
    assert_eq!(world.statistics().wrong, 0);
}

#[test]
fn nothing_is_foretold_at_the_margin_and_of_a_paste() {
    let mut world = World::new(Program::Cat(String::new()), Mode::Always, 200 * MS);
    world.text(&"x".repeat(50), 1 * MS);
    assert_eq!(world.line(), "x".repeat(39));
    world.settle();
    world.key(&"y".repeat(101));
    assert!(!world.predictor.overlay().to_text().contains('y'));
    world.settle();
}

#[test]
fn slow_link_underlines_what_is_not_confirmed() {
    let mut world = World::new(Program::Cat(String::new()), Mode::Always, 500 * MS);
    world.key("a");
    let frame = world.predictor.overlay();
    let underline = |frame: &Frame| frame.cell(0, 0).style.attrs.underline();
    assert_ne!(underline(&frame), tern_term::Underline::None);
    world.settle();
    assert_eq!(underline(&world.predictor.overlay()), tern_term::Underline::None);
}

#[test]
fn another_size_of_the_screen_ends_what_was_foretold() {
    let mut world = World::new(Program::Cat(String::new()), Mode::Always, 200 * MS);
    world.text("abc", 10 * MS);
    let frame = Frame::blank(Size { cols: 3, rows: 1 });
    world.predictor.handle_shown(&frame.clone().into(), world.now);
    assert_eq!(world.predictor.overlay().to_text(), frame.to_text());
    world.key("d");
    world.settle();
}

#[test]
fn host_that_answers_nothing_ends_the_guessing() {
    let mut predictor = Predictor::new(Mode::Always);
    let mut now = Instant::now();
    let frame = Frame::from_lines(SIZE, ["one"]);
    let mut shown: Shown = frame.into();
    shown.keys = KeyReport { target: KeyTarget::Echoed, ..KeyReport::default() }.into();
    predictor.handle_shown(&shown, now);
    predictor.handle_keys(b"a", 1, now);
    assert!(predictor.overlay().to_text().contains('a'));
    shown.frame = Frame::from_lines(SIZE, ["two", "three"]).with_cells((5, 1), []);
    predictor.handle_shown(&shown, now);
    assert!(!predictor.overlay().to_text().contains('a'));
    while let Some(due) = predictor.poll_timeout() {
        now = due;
        predictor.handle_timeout(now);
    }
    assert!(now.duration_since(Instant::now()) < Duration::from_secs(60));
}

fn keys() -> impl Strategy<Value = Vec<(String, u64)>> {
    let key = prop_oneof![
        8 => "[a-z ]".prop_map(String::from),
        1 => Just("\x7f".to_owned()),
        1 => Just("\r".to_owned()),
        1 => Just("\x1b[D".to_owned()),
        1 => Just("\x1b[C".to_owned()),
        1 => Just("\x1b".to_owned()),
        1 => Just("\t".to_owned()),
        1 => Just("漢".to_owned()),
        1 => Just("\x02".to_owned()),
        1 => Just("i".to_owned()),
    ];
    prop::collection::vec((key, 0u64..400), 0..40)
}

fn program() -> impl Strategy<Value = Program> {
    prop_oneof![
        Just(Program::Cat(String::new())),
        Just(Program::Shell(Editor::default())),
        any::<bool>().prop_map(|is_cooked| Program::Password { is_cooked }),
        any::<bool>().prop_map(|is_inserting| Program::Vi { is_inserting }),
        Just(Program::Chat(String::new())),
    ]
}

proptest! {
    /// Whatever is typed, at whatever pace, into whatever: in the end the truth is shown, nothing
    /// of it waits, and a viewer's terminal can show what was shown between.
    #[test]
    fn truth_is_shown_in_the_end(
        program in program(),
        round_trip in 0u64..1000,
        keys in keys(),
        foreign in prop::collection::vec((0u64..5000, "[a-z\r]"), 0..5),
    ) {
        let mut world = World::new(program, Mode::Always, Duration::from_millis(round_trip));
        world.prefixes = vec![vec![2]];
        for (at, key) in foreign {
            let at = world.start + Duration::from_millis(at);
            world.later(at.max(world.now), Due::Foreign(key));
        }
        let mut renderer = Renderer::new(Capabilities::full());
        for (key, pause) in keys {
            world.key(&key);
            renderer.render(&world.predictor.overlay());
            world.pass(Duration::from_millis(pause));
            prop_assert!(world.predictor.pending.len() <= PENDING_MAX + 1);
            prop_assert_eq!(world.predictor.overlay().size(), SIZE);
        }
        world.settle();
    }
}

/// The predictor over a screen that the test draws, with a program that answers at once.
struct Bench {
    predictor: Predictor,
    screen: Screen,
    mark: u32,
    now: Instant,
    target: KeyTarget,
    prefixes: Vec<Vec<u8>>,
}

impl Bench {
    fn new() -> Self {
        let mut predictor = Predictor::new(Mode::Always);
        predictor.handle_rtt(100 * MS);
        Self {
            predictor,
            screen: Screen::new(Size { cols: 80, rows: 6 }),
            mark: 0,
            now: Instant::now(),
            target: KeyTarget::Raw,
            prefixes: Vec::new(),
        }
    }

    /// A key, without an answer; gives the cursor's row as it is shown then.
    fn key(&mut self, key: &str) -> String {
        self.mark += 1;
        self.predictor.handle_keys(key.as_bytes(), self.mark, self.now);
        let frame = self.predictor.overlay();
        frame.to_text().lines().nth(frame.cursor().row.into()).unwrap_or_default().to_owned()
    }

    /// What a program that draws by itself writes in answer to all keys.
    fn answer(&mut self, output: &str) {
        self.now += 100 * MS;
        self.screen.handle_output(output.as_bytes(), self.now);
        let marks = vec![(ViewerId(0), self.mark)];
        let keys = KeyReport { target: self.target, prefixes: self.prefixes.clone(), marks };
        let shown = Shown { frame: self.screen.frame(), keys: keys.into() };
        self.predictor.handle_shown(&shown, self.now);
    }

    /// A key and its answer.
    fn typed(&mut self, key: &str, output: &str) {
        self.key(key);
        self.answer(output);
    }

    fn text(&mut self, text: &str) {
        text.chars().map(String::from).for_each(|c| self.typed(&c, &c));
    }

    /// Keys without answers.
    fn keys(&mut self, keys: &[&str]) {
        keys.iter().for_each(|key| drop(self.key(key)));
    }

    /// All rows as they are shown, without blanks at the end of all.
    fn picture(&self) -> String {
        self.predictor.overlay().to_text().trim_end().to_owned()
    }

    fn cursor(&self) -> (u16, u16) {
        let cursor = self.predictor.overlay().cursor();
        (cursor.row, cursor.col)
    }
}

#[test]
fn same_column_of_another_row_is_another_line() {
    let mut bench = Bench::new();
    bench.answer("To      : \r\n\r\nSubject : \x1b[1;11H");
    bench.text("ann");
    bench.typed("\t", "\x1b[3;11H");
    assert_eq!(bench.key("x"), "Subject :");
    bench.answer("x");
    assert_eq!(bench.key("y"), "Subject : xy");
}

#[test]
fn cursor_that_moves_over_a_letter_has_not_echoed_it() {
    let mut bench = Bench::new();
    bench.answer("Collected\x1b[1;3H");
    bench.typed("l", "\x1b[C");
    assert_eq!(bench.key("l"), "Collected");
    bench.answer("\x1b[C");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn word_that_a_program_wraps_is_not_foretold_twice() {
    let mut bench = Bench::new();
    let line = format!("{}and a long", "word ".repeat(13));
    bench.answer("> ");
    bench.answer("\r\x1b[K");
    bench.text(&line[..69]);
    assert_eq!(bench.key("a").len(), 70, "well before the usual columns");
    bench.answer("a");
    bench.text(" ");
    assert_eq!(bench.key("l").len(), 70, "here many programs wrap");
    bench.answer("l");
    bench.text("ong");
    // The last word goes to the next row.
    bench.typed("e", "\x08\x08\x08\x08\x1b[K\r\nlonge");
    bench.text("r");
    assert_eq!(bench.key("x"), "longerx");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn bar_in_a_line_is_no_border_and_one_above_another_is() {
    let mut bench = Bench::new();
    bench.answer("\r\n$ cat notes | head\x1b[2;3H");
    bench.typed("x", "xcat notes | head\x1b[2;4H");
    assert_eq!(bench.key("y"), "$ xycat notes | head");
    let mut bench = Bench::new();
    bench.answer("          |\r\n$ cat     |other\r\n          |\x1b[2;3H");
    bench.typed("x", "xcat\x1b[2;4H");
    assert_eq!(bench.key("y"), "$ xycat   |other");
}

#[test]
fn text_behind_a_gap_that_may_move_too_is_not_guessed() {
    let mut bench = Bench::new();
    bench.answer("$ one   two\x1b[1;3H");
    bench.typed("x", "xone   two\x1b[1;4H");
    assert_eq!(bench.key("y"), "$ xone   two");
}

#[test]
fn edits_of_the_line_are_foretold_once_they_were_right() {
    let mut bench = Bench::new();
    bench.answer("$$ ");
    bench.text("make test");
    assert_eq!(bench.key("\x17"), "$$ make test", "perhaps it means something else here");
    bench.answer("\x1b[4D\x1b[K");
    bench.text("it");
    assert_eq!(bench.key("\x17"), "$$ make");
    bench.answer("\x1b[2D\x1b[K");
    bench.typed("\x15", "\x1b[5D\x1b[K");
    bench.text("ls");
    assert_eq!(bench.key("\x15"), "$$");
    assert_eq!(bench.key("p"), "$$ p");
    bench.answer("\x1b[2D\x1b[Kp");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn edit_that_does_something_else_is_not_foretold_again() {
    let mut bench = Bench::new();
    bench.answer("$$ ");
    bench.text("one");
    bench.typed("\x15", "\x1b[3D\x1b[K");
    bench.text("two");
    assert_eq!(bench.key("\x15"), "$$");
    bench.answer("\x1b[2;1HMenu: ");
    bench.answer("\x1b[1;7H");
    bench.text("xy");
    assert_eq!(bench.key("\x15"), "$$ twoxy");
}

#[test]
fn line_that_is_full_pushes_its_end_out_of_sight() {
    let mut bench = Bench::new();
    let line = "0123456789".repeat(8);
    bench.answer(&format!("{line}more\x1b[1;4H"));
    bench.typed("x", &format!("\x1b[1;4Hx{}\x1b[1;5H", &line[3..79]));
    assert_eq!(bench.key("y"), format!("012xy{}", &line[3..78]));
}

#[test]
fn editor_that_says_that_it_inserts_is_believed_from_the_first_key() {
    let mut bench = Bench::new();
    bench.answer("text\x1b[2;1H");
    bench.typed("x", "");
    bench.typed("i", "\x1b[6;1H-- INSERT --\x1b[2;1H");
    assert_eq!(bench.key("a"), "a");
    bench.answer("a");
    // It waits whether the Escape begins an arrow.
    bench.typed("\x1b", "");
    assert_eq!(bench.key("x"), "a");
    bench.answer("\x1b[6;1H\x1b[K\x1b[2;1H");
    assert_eq!(bench.key("x"), "a");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn full_line_takes_any_number_of_keys() {
    let mut bench = Bench::new();
    bench.answer(&format!("$$ {}\x1b[1;4H", "0123456789".repeat(9)));
    bench.typed("x", &format!("x{}\x1b[1;5H", &"0123456789".repeat(8)[..76]));
    for _ in 0..100 {
        bench.key("y");
        bench.answer("");
    }
    bench.key("\x05");
    bench.key("\x7f");
}
