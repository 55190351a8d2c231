//! The manual page, `tern man`: one page for all commands, made of the same text as `--help`.

use crate::shell::join::Reason;
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use std::collections::BTreeSet;
use std::io::Write;

/// Variables that are read besides those that stand for an option.
const VARIABLES: [(&str, &str); 6] = [
    ("TERN_LOG", "What is logged, as a filter of the Rust crate tracing-subscriber; before -v."),
    ("TERM, COLORTERM", "What the terminal of a viewer can show: truecolor, 256 colours, 16 or 8."),
    ("NO_COLOR", "If it is set and not empty, a viewer's terminal gets no colours."),
    ("SHELL", "What is shared with --no-tmux if no program is given."),
    ("XDG_RUNTIME_DIR", "Sockets are in its folder tern; without it, in /tmp/tern-UID."),
    (
        "XDG_STATE_HOME",
        "Logs, learnt host keys and the keys of this machine's relay are in its folder tern; \
         without it, in ~/.local/state/tern.",
    ),
];
const EXIT_STATUS: &str = "That of the program that was shared with `--`, or 128 and the number \
    of the signal that killed it; 127 if there is no such program, 126 if it can't be run. Else 0, \
    1 if something failed or nobody could ever join, 2 if the command line is wrong.";
const JOIN_EXIT_STATUS: &str = "Of tern join: 0 after leaving; that of the session when it has \
    ended (0, or of the program that was shared); 128 and the number of the signal that ended it, \
    129 if its terminal went away; 2 if the command line is wrong; and";

/// Writes the page. `examples` are lines of a command, two blanks or more, and what it is for.
pub fn write(mut command: Command, examples: &str, to: &mut dyn Write) -> std::io::Result<()> {
    command.build();
    let man = Man::new(command.clone());
    man.render_title(to)?;
    man.render_name_section(to)?;
    synopsis().to_writer(to)?;
    man.render_description_section(to)?;
    man.render_options_section(to)?;
    commands(&command).to_writer(to)?;
    environment(&command).to_writer(to)?;
    let mut rest = Roff::new();
    rest.control("SH", ["EXIT STATUS"]).text([roman(EXIT_STATUS)]);
    rest.control("PP", []).text([roman(JOIN_EXIT_STATUS)]);
    for reason in Reason::ALL {
        rest.control("TP", []).text([bold(reason.exit_status().to_string())]);
        rest.text([roman(sentence(reason.meaning()))]);
    }
    rest.control("SH", ["EXAMPLES"]);
    for line in examples.lines().map(str::trim) {
        let (example, meaning) = line.split_once("  ").unwrap_or((line, ""));
        rest.control("TP", []).text([bold(example)]).text([roman(meaning.trim())]);
    }
    rest.control("SH", ["SEE ALSO"]);
    rest.text([bold("tmux"), roman("(1), "), bold("ssh"), roman("(1)")]);
    rest.to_writer(to)?;
    man.render_version_section(to)
}

fn synopsis() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text(
        [bold("tern"), roman(" ["), italic("OPTIONS"), roman("] ["), bold("--")]
            .into_iter()
            .chain([roman(" "), italic("CMD"), roman(" ...]")])
            .collect::<Vec<_>>(),
    );
    roff.control("br", []);
    roff.text(
        [bold("tern"), roman(" "), italic("COMMAND"), roman(" ["), italic("OPTIONS")]
            .into_iter()
            .chain([roman("]")])
            .collect::<Vec<_>>(),
    );
    roff
}

fn commands(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for sub in shown.filter(|sub| sub.get_name() != "help") {
        let mut usage = vec![bold(format!("tern {}", sub.get_name()))];
        let arguments = || sub.get_arguments().filter(|arg| !is_everywhere(arg));
        for arg in arguments() {
            usage.extend(in_usage(arg));
        }
        roff.control("TP", []).text(usage);
        let about = sub.get_long_about().or(sub.get_about()).map(ToString::to_string);
        roff.text([roman(sentence(&about.unwrap_or_default()))]);
        for arg in arguments() {
            let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string);
            roff.control("RS", []).control("TP", []).text(heading(arg));
            roff.text([roman(sentence(&help.unwrap_or_default()))]).control("RE", []);
        }
    }
    roff
}

/// Help texts end without a full stop.
fn sentence(text: &str) -> String {
    if text.ends_with(['.', ')']) { text.to_owned() } else { format!("{text}.") }
}

fn is_everywhere(arg: &Arg) -> bool {
    ["help", "version"].contains(&arg.get_id().as_str())
}

/// The name of its value; none for a flag.
fn value(arg: &Arg) -> Option<String> {
    let names = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    names.and_then(|names| names.first()).map(ToString::to_string)
}

/// `[-S SOCKET]`, `[--reveal]`, `SHELL`.
fn in_usage(arg: &Arg) -> Vec<Inline> {
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(short), _) => format!("-{short}"),
        (None, Some(long)) => format!("--{long}"),
        (None, None) => return vec![roman(" "), italic(value(arg).unwrap_or_default())],
    };
    let mut usage = vec![roman(" ["), bold(name)];
    if let Some(value) = value(arg) {
        usage.extend([roman(" "), italic(value)]);
    }
    usage.push(roman("]"));
    usage
}

/// `-S, --socket SOCKET`.
fn heading(arg: &Arg) -> Vec<Inline> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names: Vec<_> = [short, long].into_iter().flatten().collect();
    let value = value(arg).map(italic);
    if names.is_empty() {
        return value.into_iter().collect();
    }
    let mut heading = vec![bold(names.join(", "))];
    if let Some(value) = value {
        heading.extend([roman(" "), value]);
    }
    heading
}

fn environment(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]);
    let mut seen = BTreeSet::new();
    let all = command.get_subcommands().flat_map(Command::get_arguments);
    for arg in command.get_arguments().chain(all) {
        if let (Some(name), Some(option)) = (arg.get_env(), arg.get_long())
            && seen.insert(name)
        {
            let meaning = format!("As --{option}, where that is not given.");
            roff.control("TP", []).text([bold(name.to_string_lossy())]).text([roman(meaning)]);
        }
    }
    for (name, meaning) in VARIABLES {
        roff.control("TP", []).text([bold(name)]).text([roman(meaning)]);
    }
    roff
}
