//! Completions for shells: the shell's script asks the program itself what may stand there, so that
//! what changes (sessions, relays, users) can be completed, too.
//!
//! Of the script nothing is promised but that it fits the program which wrote it: whoever installs
//! it does so beside that program, or lets the shell ask for it at its start.

use clap::Command;
use clap_complete::env::{CompleteEnv, Shells};
pub use clap_complete::{
    Shell,
    engine::{
        ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
    },
};
use std::ffi::OsString;
use std::io::{Error, Write};

/// The shell's name is in it while a program is asked.
pub const VARIABLE: &str = "TERN_COMPLETE";

/// Writes the script for a shell, which finds `program` on its path.
pub fn write_script(shell: Shell, program: &str, to: &mut dyn Write) -> std::io::Result<()> {
    let shell = shell.to_string();
    let shells = Shells::builtins();
    let known = shells.completer(&shell);
    let known = known.ok_or_else(|| Error::other(format!("{shell} can't ask a program")))?;
    let mut script = Vec::new();
    known.write_registration(VARIABLE, program, program, program, &mut script)?;
    match shell.as_str() {
        "bash" => to.write_all(with_whole_words(&String::from_utf8_lossy(&script)).as_bytes()),
        _ => to.write_all(&script),
    }
}

/// bash takes `=`, `:` and `@` for ends of words, so that `--relay=HOST` and `HOST:PORT` come in pieces,
/// and replaces the last piece only. The pieces of the line between blanks are joined again, and of what
/// is offered the part goes that bash keeps.
fn with_whole_words(script: &str) -> String {
    const REGISTERED: &str = " -F ";
    let name = script.split(REGISTERED).nth(1).and_then(|rest| rest.split(' ').next());
    let name = name.unwrap_or_default();
    let wrapper = format!(
        r#"
_whole_words{name}() {{
    local line="$COMP_LINE" piece kept at
    local words=() last=-1 index=0
    for at in "${{!COMP_WORDS[@]}}"; do
        piece="${{COMP_WORDS[at]}}"
        if (( last >= 0 )) && [[ "$line" != [[:space:]]* ]]; then
            words[last]+="$piece"
        else
            last=$(( last + 1 ))
            words[last]="$piece"
        fi
        line="${{line#*"$piece"}}"
        (( at == COMP_CWORD )) && index=$last
    done
    kept="${{words[index]%"$2"}}"
    local COMP_WORDS=("${{words[@]}}") COMP_CWORD=$index
    {name} "$1" "${{words[index]}}" "$3"
    for at in "${{!COMPREPLY[@]}}"; do
        COMPREPLY[at]="${{COMPREPLY[at]#"$kept"}}"
    done
}}
"#
    );
    wrapper + &script.replace(REGISTERED, &format!("{REGISTERED}_whole_words"))
}

/// Answers if it is a shell's script that asks; then nothing else is to be done. Before anything is
/// printed and any thread is started.
pub fn answer(command: impl Fn() -> Command, arguments: &[OsString]) -> Result<bool, clap::Error> {
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .try_complete(arguments.iter().cloned(), here.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_that_can_be_named_has_a_script() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            write_script(*shell, "tern-x", &mut script).expect("memory takes it");
            let script = String::from_utf8_lossy(&script);
            assert!(script.contains("tern-x") && script.contains(VARIABLE), "{shell}: {script}");
            if *shell == Shell::Bash {
                assert!(script.contains("_whole_words_clap_complete_tern_x() {"), "{script}");
                assert!(
                    script.contains(" -F _whole_words_clap_complete_tern_x tern-x"),
                    "{script}"
                );
            }
        }
    }
}
