//! Windows and panes, from tmux's lists to a [`Topology`].

use tern_sync::session::{
    ALL_PANES_MAX, ALL_TEXT_SIZE_MAX, LAYOUT_SIZE_MAX, NAME_SIZE_MAX, PANES_MAX, Pane, Topology,
    WINDOWS_MAX, Window,
};

/// Format of one line for `list-windows`. Names come last: they may hold anything but line ends.
pub const WINDOW_FORMAT: &str =
    "w\t#{window_id}\t#{window_index}\t#{window_active}\t#{window_visible_layout}\t#{window_name}";
/// Format of one line for `list-panes -s`.
pub const PANE_FORMAT: &str = "p\t#{window_id}\t#{pane_id}\t#{pane_active}\t#{pane_width}\t\
                               #{pane_height}\t#{pane_left}\t#{pane_top}\t#{pane_title}";

/// Builds a topology from the lines of both lists, in this order. Lines that aren't ours
/// (notifications may stand inside a reply) or don't parse are passed over.
pub fn parse<'a>(session_name: &str, lines: impl Iterator<Item = &'a str>) -> Topology {
    let mut windows: Vec<Window> = Vec::new();
    let (mut text_size, mut panes_count) = (0, 0);
    for line in lines {
        text_size += line.len();
        if text_size > ALL_TEXT_SIZE_MAX || panes_count >= ALL_PANES_MAX {
            break;
        }
        if let Some(window) = line.strip_prefix("w\t").and_then(window) {
            if windows.len() < WINDOWS_MAX {
                windows.push(window);
            }
        } else if let Some((id, pane)) = line.strip_prefix("p\t").and_then(pane)
            && let Some(window) = windows.iter_mut().find(|window| window.id == id)
            && window.panes.len() < PANES_MAX
        {
            window.panes.push(pane);
            panes_count += 1;
        }
    }
    Topology { session_name: cut(session_name, NAME_SIZE_MAX), windows }
}

fn window(line: &str) -> Option<Window> {
    let mut fields = line.splitn(5, '\t');
    let mut field = || fields.next();
    Some(Window {
        id: field()?.strip_prefix('@')?.parse().ok()?,
        index: field()?.parse().ok()?,
        is_active: field()? == "1",
        layout: cut(field()?, LAYOUT_SIZE_MAX),
        name: cut(field()?, NAME_SIZE_MAX),
        panes: Vec::new(),
    })
}

/// The pane, and the number of its window.
fn pane(line: &str) -> Option<(u32, Pane)> {
    let mut fields = line.splitn(8, '\t');
    let mut field = || fields.next();
    let window = field()?.strip_prefix('@')?.parse().ok()?;
    let pane = Pane {
        id: field()?.strip_prefix('%')?.parse().ok()?,
        is_active: field()? == "1",
        size: (field()?.parse().ok()?, field()?.parse().ok()?),
        offset: (field()?.parse().ok()?, field()?.parse().ok()?),
        title: cut(field()?, NAME_SIZE_MAX),
    };
    Some((window, pane))
}

/// At most `size_max` bytes of `text`, whole characters.
fn cut(text: &str, size_max: usize) -> String {
    let end = (0..=size_max.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_become_windows_with_their_panes() {
        let lines = [
            "w\t@0\t0\t0\ta87d,100x30,0,0,0\tbash",
            "w\t@3\t7\t1\t55d2,100x30,0,0{50x30,0,0,1,49x30,51,0,2}\tmy\twindow",
            "%pause %1",
            "p\t@0\t%0\t1\t100\t30\t0\t0\tvm",
            "p\t@3\t%1\t0\t50\t30\t0\t0\t",
            "p\t@3\t%2\t1\t49\t30\t51\t0\ttitle with\ttab",
            "p\t@9\t%5\t1\t49\t30\t51\t0\tof no window",
            "p\t@3\t%x\t1\t49\t30\t51\t0\tnonsense",
        ];
        let topology = parse("work", lines.into_iter());
        assert_eq!(topology.session_name, "work");
        assert_eq!(topology.windows.len(), 2);
        let window = &topology.windows[1];
        assert_eq!((window.id, window.index, window.is_active), (3, 7, true));
        assert_eq!(window.name, "my\twindow");
        assert_eq!(window.panes.len(), 2);
        assert_eq!(window.panes[1].size, (49, 30));
        assert_eq!(window.panes[1].offset, (51, 0));
        assert_eq!(window.panes[1].title, "title with\ttab");
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        let name = "é".repeat(NAME_SIZE_MAX);
        let line = format!("w\t@0\t0\t1\tlayout\t{name}x");
        let topology = parse("", [line.as_str()].into_iter());
        assert_eq!(topology.windows[0].name, "é".repeat(NAME_SIZE_MAX / 2));
    }

    proptest! {
        #[test]
        fn any_lines_are_read_without_a_panic(lines in prop::collection::vec("[wp]\t.{0,60}", 0..20)) {
            let topology = parse("x", lines.iter().map(String::as_str));
            prop_assert!(topology.windows.len() <= WINDOWS_MAX);
        }
    }
}
