use super::*;
use proptest::prelude::*;
use tern_sync::scrollback::Place;
use tern_term::Size;
use tern_term::scrollback::blocks_of;

const SIZE: Size = Size { cols: 20, rows: 5 };
/// Four rows, and a status line.
const PLACE: Place = Place { left: 0, top: 0, cols: 20, rows: 4, is_alternate: false };

fn live() -> Frame {
    Frame::from_lines(SIZE, ["live 1", "live 2", "live 3", "live 4", "status"])
}

fn lines(range: std::ops::Range<u64>) -> Vec<ScrollbackEntry> {
    let texts: Vec<String> = range.clone().map(|n| format!("line {n}")).collect();
    let size = Size { cols: 20, rows: u16::try_from(texts.len()).expect("few") };
    let frame = Frame::from_lines(size, texts.iter().map(String::as_str));
    blocks_of(frame.rows(), 20, range.start).into_iter().map(ScrollbackEntry::Lines).collect()
}

fn with_lines(range: std::ops::Range<u64>) -> Scrolling {
    let mut scrolling = Scrolling::default();
    scrolling.handle_entry(ScrollbackEntry::Start { source: 1 });
    scrolling.handle_entry(ScrollbackEntry::Place(PLACE));
    for entry in lines(range) {
        scrolling.handle_entry(entry);
    }
    scrolling
}

fn shown(scrolling: &Scrolling) -> Vec<String> {
    scrolling.overlay(live()).to_text().lines().map(str::to_owned).collect()
}

#[test]
fn view_goes_up_and_down_and_the_live_screen_is_below() {
    let mut scrolling = with_lines(0..100);
    assert!(!scrolling.handle_motion(Motion::Down(3), &live()));
    assert_eq!(shown(&scrolling)[0], "live 1");
    assert!(scrolling.handle_motion(Motion::Up(1), &live()));
    assert_eq!(shown(&scrolling), ["line 99      [1/100]", "live 1", "live 2", "live 3", "status"]);
    scrolling.handle_motion(Motion::PageUp, &live());
    assert_eq!(shown(&scrolling)[..4], ["line 96      [4/100]", "line 97", "line 98", "line 99"]);
    scrolling.handle_motion(Motion::Oldest, &live());
    assert_eq!(shown(&scrolling)[0], "line 0     [100/100]");
    assert!(!scrolling.handle_motion(Motion::PageUp, &live()), "there is nothing above");
    scrolling.handle_motion(Motion::PageDown, &live());
    assert_eq!(shown(&scrolling)[1], "line 4");
    assert!(scrolling.handle_motion(Motion::Live, &live()));
    assert!(!scrolling.is_scrolled());
}

#[test]
fn place_stays_when_more_scrolls_off() {
    let mut scrolling = with_lines(0..100);
    scrolling.handle_motion(Motion::Up(2), &live());
    for entry in lines(100..150) {
        assert!(scrolling.handle_entry(entry));
    }
    assert_eq!(shown(&scrolling)[..4], ["line 98     [52/150]", "line 99", "line 100", "line 101"]);
}

#[test]
fn lines_that_are_read_stay_when_others_take_their_place() {
    let mut scrolling = with_lines(0..100);
    scrolling.handle_motion(Motion::PageUp, &live());
    scrolling.handle_motion(Motion::PageUp, &live());
    let before = shown(&scrolling);
    scrolling.handle_entry(ScrollbackEntry::Start { source: 2 });
    for entry in lines(0..3) {
        scrolling.handle_entry(entry);
    }
    assert_eq!(shown(&scrolling), before);
    scrolling.handle_motion(Motion::PageUp, &live());
    assert_eq!(shown(&scrolling)[1], "line 92");
    for _ in 0..3 {
        scrolling.handle_motion(Motion::PageDown, &live());
    }
    assert!(!scrolling.is_scrolled());
    scrolling.handle_motion(Motion::Oldest, &live());
    assert_eq!(shown(&scrolling)[..4], ["line 0         [3/3]", "line 1", "line 2", "live 1"]);
    // A view of which the live screen is a part has nothing to stay for.
    scrolling.handle_forgotten();
    assert!(!scrolling.is_scrolled() && !scrolling.has_lines());
}

#[test]
fn without_lines_or_place_nothing_scrolls() {
    let mut scrolling = Scrolling::default();
    assert!(!scrolling.handle_motion(Motion::PageUp, &live()));
    scrolling.handle_entry(ScrollbackEntry::Place(PLACE));
    assert!(!scrolling.handle_motion(Motion::Oldest, &live()));
    assert!(!scrolling.is_scrolled());
}

proptest! {
    #[test]
    fn whatever_comes_is_drawn_and_never_beyond_the_lines(
        steps in prop::collection::vec((0u8..9, 0u64..200, 1u64..60), 1..60),
    ) {
        let mut scrolling = with_lines(50..100);
        for (what, first, count) in steps {
            match what {
                0 => drop(scrolling.handle_entry(ScrollbackEntry::Start { source: 1 })),
                1 => scrolling.handle_forgotten(),
                2 => {
                    let (left, top) = (first as u16 % 30, count as u16 % 8);
                    let place = Place { left, top, cols: first as u16, rows: 4, ..PLACE };
                    scrolling.handle_entry(ScrollbackEntry::Place(place));
                }
                3 => lines(first..first + count).into_iter().for_each(|entry| {
                    scrolling.handle_entry(entry);
                }),
                4 => drop(scrolling.handle_motion(Motion::Up(count as u16), &live())),
                5 => drop(scrolling.handle_motion(Motion::Down(count as u16), &live())),
                6 => drop(scrolling.handle_motion(Motion::PageUp, &live())),
                7 => drop(scrolling.handle_motion(Motion::Oldest, &live())),
                _ => drop(scrolling.handle_motion(Motion::PageDown, &live())),
            }
            prop_assert_eq!(scrolling.overlay(live()).size(), SIZE);
            if let Some(View { top, held }) = &scrolling.view {
                let range = held.as_ref().unwrap_or(&scrolling.kept).range();
                prop_assert!(held.is_none() || range.contains(top));
            }
        }
    }
}
