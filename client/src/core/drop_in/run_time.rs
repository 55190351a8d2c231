//! Options that are set while a session is shared: by `tern set`, at the prompt, or in tmux under the
//! names that it keeps them by. What counts at once, what waits for the next sharing.

use crate::core::drop_in::options::{self, NAMES, Settings, Values};
use crate::core::wishes::Wishes;
use std::path::Path;

/// Name of the subscription by which tmux tells that an option has changed.
pub const SUBSCRIPTION: &str = "tern-options";

/// When an option counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// As soon as it is set.
    AtOnce,
    /// Whenever somebody needs it, who asks tmux for it.
    WhenNeeded,
    /// When the sharing begins anew.
    NextSharing,
}

/// By its name without prefix.
fn effect(name: &str) -> Effect {
    match name {
        "approve" | "authorized-keys" | "display-time" | "github-user" | "gitlab-user"
        | "keys-url" | "keys-user" | "set" | "webhook-from-host" | "webhook-secret"
        | "webhook-url" | "webhook-userdata" => Effect::AtOnce,
        "wait-timeout" => Effect::WhenNeeded,
        _ => Effect::NextSharing,
    }
}

/// For `refresh-client -B`: a line that changes with any option. It holds no control characters,
/// since what somebody sets must not look like a notification of tmux's, and no colon.
pub fn subscription() -> String {
    let option = |name| format!("#{{s/[^ -~]/?/:{}}}", options::user_option(name));
    format!("{SUBSCRIPTION}::{}", NAMES.map(option).join(","))
}

/// What is wished while the session is shared. What was said last counts: the command line, until an
/// option is set; again, when that is taken back.
#[derive(Debug)]
pub struct RunTime {
    seen: Values,
    flags: Wishes,
    wishes: Wishes,
}

/// What is other now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How long notices stay, in milliseconds; inside `None`: as at the start.
    pub display_time_ms: Option<Option<u64>>,
    /// Somebody else may join: [`RunTime::wishes`] has it.
    pub is_access_new: bool,
    /// For the person; a line each.
    pub told: Vec<String>,
}

impl RunTime {
    /// With the options as they were when the sharing began, all that was wished then, and the part of
    /// it that the command line said.
    pub fn new(values: Values, wishes: Wishes, flags: Wishes) -> Self {
        Self { seen: values, flags, wishes }
    }

    /// What is wished now.
    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// The options are these now. `~/` means `home`.
    pub fn handle_values(&mut self, values: Values, home: &Path) -> Changes {
        let (settings, bad) = Settings::read(&values, home);
        let before = self.wishes.clone();
        let mut changes = Changes::default();
        let seen = std::mem::replace(&mut self.seen, values.clone());
        for name in NAMES.into_iter().filter(|name| values.get(name) != seen.get(name)) {
            let bad = bad.iter().find(|bad| bad.name == name);
            changes.told.extend(bad.map(ToString::to_string));
            match (effect(name), name) {
                (Effect::NextSharing, _) => changes.told.push(format!(
                    "The option {name} counts when the sharing begins anew: tern stop, then tern"
                )),
                (Effect::WhenNeeded, _) => {}
                // It stays as it was; but who wanted to say something about this wants to be asked.
                (Effect::AtOnce, _) if bad.is_some() && name != "approve" => {}
                (Effect::AtOnce, "display-time") => {
                    changes.display_time_ms = Some(settings.display_time_ms);
                }
                (Effect::AtOnce, _) => self.take_over(name, &settings.wishes),
            }
        }
        changes.is_access_new = self.wishes.is_access_other_than(&before);
        changes.told.extend(access_texts(&before, &self.wishes));
        changes
    }

    fn take_over(&mut self, name: &str, options: &Wishes) {
        let wished = options.clone().or(self.flags.clone());
        match name {
            "approve" => self.wishes.asks_before_join = wished.asks_before_join,
            "authorized-keys" => self.wishes.authorized_keys = wished.authorized_keys,
            "github-user" => self.wishes.forges.github_users = wished.forges.github_users,
            "gitlab-user" => self.wishes.forges.gitlab_users = wished.forges.gitlab_users,
            "keys-url" => self.wishes.forges.urls = wished.forges.urls,
            "keys-user" => self.wishes.forges.users = wished.forges.users,
            "set" => self.wishes.authorized_keys_lines = wished.authorized_keys_lines,
            "webhook-from-host" => self.wishes.is_webhook_from_host = wished.is_webhook_from_host,
            "webhook-secret" => self.wishes.webhook_secret = wished.webhook_secret,
            "webhook-url" => self.wishes.webhook_url = wished.webhook_url,
            "webhook-userdata" => self.wishes.webhook_userdata = wished.webhook_userdata,
            _ => {}
        }
    }
}

/// What the person should know of what they changed.
fn access_texts(before: &Wishes, now: &Wishes) -> Vec<String> {
    let mut told = Vec::new();
    match (before.is_asking(), now.is_asking()) {
        (false, true) => told.push("From now on you are asked before anybody joins".into()),
        (true, false) => told.push("You are not asked any more before somebody joins".into()),
        (true, true) | (false, false) => {}
    }
    if before.wants_keys() && !now.wants_keys() {
        told.push("SSH keys are not asked for any more: the join line is enough".into());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(set: &[(&'static str, &str)]) -> Values {
        set.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    /// Begun with these options, and this on the command line.
    struct World(RunTime);

    impl World {
        fn new(options: &[(&'static str, &str)], flags: Wishes) -> Self {
            let (settings, _) = Settings::read(&values(options), Path::new("/h"));
            let wishes = flags.clone().or(settings.wishes);
            Self(RunTime::new(values(options), wishes, flags))
        }

        fn set(&mut self, options: &[(&'static str, &str)]) -> Changes {
            self.0.handle_values(values(options), Path::new("/h"))
        }
    }

    #[test]
    fn what_has_not_changed_changes_nothing() {
        let flags = Wishes { asks_before_join: Some(true), ..Wishes::default() };
        let mut world = World::new(&[("approve", "off"), ("api-key", "k")], flags);
        assert!(world.0.wishes().is_asking(), "the command line comes first");
        assert_eq!(world.set(&[("approve", "off"), ("api-key", "k")]), Changes::default());
        assert!(world.0.wishes().is_asking());
    }

    #[test]
    fn what_was_said_last_counts_and_can_be_taken_back() {
        let flags = Wishes { asks_before_join: Some(true), ..Wishes::default() };
        let mut world = World::new(&[], flags);
        let changes = world.set(&[("approve", "off"), ("display-time", "7")]);
        assert!(changes.is_access_new && !world.0.wishes().is_asking());
        assert_eq!(changes.display_time_ms, Some(Some(7)));
        assert_eq!(changes.told, ["You are not asked any more before somebody joins"]);
        let changes = world.set(&[]);
        assert!(changes.is_access_new && world.0.wishes().is_asking());
        assert_eq!(changes.display_time_ms, Some(None));
    }

    #[test]
    fn keys_of_the_command_line_stay_when_another_option_is_set() {
        let flags = Wishes { authorized_keys: Some("/keys".into()), ..Wishes::default() };
        let mut world = World::new(&[], flags);
        assert!(!world.set(&[("display-time", "5")]).is_access_new);
        assert_eq!(world.0.wishes().authorized_keys, Some("/keys".into()));
        let changes = world.set(&[("authorized-keys", "~/mine"), ("display-time", "5")]);
        assert!(changes.is_access_new && changes.display_time_ms.is_none());
        assert_eq!(world.0.wishes().authorized_keys, Some("/h/mine".into()));
        let mut world = World::new(&[("authorized-keys", "/keys")], Wishes::default());
        let told = world.set(&[]).told;
        assert_eq!(told, ["SSH keys are not asked for any more: the join line is enough"]);
    }

    #[test]
    fn what_waits_for_the_next_sharing_is_told_and_mistakes_are() {
        let mut world = World::new(&[("display-time", "9")], Wishes::default());
        let changes = world.set(&[
            ("approve", "perhaps"),
            ("display-time", "x"),
            ("server-host", "r"),
            ("wait-timeout", "9"),
        ]);
        assert_eq!(changes.told.len(), 4, "{:?}", changes.told);
        assert!(changes.told[0].contains("'perhaps' is neither"));
        assert!(changes.told[1].contains("'x' is no number"));
        assert!(changes.told[2].contains("server-host counts when"));
        assert_eq!(changes.display_time_ms, None, "it stays as it was");
        assert!(world.0.wishes().is_asking(), "a mistake opens no door");
    }

    #[test]
    fn webhook_follows_its_options_and_keeps_what_a_mistake_would_end() {
        let mut world = World::new(&[("webhook-url", "https://a.example/x")], Wishes::default());
        let url = |world: &World| world.0.wishes().webhook().map(|webhook| webhook.url);
        let told = world.set(&[("webhook-url", "nonsense")]).told;
        assert_eq!((told.len(), url(&world).as_deref()), (1, Some("https://a.example/x")));
        let changes =
            world.set(&[("webhook-url", "https://b.example/"), ("webhook-userdata", "u")]);
        assert_eq!(
            (changes, url(&world).as_deref()),
            (Changes::default(), Some("https://b.example/"))
        );
        world.set(&[]);
        assert_eq!(url(&world), None);
    }

    #[test]
    fn subscription_has_no_sign_that_ends_it() {
        let line = subscription();
        assert_eq!(line.matches("@tmate-").count(), NAMES.len());
        assert!(line.starts_with("tern-options::#{") && !line.contains(['\'', '\n']));
    }

    proptest! {
        #[test]
        fn any_values_come_out_as_wishes(
            rounds in prop::collection::vec(
                prop::collection::vec((0..NAMES.len(), ".{0,12}"), 0..6), 0..6),
        ) {
            let mut world = World::new(&[], Wishes::default());
            for round in rounds {
                let values: Values =
                    round.into_iter().map(|(at, value)| (NAMES[at], value)).collect();
                world.0.handle_values(values.clone(), Path::new("/h"));
                let again = world.0.handle_values(values, Path::new("/h"));
                prop_assert_eq!(again, Changes::default());
            }
        }
    }
}
