//! Makes the README's picture from a real run: a host and a viewer, what their terminals show.
//!
//! `cargo run -p tern-tests --bin picture > docs/share.svg` (after a build of the binaries).

use std::fmt::Write as _;
use tern_tests::screen::{Cell, Color, Screen};
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, Relay, Viewer, ViewerOptions, World};

const CELL_WIDTH: f64 = 7.2;
const CELL_HEIGHT: f64 = 15.0;
const MARGIN: f64 = 12.0;
const TITLE_HEIGHT: f64 = 26.0;
const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d7dae0";

/// The first 16 of the palette; the rest is xterm's.
const PALETTE: [&str; 16] = [
    "#16181d", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf",
    "#5c6370", "#ef7f88", "#a9d48a", "#f0cf8f", "#7bbef7", "#d191e8", "#6fc9d4", "#ffffff",
];

fn main() {
    let world = World::new();
    let relay = Relay::start(&world);
    let options = HostOptions { size: (74, 22), ..HostOptions::default() };
    let host = Host::share_with(&world, Some(&relay), options);
    let options = ViewerOptions { size: (74, 22), ..ViewerOptions::default() };
    let viewer = Viewer::open(&world, &host.read_write, options);
    viewer.wait_until_same(&host);

    let copy = world.folder().join("session.rs");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../sync/src/session.rs");
    std::fs::copy(source, &copy).expect("the sandbox can be written");
    let shows = |text: &str| wait_until_shows(&world, &host.terminal, text);
    viewer.terminal.enter_line("PS1='pair$ '; clear");
    shows("pair$");
    viewer.terminal.enter_line("echo 'the viewer types: 你好 👋'");
    shows("\nthe viewer types");
    host.terminal.enter_line("printf '\\e[38;2;255;140;0mso does the host\\e[0m\\n'");
    shows("\nso does the host");
    let vim = "vim -u NONE -c 'syntax on' -c 'set nowrap' -c 28 session.rs";
    let folder = world.folder().display();
    host.tmux(&["split-window", "-h", "-l", "40", &format!("cd {folder} && {vim}")]);
    viewer.wait_until_shows("ViewerId");
    host.tmux(&["split-window", "-v", "-t", ":.0", "-l", "10", "top -d 60"]);
    viewer.wait_until_shows("Tasks:");
    host.tmux(&["select-pane", "-R"]);
    viewer.wait_until_same(&host);
    print!(
        "{}",
        picture(&[("host: tern", &host.terminal.screen()), ("viewer: ssh", &viewer.screen())])
    );
}

fn picture(windows: &[(&str, &Screen)]) -> String {
    let size = |screen: &Screen| {
        (f64::from(screen.size.0) * CELL_WIDTH, f64::from(screen.size.1) * CELL_HEIGHT)
    };
    let width: f64 =
        windows.iter().map(|(_, screen)| size(screen).0 + 3.0 * MARGIN).sum::<f64>() + MARGIN;
    let height = windows.iter().map(|(_, screen)| size(screen).1).fold(0.0, f64::max)
        + TITLE_HEIGHT
        + 4.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" \
         font-size=\"12\">\n"
    );
    let mut left = MARGIN;
    for (title, screen) in windows {
        let (inner_width, inner_height) = size(screen);
        draw_window(
            &mut svg,
            title,
            left,
            inner_width + 2.0 * MARGIN,
            inner_height + 2.0 * MARGIN + TITLE_HEIGHT,
        );
        for (row, cells) in screen.rows.iter().enumerate() {
            let top = MARGIN + TITLE_HEIGHT + MARGIN + row as f64 * CELL_HEIGHT;
            draw_row(&mut svg, left + MARGIN, top, cells);
        }
        left += inner_width + 3.0 * MARGIN;
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_window(svg: &mut String, title: &str, left: f64, width: f64, height: f64) {
    let top = MARGIN;
    let _ = writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"8\" fill=\"{BACKGROUND}\" stroke=\"#3a3f4b\"/>"
    );
    for (index, color) in ["#e06c75", "#e5c07b", "#98c379"].iter().enumerate() {
        let x = left + 16.0 + index as f64 * 16.0;
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"5\" fill=\"{color}\"/>",
            top + 14.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#8b92a0\" text-anchor=\"middle\">{}</text>",
        left + width / 2.0,
        top + 18.0,
        escape(title)
    );
}

/// Backgrounds first, then runs of equal foreground; every run is placed at its column.
fn draw_row(svg: &mut String, left: f64, top: f64, cells: &[Cell]) {
    let mut column = 0;
    let mut run: Option<(usize, usize, String, String)> = None;
    let mut texts = Vec::new();
    for cell in cells {
        let (foreground, background) = colors(cell);
        if background != BACKGROUND {
            let x = left + column as f64 * CELL_WIDTH;
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{CELL_HEIGHT:.1}\" fill=\"{background}\"/>",
                cell.width as f64 * CELL_WIDTH + 0.2
            );
        }
        let style = format!(
            "fill=\"{foreground}\"{}",
            if cell.style.flags.contains(&1) { " font-weight=\"bold\"" } else { "" }
        );
        match &mut run {
            Some((_, end, text, of))
                if *of == style
                    && *end == column
                    && cell.width == 1
                    && text.is_ascii()
                    && cell.text.is_ascii() =>
            {
                text.push_str(&cell.text);
                *end += 1;
            }
            _ => {
                texts.extend(run.take());
                run = Some((column, column + cell.width, cell.text.clone(), style));
            }
        }
        column += cell.width;
    }
    texts.extend(run);
    for (start, end, text, style) in
        texts.into_iter().filter(|(_, _, text, _)| !text.trim().is_empty())
    {
        let x = left + start as f64 * CELL_WIDTH;
        let length = (end - start) as f64 * CELL_WIDTH;
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" {style} textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{}</text>",
            top + 11.5,
            escape(&text)
        );
    }
}

fn colors(cell: &Cell) -> (String, String) {
    let foreground = hex(cell.style.foreground, FOREGROUND);
    let background = hex(cell.style.background, BACKGROUND);
    if cell.style.flags.contains(&7) { (background, foreground) } else { (foreground, background) }
}

fn hex(color: Color, default: &str) -> String {
    match color {
        Color::Default => default.to_string(),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Indexed(index @ 0..16) => PALETTE[usize::from(index)].to_string(),
        Color::Indexed(index @ 16..232) => {
            let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let index = index - 16;
            let (r, g, b) = (level(index / 36), level(index / 6 % 6), level(index % 6));
            format!("#{r:02x}{g:02x}{b:02x}")
        }
        Color::Indexed(index) => {
            let gray = 8 + 10 * (index - 232);
            format!("#{gray:02x}{gray:02x}{gray:02x}")
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
