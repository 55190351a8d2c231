//! Configuration files of tmux's in which our options stand, made readable for tmux: only names
//! are replaced (`set -g tmate-server-host x` becomes `set -g @tmate-server-host x`), wherever they
//! stand: in blocks, conditions, bindings and quotes. No line is added or taken away, so that what
//! tmux says about a line is said about the user's own.

use super::commands::{Meaning, meaning};
use super::options;

/// Commands that set or show an option.
const OPTION_COMMANDS: [&str; 4] =
    ["set-option", "set-window-option", "show-options", "show-window-options"];

/// A place in a text where one of our options is set or shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// From 1.
    pub line: usize,
    /// Where the command begins, in bytes.
    command_at: usize,
    command_end: usize,
    /// Where the option's name is.
    name_at: usize,
    name_end: usize,
    /// Without prefix; `None` if it is none of ours after all.
    pub option: Option<&'static str>,
    /// Whether a flag says of whom the option is.
    has_scope: bool,
    /// Whether it is removed (`-u`), appended to (`-a`), or set only if it isn't (`-o`).
    pub flags: Vec<u8>,
    /// What it is set to, if that is plain to see.
    pub value: Option<String>,
    /// Whether the command is the first of its line, and no condition or block of the file is around it.
    pub is_plain: bool,
    /// Whether it shows the option only.
    pub shows: bool,
}

impl Mention {
    /// The option's name, as it stands in the text.
    pub fn name<'a>(&self, text: &'a str) -> &'a str {
        &text[self.name_at..self.name_end]
    }
}

/// A place in a text where a file is sourced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced {
    command_at: usize,
    path_at: usize,
    path_end: usize,
    /// As it stands there, without quotes.
    pub path: String,
    /// Whether that happens later, when a key is pressed.
    pub is_bound: bool,
}

/// All mentions of options whose names begin as ours do.
pub fn mentions(text: &str) -> Vec<Mention> {
    let mut conditions = 0_usize;
    let mut line_start = 0;
    let mut found = Vec::new();
    // What a block of `if-shell` or `bind` holds, and what continues the line before.
    let (mut blocks, mut is_continued) = (0_usize, false);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let words = line.trim_start();
        let is_inside = blocks > 0 || is_continued;
        is_continued = line.trim_end_matches(['\r', '\n']).ends_with('\\');
        if words.starts_with('}') {
            blocks = blocks.saturating_sub(1);
        }
        if line.trim_end().ends_with('{') && !words.starts_with('#') {
            blocks += 1;
        }
        if words.starts_with("%if") {
            conditions += 1;
        } else if words.starts_with("%endif") {
            conditions = conditions.saturating_sub(1);
        }
        for at in commands_in(line, &OPTION_COMMANDS) {
            if let Some(mut mention) = mention(text, line_start + at) {
                mention.line = index + 1;
                mention.is_plain = conditions == 0 && !is_inside && line[..at].trim().is_empty();
                found.push(mention);
            }
        }
        line_start += line.len();
    }
    found
}

/// All files that are sourced.
pub fn sourced(text: &str) -> Vec<Sourced> {
    let mut line_start = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        let is_comment = line.trim_start().starts_with('#');
        let places = commands_in(line, &["source-file"]).into_iter();
        for at in places.filter(|&at| !is_comment && !is_of_shell(&line[..at])) {
            let is_bound = line.trim_start().starts_with("bind");
            let start = line_start + at;
            let mut words = Words { text, at: start };
            words.next();
            let mut paths = Vec::from_iter(words.skip_flags(b"t"));
            paths.extend(std::iter::from_fn(|| words.next()));
            // A comment, what a key does next, or the end of the quotes around all of it, behind them.
            let around = ['\'', '"'].map(|quote| is_open(&text[line_start..start], quote));
            let ends = |&(at, end): &(usize, usize)| {
                let word = &text[at..end];
                let closes =
                    around[0] && word.starts_with('\'') || around[1] && word.starts_with('"');
                word.starts_with('#') || word.ends_with("\\;") || closes
            };
            let end = paths.iter().position(ends);
            paths.truncate(end.unwrap_or(paths.len()));
            // What a key does is replaced as a whole, which is only done for one path.
            let is_known = !is_bound || paths.len() == 1;
            found.extend(paths.into_iter().filter(|_| is_known).map(|(path_at, path_end)| {
                let path = unquoted(&text[path_at..path_end]);
                Sourced { command_at: start, path_at, path_end, path, is_bound }
            }));
        }
        line_start += line.len();
    }
    found
}

/// Variables that are set by lines of their own or by `set-environment`, each with its value as it
/// stands there, without quotes; `None`: it is removed, or has none.
pub fn assignments(text: &str) -> Vec<(String, Option<String>)> {
    let mut line_start = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        let words = line.trim_start();
        let words = words.strip_prefix("%hidden").map_or(words, str::trim_start);
        let is_name = |name: &str| {
            let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            !name.is_empty() && name.bytes().all(is_of_name)
        };
        if let Some((name, _)) = words.split_once('=').filter(|(name, _)| is_name(name)) {
            let at = line_start + line.len() - words.len() + name.len() + 1;
            let value = Words { text, at }.next().filter(|&(start, _)| start == at);
            found.push((name.to_owned(), value.map(|(at, end)| unquoted(&text[at..end]))));
        }
        for at in commands_in(line, &["set-environment"]) {
            let mut words = Words { text, at: line_start + at };
            words.next();
            let name = words.skip_flags(b"t").map(|(at, end)| unquoted(&text[at..end]));
            let value = words.next().map(|(at, end)| unquoted(&text[at..end]));
            found.extend(name.map(|name| (name, value)));
        }
        line_start += line.len();
    }
    found
}

/// The text for tmux. `replaced` gives, for what is sourced, what stands in its place: another
/// path, or for a binding a program to run.
pub fn rewritten(text: &str, mut replaced: impl FnMut(&Sourced) -> Option<String>) -> String {
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    for mention in mentions(text) {
        let Some(option) = mention.option else { continue };
        let mut flags = String::new();
        if !mention.has_scope {
            // Ours are the server's, as tmate's are; user options have to be told so.
            flags.push('g');
        }
        if option == "set" && !mention.shows {
            // It stands for several values, each set by itself.
            flags.push('a');
        }
        if !flags.is_empty() {
            edits.push((mention.command_end, mention.command_end, format!(" -{flags}")));
        }
        edits.push((mention.name_at, mention.name_end, options::user_option(option)));
    }
    for sourced in sourced(text) {
        if let Some(new) = replaced(&sourced) {
            if sourced.is_bound {
                edits.push((sourced.command_at, sourced.path_end, format!("run-shell {new}")));
            } else {
                edits.push((sourced.path_at, sourced.path_end, new));
            }
        }
    }
    edits.sort_by_key(|edit| edit.0);
    let mut result = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for (start, end, new) in edits {
        if start < at {
            continue;
        }
        result += &text[at..start];
        result += &new;
        at = end;
    }
    result + &text[at..]
}

/// Whether what follows on a line is a word of a shell's command, rather than of tmux's: it stands in
/// quotes, but not at the beginning of what they hold. (`run 'tmux source ~/.tmux.conf'`)
fn is_of_shell(before: &str) -> bool {
    let is_open = |quote| is_open(before, quote);
    let may_begin = match before.trim_end().chars().last() {
        Some(quote @ ('\'' | '"')) => is_open(quote),
        Some(';' | '{' | '\\') | None => true,
        Some(_) => false,
    };
    (is_open('\'') || is_open('"')) && !may_begin
}

/// Whether quotes of this kind are open behind this part of a line, if nothing is escaped.
fn is_open(before: &str, quote: char) -> bool {
    before.matches(quote).count() % 2 == 1
}

/// Where in a line words begin that mean one of these commands.
fn commands_in(line: &str, commands: &[&str]) -> Vec<usize> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_@./~$".contains(&byte);
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        let is_command = length > 0
            && matches!(meaning(&line[at..at + length]),
                        Meaning::Command(name) if commands.contains(&name))
            && bytes.get(at + length).is_some_and(|byte| b" \t\\".contains(byte));
        if is_command {
            found.push(at);
        }
        at += length.max(1);
    }
    found
}

fn mention(text: &str, start: usize) -> Option<Mention> {
    let mut words = Words { text, at: start };
    let (command_at, command_end) = words.next()?;
    let Meaning::Command(command) = meaning(&text[command_at..command_end]) else { return None };
    let mut flags = Vec::new();
    let (mut name_at, mut name_end) = words.skip_flags_into(b"t", &mut flags)?;
    let quotes: &[char] = &['\'', '"'];
    let raw = &text[name_at..name_end];
    name_at += raw.len() - raw.trim_start_matches(quotes).len();
    // A quote, a bracket or a semicolon may stand right behind it.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let length = text.as_bytes()[name_at..name_end].iter().take_while(|b| is_name(**b)).count();
    name_end = name_at + length;
    let name = &text[name_at..name_end];
    options::stem(name)?;
    let shows = command.starts_with("show");
    let value = words.next().filter(|_| !shows).map(|(at, end)| unquoted(&text[at..end]));
    Some(Mention {
        line: 0,
        command_at,
        command_end,
        name_at,
        name_end,
        option: options::known(name),
        has_scope: flags.iter().any(|flag| b"gswp".contains(flag)),
        flags,
        value,
        is_plain: false,
        shows,
    })
}

/// Words of a command; a line that ends with a backslash goes on.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl Words<'_> {
    /// Where the next word of this command begins and ends; `None` at its end.
    fn next(&mut self) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at)? {
                b' ' | b'\t' => self.at += 1,
                b'\\' if bytes[self.at + 1..].starts_with(b"\n") => self.at += 2,
                b'\\' if bytes[self.at + 1..].starts_with(b"\r\n") => self.at += 3,
                b'\n' | b'\r' | b';' | b'}' => return None,
                _ => break,
            }
        }
        let start = self.at;
        let mut quote = None;
        while let Some(&byte) = bytes.get(self.at) {
            match (quote, byte) {
                (_, b'\n') => break,
                // The end of the quotes that this command stands in.
                (None, b'\'' | b'"') if self.at > start && ends_word(&bytes[self.at + 1..]) => {
                    break;
                }
                (None, b'\'' | b'"') => quote = Some(byte),
                (Some(open), _) if byte == open => quote = None,
                (None | Some(b'"'), b'\\') if self.at + 1 < bytes.len() => {
                    if bytes[self.at + 1] == b'\n' {
                        break;
                    }
                    self.at += 1;
                }
                (None, b' ' | b'\t' | b';' | b'\r') => break,
                (None, _) | (Some(_), _) => {}
            }
            self.at += 1;
        }
        self.at = self.at.min(bytes.len());
        // An escaped character may have several bytes.
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        Some((start, self.at))
    }

    /// The first word that is no flag; those in `with_value` have one.
    fn skip_flags(&mut self, with_value: &[u8]) -> Option<(usize, usize)> {
        self.skip_flags_into(with_value, &mut Vec::new())
    }

    fn skip_flags_into(
        &mut self,
        with_value: &[u8],
        flags: &mut Vec<u8>,
    ) -> Option<(usize, usize)> {
        loop {
            let (start, end) = self.next()?;
            let Some(cluster) = self.text[start..end].strip_prefix('-') else {
                return Some((start, end));
            };
            flags.extend_from_slice(cluster.as_bytes());
            if cluster.bytes().last().is_some_and(|last| with_value.contains(&last)) {
                self.next()?;
            }
        }
    }
}

fn ends_word(rest: &[u8]) -> bool {
    rest.first().is_none_or(|byte| b" \t\r\n;}'\"".contains(byte))
}

/// A word as tmux reads it, without variables.
fn unquoted(word: &str) -> String {
    let mut result = String::new();
    let mut quote = None;
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if character == open => quote = None,
            (None | Some('"'), '\\') => result.extend(characters.next()),
            (None, _) | (Some(_), _) => result.push(character),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plainly_rewritten(text: &str) -> String {
        rewritten(text, |_| None)
    }

    #[test]
    fn our_options_become_tmuxs_user_options_wherever_they_stand() {
        for (before, after) in [
            ("set -g tmate-server-host h", "set -g @tmate-server-host h"),
            ("set tern-server-host 'a b'", "set -g @tmate-server-host 'a b'"),
            ("set-option -s tmate-api-key k", "set-option -s @tmate-api-key k"),
            ("setw -gq tmate-api-key k", "setw -gq @tmate-api-key k"),
            ("set -g 'tmate-api-key' k", "set -g '@tmate-api-key' k"),
            ("set -g \\\n  tmate-api-key \\\n k", "set -g \\\n  @tmate-api-key \\\n k"),
            (
                "set -ag tmate-server-host b; set status off",
                "set -ag @tmate-server-host b; set status off",
            ),
            ("bind x set -g tmate-display-time 5", "bind x set -g @tmate-display-time 5"),
            ("bind x { set -g tmate-display-time 5 }", "bind x { set -g @tmate-display-time 5 }"),
            (
                "if-shell true 'set -g tmate-api-key x' 'set -g tmate-api-key y'",
                "if-shell true 'set -g @tmate-api-key x' 'set -g @tmate-api-key y'",
            ),
            (
                "if true \"set -g tmate-api-key \\\"x y\\\"\"",
                "if true \"set -g @tmate-api-key \\\"x y\\\"\"",
            ),
            (
                "set -g status on ; set -t x tmate-set authorized_keys=k",
                "set -g status on ; set -ga -t x @tmate-set authorized_keys=k",
            ),
            ("show -gv tmate-server-host", "show -gv @tmate-server-host"),
        ] {
            assert_eq!(plainly_rewritten(before), after);
        }
    }

    #[test]
    fn what_is_not_ours_is_left_as_it_is() {
        for text in [
            "set -g status-left '#{tmate_ssh} tmate-server-host'",
            "set -g tmate-nonsense 1",
            "set -g @tmate-server-host h",
            "display tmate-server-host",
            "bind C-x send-keys tmate-api-key",
            "offset -g tmate-api-key x",
            "set",
            "set -t",
            "",
        ] {
            assert_eq!(plainly_rewritten(text), text);
        }
    }

    #[test]
    fn what_stands_in_a_block_is_not_plain() {
        let text = "if-shell true {\n  set -g tmate-api-key a\n}\nbind x \\\n  set -g tmate-api-key b\n\
                    if-shell x {\n} {\n  set -g tmate-api-key c\n}\nset -g tmate-api-key d\n";
        let plain: Vec<_> = mentions(text).into_iter().filter(|m| m.is_plain).collect();
        assert_eq!(plain.len(), 1, "{plain:?}");
        assert_eq!(plain[0].value.as_deref(), Some("d"));
    }

    #[test]
    fn mentions_know_their_line_their_value_and_whether_they_are_plain() {
        let text = "# set -g tmate-api-key no\nset -g tmate-api-key 'k 1' # why\n%if x\nset -g tmate-server-port 1\n%endif\nif x 'set -g tern-unknown 1'\n";
        let mentions = mentions(text);
        let lines: Vec<_> = mentions.iter().map(|m| (m.line, m.option, m.is_plain)).collect();
        assert_eq!(
            lines,
            [
                (1, Some("api-key"), false),
                (2, Some("api-key"), true),
                (4, Some("server-port"), false),
                (6, None, false)
            ]
        );
        assert_eq!(mentions[1].value.as_deref(), Some("k 1"));
    }

    #[test]
    fn variables_are_found_with_their_values() {
        let text = "A=1\n%hidden B=\"$HOME/b c\" # x\nsetenv -g C 'd e'\nsetenv -gu F\nset -g x y=z\n\
                    if x 'set-environment -g G h'\nI=\n";
        let some = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let expected = [
            some("A", "1"),
            some("B", "$HOME/b c"),
            some("C", "d e"),
            ("F".to_owned(), None),
            some("G", "h"),
            ("I".to_owned(), None),
        ];
        assert_eq!(assignments(text), expected);
    }

    #[test]
    fn what_a_shell_sources_is_not_tmuxs() {
        for text in [
            "run 'tmux source ~/a'",
            "bind r run '\"$TMUX_PROGRAM\" source ~/a'",
            "bind r run \"sh -c 'tmux source \\\"$A\\\"'\"",
        ] {
            assert_eq!(sourced(text), [], "{text}");
        }
        for text in ["if x 'source a'", "if x \"set -g a b; source a\"", "bind r \"source a\""] {
            assert_eq!(sourced(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn several_files_of_one_command_are_each_replaced() {
        let text = "source -q ~/a '~/b' # ~/c\nbind x source a b\nbind y source c \\; source d\n";
        let paths: Vec<_> = sourced(text).into_iter().map(|sourced| sourced.path).collect();
        assert_eq!(paths, ["~/a", "~/b", "c", "d"]);
        assert_eq!(
            rewritten(text, |_| Some("/copy".into())),
            "source -q /copy /copy # ~/c\nbind x source a b\nbind y run-shell /copy \\; run-shell /copy\n"
        );
    }

    #[test]
    fn sourced_files_are_found_and_replaced() {
        let text = "source ~/.a.conf\nif-shell x \"source-file -q '/b c'\"\nbind r source-file ~/.tmate.conf \\; display hi\n# source no\n";
        let found = sourced(text);
        let paths: Vec<_> = found.iter().map(|s| (s.path.as_str(), s.is_bound)).collect();
        assert_eq!(paths, [("~/.a.conf", false), ("/b c", false), ("~/.tmate.conf", true)]);
        let text = rewritten(text, |sourced| {
            Some(if sourced.is_bound { "/run/again".into() } else { "/copy".into() })
        });
        assert_eq!(
            text,
            "source /copy\nif-shell x \"source-file -q /copy\"\nbind r run-shell /run/again \\; display hi\n# source no\n"
        );
    }

    proptest! {
        #[test]
        fn no_line_is_added_or_lost(text in "(set |-g |tmate-api-key|[ \\\\'\";{}#%a\n]|é){0,30}") {
            let result = plainly_rewritten(&text);
            prop_assert_eq!(text.matches('\n').count(), result.matches('\n').count());
            prop_assert_eq!(plainly_rewritten(&result), result.clone());
            let _ = (sourced(&text), assignments(&text));
        }
    }
}
