//! Plots as SVG, written by hand: two kinds, a hundred lines. A plotting library would bring its own
//! look, fonts and a dozen crates for what are axes, steps and dots here.

use std::fmt::Write as _;

/// Size of a plot, and the margins around its axes, in pixels.
const SIZE: (f64, f64) = (760.0, 380.0);
const LEFT: f64 = 64.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;
/// Least way, in pixels, between two steps of a curve.
const STEP_MIN: f64 = 0.4;
/// One for each system, told apart by people who are colour-blind too (Okabe and Ito's).
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
/// Between the names at the right edge.
const NAME_HEIGHT: f64 = 16.0;

/// Where an axis of echo times over a path of 100 ms begins.
pub(crate) const ECHO_MS_MIN: f64 = 50.0;

/// A system's line: time in seconds, and milliseconds until the echo (`None`: never).
pub(crate) struct Line<'a> {
    /// Its name.
    pub name: &'a str,
    /// In the order of time.
    pub points: Vec<(f64, Option<f64>)>,
}

/// Something that lasted, or (where both ends are the same) happened.
pub(crate) struct Span {
    /// Begin, in seconds.
    pub from_s: f64,
    /// End.
    pub to_s: f64,
    /// What it was.
    pub text: &'static str,
}

/// Cumulative distributions of times in milliseconds, over a logarithmic axis that begins with
/// `from_ms`. What never came
/// keeps its line from reaching the top.
pub(crate) fn distributions(
    title: &str,
    from_ms: f64,
    curves: &[(&str, Vec<Option<f64>>)],
) -> String {
    let largest = curves.iter().flat_map(|(_, times)| times.iter().flatten()).copied();
    let largest = largest.fold(1000.0, f64::max);
    let x = Scale::logarithmic(from_ms, largest * 1.2, LEFT, SIZE.0 - RIGHT);
    let y = Scale::linear(0.0, 100.0, SIZE.1 - BOTTOM, TOP);
    let mut svg = Svg::new(title);
    svg.axes(
        &x,
        "milliseconds from key to echo",
        &y,
        "% of keys",
        &[0.0, 25.0, 50.0, 75.0, 90.0, 100.0],
    );
    for (number, (name, times)) in curves.iter().enumerate() {
        let mut sorted: Vec<f64> = times.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let (mut path, mut last) = (String::new(), f64::NEG_INFINITY);
        for (rank, time) in sorted.iter().enumerate() {
            let share = |count: usize| y.at(100.0 * count as f64 / times.len().max(1) as f64);
            let command = if rank == 0 { 'M' } else { 'L' };
            let at = x.at(*time);
            // Thousands of keys: what nobody can see is left out.
            if at - last >= STEP_MIN || rank + 1 == sorted.len() {
                let _ =
                    write!(path, "{command}{at:.1},{:.1} V{:.1} ", share(rank), share(rank + 1));
                last = at;
            }
        }
        svg.path(&path, COLOURS[number % COLOURS.len()]);
        svg.name(number, name);
    }
    svg.end()
}

/// Echo times over the time of typing, with what happened meanwhile.
pub(crate) fn timeline(title: &str, lines: &[Line<'_>], spans: &[Span]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let end = points().map(|(at, _)| *at).fold(1.0, f64::max);
    let largest = points().filter_map(|(_, delay)| *delay).fold(1000.0, f64::max);
    let x = Scale::linear(0.0, end, LEFT, SIZE.0 - RIGHT);
    let y = Scale::logarithmic(ECHO_MS_MIN, largest * 1.2, SIZE.1 - BOTTOM, TOP);
    let mut svg = Svg::new(title);
    for span in spans {
        svg.span(x.at(span.from_s), x.at(span.to_s), span.text);
    }
    svg.axes(&x, "seconds, at which a key was typed", &y, "ms to its echo", &y.ticks());
    for (number, line) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        for (at, delay) in &line.points {
            match delay {
                Some(delay) => svg.dot(x.at(*at), y.at(*delay), colour),
                // Above the plot: never.
                None => svg.cross(x.at(*at), TOP - 4.0, colour),
            }
        }
        svg.name(number, line.name);
    }
    svg.end()
}

/// From values to pixels.
struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    is_logarithmic: bool,
}

impl Scale {
    fn linear(from: f64, to: f64, start: f64, end: f64) -> Self {
        Self { from, to, start, end, is_logarithmic: false }
    }

    fn logarithmic(from: f64, to: f64, start: f64, end: f64) -> Self {
        Self { from, to, start, end, is_logarithmic: true }
    }

    /// Where a value stands; what is beyond an end stands at the end.
    fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.from, self.to);
        let part = if self.is_logarithmic {
            (value / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        self.start + part * (self.end - self.start)
    }

    /// Round values along it: 1, 2, 5 of each power of ten, or some ten equal steps.
    fn ticks(&self) -> Vec<f64> {
        if self.is_logarithmic {
            let powers = (-1..7).map(|power| 10_f64.powi(power));
            let all = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * power));
            return all.filter(|tick| (self.from..=self.to).contains(tick)).collect();
        }
        let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0];
        let step = steps.into_iter().find(|step| (self.to - self.from) / step <= 12.0);
        let step = step.unwrap_or(1000.0);
        let count = ((self.to - self.from) / step) as u32;
        (0..=count).map(|number| self.from + f64::from(number) * step).collect()
    }
}

/// An SVG that is being written.
struct Svg(String);

impl Svg {
    fn new(title: &str) -> Self {
        let (width, height) = SIZE;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        let title = escape(title);
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>");
        Self(svg)
    }

    fn axes(&mut self, x: &Scale, x_title: &str, y: &Scale, y_title: &str, y_ticks: &[f64]) {
        let (bottom, right) = (SIZE.1 - BOTTOM, SIZE.0 - RIGHT);
        for tick in x.ticks() {
            let at = x.at(tick);
            self.rule((at, TOP), (at, bottom));
            let text = format!(
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}</text>",
                bottom + 16.0
            );
            let _ = writeln!(self.0, "{text}");
        }
        for tick in y_ticks {
            let at = y.at(*tick);
            self.rule((LEFT, at), (right, at));
            let text = format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
                LEFT - 6.0,
                at + 4.0
            );
            let _ = writeln!(self.0, "{text}");
        }
        let (middle, low) = ((LEFT + right) / 2.0, SIZE.1 - 12.0);
        let _ = writeln!(
            self.0,
            "<text x=\"{middle:.1}\" y=\"{low:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"14\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {:.1})\">{}</text>",
            escape(x_title),
            SIZE.1 / 2.0,
            SIZE.1 / 2.0,
            escape(y_title)
        );
    }

    fn rule(&mut self, from: (f64, f64), to: (f64, f64)) {
        let _ = writeln!(
            self.0,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    fn path(&mut self, path: &str, colour: &str) {
        if !path.is_empty() {
            let path = path.trim_end();
            let _ = writeln!(
                self.0,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            );
        }
    }

    fn dot(&mut self, x: f64, y: f64, colour: &str) {
        let _ = writeln!(
            self.0,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.2\" fill=\"{colour}\" fill-opacity=\"0.7\"/>"
        );
    }

    fn cross(&mut self, x: f64, y: f64, colour: &str) {
        let (left, right, top, bottom) = (x - 2.5, x + 2.5, y - 2.5, y + 2.5);
        let _ = writeln!(
            self.0,
            "<path d=\"M{left:.1},{top:.1} L{right:.1},{bottom:.1} M{left:.1},{bottom:.1} \
             L{right:.1},{top:.1}\" stroke=\"{colour}\"/>"
        );
    }

    fn span(&mut self, from: f64, to: f64, text: &str) {
        let (height, width) = (SIZE.1 - BOTTOM - TOP, (to - from).max(1.5));
        let _ = writeln!(
            self.0,
            "<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"#f0e442\" fill-opacity=\"0.5\"/>\n<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            from + 3.0,
            SIZE.1 - BOTTOM - 6.0,
            escape(text)
        );
    }

    fn name(&mut self, number: usize, name: &str) {
        let (x, y) = (SIZE.0 - RIGHT + 12.0, TOP + 12.0 + NAME_HEIGHT * number as f64);
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{}\" font-weight=\"bold\">{}</text>",
            COLOURS[number % COLOURS.len()],
            escape(name)
        );
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_their_ends_and_what_is_beyond() {
        let scale = Scale::logarithmic(10.0, 1000.0, 0.0, 100.0);
        assert!((scale.at(100.0) - 50.0).abs() < 1e-9);
        assert!((scale.at(1e9) - 100.0).abs() < 1e-9);
        assert_eq!(scale.ticks(), [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]);
        assert_eq!(Scale::linear(0.0, 10.0, 0.0, 1.0).ticks().len(), 11);
    }

    #[test]
    fn distribution_ends_below_the_top_where_something_never_came() {
        let top = format!("V{TOP:.1}");
        let all = distributions("all", ECHO_MS_MIN, &[("a", vec![Some(100.0), Some(200.0)])]);
        assert!(all.contains(&top), "{all}");
        let some = distributions("some", ECHO_MS_MIN, &[("a", vec![Some(100.0), None])]);
        assert!(!some.contains(&top), "{some}");
    }

    #[test]
    fn plots_of_nothing_are_still_whole() {
        for svg in
            [distributions("none", ECHO_MS_MIN, &[("a", Vec::new())]), timeline("none", &[], &[])]
        {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn timeline_shows_spans_echoes_and_what_never_came() {
        let points = vec![(1.0, Some(100.0)), (2.0, None)];
        let span = Span { from_s: 1.5, to_s: 3.0, text: "no <network>" };
        let svg = timeline("roam", &[Line { name: "Tern", points }], &[span]);
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(svg.contains("no &lt;network&gt;") && svg.contains(">Tern<"));
    }
}
