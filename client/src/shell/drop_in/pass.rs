//! Commands for a session that is there: tmux gets them as they were typed, but for what is ours.

use super::NESTED;
use super::config::{Config, Program};
use super::sourced_path::SourcedPath;
use crate::core::drop_in::commands::{self, Command};
use crate::core::drop_in::config_text;
use crate::core::drop_in::flags::Flags;
use crate::core::drop_in::options::{self, Settings};
use crate::core::said_access::{is_added_for_all, is_said_for_all};
use crate::shell::own_tmux;
use crate::shell::paths::home;
use crate::shell::protocol::{Answer, Request};
use crate::shell::tmux::{Surrounding, Tmux};
use crate::shell::{agents, commands as asking};
use anyhow::{Context, bail};
use std::ffi::{OsStr, OsString};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Channels of `wait-for` that we answer.
const READY: [&str; 2] = ["tmate-ready", "tern-ready"];
/// In seconds; for `wait tmate-ready` without `--timeout`.
const TIMEOUT_ENV: &str = "TERN_WAIT_TIMEOUT";
/// Runs the list; gives the exit code of the first that fails.
pub fn run(
    program: Program,
    flags: &Flags,
    list: Vec<Command>,
    socket: &Path,
) -> anyhow::Result<u8> {
    let tmux = tmux_at(socket)?;
    if let Some(command) = &flags.shell_command {
        let mut tmux = tmux.command();
        bail!("cannot run tmux: {}", tmux.arg("-c").arg(command).exec());
    }
    let is_new = |command: &Command| command.name() == Some("new-session");
    if list.is_empty() || list.iter().any(is_new) && is_ours(socket) {
        let may_nest = std::env::var_os("TMUX").is_none();
        match list.iter().find(|command| is_new(command)) {
            // tmux attaches where it would make a session that there is.
            Some(new) if new.has_flag(b'A', super::start::NEW_SESSION_VALUES) => {
                let words = vec!["attach-session".into()];
                return exec(&tmux, flags, &[Command { words }]);
            }
            None if !may_nest => eprintln!("{NESTED}"),
            Some(_) | None => eprintln!(
                "create session failed: multi sessions is not supported with {}",
                program.name()
            ),
        }
        return Ok(1);
    }
    let mut rest = list.as_slice();
    while let Some(first) = rest.first() {
        let code = if let Some(wait) = Wait::parse(first)? {
            rest = &rest[1..];
            wait.run(&tmux)?
        } else if is_show_messages(first) {
            rest = &rest[1..];
            asking::show_messages(Some(socket), false)?;
            0
        } else {
            let is_ours = |command: &Command| {
                is_show_messages(command) || Wait::parse(command).is_ok_and(|wait| wait.is_some())
            };
            let count = rest.iter().position(is_ours).unwrap_or(rest.len());
            let (group, after) = rest.split_at(count);
            rest = after;
            run_group(&tmux, flags, group, after.is_empty())?
        };
        if code != 0 {
            return Ok(code);
        }
    }
    Ok(0)
}

/// Runs commands in tmux, in place of this process if nothing has to be done after them.
fn run_group(tmux: &Tmux, flags: &Flags, group: &[Command], is_last: bool) -> anyhow::Result<u8> {
    let mut config = None;
    let mut sets = false;
    let mut group = with_last_word(group, |name| own_list(tmux, name).is_some());
    for command in &mut group {
        if let Some(bad) = bad_value(command)? {
            bail!(bad);
        }
        sets |= rename_options(command);
        if let Some(found) = replace_source(command, &tmux.socket)? {
            config = Some(found);
            sets = true;
        }
    }
    let ends = group.iter().any(Command::may_end_session);
    if !sets && !ends && is_last {
        return exec(tmux, flags, &group);
    }
    let mut command = command(tmux, flags, &group);
    let output = command
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .stdout(Stdio::piped())
        .output()
        .context("cannot run tmux")?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match &config {
            Some(config) => println!("{}", config.complaint(line)),
            // Options have the name that they were asked by.
            None => println!("{}", line.strip_prefix('@').filter(|_| sets).unwrap_or(line)),
        }
    }
    if sets && let Ok(agent) = agents::find(Some(&tmux.socket)) {
        // If it is ending, they don't matter any more.
        let _ = agents::ask(&agent, Request::ReadOptions);
    }
    // Of several panes, one may have ended.
    if ends && tmux.run(&["has-session"]).is_err() {
        own_tmux::await_end(tmux);
    }
    Ok(output.status.code().and_then(|code| code.try_into().ok()).unwrap_or(1))
}

/// Who says for all sessions who may join says it for this one, too: its own option, which `tern
/// --approve` and the like in it have set, would come before. It goes last, so that nobody gets in between.
/// What is added to the list for all is added to its `own`, if it has one.
fn with_last_word(group: &[Command], has_own: impl Fn(&str) -> bool) -> Vec<Command> {
    let mut all = Vec::new();
    for command in group {
        all.push(command.clone());
        let for_all = mention(command).filter(|mention| {
            mention.start == 0
                && !mention.shows()
                && is_said_for_all(mention.name, |flag| mention.inner.has_flag(flag, "t"))
        });
        all.extend(for_all.map(|mention| own_option_unset(mention.name)));
        let added = mention(command).filter(|mention| {
            mention.start == 0
                && !mention.shows()
                && is_added_for_all(mention.name, |flag| mention.inner.has_flag(flag, "t"))
        });
        let value = added.as_ref().and_then(|mention| command.words.get(mention.at + 1));
        if let (Some(mention), Some(value)) = (&added, value)
            && has_own(mention.name)
        {
            all.push(own_option_extended(mention.name, value));
        }
    }
    all
}

/// This session's own list, if it has one.
pub fn own_list(tmux: &Tmux, name: &str) -> Option<String> {
    let list = tmux.run(&["show-options", "-qv", &options::user_option(name)]).ok()?;
    (!list.is_empty()).then_some(list)
}

/// Adds to this session's own list.
pub fn own_option_extended(name: &str, value: &OsStr) -> Command {
    let option = options::user_option(name).into();
    Command { words: vec!["set-option".into(), "-qa".into(), option, value.to_owned()] }
}

/// Takes this session's own option away.
pub fn own_option_unset(name: &str) -> Command {
    let words = ["set-option".into(), "-qu".into(), options::user_option(name).into()];
    Command { words: words.to_vec() }
}

/// Becomes tmux; comes back only if that fails.
pub fn exec(tmux: &Tmux, flags: &Flags, group: &[Command]) -> anyhow::Result<u8> {
    let error = command(tmux, flags, group).exec();
    bail!("cannot run {}: {error}", tmux.binary.display())
}

fn command(tmux: &Tmux, flags: &Flags, group: &[Command]) -> std::process::Command {
    let mut command = std::process::Command::new(&tmux.binary);
    // What surrounds us stays known: by it tmux knows the current pane, and warns of nesting.
    command.arg("-S").arg(&tmux.socket).args(["-u", "-2"]);
    command.args(std::iter::repeat_n("-C", flags.control_count.into()));
    command.args(commands::join(group));
    command
}

/// The tmux that speaks to the server there.
pub fn tmux_at(socket: &Path) -> anyhow::Result<Tmux> {
    let stream = UnixStream::connect(socket)
        .with_context(|| format!("no tmux answers at {}", socket.display()))?;
    let socket = std::path::absolute(socket)?;
    let tmux = match agents::peer_pid(&stream).and_then(|pid| u32::try_from(pid).ok()) {
        Some(server_pid) => Surrounding { socket, server_pid }.tmux(),
        None => Tmux::find(socket),
    };
    Ok(tmux?)
}

/// Whether the server is one that a shared session alone is in.
fn is_ours(socket: &Path) -> bool {
    let status = agents::find(Some(socket)).and_then(|agent| agents::status(&agent));
    status.is_ok_and(|status| status.attach.is_some())
}

fn is_show_messages(command: &Command) -> bool {
    command.name() == Some("show-messages") && command.words.len() == 1
}

/// A place in a command's words where one of our options is set or shown.
struct Mention {
    /// Of the command that does so, which may stand behind `bind-key`.
    start: usize,
    /// Of the option's name.
    at: usize,
    name: &'static str,
    inner: Command,
}

impl Mention {
    /// Whether it is shown only.
    fn shows(&self) -> bool {
        self.inner.name().is_some_and(|name| name.starts_with("show"))
    }
}

fn mention(command: &Command) -> Option<Mention> {
    let found = |start: usize| {
        let inner = Command { words: command.words[start..].to_vec() };
        let is_one = matches!(
            inner.name(),
            Some("set-option" | "set-window-option" | "show-options" | "show-window-options")
        );
        let at = start + is_one.then(|| inner.operands_at("t"))?;
        let name = options::known(command.words.get(at)?.to_str()?)?;
        Some(Mention { start, at, name, inner })
    };
    (0..command.words.len()).find_map(found)
}

/// What is wrong with the value that one of our options is given.
pub fn bad_value(command: &Command) -> anyhow::Result<Option<String>> {
    let Some(mention) = mention(command).filter(|mention| !mention.inner.has_flag(b'u', "t"))
    else {
        return Ok(None);
    };
    let value = command.words.get(mention.at + 1).and_then(|value| value.to_str());
    let values = value.map(|value| (mention.name, value.to_owned())).into_iter().collect();
    let name = command.words[mention.at].to_string_lossy();
    Ok(Settings::read(&values, &home()?).1.pop().map(|bad| bad.called(&name)))
}

/// Gives our options the names that tmux keeps them by; whether there were any.
pub fn rename_options(command: &mut Command) -> bool {
    let before = command.words.clone();
    if let Some(mention) = mention(command) {
        let shows = mention.shows();
        let Mention { start, at, name, inner } = mention;
        command.words[at] = options::user_option(name).into();
        let has_scope = b"gswp".iter().any(|flag| inner.has_flag(*flag, "t"));
        let mut flags = String::from("-");
        flags.extend((!has_scope).then_some('g'));
        flags.extend((name == "set" && !shows).then_some('a'));
        // One that is not set has no value, rather than being unknown.
        flags.extend(shows.then_some('q'));
        if flags.len() > 1 {
            command.words.insert(start + 1, flags.into());
        }
    }
    for word in &mut command.words {
        if let Some(text) = word.to_str().filter(|text| text.contains(' ')) {
            *word = config_text::rewritten(text, |_| None).into();
        }
    }
    command.words != before
}

/// A file with our options is sourced as a copy.
fn replace_source(command: &mut Command, socket: &Path) -> anyhow::Result<Option<Config>> {
    if command.name() != Some("source-file") {
        return Ok(None);
    }
    let at = command.operands_at("t");
    let words = command.words.split_off(at);
    let groups: Vec<Vec<PathBuf>> = words.iter().map(|word| files_of(word)).collect();
    let Some((config, read)) = Config::for_source(&groups.concat(), socket)? else {
        command.words.extend(words);
        return Ok(None);
    };
    let mut read = read.into_iter();
    for (word, group) in words.into_iter().zip(groups) {
        match group.len() {
            0 => command.words.push(word),
            count => command.words.extend(read.by_ref().take(count).map(OsString::from)),
        }
    }
    Ok(Some(config))
}

/// The files that a word means that the shell has read already; none: tmux's to complain about.
fn files_of(word: &OsStr) -> Vec<PathBuf> {
    let meant = word.to_str().map(|word| SourcedPath::read(word, |_| None));
    let files = meant.as_ref().map_or(&[][..], SourcedPath::files);
    files.iter().filter(|path| path.is_file()).cloned().collect()
}

/// `wait tmate-ready`.
struct Wait {
    timeout: Option<Duration>,
}

impl Wait {
    /// `None` if it is another command, or another channel.
    fn parse(command: &Command) -> anyhow::Result<Option<Self>> {
        if command.name() != Some("wait-for") {
            return Ok(None);
        }
        let mut timeout = None;
        let mut channel = None;
        let mut words = command.words[1..].iter().map(|word| word.to_string_lossy());
        while let Some(word) = words.next() {
            if let Some(value) = word.strip_prefix("--timeout=") {
                timeout = Some(seconds(value)?);
            } else if word == "--timeout" {
                let value = words.next().context("--timeout needs a number of seconds")?;
                timeout = Some(seconds(&value)?);
            } else if channel.replace(word).is_some() {
                return Ok(None);
            }
        }
        if !channel.is_some_and(|channel| READY.contains(&channel.as_ref())) {
            return Ok(None);
        }
        if timeout.is_none()
            && let Some(value) = std::env::var_os(TIMEOUT_ENV).filter(|value| !value.is_empty())
        {
            timeout = Some(seconds(&value.to_string_lossy()).context(TIMEOUT_ENV)?);
        }
        Ok(Some(Self { timeout }))
    }

    fn run(&self, tmux: &Tmux) -> anyhow::Result<u8> {
        let agent = agents::find(Some(&tmux.socket)).context("nobody can join this session")?;
        let mut stream = agents::connect(&agent, Request::AwaitReady)?;
        let timeout = match self.timeout {
            Some(timeout) => Some(timeout),
            None => configured_timeout(tmux),
        };
        stream.set_read_timeout(timeout)?;
        let began = Instant::now();
        match agents::read_answer(&mut stream) {
            Ok(Some(Answer::Ready)) => Ok(0),
            Err(_) if timeout.is_some_and(|timeout| began.elapsed() >= timeout) => {
                let trouble = agents::status(&agent).ok().and_then(|status| status.trouble);
                let seconds = timeout.unwrap_or_default().as_secs();
                let reason = trouble.map_or(String::new(), |text| format!(": {text}"));
                bail!("nobody can join yet after {seconds} s{reason}")
            }
            Err(error) => Err(error.context("nobody will be able to join this session")),
            Ok(_) => bail!("the session ended before anybody could join"),
        }
    }
}

fn configured_timeout(tmux: &Tmux) -> Option<Duration> {
    let option = options::user_option("wait-timeout");
    let value = tmux.run(&["show-options", "-gqv", &option]).ok()?;
    value.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

fn seconds(text: &str) -> anyhow::Result<Duration> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => bail!("'{text}' is no time to wait: allowed are seconds, up to a day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Command {
        Command { words: text.split(' ').map(Into::into).collect() }
    }

    #[test]
    fn who_may_join_is_said_for_all_sessions_and_for_this_one() {
        for (text, count) in [
            ("set -g tern-approve off", 2),
            ("set tmate-github-user alice", 2),
            ("set-option -gu tern-approve", 2),
            ("set -s tern-approve off", 1),
            ("set -ga tern-keys-user bob", 1),
            ("set -g tern-api-key k", 1),
            ("show -g tern-approve", 1),
            ("bind x set -g tern-approve off", 1),
        ] {
            let group = with_last_word(&[command(text)], |_| false);
            assert_eq!(group.len(), count, "{text}");
            assert_eq!(group[0], command(text), "it comes first: {text}");
        }
        let group = with_last_word(&[command("set -g tern-approve off")], |_| true);
        assert_eq!(group[1], command("set-option -qu @tmate-approve"));
        let group = with_last_word(&[command("set -ga tern-keys-user ,bob")], |_| true);
        assert_eq!(group[1], command("set-option -qa @tmate-keys-user ,bob"));
        for text in ["set -sa tern-keys-user bob", "set -ga tern-approve on", "set -ga status x"] {
            assert_eq!(with_last_word(&[command(text)], |_| true).len(), 1, "{text}");
        }
    }

    #[test]
    fn our_options_are_set_under_tmuxs_names() {
        for (before, after) in [
            ("set-option -g tmate-server-host h", "set-option -g @tmate-server-host h"),
            ("set tern-api-key k", "set -g @tmate-api-key k"),
            ("show -v tmate-api-key", "show -gq -v @tmate-api-key"),
            ("bind x set -g tmate-api-key k", "bind x set -g @tmate-api-key k"),
            ("set -g tmate-set authorized_keys=x", "set -a -g @tmate-set authorized_keys=x"),
        ] {
            let mut command = command(before);
            assert!(rename_options(&mut command));
            let words: Vec<_> = command.words.iter().map(|word| word.to_string_lossy()).collect();
            assert_eq!(words.join(" "), after);
        }
        let bad = bad_value(&command("set -g tmate-server-port abc")).expect("there is a home");
        assert!(bad.is_some_and(|bad| bad.starts_with("tmate-server-port: 'abc' is no number")));
        let bad = bad_value(&command("set -g tern-server-port abc")).expect("there is a home");
        assert!(bad.is_some_and(|bad| bad.starts_with("tern-server-port: ")));
        for text in ["set -g status on", "display -p tmate-api-key", "set -g tmate-nonsense x"] {
            assert!(!rename_options(&mut command(text)), "{text}");
        }
    }

    #[test]
    fn waiting_for_another_channel_is_tmuxs() {
        let parsed = |text| Wait::parse(&command(text)).expect("it is right");
        assert!(parsed("wait tmate-ready").is_some_and(|wait| wait.timeout.is_none()));
        let wait = parsed("wait-for --timeout 30 tern-ready").expect("it is ours");
        assert_eq!(wait.timeout, Some(Duration::from_secs(30)));
        assert!(parsed("wait other").is_none() && parsed("wait -S tmate-ready").is_none());
        assert!(Wait::parse(&command("wait --timeout x tmate-ready")).is_err());
    }
}
