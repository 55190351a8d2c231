//! Files for programs to show.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// A text of `count` numbered lines, each different.
pub fn numbered_lines(count: usize) -> String {
    let mut text = String::new();
    for number in 1..=count {
        let word = ["alder", "birch", "cedar", "dogwood", "elm"][number % 5];
        writeln!(text, "{number:04} {word} {}", "-".repeat(number * 7 % 40)).expect("a String");
    }
    text
}

/// Every one of the 256 colours as background and as foreground.
pub fn indexed_colors() -> String {
    let mut text = String::new();
    for index in 0..256 {
        write!(text, "\x1b[48;5;{index}m \x1b[0m\x1b[38;5;{index}m#\x1b[0m").expect("a String");
        if index % 32 == 31 {
            text.push('\n');
        }
    }
    text
}

/// A gradient of 24-bit colours, and the attributes that terminals know.
pub fn rich_text() -> String {
    let mut text = String::new();
    for column in 0..76 {
        let (r, g, b) = (column * 3, 255 - column * 3, (column * 7) % 256);
        write!(text, "\x1b[48;2;{r};{g};{b}m\x1b[38;2;{b};{r};{g}m+").expect("a String");
    }
    text +=
        "\x1b[0m\n\x1b[1mbold\x1b[0m \x1b[2mdim\x1b[0m \x1b[3mitalic\x1b[0m \x1b[5mblink\x1b[0m ";
    text += "\x1b[7minverse\x1b[0m \x1b[8mhidden\x1b[0m \x1b[9mstruck\x1b[0m\n";
    for style in 1..=5 {
        write!(text, "\x1b[4:{style}munder{style}\x1b[0m ").expect("a String");
    }
    text += "\x1b[4:3m\x1b[58:2::255:100:0mcoloured\x1b[0m \x1b[4m\x1b[58:5:33mindexed\x1b[0m\n";
    text += "\x1b[44mblue to the end\x1b[K\x1b[0m\n\x1b[1;3;4;7;38;5;208mall at once\x1b[0m\n";
    text
}

/// Wide, combining and many-part characters.
pub fn wide_text() -> String {
    [
        "日本語のテキスト, 中文字符, 한국어 텍스트|",
        "ｆｕｌｌｗｉｄｔｈ ﾊﾝｶｸ ①②③|",
        "e\u{301} a\u{308} n\u{303} o\u{302}\u{323} (combining)|",
        "🙂🚀🎉 emoji ❤ ✓ ☂|",
        "русский ελληνικά ไทย|",
        "▁▂▃▄▅▆▇█ ┌─┬─┐ ╔═╗ ░▒▓|",
    ]
    .join("\n")
        + "\n"
}

/// Puts the fixtures into a folder: `lines.txt`, `colors.txt`, `rich.txt`, `wide.txt`.
pub fn write_into(folder: &Path) {
    for (name, text) in [
        ("lines.txt", numbered_lines(400)),
        ("colors.txt", indexed_colors()),
        ("rich.txt", rich_text()),
        ("wide.txt", wide_text()),
    ] {
        fs::write(folder.join(name), text).expect("the sandbox can be written");
    }
}
