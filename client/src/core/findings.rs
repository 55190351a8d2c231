//! What `tern doctor` finds, and how it is told.

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// As it should be.
    Good,
    /// Works, but something could be better.
    Warning,
    /// Sharing will fail.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What, in a word: `tmux`, `relay`.
    pub subject: &'static str,
    /// How it is.
    pub gravity: Gravity,
    /// What was found.
    pub text: String,
    /// What to do, if anything is to be done.
    pub remedy: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn good(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, gravity: Gravity::Good, text: text.into(), remedy: None }
    }

    /// Works, but `remedy` would be better.
    pub fn warning(
        subject: &'static str,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let gravity = Gravity::Warning;
        Self { subject, gravity, text: text.into(), remedy: Some(remedy.into()) }
    }

    /// Does not work before `remedy`.
    pub fn bad(subject: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { gravity: Gravity::Bad, ..Self::warning(subject, text, remedy) }
    }

    /// For a terminal or a log: a mark, the subject, what was found, and below it what to do.
    pub fn lines(&self, is_colored: bool) -> String {
        let (mark, color) = match self.gravity {
            Gravity::Good => ("ok", "32"),
            Gravity::Warning => ("!!", "33"),
            Gravity::Bad => ("no", "31"),
        };
        let mark = match is_colored {
            true => format!("\x1b[{color}m{mark}\x1b[m"),
            false => mark.to_owned(),
        };
        let mut text = format!("{mark}  {:<11} {}\n", self.subject, self.text);
        if let Some(remedy) = &self.remedy {
            text += &format!("{:<15} -> {remedy}\n", "");
        }
        text
    }
}

/// What the environment says about the terminal.
#[derive(Debug, Clone, Default)]
pub struct TerminalFacts {
    /// Whether standard input and output are one.
    pub is_terminal: bool,
    /// Columns and rows.
    pub size: (u16, u16),
    /// `TERM`.
    pub term: String,
    /// `COLORTERM`.
    pub color_term: String,
    /// `LC_ALL`, else `LC_CTYPE`, else `LANG`.
    pub locale: String,
}

/// Below this a status line and a prompt have no room.
const SIZE_MIN: (u16, u16) = (20, 5);

/// Judges a terminal: what is shared is drawn in it.
pub fn judge_terminal(facts: &TerminalFacts) -> Vec<Finding> {
    const SUBJECT: &str = "terminal";
    let (cols, rows) = facts.size;
    let mut findings = Vec::new();
    if !facts.is_terminal {
        findings.push(Finding::warning(
            SUBJECT,
            "standard input and output are no terminal",
            "only `tern -F` and `tern new-session -d` work without one",
        ));
    } else if matches!(facts.term.as_str(), "" | "dumb" | "unknown") {
        let text = format!("TERM is '{}', which can't be drawn in", facts.term);
        findings.push(Finding::bad(
            SUBJECT,
            text,
            "export TERM=xterm-256color, or your terminal's",
        ));
    } else if cols < SIZE_MIN.0 || rows < SIZE_MIN.1 {
        let text = format!("{cols}x{rows} is too small to work in");
        findings.push(Finding::warning(SUBJECT, text, "make the window larger"));
    } else {
        let colors = match facts.color_term.as_str() {
            "truecolor" | "24bit" => "24-bit colours",
            _ if facts.term.contains("256color") => "256 colours",
            _ => "colours as TERM says",
        };
        findings.push(Finding::good(SUBJECT, format!("{}, {cols}x{rows}, {colors}", facts.term)));
    }
    let locale = facts.locale.to_ascii_lowercase();
    findings.push(match locale.contains("utf-8") || locale.contains("utf8") {
        true => Finding::good("locale", facts.locale.clone()),
        false => Finding::warning(
            "locale",
            format!("'{}' is not UTF-8: programs show other than English text wrong", facts.locale),
            "export LC_ALL=C.UTF-8, or a UTF-8 locale that `locale -a` lists",
        ),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> TerminalFacts {
        TerminalFacts {
            is_terminal: true,
            size: (80, 24),
            term: "xterm-256color".into(),
            color_term: "truecolor".into(),
            locale: "de_AT.UTF-8".into(),
        }
    }

    fn worst(facts: &TerminalFacts) -> Gravity {
        let gravities = judge_terminal(facts).into_iter().map(|finding| finding.gravity);
        gravities.max().expect("something is always found")
    }

    #[test]
    fn usual_terminal_is_good() {
        assert_eq!(worst(&facts()), Gravity::Good);
        assert_eq!(worst(&TerminalFacts { locale: "C.utf8".into(), ..facts() }), Gravity::Good);
    }

    #[test]
    fn what_hinders_is_named_with_what_to_do() {
        let without = TerminalFacts { is_terminal: false, ..facts() };
        let dumb = TerminalFacts { term: "dumb".into(), ..facts() };
        let small = TerminalFacts { size: (10, 2), ..facts() };
        let latin = TerminalFacts { locale: "POSIX".into(), ..facts() };
        for (facts, gravity) in [
            (without, Gravity::Warning),
            (dumb, Gravity::Bad),
            (small, Gravity::Warning),
            (latin, Gravity::Warning),
        ] {
            assert_eq!(worst(&facts), gravity, "{facts:?}");
            let told = judge_terminal(&facts);
            let told = told.iter().filter(|finding| finding.gravity != Gravity::Good);
            assert!(told.into_iter().all(|finding| finding.remedy.is_some()));
        }
    }

    #[test]
    fn colours_come_only_where_they_are_wanted() {
        let finding = Finding::bad("relay", "is away", "start it");
        assert_eq!(finding.lines(false), "no  relay       is away\n                -> start it\n");
        assert!(finding.lines(true).starts_with("\x1b[31mno\x1b[m"));
    }
}
