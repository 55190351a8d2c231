//! Lists of keys that forges have of their users, and any others on the web: where they are, when they
//! are asked for, and whom they let in. What was known stays known when a forge doesn't answer; what
//! never was lets nobody in.

use crate::core::notice::printable;
use crate::core::wishes::Forges;
use std::time::{Duration, Instant};
use tern_bootstrap::authorized_keys::Rules;
use tern_web::core::url::WebUrl;

/// Most lists: a team.
pub const LISTS_MAX: usize = 50;
/// Longest name of a user: forges allow 39 to 255 letters.
const USER_SIZE_MAX: usize = 100;
/// Stands for the user in a template.
const USER: &str = "{user}";
/// Where two forges have the keys of their users.
const GITHUB: &str = "https://github.com/{user}.keys";
const GITLAB: &str = "https://gitlab.com/{user}.keys";

/// How often a list is asked for: a key that is added or taken away counts for who joins two minutes
/// later, and a forge is asked 30 times an hour for each user.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(120);
/// Rest after a try that failed; it doubles from one to the next, up to [`REFRESH_INTERVAL`].
pub const RETRY_DELAY: Duration = Duration::from_secs(4);
/// How long viewers are kept waiting for lists at the beginning; then those count that are there.
pub const FIRST_TIME_MAX: Duration = Duration::from_secs(10);

/// A list on the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub url: WebUrl,
    /// What its people are called: `alice@github.com`.
    pub name: String,
}

/// What is wrong with a wish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    /// Not a user's name.
    #[error("'{0}' is no user of a forge: letters, digits, '-', '_' and '.' are allowed")]
    User(String),
    /// Not a URL.
    #[error("a URL of keys can't be used: {0}")]
    Url(String),
    /// Somebody on the way could change it.
    #[error("keys are asked for by https:// only (http:// on this machine)")]
    Plain,
    /// A user of which forge?
    #[error(
        "users of a forge are named, but no URL has {{user}} in it: --keys-url https://FORGE/{{user}}.keys"
    )]
    NoTemplate,
    /// A template without users.
    #[error("a URL of keys has {{user}} in it, but no user is named: --keys-user NAME")]
    NoUser,
    /// Too many.
    #[error("there are {0} lists of keys; at most {LISTS_MAX} can be used")]
    TooMany(usize),
}

/// All lists that are wished.
pub fn places(forges: &Forges) -> Result<Vec<Place>, BadPlace> {
    let mut places = Vec::new();
    let own = |template: &str| template.contains(USER);
    if !forges.users.is_empty() && !forges.urls.iter().any(|url| own(url)) {
        return Err(BadPlace::NoTemplate);
    }
    if forges.users.is_empty() && forges.urls.iter().any(|url| own(url)) {
        return Err(BadPlace::NoUser);
    }
    for (template, users) in [(GITHUB, &forges.github_users), (GITLAB, &forges.gitlab_users)] {
        for user in users {
            places.push(place_of_user(template, user)?);
        }
    }
    for url in &forges.urls {
        if own(url) {
            for user in &forges.users {
                places.push(place_of_user(url, user)?);
            }
        } else {
            let url = checked(url)?;
            let path = url.path.split('?').next().unwrap_or_default();
            let name = printable(&format!("{}{path}", url.host));
            places.push(Place { url, name });
        }
    }
    if places.len() > LISTS_MAX { Err(BadPlace::TooMany(places.len())) } else { Ok(places) }
}

fn place_of_user(template: &str, user: &str) -> Result<Place, BadPlace> {
    // It becomes part of a path: nothing in it may lead elsewhere.
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_dots = user.bytes().all(|byte| byte == b'.');
    if is_dots || user.len() > USER_SIZE_MAX || !user.bytes().all(is_of_name) {
        return Err(BadPlace::User(printable(user)));
    }
    let url = checked(&template.replace(USER, user))?;
    let name = format!("{user}@{}", url.host);
    Ok(Place { url, name })
}

fn checked(url: &str) -> Result<WebUrl, BadPlace> {
    let url = WebUrl::parse(url).map_err(|error| BadPlace::Url(error.to_string()))?;
    let is_here = url.host == "localhost"
        || url.host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    if url.is_https || is_here { Ok(url) } else { Err(BadPlace::Plain) }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// A list.
    List(String),
    /// There is none: the user is gone, or never was.
    Gone,
    /// Nothing that says anything, and why, for people.
    Failed(String),
}

/// All lists of a sharing.
#[derive(Debug)]
pub struct KeyLists {
    lists: Vec<List>,
    start: Instant,
}

#[derive(Debug)]
struct List {
    place: Place,
    /// `None`: nothing was answered yet.
    known: Option<Rules>,
    /// Said last of it, so that it isn't said again.
    told: String,
    is_asked: bool,
    has_failed: bool,
    failures: u32,
    due: Instant,
}

impl KeyLists {
    /// Those at these places, all to be asked for at once.
    pub fn new(places: Vec<Place>, now: Instant) -> Self {
        let list = |place| List {
            place,
            known: None,
            told: String::new(),
            is_asked: false,
            has_failed: false,
            failures: 0,
            due: now,
        };
        Self { lists: places.into_iter().map(list).collect(), start: now }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// What its people are called, one list after the other.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().map(|list| list.place.name.as_str())
    }

    /// The next list that is to be asked for now, and where it is.
    pub fn poll_fetch(&mut self, now: Instant) -> Option<(usize, WebUrl)> {
        let is_due = |list: &&mut List| !list.is_asked && list.due <= now;
        let (index, list) = self.lists.iter_mut().enumerate().find(|(_, list)| is_due(list))?;
        list.is_asked = true;
        Some((index, list.place.url.clone()))
    }

    /// When the next one is due, or those that never answered are waited for no more.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let waiting = self.lists.iter().filter(|list| !list.is_asked);
        let first = Some(self.start + FIRST_TIME_MAX).filter(|until| now < *until);
        waiting.map(|list| list.due).chain(first).min()
    }

    /// Whether viewers should wait for the first answers.
    pub fn is_waiting(&self, now: Instant) -> bool {
        let is_open = |list: &List| list.known.is_none() && !list.has_failed;
        now < self.start + FIRST_TIME_MAX && self.lists.iter().any(is_open)
    }

    /// What was answered to [`Self::poll_fetch`]. Gives what the person should know.
    pub fn handle_fetched(
        &mut self,
        index: usize,
        fetched: Fetched,
        now: Instant,
    ) -> Option<String> {
        let list = self.lists.get_mut(index)?;
        list.is_asked = false;
        let name = list.place.name.clone();
        let text = match fetched {
            Fetched::List(text) => {
                let (rules, faults) = Rules::parse(&text);
                let (rules, refused) = rules.of_others(&name);
                let (count, wrong) = (rules.len(), faults.len() + refused);
                list.answered(rules, now);
                let lets_in = match count {
                    1 => "1 key lets in".to_owned(),
                    count => format!("{count} keys let in"),
                };
                match (count, wrong) {
                    (0, 0) => format!("{name} has no keys: nobody is let in by them"),
                    (0, _) => {
                        format!("{name} has no key that can be used: nobody is let in by them")
                    }
                    (_, 0) => format!("{name}: {lets_in}"),
                    (_, wrong) => format!("{name}: {lets_in}; lines that can't be used: {wrong}"),
                }
            }
            Fetched::Gone => {
                list.answered(Rules::default(), now);
                format!("{name}: there is no such list of keys, so nobody is let in by it")
            }
            Fetched::Failed(reason) => {
                let delay = RETRY_DELAY.saturating_mul(1 << list.failures.min(16));
                list.due = now + delay.min(REFRESH_INTERVAL);
                list.failures += 1;
                list.has_failed = true;
                let consequence = match &list.known {
                    Some(_) => "who was let in before still is",
                    None => "nobody is let in by them yet",
                };
                format!("The keys of {name} can't be had: {reason}; {consequence} (trying again)")
            }
        };
        let text = printable(&text);
        (std::mem::replace(&mut list.told, text.clone()) != text).then_some(text)
    }

    /// Whom they let in.
    pub fn rules(&self) -> Rules {
        let mut rules = Rules::default();
        for known in self.lists.iter().filter_map(|list| list.known.clone()) {
            rules.extend(known);
        }
        rules
    }
}

impl List {
    fn answered(&mut self, rules: Rules, now: Instant) {
        self.known = Some(rules);
        self.failures = 0;
        self.due = now + REFRESH_INTERVAL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINxDM8/pSr4hsikr7eiRmkR4ip0mzY+/S2hTh6+Es397";

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn github(users: &[&str]) -> Forges {
        Forges { github_users: words(users), ..Forges::default() }
    }

    fn lists(users: &[&str], now: Instant) -> KeyLists {
        KeyLists::new(places(&github(users)).expect("users"), now)
    }

    fn lines(lists: &KeyLists) -> Vec<String> {
        lists.rules().to_lines().collect()
    }

    #[test]
    fn users_and_urls_become_places() {
        let forges = Forges {
            github_users: words(&["alice"]),
            gitlab_users: words(&["bob.b"]),
            users: words(&["carol", "dave"]),
            urls: words(&["https://git.example/~{user}.keys", "https://example.org/team?x=secret"]),
        };
        let places = places(&forges).expect("they are right");
        let names: Vec<_> = places.iter().map(|place| place.name.as_str()).collect();
        let expected = [
            "alice@github.com",
            "bob.b@gitlab.com",
            "carol@git.example",
            "dave@git.example",
            "example.org/team",
        ];
        assert_eq!(names, expected);
        assert_eq!(places[0].url, WebUrl::parse("https://github.com/alice.keys").expect("a URL"));
        assert_eq!(places[3].url.path, "/~dave.keys");
    }

    #[test]
    fn wishes_that_cannot_be_kept_are_errors() {
        for user in ["", "..", "a/b", "a?b", "a#b", "a%2e", "ä", "a b", &"x".repeat(101)] {
            assert_eq!(places(&github(&[user])), Err(BadPlace::User(printable(user))));
        }
        let urls = |urls: &[&str]| Forges { urls: words(urls), ..Forges::default() };
        assert_eq!(places(&urls(&["http://example.org/keys"])), Err(BadPlace::Plain));
        assert!(places(&urls(&["http://127.0.0.1:8/keys", "http://localhost/keys"])).is_ok());
        assert!(matches!(places(&urls(&["nonsense"])), Err(BadPlace::Url(_))));
        assert_eq!(places(&urls(&["https://a.example/{user}"])), Err(BadPlace::NoUser));
        let users = Forges { users: words(&["a"]), ..Forges::default() };
        assert_eq!(places(&users), Err(BadPlace::NoTemplate));
        let many = vec!["a"; LISTS_MAX + 1];
        assert_eq!(places(&github(&many)), Err(BadPlace::TooMany(LISTS_MAX + 1)));
    }

    #[test]
    fn viewers_wait_for_the_first_answers_and_not_for_ever() {
        let start = Instant::now();
        let mut lists = lists(&["alice", "bob"], start);
        assert!(lists.is_waiting(start));
        assert_eq!(lists.poll_fetch(start).map(|(index, _)| index), Some(0));
        assert_eq!(lists.poll_fetch(start).map(|(index, _)| index), Some(1));
        assert_eq!(lists.poll_fetch(start), None, "both are under way");
        assert_eq!(lists.poll_timeout(start), Some(start + FIRST_TIME_MAX));
        lists.handle_fetched(0, Fetched::List(KEY.into()), start);
        assert!(lists.is_waiting(start) && !lists.is_waiting(start + FIRST_TIME_MAX));
        lists.handle_fetched(1, Fetched::Failed("no".into()), start);
        assert!(!lists.is_waiting(start));
        assert_eq!(lines(&lists), [format!("{KEY} alice@github.com")]);
    }

    #[test]
    fn forge_that_fails_takes_nobody_away_and_lets_nobody_new_in() {
        let start = Instant::now();
        let mut lists = lists(&["alice"], start);
        let mut now = start;
        let (mut delays, mut told) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            now = lists.poll_timeout(now + FIRST_TIME_MAX).map_or(now, |due| due.max(now));
            assert!(lists.poll_fetch(now).is_some());
            told.extend(lists.handle_fetched(0, Fetched::Failed("no".into()), now));
            let due = lists.poll_timeout(now + FIRST_TIME_MAX).expect("it is tried again");
            delays.push((due - now).as_secs());
            assert!(lines(&lists).is_empty());
        }
        assert_eq!(delays, [4, 8, 16, 32, 64, 120, 120, 120]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("nobody is let in"), "{told:?}");
        lists.handle_fetched(0, Fetched::List(KEY.into()), now);
        let notice = lists.handle_fetched(0, Fetched::Failed("no".into()), now);
        assert!(notice.expect("it is new").contains("still is"));
        assert_eq!(lines(&lists).len(), 1);
        lists.handle_fetched(0, Fetched::Gone, now);
        assert!(lines(&lists).is_empty(), "a user that is gone lets nobody in");
    }

    #[test]
    fn list_may_narrow_its_keys_and_vouch_for_no_others() {
        let now = Instant::now();
        let mut lists = lists(&["alice"], now);
        let text =
            format!("<html>\nread-only {KEY} bob\ncert-authority {KEY}\ncommand=\"x\" {KEY}\n");
        let notice = lists.handle_fetched(0, Fetched::List(text), now).expect("it is told");
        assert_eq!(lines(&lists), [format!("read-only {KEY} alice@github.com")]);
        assert!(notice.contains("1 key lets in; lines that can't be used: 3"), "{notice}");
        let notice = lists.handle_fetched(0, Fetched::List("<html>".into()), now);
        assert!(notice.expect("it is told").contains("no key that can be used"));
        assert!(lines(&lists).is_empty());
    }

    proptest! {
        #[test]
        fn any_answer_is_taken_without_a_panic(text in any::<String>()) {
            let now = Instant::now();
            let mut lists = lists(&["alice"], now);
            lists.handle_fetched(0, Fetched::List(text), now);
            lists.handle_fetched(7, Fetched::Gone, now);
        }
    }
}
