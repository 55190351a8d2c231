//! A manual page: one for all commands of a program, made of the same text as `--help`.

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use std::collections::BTreeSet;
use std::io::Write;

/// What a page says besides what the command line says of itself.
#[derive(Debug)]
pub struct Page<'a> {
    /// The command line, which must have a version.
    pub command: Command,
    /// Ways to call it, in words; those in capitals are placeholders.
    pub usages: &'a [&'a str],
    /// Variables that are read besides those that stand for an option, and what each is for.
    pub variables: &'a [(&'a str, &'a str)],
    /// What the exit status means, a paragraph each.
    pub exit_status: &'a [&'a str],
    /// Numbers that the last of these paragraphs leads to, each with its meaning.
    pub exit_numbers: &'a [(u8, &'a str)],
    /// Lines of a command, two blanks or more, and what it is for.
    pub examples: &'a str,
    /// Other pages: `ssh(1)`.
    pub see_also: &'a [&'a str],
}

impl Page<'_> {
    /// Writes the page.
    pub fn write(mut self, to: &mut dyn Write) -> std::io::Result<()> {
        self.command.build();
        let man = Man::new(self.command.clone());
        man.render_title(to)?;
        man.render_name_section(to)?;
        self.synopsis().to_writer(to)?;
        man.render_description_section(to)?;
        man.render_options_section(to)?;
        commands(&self.command).to_writer(to)?;
        self.environment().to_writer(to)?;
        self.rest().to_writer(to)?;
        man.render_version_section(to)
    }

    fn synopsis(&self) -> Roff {
        let mut roff = Roff::new();
        roff.control("SH", ["SYNOPSIS"]);
        for (at, usage) in self.usages.iter().enumerate() {
            if at > 0 {
                roff.control("br", []);
            }
            roff.text(in_synopsis(usage));
        }
        roff
    }

    fn environment(&self) -> Roff {
        let mut roff = Roff::new();
        roff.control("SH", ["ENVIRONMENT"]);
        let mut seen = BTreeSet::new();
        let all = all_commands(&self.command);
        for arg in all.iter().flat_map(|(_, command)| command.get_arguments()) {
            if let (Some(name), Some(option)) = (arg.get_env(), arg.get_long())
                && seen.insert(name)
            {
                let meaning = format!("As --{option}, where that is not given.");
                roff.control("TP", []).text([bold(name.to_string_lossy())]).text([roman(meaning)]);
            }
        }
        for (name, meaning) in self.variables {
            roff.control("TP", []).text([bold(*name)]).text([roman(*meaning)]);
        }
        roff
    }

    fn rest(&self) -> Roff {
        let mut roff = Roff::new();
        roff.control("SH", ["EXIT STATUS"]);
        for (at, paragraph) in self.exit_status.iter().enumerate() {
            if at > 0 {
                roff.control("PP", []);
            }
            roff.text([roman(*paragraph)]);
        }
        for (number, meaning) in self.exit_numbers {
            roff.control("TP", []).text([bold(number.to_string())]);
            roff.text([roman(sentence(meaning))]);
        }
        roff.control("SH", ["EXAMPLES"]);
        for line in self.examples.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (example, meaning) = line.split_once("  ").unwrap_or((line, ""));
            roff.control("TP", []).text([bold(example)]).text([roman(meaning.trim())]);
        }
        roff.control("SH", ["SEE ALSO"]);
        let mut pages = Vec::new();
        for page in self.see_also {
            let (name, section) = page.split_once('(').unwrap_or((page, ""));
            if !pages.is_empty() {
                pages.push(roman(", "));
            }
            pages.extend([bold(name), roman(format!("({section}"))]);
        }
        roff.text(pages);
        roff
    }
}

/// `tern [OPTIONS] [-- CMD ...]`: what is typed is bold, what stands for something else italic.
fn in_synopsis(usage: &str) -> Vec<Inline> {
    let mut line = Vec::new();
    for (at, word) in usage.split(' ').enumerate() {
        if at > 0 {
            line.push(roman(" "));
        }
        let inner = word.trim_matches(['[', ']', '.']);
        let (before, after) = word.split_once(inner).unwrap_or((word, ""));
        let is_placeholder = inner.chars().all(char::is_uppercase);
        line.push(roman(before));
        if !inner.is_empty() {
            line.push(if is_placeholder { italic(inner) } else { bold(inner) });
        }
        line.push(roman(after));
    }
    line
}

/// Each command that is shown, with the words that lead to it.
fn all_commands(command: &Command) -> Vec<(String, &Command)> {
    let mut all = vec![(command.get_name().to_owned(), command)];
    let mut at = 0;
    while let Some((name, command)) = all.get(at).cloned() {
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let shown = shown.filter(|sub| sub.get_name() != "help");
        let inner: Vec<_> = shown.map(|sub| (format!("{name} {}", sub.get_name()), sub)).collect();
        at += 1;
        all.splice(at..at, inner);
    }
    all
}

fn commands(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for (name, sub) in all_commands(command).into_iter().skip(1) {
        // What only leads to other commands can't be called.
        if sub.is_subcommand_required_set() {
            continue;
        }
        let mut usage = vec![bold(name)];
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
    ["help", "version"].contains(&arg.get_id().as_str()) || arg.is_global_set()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_where_they_stand_and_hidden_ones_are_not() {
        let command = Command::new("x")
            .version("1")
            .subcommand(
                Command::new("user")
                    .subcommand_required(true)
                    .subcommand(Command::new("add").arg(Arg::new("name")))
                    .subcommand(Command::new("list")),
            )
            .subcommand(Command::new("secret").hide(true))
            .subcommand(
                Command::new("last").about("Goes").arg(Arg::new("to").env("X_TO").long("to")),
            );
        let names: Vec<_> = all_commands(&command).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["x", "x user", "x user add", "x user list", "x last"]);
        let page = Page {
            command,
            usages: &["x [OPTIONS] [-- CMD ...]"],
            variables: &[],
            exit_status: &["As always."],
            exit_numbers: &[(3, "third")],
            examples: "  x last   to go\n",
            see_also: &["y(1)", "z(5)"],
        };
        let mut text = Vec::new();
        page.write(&mut text).expect("memory takes it");
        let text = String::from_utf8_lossy(&text);
        for part in [
            "[\\fIOPTIONS\\fR] [\\fB\\-\\-\\fR \\fICMD\\fR ...]",
            "\\fBx user add\\fR",
            "\\fBX_TO\\fR",
            "Goes.",
            "\\fB3\\fR\nthird.",
            "\\fBx last\\fR\nto go",
            "\\fBy\\fR(1), \\fBz\\fR(5)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("secret") && !text.contains("\\fBx user\\fR"), "{text}");
    }
}
