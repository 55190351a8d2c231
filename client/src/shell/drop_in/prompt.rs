//! Our options at tmux's own prompt (`C-b :`). tmux doesn't know them, so the key is bound anew:
//! what is typed there goes on to tmux, but for lines in which our options stand; those come here.

use crate::core::control_mode::quoted;
use crate::core::drop_in::config_text::{self, Mention};
use crate::core::drop_in::options::Settings;
use crate::core::said_access::{is_added_for_all, is_said_for_all};
use crate::shell::paths::home;
use crate::shell::protocol::Request;
use crate::shell::tmux::{Tmux, shell_quoted};
use crate::shell::{agents, drop_in::pass};
use anyhow::{Context, bail};
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// What tmux binds by itself.
const DEFAULT_BINDING: &str = "command-prompt";
/// What tmux draws before what is typed. A prompt of one's own gets a blank behind it, which its own
/// has not; in a format that isn't closed, it comes to nothing.
const PROMPT: &str = ":#{";
/// What `list-keys -N` tells of it.
const NOTE: &str = "Prompt for a command";
/// What was typed last.
const TYPED: &str = "@tern-prompt";

/// Binds the key, unless the user has bound it to something else. Before 3.2 tmux can't hand a line
/// on as it is.
pub fn bind(tmux: &Tmux) -> anyhow::Result<()> {
    if !tmux.version.has_hidden_environment() {
        return Ok(());
    }
    let bound = tmux.run(&["list-keys", "-T", "prefix", ":"])?;
    if bound.split_whitespace().last() != Some(DEFAULT_BINDING) {
        return Ok(());
    }
    let program = std::env::current_exe().context("cannot find tern's own program file")?;
    let run = format!("{} at-prompt {}", shell_quoted(&program), shell_quoted(&tmux.socket));
    if run.contains(['"', '#', '\\', '$']) {
        // It would have to be quoted four times over.
        return Ok(());
    }
    let template = format!(
        "set-option -gq {TYPED} \"%%%\" ; \
         if-shell -F \"#{{m/r:(tmate|tern)-,#{{{TYPED}}}}}\" \
         {{ run-shell -b \"{run}\" }} {{ run-shell -C \"#{{{TYPED}}}\" }}"
    );
    let bind = ["bind-key", "-N", NOTE, "-T", "prefix", ":"];
    tmux.run(&[&bind[..], &["command-prompt", "-p", PROMPT, &template]].concat()).map(drop)
}

/// Runs what was typed; what is wrong with it is shown where it was typed.
pub fn run(socket: &Path) -> anyhow::Result<()> {
    let tmux = pass::tmux_at(socket)?;
    if let Err(error) = run_typed(&tmux) {
        let text = crate::core::notice::for_tmux(&format!("{error:#}"));
        tmux.run(&["display-message", &text])?;
    }
    Ok(())
}

/// The option of who may join, if it is set for all sessions as `is_meant` says.
fn set_for_all(
    mention: &Mention,
    is_meant: impl Fn(&str, &dyn Fn(u8) -> bool) -> bool,
) -> Option<&'static str> {
    let is_set = mention.is_plain && !mention.shows;
    let option = mention.option.filter(|_| is_set)?;
    is_meant(option, &|flag| mention.flags.contains(&flag)).then_some(option)
}

fn run_typed(tmux: &Tmux) -> anyhow::Result<()> {
    let line = tmux.run(&["show-options", "-gqv", TYPED])?;
    let mentions = config_text::mentions(&line);
    for mention in &mentions {
        if let (Some(option), Some(value)) = (mention.option, mention.value.clone()) {
            let values = [(option, value)].into_iter().collect();
            if let Some(bad) = Settings::read(&values, &home()?).1.pop() {
                bail!(bad.called(mention.name(&line)));
            }
        }
    }
    let mut command = tmux.command();
    let mut child = command
        .args(["-u", "source-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run tmux")?;
    if let Some(mut stdin) = child.stdin.take() {
        writeln!(stdin, "{}", config_text::rewritten(&line, |_| None))?;
        for mention in &mentions {
            if let Some(option) = set_for_all(mention, |it, has_flag| is_said_for_all(it, has_flag))
            {
                let words = pass::own_option_unset(option).words;
                writeln!(stdin, "{}", words.join(OsStr::new(" ")).display())?;
            }
            let added = set_for_all(mention, |it, has_flag| is_added_for_all(it, has_flag));
            if let (Some(option), Some(value)) = (added, &mention.value)
                && pass::own_list(tmux, option).is_some()
            {
                let words = pass::own_option_extended(option, OsStr::new(&quoted(value))).words;
                writeln!(stdin, "{}", words.join(OsStr::new(" ")).display())?;
            }
        }
    }
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if let Ok(agent) = agents::find(Some(&tmux.socket)) {
        let _ = agents::ask(&agent, Request::ReadOptions);
    }
    match said.lines().next() {
        Some(line) => bail!("{}", line.trim_start_matches("-:1: ").trim_start_matches('@')),
        None => Ok(()),
    }
}
