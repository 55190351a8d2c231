//! A session in a new tmux server, made by the user's own commands.

use super::config::Config;
use super::{pass, prompt};
use crate::core::drop_in::commands::{self, Command};
use crate::core::drop_in::options::{self, OptionsText, Settings, Values};
use crate::shell::tmux::Tmux;
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use tern_term::Size;

/// Flags of `new-session` that have a value.
pub const NEW_SESSION_VALUES: &str = "ceEfFnstxy";

/// By this option of a tmux server it is known that we have started it.
const OWN: &str = "@tern-own";

/// Whether a server is one that we have started: it lives for what is shared alone, and what it
/// leaves behind is ours to remove.
pub fn is_own(tmux: &Tmux) -> bool {
    tmux.run(&["show-options", "-gqv", OWN]).is_ok_and(|value| value == "1")
}

/// By this option it is known which configuration tmux has not carried out whole.
const UNREAD: &str = "@tern-unread";

/// Refuses to share while tmux has not carried out what the configuration says of sharing: who may join
/// stands there.
pub fn check_read(tmux: &Tmux, values: &Values) -> anyhow::Result<()> {
    let file = tmux.run(&["show-options", "-gqv", UNREAD])?;
    if file.is_empty() {
        return Ok(());
    }
    if let Some(reason) = Config::to_look_into(Some(Path::new(&file))).unread(values, &[]) {
        bail!("{reason}. Then: tern source-file {file}, and tern again");
    }
    tmux.run(&["set-option", "-gu", UNREAD])?;
    Ok(())
}

/// Our options in a running server, as tmux prints them.
pub fn options_in(tmux: &Tmux, session: &str) -> anyhow::Result<OptionsText> {
    tmux.run(&["display-message", "-p", "-t", session, &options::format()]).map(OptionsText)
}

/// What makes the session.
#[derive(Debug)]
pub struct Plan {
    /// Commands of tmux's, one of them `new-session`.
    pub list: Vec<Command>,
    /// The configuration before them.
    pub config: Config,
    /// Size of the terminal that will attach.
    pub size: Option<Size>,
}

/// A session that is there.
#[derive(Debug)]
pub struct Opened {
    /// tmux's `$N`.
    pub id: String,
    /// What the options say.
    pub settings: Settings,
    /// The same, as tmux has it.
    pub options: OptionsText,
    /// What is wrong with the configuration, a line each.
    pub complaints: Vec<String>,
    /// Why it must not be shared as it is.
    pub refusal: Option<String>,
}

impl Opened {
    /// All that the configuration gave reason to say.
    pub fn notices(&self) -> Vec<String> {
        self.complaints.iter().chain(&self.settings.notices).cloned().collect()
    }
}

/// What came of it.
#[derive(Debug)]
pub enum Opening {
    /// It goes on.
    Opened(Box<Opened>),
    /// tmux said no, or the session is over already; it printed why. The exit code.
    Over(u8),
}

/// Starts the server and runs the commands. What they print is printed.
pub fn open(tmux: &Tmux, plan: &Plan) -> anyhow::Result<Opening> {
    let mut command = tmux.command();
    command.args(["-u", "-2"]).args(&plan.config.args);
    // What is wrong with the configuration would be shown in the first pane, to all, in the copies'
    // names. `source-file` takes it out of there.
    command.args(["source-file", "/dev/null", ";"]);
    command.args(["set-option", "-g", OWN, "1", ";"]);
    let hidden = if tmux.version.has_hidden_environment() { "-gh" } else { "-g" };
    for prefix in ["tmate", "tern"] {
        let name = format!("{prefix}_num_clients");
        command.args(["set-environment", hidden, &name, "0", ";"]);
    }
    let mut list: Vec<Command> =
        plan.list.iter().map(|command| detached(command, plan.size)).collect();
    for one in &mut list {
        if let Some(bad) = pass::bad_value(one)? {
            bail!(bad);
        }
        pass::rename_options(one);
    }
    command.args(commands::join(&list));
    let output = command
        .stdin(Stdio::inherit())
        .stderr(Stdio::piped())
        .output()
        .context("cannot run tmux")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let (complaints, printed) = take_complaints(&printed);
    print!("{printed}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let complaints = complaints.iter().map(|line| plan.config.complaint(line)).collect();
    if !output.status.success() {
        print_all(&complaints);
        let code = output.status.code().and_then(|code| code.try_into().ok()).unwrap_or(1);
        return Ok(Opening::Over(code));
    }
    let Some(id) = newest_session(tmux) else {
        print_all(&complaints);
        return Ok(Opening::Over(0));
    };
    if let Err(error) = prompt::bind(tmux) {
        tracing::debug!(%error, "the prompt stays tmux's");
    }
    let options = options_in(tmux, &id)?;
    let values = options::parse(&options.0);
    let (settings, bad) = plan.config.settings(&values)?;
    let refusal = plan.config.unread(&values, &complaints);
    if let (Some(_), Some(file)) = (&refusal, plan.config.file()) {
        tmux.run(&["set-option", "-g", UNREAD, &file.display().to_string()])?;
    }
    let mut opened = Opened { id, settings, options, complaints, refusal };
    opened.complaints.extend(opened.refusal.clone());
    for bad in &bad {
        let text = plan.config.complaint_about(bad);
        if bad.name.ends_with("-fingerprint") {
            // Without the pin any relay would do.
            opened.refusal.get_or_insert_with(|| text.clone());
        }
        opened.complaints.push(text);
    }
    Ok(Opening::Opened(Box::new(opened)))
}

/// For those who have no terminal to see it in.
pub fn print_all(complaints: &Vec<String>) {
    for line in complaints {
        eprintln!("{line}");
    }
}

/// A `new-session` whose client is not ours: that one attaches later. All else as it is.
fn detached(command: &Command, size: Option<Size>) -> Command {
    if command.name() != Some("new-session") {
        return command.clone();
    }
    let mut words: Vec<OsString> = vec!["new-session".into(), "-d".into()];
    if let Some(size) = size {
        words.extend(["-x", &size.cols.to_string(), "-y", &size.rows.to_string()].map(Into::into));
    }
    words.extend(command.words[1..].iter().cloned());
    Command { words }
}

/// What tmux says about its configuration comes first.
fn take_complaints(printed: &str) -> (Vec<String>, &str) {
    let mut complaints = Vec::new();
    let mut rest = printed;
    while let Some((line, after)) = rest.split_once('\n') {
        if !is_complaint(line) {
            break;
        }
        complaints.push(line.to_owned());
        rest = after;
    }
    (complaints, rest)
}

/// `FILE:LINE: TEXT`, or `FILE: TEXT` for one that can't be read.
fn is_complaint(line: &str) -> bool {
    let numbered = line.match_indices(": ").any(|(at, _)| {
        let place = line[..at].rsplit_once(':');
        place.is_some_and(|(file, number)| {
            !file.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        })
    });
    numbered || line.starts_with('/') && line.contains(": ")
}

/// The session that was made last; a configuration may have made others.
fn newest_session(tmux: &Tmux) -> Option<String> {
    let list = tmux.run(&["list-sessions", "-F", "#{session_id}"]).ok()?;
    let number = |id: &&str| id.strip_prefix('$').and_then(|number| number.parse::<u64>().ok());
    list.lines().filter(|id| number(id).is_some()).max_by_key(number).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_from_what_commands_print() {
        let printed =
            "/c.conf:3: invalid option: x\n/none: No such file or directory\n0:0.0\n/a: b";
        let (complaints, rest) = take_complaints(printed);
        assert_eq!(complaints.len(), 2);
        assert_eq!(rest, "0:0.0\n/a: b");
        assert_eq!(take_complaints("").1, "");
    }

    #[test]
    fn new_session_is_made_detached_with_what_was_typed_behind() {
        let words = ["new", "-s", "x", "-x", "10", "top"].map(Into::into).to_vec();
        let made = detached(&Command { words }, Some(Size { cols: 80, rows: 24 }));
        let expected = ["new-session", "-d", "-x", "80", "-y", "24", "-s", "x", "-x", "10", "top"];
        assert_eq!(made.words, expected);
    }
}
