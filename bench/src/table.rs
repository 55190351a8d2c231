//! The table of a run: rows with a figure for each system and a target, printed and as JSON.

use serde::Serialize;
use std::collections::BTreeMap;

/// A figure, or why there is none ("never", "not yet").
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Figure {
    /// In the row's unit.
    Value(f64),
    /// Why there is no value.
    None(String),
}

impl Figure {
    /// Nothing to measure.
    pub(crate) fn not_applicable() -> Self {
        Self::None("n/a".into())
    }

    fn text(&self) -> String {
        match self {
            Self::Value(value) => {
                let digits = match value.abs() {
                    size if size >= 100.0 => 0,
                    size if size >= 10.0 => 1,
                    _ => 2,
                };
                format!("{value:.digits$}")
            }
            Self::None(why) => why.clone(),
        }
    }
}

impl From<f64> for Figure {
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Value(value) } else { Self::None("never".into()) }
    }
}

/// What Tern is to reach: so much, or so many times another system's figure, or less.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// In the row's unit.
    AtMost(f64),
    /// In the row's unit.
    AtLeast(f64),
    /// So many times mosh's figure.
    TimesMosh(f64),
    /// None of its own: it explains another row.
    Informative,
}

/// A row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// For programs.
    pub key: String,
    /// What is measured, with its unit.
    pub title: String,
    /// By system.
    pub figures: BTreeMap<String, Figure>,
    /// For Tern's host and for its guest.
    pub target: Target,
    /// Whether both did, as far as they were measured.
    pub is_reached: Option<bool>,
}

/// All rows of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

/// Who is to reach the targets.
const OURS: [&str; 2] = ["Tern", "tern join"];
/// Width of a row's title and of each figure, in columns.
const TITLE_WIDTH: usize = 68;
const FIGURE_WIDTH: usize = 10;

impl Table {
    /// Adds a row and prints it.
    pub(crate) fn add(
        &mut self,
        key: &str,
        title: &str,
        figures: impl IntoIterator<Item = (&'static str, Figure)>,
        target: Target,
    ) {
        let figures: BTreeMap<String, Figure> =
            figures.into_iter().map(|(system, figure)| (system.to_owned(), figure)).collect();
        let value = |system: &str| match figures.get(system) {
            Some(Figure::Value(value)) => Some(*value),
            Some(Figure::None(_)) | None => None,
        };
        let limit = match target {
            Target::AtMost(limit) | Target::AtLeast(limit) => Some(limit),
            Target::TimesMosh(times) => value("mosh").map(|mosh| mosh * times),
            Target::Informative => None,
        };
        let is_within = |value: f64, limit: f64| match target {
            Target::AtLeast(_) => value >= limit,
            Target::AtMost(_) | Target::TimesMosh(_) | Target::Informative => value <= limit,
        };
        let is_measured = |system: &&str| figures.get(*system) != Some(&Figure::not_applicable());
        let ours = OURS.into_iter().filter(|system| figures.contains_key(*system));
        let ours: Vec<&str> = ours.filter(is_measured).collect();
        let is_reached = limit.filter(|_| !ours.is_empty()).map(|limit| {
            ours.iter().all(|system| value(system).is_some_and(|value| is_within(value, limit)))
        });
        let (key, title) = (key.to_owned(), title.to_owned());
        let row = Row { key, title, figures, target, is_reached };
        if self.rows.is_empty() {
            println!("{}", head());
        }
        println!("{}", line(&row, limit));
        self.rows.push(row);
    }

    /// Rows whose target Tern missed.
    pub(crate) fn missed(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.is_reached == Some(false))
    }
}

fn head() -> String {
    let names: String = ["Tern", "tern join", "mosh", "ssh", "Tern/mosh", "Tern/ssh", "target"]
        .map(|name| format!("{name:>FIGURE_WIDTH$}"))
        .concat();
    format!("{:TITLE_WIDTH$}{names}", "")
}

fn line(row: &Row, limit: Option<f64>) -> String {
    let figure = |system: &str| row.figures.get(system);
    let text = |system| figure(system).map_or_else(|| "-".to_owned(), Figure::text);
    let ratio = |other| match (figure("Tern"), figure(other)) {
        (Some(Figure::Value(tern)), Some(Figure::Value(other))) if *other > 0.0 => {
            format!("{:.2}", tern / other)
        }
        _ => "-".to_owned(),
    };
    let target = limit.map_or_else(|| "-".to_owned(), |limit| Figure::Value(limit).text());
    let verdict = match row.is_reached {
        Some(true) => "  reached",
        Some(false) => "  MISSED",
        None => "",
    };
    let figures = ["Tern", "tern join", "mosh", "ssh"].map(text);
    let cells = figures.into_iter().chain([ratio("mosh"), ratio("ssh"), target]);
    let cells: String = cells.map(|cell| format!("{cell:>FIGURE_WIDTH$}")).collect();
    format!("{:TITLE_WIDTH$}{cells}{verdict}", row.title)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_of(tern: Figure, mosh: Figure, target: Target) -> Row {
        let mut table = Table::default();
        table.add("key", "title", [("Tern", tern), ("mosh", mosh)], target);
        table.rows.remove(0)
    }

    #[test]
    fn target_is_reached_by_what_is_not_above_it() {
        let at_most = |tern: f64| row_of(tern.into(), 9.0.into(), Target::AtMost(2.0)).is_reached;
        assert_eq!(at_most(2.0), Some(true));
        assert_eq!(at_most(2.1), Some(false));
        let times = |tern: f64| row_of(tern.into(), 9.0.into(), Target::TimesMosh(2.0)).is_reached;
        assert_eq!(times(18.0), Some(true));
        assert_eq!(times(18.1), Some(false));
        let at_least = |tern: f64| row_of(tern.into(), 9.0.into(), Target::AtLeast(2.0)).is_reached;
        assert_eq!(at_least(2.0), Some(true));
        assert_eq!(at_least(1.9), Some(false));
    }

    #[test]
    fn target_is_reached_if_host_and_guest_reach_it() {
        let row = |join: Figure| {
            let mut table = Table::default();
            let figures = [("Tern", 1.0.into()), ("tern join", join)];
            table.add("key", "title", figures, Target::AtMost(2.0));
            table.rows.remove(0).is_reached
        };
        assert_eq!(row(2.0.into()), Some(true));
        assert_eq!(row(2.1.into()), Some(false));
        assert_eq!(row(f64::INFINITY.into()), Some(false));
        assert_eq!(row(Figure::not_applicable()), Some(true));
    }

    #[test]
    fn what_never_came_misses_every_target() {
        let never = Figure::from(f64::INFINITY);
        assert_eq!(never, Figure::None("never".into()));
        assert_eq!(row_of(never, 1.0.into(), Target::AtMost(9.0)).is_reached, Some(false));
    }

    #[test]
    fn target_by_mosh_is_open_without_mosh() {
        let row = row_of(1.0.into(), Figure::not_applicable(), Target::TimesMosh(2.0));
        assert_eq!(row.is_reached, None);
    }

    #[test]
    fn figures_are_numbers_or_words_in_json() {
        let row = row_of(1.5.into(), Figure::not_applicable(), Target::AtMost(1.0));
        let json = serde_json::to_value(row).expect("plain data");
        assert_eq!(json["figures"]["Tern"], 1.5);
        assert_eq!(json["figures"]["mosh"], "n/a");
        assert_eq!(json["target"]["at_most"], 1.0);
    }
}
