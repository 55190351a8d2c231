//! Which files `source-file` means, as far as that can be told without tmux: variables, `~` and
//! patterns; no formats.

use std::path::PathBuf;

/// Most files that one pattern is followed to; tmux itself has no limit.
pub const MATCHES_MAX: usize = 100;

/// What a path in a configuration means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourcedPath {
    /// One file, whether or not it is there.
    File(PathBuf),
    /// All that fit a pattern, in the order in which tmux reads them.
    Files {
        /// The pattern itself.
        pattern: PathBuf,
        /// None, if nothing fits.
        files: Vec<PathBuf>,
    },
    /// Only tmux knows.
    Unknown,
}

impl SourcedPath {
    /// Reads a path without quotes. `value` gives that of a variable, if it is known.
    pub fn read(text: &str, value: impl Fn(&str) -> Option<String>) -> Self {
        let Some(text) = expanded(text, value) else { return Self::Unknown };
        if text.is_empty() || text == "-" || text.contains('#') {
            return Self::Unknown;
        }
        let Ok(path) = std::path::absolute(&text) else { return Self::Unknown };
        if !text.contains(['*', '?', '[']) || path.exists() {
            return Self::File(path);
        }
        matches(path)
    }

    /// The files, if they are known.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Self::File(path) => std::slice::from_ref(path),
            Self::Files { files, .. } => files,
            Self::Unknown => &[],
        }
    }
}

/// As `glob(3)`, which tmux asks, finds them: sorted by bytes, hidden files only by a dot.
fn matches(pattern: PathBuf) -> SourcedPath {
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = pattern.to_str().and_then(|text| glob::glob_with(text, options).ok());
    let Some(found) = found else { return SourcedPath::Unknown };
    let mut files: Vec<_> = found.filter_map(Result::ok).take(MATCHES_MAX + 1).collect();
    if files.len() > MATCHES_MAX {
        return SourcedPath::Unknown;
    }
    files.sort();
    SourcedPath::Files { pattern, files }
}

/// `~/`, `$NAME` and `${NAME}` replaced; `None` if one has no value that is known.
pub fn expanded(text: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut result = String::new();
    let mut rest = text;
    if let Some(after) = text.strip_prefix('~') {
        if !after.starts_with('/') {
            // Somebody's else.
            return None;
        }
        result = value("HOME")?;
        rest = after;
    }
    while let Some((before, after)) = rest.split_once('$') {
        result += before;
        let (name, behind) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}')?,
            None => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()))
            }
        };
        result += &value(name)?;
        rest = behind;
    }
    Some(result + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_home_are_replaced_where_they_are_known() {
        let value = |name: &str| match name {
            "HOME" => Some("/home/u".to_owned()),
            "X" => Some("x".to_owned()),
            _ => None,
        };
        for (text, expected) in [
            ("~/a.conf", Some("/home/u/a.conf")),
            ("$HOME/${X}/$X.conf", Some("/home/u/x/x.conf")),
            ("/plain/~", Some("/plain/~")),
            ("~other/a", None),
            ("$UNKNOWN/a", None),
            ("${X", None),
            ("a$", None),
        ] {
            assert_eq!(expanded(text, value).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn patterns_mean_files_in_the_order_of_their_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.conf", "a.conf", ".hidden.conf", "B.conf", "c.txt"] {
            std::fs::write(folder.path().join(name), "").expect("our own folder");
        }
        let text = |name: &str| folder.path().join(name).display().to_string();
        let read = |name: &str| SourcedPath::read(&text(name), |_| None);
        let expected = ["B.conf", "a.conf", "b.conf"].map(|name| folder.path().join(name));
        assert_eq!(read("*.conf").files(), expected);
        assert!(matches!(read("none*"), SourcedPath::Files { files, .. } if files.is_empty()));
        assert_eq!(read("none"), SourcedPath::File(folder.path().join("none")));
        assert_eq!(read("#{version}.conf"), SourcedPath::Unknown);
        assert_eq!(SourcedPath::read("$NONE/x", |_| None), SourcedPath::Unknown);
    }
}
