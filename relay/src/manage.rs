//! `tern-relay user` and `tern-relay key`: what an operator does with accounts, also while the relay
//! runs. What programs want to read goes to standard output, what people should know to standard
//! error.

use crate::args::Places;
use crate::completing;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tern_accounts::store::{KeyRow, UserRow};
use tern_accounts::{ApiKey, Place, Store};
use tern_help::completions::ArgValueCandidates;

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Manage {
    /// Who may name sessions: add, list and remove users
    #[command(subcommand)]
    User(User),
    /// By what their hosts show whose they are: make, list and revoke API keys
    #[command(subcommand)]
    Key(Key),
}

/// With users.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Add a user, and print a first API key for them, once
    Add {
        /// 1 to 40 letters and digits, with single hyphens between: the sessions are NAME/...
        name: String,
        /// Where the user can be written to
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// List all users
    List(Form),
    /// Remove a user and all of their keys; their named sessions end within seconds
    Remove {
        /// Which
        #[arg(add = ArgValueCandidates::new(completing::users))]
        name: String,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// With keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make another API key for a user, and print it, once
    New {
        /// Whose
        #[arg(add = ArgValueCandidates::new(completing::users))]
        user: String,
        #[command(flatten)]
        form: Form,
    },
    /// List the keys of all users, or of one: their beginnings, and when they were last used
    List {
        /// Whose
        #[arg(add = ArgValueCandidates::new(completing::users))]
        user: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Revoke a key: no new session is named by it. Those that it has named go on
    Revoke {
        /// The key's beginning, as it is listed (tmk-abcdef)
        #[arg(add = ArgValueCandidates::new(completing::keys))]
        key: String,
    },
}

/// How it is printed.
#[derive(Debug, Args)]
pub(crate) struct Form {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
pub(crate) async fn run(manage: &Manage, places: &Places) -> anyhow::Result<ExitCode> {
    let place = places.accounts();
    if !may_make(manage)
        && let Place::File(path) = &place
        && !path.exists()
    {
        bail!(
            "there are no accounts at {place}: name the relay's folder with --data, or make the \
             first user with `tern-relay user add NAME`"
        );
    }
    let store = Store::open(&place).await?;
    let done = carry_out(manage, &store).await;
    store.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// Only who adds the first user means to make accounts where there are none.
fn may_make(manage: &Manage) -> bool {
    matches!(manage, Manage::User(User::Add { .. }))
}

async fn carry_out(manage: &Manage, store: &Store) -> anyhow::Result<()> {
    let now = SystemTime::now();
    match manage {
        Manage::User(User::Add { name, email, form }) => {
            store.add_user(name, email.as_deref(), now).await?;
            let key = store.new_key(name, now).await?;
            eprintln!("User {name} is there. Their API key, which is shown only now:");
            show_key(name, &key, form)
        }
        Manage::User(User::List(form)) => show_users(store.users().await?, form),
        Manage::User(User::Remove { name, yes }) => {
            store.user_id(name).await?;
            confirm(&format!("Remove {name}, their keys and their named sessions?"), *yes)?;
            let keys_count = store.remove_user(name).await?;
            let keys = if keys_count == 1 { "key" } else { "keys" };
            eprintln!("User {name} is gone, with {keys_count} {keys}");
            Ok(())
        }
        Manage::Key(Key::New { user, form }) => {
            let key = store.new_key(user, now).await?;
            eprintln!("A new API key of {user}, which is shown only now:");
            show_key(user, &key, form)
        }
        Manage::Key(Key::List { user, form }) => {
            show_keys(store.keys(user.as_deref()).await?, form)
        }
        Manage::Key(Key::Revoke { key }) => {
            store.revoke_key(key).await?;
            eprintln!("The key counts no more");
            Ok(())
        }
    }
}

/// Asks whoever sits at the terminal; without one, somebody must have said it before.
fn confirm(question: &str, is_said: bool) -> anyhow::Result<()> {
    if is_said {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask at: say --yes if it is meant");
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("no answer")?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { bail!("nothing was changed") }
}

#[derive(Serialize)]
struct ShownKey<'a> {
    user: &'a str,
    key: &'a str,
}

fn show_key(user: &str, key: &ApiKey, form: &Form) -> anyhow::Result<()> {
    let key = key.reveal();
    if form.json { print_json(&ShownKey { user, key }) } else { print_line(key) }
}

#[derive(Serialize)]
struct ShownUser {
    name: String,
    email: Option<String>,
    keys: i64,
    /// Seconds since 1970, as all times here.
    created_at: i64,
    last_used_at: Option<i64>,
}

fn show_users(users: Vec<UserRow>, form: &Form) -> anyhow::Result<()> {
    let shown = users.into_iter().map(|user| ShownUser {
        name: user.name,
        email: user.email,
        keys: user.keys_count,
        created_at: user.created_at,
        last_used_at: user.used_at,
    });
    if form.json {
        return print_json(&shown.collect::<Vec<_>>());
    }
    let rows = shown.map(|user| {
        let email = user.email.unwrap_or_else(|| "-".into());
        [
            user.name,
            user.keys.to_string(),
            ago(Some(user.created_at)),
            ago(user.last_used_at),
            email,
        ]
    });
    print_table(["USER", "KEYS", "CREATED", "LAST USED", "E-MAIL"], rows)
}

#[derive(Serialize)]
struct ShownKeyRow {
    key: String,
    user: String,
    created_at: i64,
    last_used_at: Option<i64>,
}

fn show_keys(keys: Vec<KeyRow>, form: &Form) -> anyhow::Result<()> {
    let shown = keys.into_iter().map(|key| ShownKeyRow {
        key: key.label,
        user: key.user,
        created_at: key.created_at,
        last_used_at: key.used_at,
    });
    if form.json {
        return print_json(&shown.collect::<Vec<_>>());
    }
    let rows =
        shown.map(|key| [key.key, key.user, ago(Some(key.created_at)), ago(key.last_used_at)]);
    print_table(["KEY", "USER", "CREATED", "LAST USED"], rows)
}

fn print_table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> anyhow::Result<()> {
    let rows: Vec<_> = [head.map(str::to_owned)].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        print_line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_line(&serde_json::to_string(value)?)
}

fn print_line(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{line}").context("nobody reads the output")
}

/// e.g. `3 days ago`.
fn ago(seconds: Option<i64>) -> String {
    let Some(seconds) = seconds else { return "never".into() };
    let at = UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0));
    let days = SystemTime::now().duration_since(at).unwrap_or_default().as_secs() / 86_400;
    match days {
        0 => "today".into(),
        1 => "1 day ago".into(),
        days => format!("{days} days ago"),
    }
}
