//! The corpus: what is typed into five programs. Made from a seed; nobody's own typing is in it.

use super::human::{Before, Human};
use super::programs::Program;
use std::time::Duration;

/// A key that is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// As a terminal sends it.
    pub bytes: Vec<u8>,
    /// Since the key before it, or since what `looks` waits for was seen.
    pub pause: Duration,
    /// Who types waits until the effect of the key before this one is on the screen.
    pub looks: bool,
}

/// Share of a full corpus's keys that go to each program, in percent.
const SHARES: [(Program, usize); 5] = [
    (Program::Shell, 30),
    (Program::Editor, 25),
    (Program::Form, 20),
    (Program::Chat, 18),
    (Program::Pager, 7),
];
/// What a shell is given.
const COMMANDS: [&str; 14] = [
    "ls -l",
    "git status",
    "cd src && ls",
    "cd ..",
    "grep -n error notes.txt | head -5",
    "make test",
    "cat notes.txt",
    "echo \"done with it\"",
    "find . -name readme.md -newer notes.txt -print",
    "wc -l notes.txt readme.md",
    "tar czf backup.tgz src notes.txt readme.md && ls -l src notes.txt && echo this line wraps",
    "date +%s | sed s/[0-9]/x/g",
    "for n in 1 2 3; do echo $n; done",
    "printf '%s\\n' wörter für ümläute",
];
/// What people write.
const SENTENCES: [&str; 16] = [
    "I had a look at the patch this morning, and it reads well.",
    "Could you run the tests once more on the small machine?",
    "The timer fires twice if the link comes back within a second.",
    "We should not wait for the answer here, since it may never come.",
    "That is what the log says, at least.",
    "Let us meet at ten, as always.",
    "No, the other way round.",
    "I think so.",
    "It works on my machine, which proves nothing.",
    "The second column is the one that counts.",
    "What happens when the queue is full?",
    "Nobody has asked for that yet, so let us leave it out.",
    "Sorry, I was away for a moment.",
    "Please have a look at the last paragraph.",
    "Größere Zahlen brauchen länger, naïve ones too.",
    "ok",
];
/// What is looked for in files.
const PATTERNS: [&str; 5] = ["error", "the line", "queue", "timer", "nowhere"];

/// Keys for each program, `total` of them or a few more.
pub(crate) fn corpus(seed: u64, total: usize) -> Vec<(Program, Vec<Key>)> {
    SHARES
        .iter()
        .map(|(program, share)| (*program, keys(*program, seed, total * share / 100)))
        .collect()
}

/// At least `count` keys for a program.
fn keys(program: Program, seed: u64, count: usize) -> Vec<Key> {
    let mut human = Human::new(seed.wrapping_mul(31).wrapping_add(program as u64));
    while human.count() < count {
        match program {
            Program::Shell => command(&mut human),
            Program::Editor => edit(&mut human),
            Program::Pager => page(&mut human),
            Program::Form => mail(&mut human),
            Program::Chat => say(&mut human),
        }
    }
    human.into_keys()
}

/// A line at the shell's prompt, however it comes about.
fn command(human: &mut Human) {
    let line = human.chance().pick(&COMMANDS);
    match human.below(12) {
        // From the history.
        0 => {
            human.repeat_some("\x1b[A", 1, 2);
            human.key("\r", Before::Breath);
        }
        // A name is completed.
        1 => {
            human.text("cat note", Before::Flow);
            human.key("\t", Before::Flow);
            human.key("\r", Before::Breath);
        }
        // Another thought: the line goes, and another one comes.
        2 => {
            human.text(line, Before::Flow);
            human.key("\x15", Before::Thought);
            human.text("pwd", Before::Thought);
            human.key("\r", Before::Flow);
        }
        // The last word goes.
        3 => {
            human.text("ls src notes", Before::Flow);
            human.key("\x17", Before::Breath);
            human.text("readme.md", Before::Flow);
            human.key("\r", Before::Flow);
        }
        // Something is put in before the last word.
        4 => {
            human.text("ls -l notes.txt", Before::Flow);
            human.repeat("\x1b[D", 9);
            human.text("src ", Before::Breath);
            human.repeat("\x1b[C", 3);
            human.key("\x05", Before::Repeat);
            human.text(" readme.md", Before::Flow);
            human.key("\r", Before::Flow);
        }
        // From the beginning of the line.
        5 => {
            human.text(line, Before::Flow);
            human.key("\x01", Before::Breath);
            human.text("time ", Before::Breath);
            human.key("\r", Before::Breath);
        }
        // A password, read without echo.
        6 => {
            human.text("read -rsp Password: x; echo", Before::Flow);
            human.key("\r", Before::Flow);
            human.look();
            human.sure_text("#%=;%#+", Before::Thought);
            human.key("\r", Before::Flow);
        }
        // Lines for a program that reads them.
        7 => {
            human.text("cat > list.txt", Before::Flow);
            human.key("\r", Before::Flow);
            human.look();
            human.text("- milk and bread", Before::Thought);
            human.key("\r", Before::Flow);
            human.text("- a new lamp", Before::Breath);
            human.key("\r", Before::Flow);
            human.key("\x04", Before::Breath);
        }
        _ => {
            human.text(line, Before::Flow);
            human.key("\r", Before::Breath);
        }
    }
    human.look();
}

/// Some lines in an editor with modes, and ways about.
fn edit(human: &mut Human) {
    match human.below(3) {
        0 => human.key("o", Before::Thought),
        1 => human.key("A", Before::Thought),
        _ => {
            human.key("G", Before::Thought);
            human.key("o", Before::Breath);
        }
    }
    let lines = 1 + human.below(4);
    for number in 0..lines {
        if number > 0 {
            human.key("\r", Before::Flow);
        }
        let sentence = human.chance().pick(&SENTENCES);
        human.text(sentence, Before::Breath);
        if human.chance().happens(0.3) {
            human.key(" ", Before::Flow);
            human.text(SENTENCES[7], Before::Flow);
        }
    }
    human.key("\x1b", Before::Breath);
    match human.below(6) {
        0 => human.repeat_some("k", 1, 5),
        1 => {
            human.key("0", Before::Thought);
            human.repeat_some("w", 1, 4);
            human.repeat_some("x", 1, 3);
        }
        2 => {
            human.key("/", Before::Thought);
            let pattern = human.chance().pick(&PATTERNS);
            human.text(pattern, Before::Flow);
            human.key("\r", Before::Breath);
            human.look();
            human.key("n", Before::Thought);
        }
        3 => {
            human.key(":", Before::Thought);
            human.text("w", Before::Flow);
            human.key("\r", Before::Breath);
        }
        4 => {
            human.key("0", Before::Thought);
            human.repeat_some("l", 1, 8);
            human.key("i", Before::Breath);
            human.text("in between ", Before::Breath);
            human.key("\x1b", Before::Breath);
        }
        _ => {
            human.key("d", Before::Thought);
            human.key("d", Before::Repeat);
            human.key("u", Before::Thought);
        }
    }
}

/// Some pages of a text.
fn page(human: &mut Human) {
    match human.below(5) {
        0 => {
            human.look();
            human.key("/", Before::Thought);
            let pattern = human.chance().pick(&PATTERNS[..4]);
            human.text(pattern, Before::Flow);
            human.key("\r", Before::Breath);
            human.look();
            human.key("n", Before::Thought);
        }
        1 => human.repeat_some("j", 1, 10),
        2 => human.repeat_some("k", 1, 6),
        3 => human.key("g", Before::Thought),
        _ => human.repeat_some(" ", 1, 3),
    }
}

/// A mail: two fields, a text whose lines wrap by themselves, and off it goes.
fn mail(human: &mut Human) {
    human.text("ann@example.org", Before::Thought);
    human.key("\t", Before::Flow);
    let subject = human.chance().pick(&SENTENCES);
    human.text(subject, Before::Breath);
    human.key("\t", Before::Flow);
    for _ in 0..1 + human.below(3) {
        for _ in 0..1 + human.below(4) {
            let sentence = human.chance().pick(&SENTENCES);
            human.text(sentence, Before::Breath);
            human.key(" ", Before::Flow);
        }
        if human.chance().happens(0.3) {
            human.repeat_some("\x1b[D", 2, 6);
            human.text("really ", Before::Breath);
            human.key("\x05", Before::Breath);
        }
        human.repeat("\r", 2);
    }
    human.key("\x18", Before::Thought);
}

/// A line in a conversation.
fn say(human: &mut Human) {
    let sentence = human.chance().pick(&SENTENCES);
    human.text(sentence, Before::Thought);
    if human.chance().happens(0.1) {
        human.key("\x15", Before::Thought);
        human.text("never mind", Before::Breath);
    }
    human.key("\r", Before::Breath);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpus_is_as_large_as_was_asked_and_the_same_again() {
        let all = corpus(1, 5_000);
        assert!(all.iter().map(|(_, keys)| keys.len()).sum::<usize>() >= 5_000);
        assert_eq!(all, corpus(1, 5_000));
        assert_ne!(all, corpus(2, 5_000));
    }

    #[test]
    fn corpus_has_what_people_type_beside_text() {
        let all = corpus(1, 5_000);
        let keys: Vec<&[u8]> =
            all.iter().flat_map(|(_, keys)| keys.iter().map(|key| key.bytes.as_slice())).collect();
        for wanted in ["\x7f", "\x1b[A", "\x1b[D", "\x1b[C", "\t", "\x15", "\x17", "\x1b", "ü"] {
            assert!(keys.contains(&wanted.as_bytes()), "{wanted:?}");
        }
    }
}
