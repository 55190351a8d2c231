//! What command lines said of who may join a session. It is kept with the session, so that a sharing
//! that begins anew, by `tern` alone, is no more open than the one before.
//!
//! Beside it is kept what our options were by then: what was said last counts, by an option or on a
//! command line, whether the session was shared in between or not.

use crate::core::drop_in::options::{Settings, Values};
use crate::core::drop_in::run_time::RunTime;
use crate::core::wishes::{Forges, Wishes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Options that say whose keys let in, without prefix.
pub const KEYS_OPTIONS: [&str; 5] =
    ["authorized-keys", "github-user", "gitlab-user", "keys-url", "keys-user"];
/// The option that says whether the host is asked.
pub const APPROVE_OPTION: &str = "approve";

/// Whether who sets this option, with these flags, says for all sessions of a tmux who may join. What is
/// appended, or set only if nothing is, takes nothing back that was said for one.
pub fn is_said_for_all(option: &str, has_flag: impl Fn(u8) -> bool) -> bool {
    let is_access = option == APPROVE_OPTION || KEYS_OPTIONS.contains(&option);
    let is_for_all = has_flag(b'g') || !b"swp".iter().any(|flag| has_flag(*flag));
    is_access && is_for_all && !has_flag(b'a') && !has_flag(b'o')
}

/// Whether who appends to this option, with these flags, adds for all sessions of a tmux to a list of who
/// may join: a session's own list, which comes before it, is meant as well.
pub fn is_added_for_all(option: &str, has_flag: impl Fn(u8) -> bool) -> bool {
    let is_list = option != "authorized-keys" && KEYS_OPTIONS.contains(&option);
    let is_for_all = has_flag(b'g') || !b"swp".iter().any(|flag| has_flag(*flag));
    is_list && is_for_all && has_flag(b'a') && !has_flag(b'u')
}

/// What command lines said; the default said nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidAccess {
    /// Whose keys let in: all of it was said by one command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<SaidKeys>,
    /// The host wants to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approve: Option<SaidApprove>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidKeys {
    file: Option<PathBuf>,
    forges: Forges,
    /// The options by then.
    options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidApprove {
    is_wanted: bool,
    options: BTreeMap<String, String>,
}

/// It isn't what was written: nobody knows any more who may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was said of who may join can't be read")]
pub struct Unreadable;

impl SaidAccess {
    /// Reads what [`Self::to_text`] made; an empty text says nothing.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let said: Self = serde_json::from_str(text).map_err(|_| Unreadable)?;
        // That would be everybody.
        let is_blank = |keys: &SaidKeys| keys.file.is_none() && keys.forges.is_empty();
        if said.is_silent() || said.keys.as_ref().is_some_and(is_blank) {
            return Err(Unreadable);
        }
        Ok(said)
    }

    /// One line, empty if nothing was said. An error names a path that is not UTF-8.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        if self.is_silent() { Ok(String::new()) } else { serde_json::to_string(self) }
    }

    /// Whether nothing was said.
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// Whether keys were said to be asked for.
    pub fn wants_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Whether the host was said to want to be asked.
    pub fn wants_approval(&self) -> bool {
        self.approve.as_ref().is_some_and(|approve| approve.is_wanted)
    }

    /// A command line says this, while the options are these. A new list takes the former one's place:
    /// whoever was let in by that may not be meant any more.
    #[must_use]
    pub fn and(mut self, flags: &Wishes, options: &Values) -> Self {
        let then = |names: &[&str]| {
            let values = names.iter().filter_map(|name| options.get_key_value(*name));
            values.map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        if flags.authorized_keys.is_some() || !flags.forges.is_empty() {
            self.keys = Some(SaidKeys {
                file: flags.authorized_keys.clone(),
                forges: flags.forges.clone(),
                options: then(&KEYS_OPTIONS),
            });
        }
        if let Some(is_wanted) = flags.asks_before_join {
            self.approve = Some(SaidApprove { is_wanted, options: then(&[APPROVE_OPTION]) });
        }
        self
    }

    /// Who may join by the command lines alone.
    pub fn wishes(&self) -> Wishes {
        let keys = self.keys.as_ref();
        Wishes {
            authorized_keys: keys.and_then(|keys| keys.file.clone()),
            forges: keys.map(|keys| keys.forges.clone()).unwrap_or_default(),
            asks_before_join: self.approve.as_ref().map(|approve| approve.is_wanted),
            ..Wishes::default()
        }
    }

    /// Who may join, with the options as they are now; `configured` is for what neither says. `~/`
    /// means `home`.
    pub fn wishes_with(&self, options: &Values, configured: &Wishes, home: &Path) -> Wishes {
        let of_keys = self.keys.iter().flat_map(|keys| &keys.options);
        let of_approve = self.approve.iter().flat_map(|approve| &approve.options);
        let then = of_keys.chain(of_approve).filter_map(|(name, value)| {
            let mut names = KEYS_OPTIONS.into_iter().chain([APPROVE_OPTION]);
            Some((names.find(|known| known == name)?, value.clone()))
        });
        let then: Values = then.collect();
        let (settings, _) = Settings::read(&then, home);
        let begun = self.wishes().or(settings.wishes).or(configured.clone());
        let base = self.wishes().or(configured.clone());
        // As if it had been shared all the time.
        let mut run_time = RunTime::new(then, begun, base);
        run_time.handle_values(options.clone(), home);
        run_time.wishes().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(set: &[(&'static str, &str)]) -> Values {
        set.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    fn file(path: &str) -> Wishes {
        Wishes { authorized_keys: Some(path.into()), ..Wishes::default() }
    }

    fn asking() -> Wishes {
        Wishes { asks_before_join: Some(true), ..Wishes::default() }
    }

    fn github(user: &str) -> Wishes {
        let forges = Forges { github_users: vec![user.into()], ..Forges::default() };
        Wishes { forges, ..Wishes::default() }
    }

    /// As a later `tern` has it.
    fn kept(said: &SaidAccess) -> SaidAccess {
        let text = said.to_text().expect("paths are UTF-8");
        assert!(!text.contains('\n'), "{text}");
        SaidAccess::parse(&text).expect("own text")
    }

    fn now(said: &SaidAccess, options: &[(&'static str, &str)]) -> Wishes {
        said.wishes_with(&values(options), &Wishes::default(), Path::new("/h"))
    }

    #[test]
    fn what_was_said_holds_until_something_else_is() {
        let none = Values::new();
        let said = kept(&SaidAccess::default().and(&file("/a"), &none).and(&asking(), &none));
        let said = kept(&said.and(&Wishes::default(), &values(&[("github-user", "x")])));
        assert_eq!(now(&said, &[]).authorized_keys, Some("/a".into()));
        assert!(now(&said, &[]).is_asking());
        // Another list takes the place of the first, and being asked stays.
        let said = kept(&said.and(&github("bob"), &none));
        let wishes = now(&said, &[]);
        assert_eq!((wishes.authorized_keys, wishes.forges), (None, github("bob").forges));
        assert!(now(&said, &[]).is_asking());
    }

    #[test]
    fn option_that_was_set_later_counts_and_can_be_taken_back() {
        let before = [("authorized-keys", "/option"), ("approve", "off")];
        let said = SaidAccess::default().and(&file("/flag"), &values(&before));
        let said = kept(&said.and(&asking(), &values(&before)));
        let wishes = now(&said, &before);
        assert_eq!(wishes.authorized_keys, Some("/flag".into()));
        assert!(wishes.is_asking(), "the command line spoke last");
        assert!(!now(&said, &[("approve", "0")]).is_asking());
        let wishes = now(&said, &[("authorized-keys", "~/later"), ("approve", "off")]);
        assert_eq!(wishes.authorized_keys, Some("/h/later".into()));
        assert!(wishes.is_asking());
        let wishes = now(&said, &[]);
        assert_eq!(wishes.authorized_keys, Some("/flag".into()), "taken back");
        assert!(wishes.is_asking());
    }

    #[test]
    fn configuration_counts_where_nobody_says_anything() {
        let configured = file("/configured").or(asking());
        let with = |said: &SaidAccess, options: &[(&'static str, &str)]| {
            said.wishes_with(&values(options), &configured, Path::new("/h"))
        };
        let silent = SaidAccess::default();
        assert_eq!(with(&silent, &[]).authorized_keys, Some("/configured".into()));
        assert!(
            with(&silent, &[]).is_asking() && !with(&silent, &[("approve", "off")]).is_asking()
        );
        let said = silent.and(&file("/flag"), &Values::new());
        assert_eq!(with(&said, &[]).authorized_keys, Some("/flag".into()));
        assert!(with(&said, &[]).is_asking());
        let lines = with(&said, &[("set", "authorized_keys=line")]).authorized_keys_lines;
        assert_eq!(lines, ["line"]);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_never_everybody() {
        let keys = r#"{"keys":{"file":null,"forges":{"github_users":[],"gitlab_users":[],"users":[],"urls":[]},"options":{}}}"#;
        for text in ["{}", "nonsense", "{\"keys\":null}", "{\"newer\":1}", keys] {
            assert_eq!(SaidAccess::parse(text), Err(Unreadable), "{text}");
        }
        let text = SaidAccess::default().and(&file("/a"), &Values::new()).to_text().expect("UTF-8");
        for end in 1..text.len() {
            assert_eq!(SaidAccess::parse(&text[..end]), Err(Unreadable), "{}", &text[..end]);
        }
        assert_eq!(SaidAccess::parse(""), Ok(SaidAccess::default()));
    }

    proptest! {
        #[test]
        fn any_text_is_silent_only_if_it_is_empty(text in any::<String>()) {
            let said = SaidAccess::parse(&text);
            prop_assert_eq!(said == Ok(SaidAccess::default()), text.is_empty());
        }

        #[test]
        fn who_limited_it_finds_it_limited(
            path in "[^\0]{1,20}",
            is_asking in any::<bool>(),
            option in ".{1,10}",
        ) {
            let mut flags = file(&path);
            flags.asks_before_join = is_asking.then_some(true);
            let options = values(&[("authorized-keys", &option)]);
            let said = kept(&SaidAccess::default().and(&flags, &options));
            let wishes = said.wishes_with(&options, &Wishes::default(), Path::new("/h"));
            prop_assert_eq!(wishes.authorized_keys, flags.authorized_keys);
            prop_assert_eq!(wishes.asks_before_join, flags.asks_before_join);
        }
    }
}
