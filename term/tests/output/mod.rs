//! Draws what a program might write.

use proptest::prelude::*;
use tern_term::Size;

/// Size of the screen at first.
pub(crate) const SIZE: Size = Size { cols: 24, rows: 10 };

/// What happens to a screen.
#[derive(Clone)]
pub(crate) enum Step {
    /// The program writes.
    Write(Vec<u8>),
    /// The window changes.
    Resize(Size),
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(bytes) => write!(f, "Write({:?})", String::from_utf8_lossy(bytes)),
            Self::Resize(size) => write!(f, "{size:?}"),
        }
    }
}

/// A few steps, each of a few sequences.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = prop::collection::vec(piece(), 1..12)
        .prop_map(|pieces| Step::Write(pieces.concat().into_bytes()));
    let resize = (1..40u16, 1..16u16).prop_map(|(cols, rows)| Step::Resize(Size { cols, rows }));
    prop::collection::vec(prop_oneof![8 => write, 1 => resize], 1..8)
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => text(),
        4 => sgr(),
        4 => motion(),
        3 => erase(),
        3 => scroll(),
        2 => mode(),
        1 => osc(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "a",
        "hello world ",
        "0123456789",
        "   ",
        "          ",
        "日本語",
        "é",
        "e\u{301}",
        "ﬁ",
        "─────",
        "│",
        "•",
        "🙂",
        "❤\u{fe0f}",
        "👩\u{200d}🚀",
        "👍🏽",
        "🇩🇪",
        "\u{1f1e9}",
        "นี้",
        "가",
        "\u{e0b0}",
        "x\u{336}",
        "\t",
        "\r\n",
        "\n",
        "\r",
        "\x08",
        "line of text\r\n",
        "\x07",
        "\x0eqqxx\x0f",
    ]);
    prop::collection::vec(words, 1..8).prop_map(|words| words.concat())
}

fn sgr() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            0, 1, 2, 3, 4, 5, 7, 8, 9, 21, 22, 23, 24, 25, 27, 28, 29, 39, 49, 53, 55, 59
        ])
        .prop_map(|code| format!("\x1b[{code}m")),
        (30..38u8).prop_map(|code| format!("\x1b[{code}m")),
        (40..48u8).prop_map(|code| format!("\x1b[{code}m")),
        (90..98u8).prop_map(|code| format!("\x1b[{code};1m")),
        any::<u8>().prop_map(|n| format!("\x1b[38;5;{n}m")),
        any::<u8>().prop_map(|n| format!("\x1b[48;5;{n}m")),
        any::<[u8; 3]>().prop_map(|[r, g, b]| format!("\x1b[38;2;{r};{g};{b}m")),
        any::<[u8; 3]>().prop_map(|[r, g, b]| format!("\x1b[48;2;{r};{g};{b}m")),
        any::<[u8; 3]>().prop_map(|[r, g, b]| format!("\x1b[58:2::{r}:{g}:{b}m")),
        (0..6u8).prop_map(|n| format!("\x1b[4:{n}m")),
        Just("\x1b[m".to_owned()),
    ]
}

fn motion() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (1..12u8, 1..28u8).prop_map(|(row, col)| format!("\x1b[{row};{col}H")),
        2 => (1..6u8, prop::sample::select(vec!['A', 'B', 'C', 'D', 'E', 'F', 'G', 'I', 'Z', 'a', 'd']))
            .prop_map(|(n, action)| format!("\x1b[{n}{action}")),
        1 => prop::sample::select(vec!["\x1b7", "\x1b8", "\x1b[s", "\x1b[u", "\x1bH", "\x1b[3g"])
            .prop_map(str::to_owned),
    ]
}

fn erase() -> impl Strategy<Value = String> {
    let mode = (0..3u8, prop::sample::select(vec!['J', 'K']))
        .prop_map(|(n, action)| format!("\x1b[{n}{action}"));
    let count = (1..12u8, prop::sample::select(vec!['X', 'P', '@', 'b']))
        .prop_map(|(n, action)| format!("\x1b[{n}{action}"));
    prop_oneof![mode, count]
}

fn scroll() -> impl Strategy<Value = String> {
    prop_oneof![
        (1..6u8, 4..12u8).prop_map(|(top, bottom)| format!("\x1b[{top};{bottom}r")),
        Just("\x1b[r".to_owned()),
        (1..5u8, prop::sample::select(vec!['L', 'M', 'S', 'T']))
            .prop_map(|(n, action)| format!("\x1b[{n}{action}")),
        prop::sample::select(vec!["\x1bM", "\x1bD", "\x1bE", "\n\n\n", "\x1b#8"])
            .prop_map(str::to_owned),
        Just(
            "one\r\ntwo\r\nthree\r\nfour\r\nfive\r\nsix\r\nseven\r\neight\r\nnine\r\nten"
                .to_owned()
        ),
    ]
}

fn mode() -> impl Strategy<Value = String> {
    let numbers = vec![
        1, 3, 6, 7, 12, 25, 47, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1047, 1048, 1049, 2004,
        2026,
    ];
    let private = (prop::sample::select(numbers), any::<bool>())
        .prop_map(|(mode, is_set)| format!("\x1b[?{mode}{}", if is_set { 'h' } else { 'l' }));
    let other = prop::sample::select(vec![
        "\x1b[4h",
        "\x1b[4l",
        "\x1b[20h",
        "\x1b[20l",
        "\x1b=",
        "\x1b>",
        "\x1b[!p",
        "\x1bc",
        "\x1b[2 q",
        "\x1b[5 q",
        "\x1b[0 q",
        "\x1b(0",
        "\x1b(B",
        "\x1b[6n",
        "\x1b[c",
        "\x1b[>q",
        "\x1b[?2026$p",
        "\x1b[18t",
    ]);
    prop_oneof![private, other.prop_map(str::to_owned)]
}

fn osc() -> impl Strategy<Value = String> {
    let osc = prop::sample::select(vec![
        "\x1b]2;a title\x07",
        "\x1b]0;\x1b\\",
        "\x1b[22;0t",
        "\x1b[23;0t",
        "\x1b]8;;https://example.org/\x07",
        "\x1b]8;id=x;https://example.org/a;b\x1b\\",
        "\x1b]8;;\x07",
        "\x1b]52;c;aGVsbG8=\x07",
        "\x1b]52;;?\x07",
        "\x1b]11;?\x07",
        "\x1bP$qm\x1b\\",
    ]);
    osc.prop_map(str::to_owned)
}
