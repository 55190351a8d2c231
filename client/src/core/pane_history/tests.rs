//! A tmux that keeps lines, asked and answering in virtual time.

use super::*;
use proptest::prelude::*;
use tern_term::scrollback::rows_of;

/// A pane as tmux has it.
struct FakePane {
    id: u32,
    cols: u16,
    limit: usize,
    lines: Vec<String>,
}

impl FakePane {
    fn new(limit: usize) -> Self {
        Self { id: 3, cols: 20, limit, lines: Vec::new() }
    }

    fn scroll_off(&mut self, lines: impl Iterator<Item = String>) {
        for line in lines {
            if self.lines.len() >= self.limit {
                // As tmux: a tenth goes at once.
                self.lines.drain(..(self.limit / 10).max(1));
            }
            self.lines.push(line);
        }
    }

    fn header(&self) -> String {
        let bytes: usize = self.lines.iter().map(String::len).sum();
        let (id, count, cols) = (self.id, self.lines.len(), self.cols);
        format!("h\t%{id}\t{count}\t{bytes}\t{cols}\t10\t0\t0\t0\ton\ttop")
    }

    fn capture(&self, count: usize) -> Vec<u8> {
        let mut text = self.header() + "\n";
        let from = self.lines.len().saturating_sub(count);
        for line in &self.lines[from..] {
            text += line;
            text.push('\n');
        }
        if self.lines.is_empty() {
            text += "first line of the screen\n";
        }
        text.into_bytes()
    }
}

/// Asks until there is nothing to ask.
fn follow(history: &mut PaneHistory, pane: &FakePane, now: &mut Instant) {
    history.handle_drawn();
    let mut questions = 0;
    while let Some(due) = history.poll_timeout() {
        *now = (*now).max(due);
        assert!(history.poll_question(*now));
        let mut wanted = history.handle_answer(Some(&pane.header()), *now);
        while let Some(count) = wanted {
            wanted = history.handle_captured(Some(&pane.capture(count)), *now);
        }
        questions += 1;
        assert!(questions <= 2, "there is no end to the questions");
    }
    assert!(questions > 0, "it is wanted");
}

fn texts(kept: &Scrollback) -> Vec<String> {
    let mut texts = Vec::new();
    for row in kept.blocks().flat_map(|block| rows_of(block).expect("own")) {
        let mut text = String::new();
        row.push_text(&mut text);
        texts.push(text.trim_end().to_owned());
    }
    texts
}

fn wanted(now: Instant) -> PaneHistory {
    let mut history = PaneHistory::new(Clusters::default(), now);
    history.handle_wanted(true);
    history
}

fn numbered(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|n| format!("line {n}"))
}

#[test]
fn what_scrolls_off_is_followed_also_where_tmux_drops_lines() {
    let mut now = Instant::now();
    let (mut history, mut pane) = (wanted(now), FakePane::new(200));
    follow(&mut history, &pane, &mut now);
    assert!(texts(history.kept()).is_empty());
    let mut count = 0;
    for step in [1, 5, 40, 100, 30, 30, 30, 7, 19, 1, 60, 150] {
        pane.scroll_off(numbered(count..count + step));
        count += step;
        follow(&mut history, &pane, &mut now);
        assert_eq!(texts(history.kept()), numbered(0..count).collect::<Vec<_>>(), "{count}");
    }
    assert_eq!(history.kept().place().top, 1, "below the status line");
    assert_eq!(history.kept().source(), 1, "all from one source");
    // More than tmux keeps, unseen: the newest are all there is.
    pane.scroll_off(numbered(count..count + 1000));
    follow(&mut history, &pane, &mut now);
    assert_eq!(texts(history.kept()), pane.lines);
    assert_eq!(history.kept().source(), 2);
    history.handle_drawn();
    assert_eq!(history.poll_timeout(), Some(now + FLOOD_TIME));
}

#[test]
fn nothing_from_before_the_sharing_is_shown() {
    let mut now = Instant::now();
    let (mut history, mut pane) = (wanted(now), FakePane::new(100));
    pane.scroll_off((0..100).map(|_| "secret".to_owned()));
    history.handle_before(["b\t%3\t100\t20", "nonsense", "b\t%x\t1\t1"].into_iter());
    follow(&mut history, &pane, &mut now);
    pane.scroll_off(numbered(0..8));
    follow(&mut history, &pane, &mut now);
    assert_eq!(texts(history.kept()), numbered(0..8).collect::<Vec<_>>());
    // Seen from elsewhere and back, narrower: what was there takes more lines.
    let other = FakePane { id: 4, ..FakePane::new(10) };
    follow(&mut history, &other, &mut now);
    pane.cols = 5;
    pane.lines = (0..pane.lines.len() * 2).map(|_| "secr".to_owned()).collect();
    follow(&mut history, &pane, &mut now);
    assert!(texts(history.kept()).is_empty());
    // Cleared: what comes is new.
    pane.lines.clear();
    follow(&mut history, &pane, &mut now);
    let new: Vec<_> = (20..30).map(|n| n.to_string()).collect();
    pane.scroll_off(new.iter().cloned());
    follow(&mut history, &pane, &mut now);
    assert_eq!(texts(history.kept()), new);
}

#[test]
fn other_pane_other_width_and_cleared_history_are_other_lines() {
    let mut now = Instant::now();
    let (mut history, mut pane) = (wanted(now), FakePane::new(100));
    pane.scroll_off(numbered(0..10));
    follow(&mut history, &pane, &mut now);
    let first = history.kept().source();
    pane.id = 9;
    follow(&mut history, &pane, &mut now);
    pane.cols = 30;
    follow(&mut history, &pane, &mut now);
    pane.lines.clear();
    follow(&mut history, &pane, &mut now);
    assert!(texts(history.kept()).is_empty());
    assert!(history.kept().source() > first);
    // From the answer on, before anything is captured, the former pane's lines are nobody's.
    pane.scroll_off(numbered(0..10));
    follow(&mut history, &pane, &mut now);
    let source = history.kept().source();
    pane.id = 10;
    now += INTERVAL;
    history.handle_drawn();
    assert!(history.poll_question(now));
    assert!(history.handle_answer(Some(&pane.header()), now).is_some());
    assert!(texts(history.kept()).is_empty() && history.kept().source() > source);
}

#[test]
fn what_scrolls_off_between_answer_and_capture_is_not_lost() {
    let mut now = Instant::now();
    let (mut history, mut pane) = (wanted(now), FakePane::new(1000));
    follow(&mut history, &FakePane { id: 4, ..FakePane::new(10) }, &mut now);
    now += INTERVAL;
    history.handle_drawn();
    assert!(history.poll_question(now));
    let mut wanted = history.handle_answer(Some(&pane.header()), now);
    pane.scroll_off(numbered(0..300));
    while let Some(count) = wanted {
        wanted = history.handle_captured(Some(&pane.capture(count)), now);
    }
    assert_eq!(texts(history.kept()), pane.lines);
    now += INTERVAL;
    history.handle_drawn();
    assert!(history.poll_question(now));
    pane.scroll_off(numbered(300..301));
    let mut wanted = history.handle_answer(Some(&pane.header()), now);
    pane.scroll_off(numbered(301..500));
    while let Some(count) = wanted {
        wanted = history.handle_captured(Some(&pane.capture(count)), now);
    }
    assert_eq!(texts(history.kept()), pane.lines);
}

#[test]
fn tmux_is_asked_only_while_somebody_wants_it_and_something_changes() {
    let now = Instant::now();
    let mut history = PaneHistory::new(Clusters::default(), now);
    history.handle_drawn();
    assert_eq!(history.poll_timeout(), None);
    history.handle_wanted(true);
    assert!(history.poll_question(now));
    assert_eq!(history.poll_timeout(), None, "one question at a time");
    history.handle_answers_lost();
    assert!(history.poll_question(now));
    assert_eq!(history.handle_answer(Some("nonsense"), now), None);
    assert_eq!(history.poll_timeout(), None, "nothing has changed since");
    history.handle_drawn();
    assert!(!history.poll_question(now));
    assert_eq!(history.poll_timeout(), Some(now + INTERVAL));
    history.handle_wanted(false);
    assert_eq!(history.poll_timeout(), None);
}

#[test]
fn lines_in_the_place_of_as_many_that_were_cleared_are_noticed_soon() {
    let mut now = Instant::now();
    let (mut history, mut pane) = (wanted(now), FakePane::new(100));
    pane.scroll_off(numbered(10..20));
    follow(&mut history, &pane, &mut now);
    let captured_at = now;
    pane.lines.clear();
    pane.scroll_off(numbered(20..30));
    now += INTERVAL;
    history.handle_drawn();
    assert!(history.poll_question(now));
    assert_eq!(history.handle_answer(Some(&pane.header()), now), None, "it looks the same");
    assert_eq!(history.poll_timeout(), Some(captured_at + DOUBT_INTERVAL));
    // Somebody types meanwhile.
    history.handle_drawn();
    assert_eq!(history.poll_timeout(), Some(now + INTERVAL));
    follow(&mut history, &pane, &mut now);
    assert_eq!(texts(history.kept()), pane.lines);
    assert_eq!(now, captured_at + DOUBT_INTERVAL);
    // Nothing else came: a look is enough, and nobody is told.
    history.poll_change();
    follow(&mut history, &pane, &mut now);
    assert!(history.poll_change().is_none());
    // What can't be captured isn't tried over and over.
    now += DOUBT_INTERVAL;
    history.handle_drawn();
    assert!(history.poll_question(now));
    assert!(history.handle_answer(Some(&pane.header()), now).is_some());
    assert_eq!(history.handle_captured(None, now), None);
    assert_eq!(history.poll_timeout(), None);
}

#[test]
fn pane_that_is_cleared_and_filled_again_and_again_is_followed() {
    // Found by the test below: the last two have as many lines and bytes, and no line in common.
    let counts = [0, 0, 0, 29, 28, 43, 13, 13];
    check_what_is_kept(&counts.map(|count| (count, 0)), 42);
}

/// Each step: how many lines scroll off, and what is done before.
#[track_caller]
fn check_what_is_kept(steps: &[(usize, u8)], distinct: usize) {
    let mut now = Instant::now();
    let (mut history, mut pane) = (wanted(now), FakePane::new(150));
    let mut count = 0;
    for (step, what) in steps {
        match what {
            0 => pane.lines.clear(),
            1 => pane.cols += 1,
            _ => {}
        }
        // Lines that come again and again are the hardest to tell apart.
        pane.scroll_off((count..count + step).map(|n| format!("line {}", n % distinct)));
        count += step;
        follow(&mut history, &pane, &mut now);
        let kept = texts(history.kept());
        assert!(
            kept.ends_with(&pane.lines) || pane.lines.ends_with(&kept),
            "{kept:?} is kept of {:?}",
            pane.lines
        );
    }
}

proptest! {
    #[test]
    fn what_is_kept_is_always_what_tmux_had_last(
        steps in prop::collection::vec((0usize..120, 0u8..20), 1..40),
        distinct in 1usize..400,
    ) {
        check_what_is_kept(&steps, distinct);
    }

    #[test]
    fn any_answer_is_taken_without_a_panic(
        line in "h\t%?[0-9]{1,3}\t.{0,60}",
        captured in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let now = Instant::now();
        let mut history = wanted(now);
        history.handle_answer(Some(&line), now);
        history.handle_captured(Some(&[line.as_bytes(), b"\n", &captured].concat()), now);
        prop_assert!(history.kept().size() < 1_000_000);
    }
}

#[test]
fn flood_is_followed_less_often_and_whole_at_its_end() {
    let mut now = Instant::now();
    let mut history = wanted(now);
    let mut pane = FakePane::new(2000);
    let start = now;
    history.handle_flooded(now);
    follow(&mut history, &pane, &mut now);
    assert_eq!(now, start, "who comes in a flood needn't wait for its end");
    let mut asked = 0;
    while now < start + 10 * FLOOD_INTERVAL {
        now += INTERVAL;
        pane.scroll_off(numbered(pane.lines.len()..pane.lines.len() + 3));
        history.handle_flooded(now);
        history.handle_drawn();
        if history.poll_timeout().is_some_and(|due| due <= now) {
            asked += 1;
            follow(&mut history, &pane, &mut now);
        }
    }
    assert!((9..=11).contains(&asked), "{asked}");
    history.handle_drawn();
    assert!(history.poll_timeout().is_some_and(|due| due <= now + FLOOD_TIME));
    follow(&mut history, &pane, &mut now);
    assert_eq!(texts(history.kept()), pane.lines);
}
