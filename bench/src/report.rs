//! Figures, as a table for people and as JSON.

use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::Command;

/// All figures of a run.
pub(crate) struct Report {
    sections: Map<String, Value>,
}

/// One line of a table: a name and its figures.
pub(crate) type Line = (String, Vec<(&'static str, f64)>);

impl Report {
    /// Nothing yet, but the machine.
    pub(crate) fn new() -> Self {
        let mut sections = Map::new();
        sections.insert("machine".into(), machine());
        Self { sections }
    }

    /// Prints a table and keeps its figures. All lines have the same columns.
    pub(crate) fn add(&mut self, name: &str, title: &str, lines: &[Line]) {
        println!("\n{title}");
        let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        if let Some((_, columns)) = lines.first() {
            let heads: String = columns.iter().map(|(head, _)| format!("{head:>14}")).collect();
            println!("  {:width$}{heads}", "");
        }
        for (name, columns) in lines {
            let figures: String = columns.iter().map(|(_, value)| figure(*value)).collect();
            println!("  {name:width$}{figures}");
        }
        let section: Map<String, Value> = lines
            .iter()
            .map(|(name, columns)| {
                let columns: Map<String, Value> =
                    columns.iter().map(|(head, value)| ((*head).into(), json!(value))).collect();
                (name.clone(), Value::Object(columns))
            })
            .collect();
        self.sections.insert(name.into(), Value::Object(section));
    }

    /// Writes all figures.
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, format!("{:#}\n", Value::Object(self.sections.clone())))
    }
}

fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 10.0 => 1,
        _ => 3,
    };
    format!("{value:>14.digits$}")
}

/// What the figures depend on.
pub(crate) fn machine() -> Value {
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok();
        output.map_or_else(String::new, |output| {
            let text = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&text).lines().next().unwrap_or("").to_owned()
        })
    };
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find(|line| line.starts_with("model name")).unwrap_or("");
    json!({
        "kernel": said("uname", &["-sr"]),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "cpu": model.split(": ").nth(1).unwrap_or(""),
        "tmux": said("tmux", &["-V"]),
        "ssh": said("ssh", &["-V"]),
        "mosh": said("mosh-client", &["--version"]),
        "commit": said("git", &["rev-parse", "HEAD"]),
    })
}

/// The value below which a share of all are; 0 for none.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len().max(1) - 1) as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.99), 3.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
