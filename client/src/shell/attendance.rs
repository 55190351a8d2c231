//! `tern viewers`, and what is decided about them: `tern approve`, `tern deny`, `tern kick`,
//! `tern unban`.

use crate::core::decisions::{Deciding, Verdict, Whom};
use crate::core::person::{Person, ViewerRole};
use crate::core::viewers::Viewer;
use crate::shell::agents;
use crate::shell::board::unix_time;
use crate::shell::cli::Which;
use crate::shell::completing;
use crate::shell::protocol::{Answer, Request, Since, Status};
use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;
use tern_help::completions::ArgValueCandidates;

/// What can be said to `tern viewers`.
#[derive(Debug, Args)]
pub struct ViewersOptions {
    #[command(flatten)]
    which: Which,
    /// Print an object for programs: `viewers`, `away`, `waiting` and `banned`, each with number,
    /// address, key and rights; times in seconds since 1970.
    #[arg(long)]
    json: bool,
}

/// Whom a decision is about.
#[derive(Debug, Args)]
pub struct WhomOptions {
    #[command(flatten)]
    which: Which,
    /// Their numbers, as `tern viewers` lists them.
    #[arg(value_name = "NUMBER", required_unless_present = "all",
          add = ArgValueCandidates::new(completing::people))]
    numbers: Vec<u32>,
    /// All there are.
    #[arg(long, conflicts_with = "numbers")]
    all: bool,
}

/// Whom a decision is about that may keep them out.
#[derive(Debug, Args)]
pub struct BanOptions {
    #[command(flatten)]
    whom: WhomOptions,
    /// And let them not in again while the sharing lasts: nobody with their key, and, where the session
    /// asks for none, nobody from their address.
    #[arg(long)]
    ban: bool,
}

/// `tern approve`.
pub fn approve(options: &WhomOptions) -> anyhow::Result<()> {
    decide(options, Verdict::Approve)
}

/// `tern deny`.
pub fn deny(options: &BanOptions) -> anyhow::Result<()> {
    decide(&options.whom, Verdict::Deny { bans: options.ban })
}

/// `tern kick`.
pub fn kick(options: &BanOptions) -> anyhow::Result<()> {
    decide(&options.whom, Verdict::Kick { bans: options.ban })
}

/// `tern unban`.
pub fn unban(options: &WhomOptions) -> anyhow::Result<()> {
    decide(options, Verdict::Unban)
}

/// For each number by itself: that one has gone already doesn't hinder the others.
fn decide(options: &WhomOptions, verdict: Verdict) -> anyhow::Result<()> {
    let agent = agents::find(options.which.socket.as_deref())?;
    let all = options.all.then_some(Whom::All);
    let mut failed = Ok(());
    for whom in options.numbers.iter().map(|number| Whom::One(*number)).chain(all) {
        match tell(&agent, Deciding { whom, verdict }) {
            Ok(told) => told.iter().for_each(|line| println!("{line}")),
            Err(error) => {
                if let Err(before) = std::mem::replace(&mut failed, Err(error)) {
                    eprintln!("tern: {before:#}");
                }
            }
        }
    }
    failed
}

/// Tells the agent; gives what it did, a line each.
fn tell(agent: &Path, deciding: Deciding) -> anyhow::Result<Vec<String>> {
    match agents::ask(agent, Request::Decide(deciding))? {
        Answer::Done(told) => Ok(told),
        Answer::Undone(reason) => bail!(reason),
        other => bail!("the agent answered something else: {other:?}"),
    }
}

/// `tern viewers`.
pub fn list(options: &ViewersOptions) -> anyhow::Result<()> {
    let status = agents::status(&agents::find(options.which.socket.as_deref())?)?;
    if options.json {
        println!("{}", json_of(&status));
    } else {
        print!("{}", table(&status, unix_time()));
    }
    Ok(())
}

/// One line for each: number, what they are doing here, address, rights, program, window, how long.
fn table(status: &Status, now: u64) -> String {
    let mut rows: Vec<[String; 7]> = Vec::new();
    let members = status.viewers.iter().map(|one| (one, "in"));
    for (Since { who, since }, state) in members.chain(status.away.iter().map(|one| (one, "away")))
    {
        let size = format!("{}x{}", who.cols, who.rows);
        rows.push(row(&who.person, state, size, duration(now.saturating_sub(*since))));
    }
    for Since { who: person, since } in &status.waiting {
        rows.push(row(person, "waits", String::new(), duration(now.saturating_sub(*since))));
    }
    for person in &status.banned {
        rows.push(row(person, "kept out", String::new(), String::new()));
    }
    if rows.is_empty() {
        return "Nobody is here.\n".into();
    }
    let head = ["NUMBER", "STATE", "RIGHTS", "BY", "WINDOW", "FOR", "WHO"].map(str::to_owned);
    rows.insert(0, head);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn row(person: &Person, state: &str, size: String, age: String) -> [String; 7] {
    let key = person.key.as_ref().map(|key| key.fingerprint.as_str());
    let who = match key {
        Some(fingerprint) => format!("{} {fingerprint}", person.name()),
        None => person.name(),
    };
    let number = person.number.to_string();
    let (state, rights) = (state.to_owned(), person.rights().to_owned());
    [number, state, rights, person.program().into(), size, age, who]
}

/// e.g. `12 s`, `3 min`, `2 h 5 min`.
fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {} min", minutes % 60),
    }
}

fn json_of(status: &Status) -> Value {
    let viewer = |Since { who, since }: &Since<Viewer>| {
        let mut object = json_person(&who.person);
        (object["cols"], object["rows"]) = (who.cols.into(), who.rows.into());
        object["since"] = (*since).into();
        object
    };
    let waiting = status.waiting.iter().map(|Since { who, since }| {
        let mut object = json_person(who);
        object["since"] = (*since).into();
        object
    });
    json!({
        "is_asked": status.is_asking,
        "viewers": status.viewers.iter().map(viewer).collect::<Vec<_>>(),
        "away": status.away.iter().map(viewer).collect::<Vec<_>>(),
        "waiting": waiting.collect::<Vec<_>>(),
        "banned": status.banned.iter().map(json_person).collect::<Vec<_>>(),
    })
}

fn json_person(person: &Person) -> Value {
    let key = person.key.as_ref();
    json!({
        "number": person.number,
        "address": person.address,
        "key": key.map(|key| json!({ "fingerprint": key.fingerprint, "comment": key.comment })),
        "read_only": person.role == ViewerRole::ReadOnly,
        "by": person.program(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::Key;
    use crate::shell::board::Board;

    fn status() -> Status {
        let board = Board::new("session $0".into(), None, None, "relay".into());
        let mut status = board.subscribe().borrow().status.clone();
        let person = |number, role| Person {
            number,
            role,
            address: "192.0.2.1".into(),
            key: None,
            is_by_tern: false,
        };
        let key = Key { fingerprint: "SHA256:x".into(), comment: "alice \"a\"".into() };
        let alice = Person { key: Some(key), is_by_tern: true, ..person(3, ViewerRole::ReadWrite) };
        let who = Viewer { person: alice, cols: 80, rows: 24 };
        status.viewers = vec![Since { who, since: 100 }];
        let who = Viewer { person: person(4, ViewerRole::ReadWrite), cols: 90, rows: 30 };
        status.away = vec![Since { who, since: 80 }];
        status.waiting = vec![Since { who: person(12, ViewerRole::ReadOnly), since: 190 }];
        status.banned = vec![person(2, ViewerRole::ReadWrite)];
        status
    }

    #[test]
    fn table_tells_who_is_there_and_who_waits() {
        let expected = "\
NUMBER  STATE     RIGHTS      BY         WINDOW  FOR    WHO
3       in        read-write  tern join  80x24   1 min  192.0.2.1, alice \"a\" SHA256:x
4       away      read-write  ssh        90x30   2 min  192.0.2.1
12      waits     read-only   ssh                10 s   192.0.2.1
2       kept out  read-write  ssh                       192.0.2.1
";
        assert_eq!(table(&status(), 200), expected);
        let (viewers, away) = (vec![], vec![]);
        let nobody = Status { viewers, away, waiting: vec![], banned: vec![], ..status() };
        assert_eq!(table(&nobody, 200), "Nobody is here.\n");
    }

    #[test]
    fn programs_get_an_object() {
        let object = json_of(&status());
        assert_eq!(object["viewers"][0]["key"]["comment"], "alice \"a\"");
        assert_eq!(object["viewers"][0]["since"], 100);
        assert_eq!(object["waiting"][0]["read_only"], true);
        assert_eq!(object["away"][0]["number"], 4);
        assert_eq!(
            (&object["banned"][0]["number"], &object["is_asked"]),
            (&2.into(), &false.into())
        );
    }

    #[test]
    fn times_are_told_as_people_do() {
        let told = [59, 60, 3599, 3600, 90_061].map(duration);
        assert_eq!(told, ["59 s", "1 min", "59 min", "1 h 0 min", "25 h 1 min"]);
    }
}
