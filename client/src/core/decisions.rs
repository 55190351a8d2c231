//! What the host's person decides about people: let in, turned away, removed, kept out.

use crate::core::person::Person;
use crate::core::viewers::Viewers;
use std::collections::BTreeSet;
use tern_sync::session::{Access, HostEvent, PlaceId, REFUSED_MAX, Refused, ViewerId, Visitor};

/// Shown to somebody who is not let in.
const TURNED_AWAY: &str = "[the host did not let you in]";
/// Shown to somebody who was in.
const REMOVED: &str = "[removed from the session by its host]";

/// Said when [`REFUSED_MAX`] are kept out.
const TOO_MANY: &str =
    "not kept out: too many are already (`tern unban` takes some back); they may come again";

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Deciding {
    /// About whom.
    pub whom: Whom,
    /// What.
    pub verdict: Verdict,
}

/// Whom a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Whom {
    /// Who has this number ([`Person::number`]).
    One(u32),
    /// All there are.
    All,
}

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    /// Who waits is let in.
    Approve,
    /// Who waits is turned away.
    Deny {
        /// And kept out from then on.
        bans: bool,
    },
    /// Who is in, or waits, has to go.
    Kick {
        /// And is kept out from then on.
        bans: bool,
    },
    /// Who is kept out may come again.
    Unban,
}

/// What follows from a decision.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// For the relay.
    pub events: Vec<HostEvent>,
    /// Who is kept out now, if that has changed.
    pub refused: Option<KeptOut>,
    /// What was done, for people; a line each.
    pub told: Vec<String>,
}

/// Why nothing was decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// The number is nobody's who could be meant.
    #[error("nobody {state} has the number {number}: `tern viewers` lists them")]
    Nobody {
        /// Which number.
        number: u32,
        /// e.g. `who waits`.
        state: &'static str,
    },
    /// All were meant, and there is nobody.
    #[error("there is nobody {0}")]
    NobodyAtAll(&'static str),
}

/// Who is kept out as long as the sharing lasts.
#[derive(Debug, Default)]
pub struct Bans {
    kept: Vec<Ban>,
}

/// Somebody who is kept out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// As they were when they were in, or asked.
    pub person: Person,
    mark: Mark,
}

/// By what somebody is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// SHA-256 of their key, where one was asked for.
    key: Option<[u8; 32]>,
    /// Their place, if they came by `tern join`: it goes with them to other addresses.
    place: Option<PlaceId>,
    address: String,
}

/// Who is kept out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptOut {
    /// In any case.
    always: Vec<Refused>,
    /// Only where no keys are asked for: behind the address of somebody who is known by a key there are
    /// others with keys of their own.
    without_keys: Vec<Refused>,
}

impl KeptOut {
    /// As the relay is to be told while this lets people in.
    pub fn under(&self, access: &Access) -> Vec<Refused> {
        let more: &[Refused] = match access {
            Access::Unsaid | Access::Keys(_) => &[],
            Access::Everybody => &self.without_keys,
        };
        self.always.iter().chain(more).cloned().collect()
    }

    fn count(&self) -> usize {
        self.always.len() + self.without_keys.len()
    }
}

impl Bans {
    /// All, in the order in which they were decided.
    pub fn iter(&self) -> impl Iterator<Item = &Ban> {
        self.kept.iter()
    }

    /// Keeps somebody out: by all that they may be known by. Gives what people are told.
    fn add(&mut self, person: &Person, who: &Visitor) -> String {
        let key = who.key.as_ref().map(|key| key.fingerprint);
        let mark = Mark { key, place: who.place, address: who.address.clone() };
        let what = match key {
            Some(_) => "nobody with this key, and without keys nobody from this address,",
            None => "nobody from this address",
        };
        if !self.kept.iter().any(|ban| ban.mark == mark) {
            self.kept.push(Ban { person: person.clone(), mark });
            if self.list().count() > REFUSED_MAX {
                self.kept.pop();
                return TOO_MANY.into();
            }
        }
        format!("{what} gets in any more (`tern unban {}` takes it back)", person.number)
    }

    fn list(&self) -> KeptOut {
        let (mut always, mut without_keys) = (BTreeSet::new(), BTreeSet::new());
        for Ban { mark: Mark { key, place, address }, .. } in &self.kept {
            always.extend(place.map(Refused::Place));
            let address = Refused::Address(address.clone());
            match key {
                Some(key) => {
                    always.insert(Refused::Key(*key));
                    without_keys.insert(address);
                }
                None => drop(always.insert(address)),
            }
        }
        without_keys.retain(|refused| !always.contains(refused));
        let list = |set: BTreeSet<Refused>| set.into_iter().collect();
        KeptOut { always: list(always), without_keys: list(without_keys) }
    }

    fn lift(&mut self, whom: Whom) -> Result<Decided, Undecided> {
        let (lifted, kept) =
            std::mem::take(&mut self.kept).into_iter().partition(|ban| whom.means(&ban.person));
        self.kept = kept;
        let lifted: Vec<Ban> = lifted;
        if lifted.is_empty() {
            return Err(whom.nobody("who is kept out"));
        }
        let told = lifted.iter().map(|ban| format!("{} may come again", ban.person.name()));
        Ok(Decided { told: told.collect(), refused: Some(self.list()), events: Vec::new() })
    }
}

impl Viewers {
    /// The host's person has decided.
    pub fn decide(&mut self, deciding: Deciding, bans: &mut Bans) -> Result<Decided, Undecided> {
        let whom = deciding.whom;
        let mut decided = Decided::default();
        match deciding.verdict {
            Verdict::Approve => {
                self.approve(whom, &mut decided);
                decided.finish(whom, "who waits")
            }
            Verdict::Deny { bans: is_ban } => {
                self.deny(whom, is_ban.then_some(bans), &mut decided);
                decided.finish(whom, "who waits")
            }
            Verdict::Kick { bans: is_ban } => {
                self.deny(whom, is_ban.then_some(&mut *bans), &mut decided);
                self.kick(whom, is_ban.then_some(bans), &mut decided);
                decided.finish(whom, "who is in or waits")
            }
            Verdict::Unban => bans.lift(whom),
        }
    }

    fn approve(&mut self, whom: Whom, decided: &mut Decided) {
        for (viewer, waiting) in self.waiting_mut() {
            if !waiting.is_decided && whom.means(&waiting.person) {
                waiting.is_decided = true;
                decided.events.push(HostEvent::Admit { viewer: ViewerId(*viewer) });
                decided.told.push(format!("Let in: {}", waiting.person.name()));
            }
        }
    }

    fn deny(&mut self, whom: Whom, mut bans: Option<&mut Bans>, decided: &mut Decided) {
        for (viewer, waiting) in self.waiting_mut() {
            if !waiting.is_decided && whom.means(&waiting.person) {
                waiting.is_decided = true;
                let text = format!("Turned away: {}", waiting.person.name());
                decided.show_out(*viewer, TURNED_AWAY, text);
                decided.ban(bans.as_deref_mut(), &waiting.person, &waiting.who);
            }
        }
    }

    fn kick(&self, whom: Whom, mut bans: Option<&mut Bans>, decided: &mut Decided) {
        for (viewer, present) in self.members() {
            let person = &present.viewer.person;
            if whom.means(person) {
                decided.show_out(viewer, REMOVED, format!("Removed: {}", person.name()));
                decided.ban(bans.as_deref_mut(), person, &present.who);
            }
        }
    }
}

impl Whom {
    fn means(self, person: &Person) -> bool {
        match self {
            Self::One(number) => number == person.number,
            Self::All => true,
        }
    }

    fn nobody(self, state: &'static str) -> Undecided {
        match self {
            Self::One(number) => Undecided::Nobody { number, state },
            Self::All => Undecided::NobodyAtAll(state),
        }
    }
}

impl Decided {
    fn show_out(&mut self, viewer: u32, text: &str, told: String) {
        let viewer = ViewerId(viewer);
        self.events.push(HostEvent::Dismiss { viewer, text: text.to_owned() });
        self.told.push(told);
    }

    fn ban(&mut self, bans: Option<&mut Bans>, person: &Person, who: &Visitor) {
        if let Some(bans) = bans {
            let text = bans.add(person, who);
            self.told.push(text);
            self.refused = Some(bans.list());
        }
    }

    fn finish(self, whom: Whom, state: &'static str) -> Result<Self, Undecided> {
        if self.events.is_empty() { Err(whom.nobody(state)) } else { Ok(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::viewers::Change;
    use std::time::Instant;
    use tern_sync::session::{Role, ShownKey, ViewerEvent};

    fn visitor(address: &str, key: Option<u8>) -> Visitor {
        let key = key.map(|byte| ShownKey { fingerprint: [byte; 32], comment: "alice".into() });
        Visitor { role: Role::ReadWrite, address: address.into(), key, place: None }
    }

    /// Number 1 is in, without a key; 2 and 3 wait, with keys.
    fn book() -> Viewers {
        let (mut viewers, now) = (Viewers::default(), Instant::now());
        let who = visitor("192.0.2.1", None);
        let viewer = ViewerId(10);
        viewers.handle_event(ViewerEvent::Joined { viewer, who, cols: 80, rows: 24 }, now);
        for byte in [2, 3] {
            let (viewer, who) = (ViewerId(byte.into()), visitor("192.0.2.2", Some(byte)));
            viewers.handle_event(ViewerEvent::Asks { viewer, who }, now);
        }
        viewers
    }

    fn decide(
        viewers: &mut Viewers,
        bans: &mut Bans,
        whom: Whom,
        verdict: Verdict,
    ) -> Result<Decided, Undecided> {
        viewers.decide(Deciding { whom, verdict }, bans)
    }

    #[test]
    fn only_who_waits_is_let_in_and_only_once() {
        let (mut viewers, mut bans) = (book(), Bans::default());
        let mut approve = |whom| decide(&mut viewers, &mut bans, whom, Verdict::Approve);
        let decided = approve(Whom::One(2)).expect("number 2 waits");
        assert_eq!(decided.events, [HostEvent::Admit { viewer: ViewerId(2) }]);
        assert_eq!(decided.told, ["Let in: 192.0.2.2, alice"]);
        for number in [1, 2, 10, 99] {
            let error = approve(Whom::One(number)).expect_err("nobody waits");
            assert!(error.to_string().contains(&number.to_string()), "{error}");
        }
        assert_eq!(approve(Whom::All).expect("number 3 waits").events.len(), 1);
        assert_eq!(approve(Whom::All), Err(Undecided::NobodyAtAll("who waits")));
    }

    #[test]
    fn who_is_away_has_to_go_as_well() {
        let (mut viewers, mut bans) = (book(), Bans::default());
        viewers.handle_event(ViewerEvent::Away { viewer: ViewerId(10) }, Instant::now());
        let verdict = Verdict::Kick { bans: true };
        for whom in [Whom::One(1), Whom::All] {
            let decided = decide(&mut viewers, &mut bans, whom, verdict).expect("it is away");
            let is_meant = |event: &HostEvent| {
                matches!(event, HostEvent::Dismiss { viewer: ViewerId(10), .. })
            };
            assert!(decided.events.iter().any(is_meant), "{decided:?}");
        }
        assert!(
            bans.list().under(&Access::Everybody).contains(&Refused::Address("192.0.2.1".into()))
        );
    }

    #[test]
    fn who_was_turned_away_is_not_said_to_have_gone() {
        let (mut viewers, mut bans) = (book(), Bans::default());
        let verdict = Verdict::Deny { bans: false };
        let decided = decide(&mut viewers, &mut bans, Whom::One(3), verdict).expect("it waits");
        let text = TURNED_AWAY.to_owned();
        assert_eq!(decided.events, [HostEvent::Dismiss { viewer: ViewerId(3), text }]);
        assert_eq!(decided.refused, None);
        let left = ViewerEvent::Left { viewer: ViewerId(3) };
        let change = viewers.handle_event(left, Instant::now());
        assert_eq!(change, Change::Door { notice: None });
        assert_eq!(viewers.waiting().count(), 1);
    }

    #[test]
    fn bans_are_by_key_as_long_as_keys_are_asked_for_and_can_be_taken_back() {
        let (mut viewers, mut bans) = (book(), Bans::default());
        let verdict = Verdict::Kick { bans: true };
        let decided = decide(&mut viewers, &mut bans, Whom::All, verdict).expect("they are there");
        assert_eq!(decided.events.len(), 3);
        let kept_out = decided.refused.expect("they are kept out");
        let address = |last| Refused::Address(format!("192.0.2.{last}"));
        let mut expected = vec![Refused::Key([2; 32]), Refused::Key([3; 32]), address(1)];
        assert_eq!(kept_out.under(&Access::Keys(Vec::new())), expected);
        // Who is known by a key comes without one.
        expected.push(address(2));
        assert_eq!(kept_out.under(&Access::Everybody), expected);
        let unban = Verdict::Unban;
        let lifted = decide(&mut viewers, &mut bans, Whom::One(2), unban).expect("it is banned");
        let left = lifted.refused.expect("it has changed").under(&Access::Everybody);
        assert_eq!(left, [Refused::Key([3; 32]), address(1), address(2)]);
        assert!(decide(&mut viewers, &mut bans, Whom::One(2), unban).is_err());
        assert!(decide(&mut viewers, &mut bans, Whom::All, unban).is_ok());
        assert_eq!(bans.iter().count(), 0);
    }

    #[test]
    fn bans_are_bounded_as_the_relays_list_is() {
        let mut bans = Bans::default();
        let mut ban = |number: u32| {
            let who = visitor(&format!("192.0.{}.{}", number / 256, number % 256), None);
            bans.add(&Person::of(&who, number), &who)
        };
        for number in 0..REFUSED_MAX as u32 {
            assert!(ban(number).contains("unban"));
        }
        assert_ne!(ban(0), TOO_MANY, "it is there already");
        assert_eq!(ban(5000), TOO_MANY);
        assert_eq!(bans.list().count(), REFUSED_MAX);
    }

    #[test]
    fn who_is_banned_and_roams_is_known_by_their_place() {
        let mut bans = Bans::default();
        let who = Visitor { place: Some([7; 16]), ..visitor("192.0.2.1", None) };
        bans.add(&Person::of(&who, 1), &who);
        assert!(bans.list().under(&Access::Everybody).contains(&Refused::Place([7; 16])));
    }
}
