//! Who may join a session: what its host has said ([`Settings`]), held against who comes.

use crate::core::address::AddressKey;
use crate::core::registry::Denied;
use std::collections::BTreeSet;
use std::net::IpAddr;
use tern_bootstrap::authorized_keys::{Bearer, Credential, PublicKey, Rules};
use tern_sync::session::{Access, PlaceId, Refused, Role, Settings, ShownKey, Visitor};

/// A host's word on who may join.
#[derive(Debug, Default)]
pub struct Doors {
    /// Who has a key; `None`: a token is enough.
    rules: Option<Rules>,
    /// Whether the host is asked.
    asks: bool,
    /// Addresses as [`customer`] writes them.
    refused: BTreeSet<Refused>,
}

/// Somebody who comes with a token.
#[derive(Debug)]
pub struct Caller<'a> {
    /// By the token.
    pub role: Role,
    /// From where.
    pub address: IpAddr,
    /// What they have shown.
    pub credential: &'a Credential,
    /// The place that they have, or are given.
    pub place: Option<PlaceId>,
}

/// Somebody who may join. Made by [`Doors::admit`] only.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Who they are for the host.
    pub who: Visitor,
    /// By which right, if a key was asked for.
    pub bearer: Option<Bearer>,
}

impl Doors {
    /// `None`: the host has not said it yet.
    pub fn of(settings: &Settings) -> Option<Self> {
        let rules = match &settings.access {
            Access::Unsaid => return None,
            Access::Everybody => None,
            // A line that this relay can't honour lets nobody in.
            Access::Keys(lines) => Some(Rules::parse(&lines.join("\n")).0),
        };
        let refused = settings.refused.iter().map(|refused| match refused {
            Refused::Address(address) => Refused::Address(customer(address)),
            Refused::Key(_) | Refused::Place(_) => refused.clone(),
        });
        let refused = refused.collect();
        Some(Self { rules, asks: settings.asks, refused })
    }

    /// Whether a token is not enough.
    pub fn want_key(&self) -> bool {
        self.rules.is_some()
    }

    /// Whether the host is asked before somebody joins.
    pub fn ask(&self) -> bool {
        self.asks
    }

    /// Whether somebody who offers this key should prove that it is theirs.
    pub fn may_accept(&self, key: &PublicKey) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.may_accept(key))
    }

    /// Whether this is what a key of the list looks like; true if none is asked for.
    pub fn has_key_of(&self, shown: &Credential, address: IpAddr, now: u64) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.admit(shown, address, now).is_some())
    }

    /// Lets somebody in, or says why not. `now` in seconds since 1970.
    pub fn admit(&self, caller: &Caller<'_>, now: u64) -> Result<Admission, Denied> {
        let address = caller.address.to_canonical();
        let admitted = match &self.rules {
            None => None,
            Some(rules) => {
                let admitted = rules.admit(caller.credential, address, now);
                Some(admitted.ok_or(Denied::KeyWanted)?)
            }
        };
        let role = match &admitted {
            Some(admitted) if admitted.is_read_only => Role::ReadOnly,
            Some(_) | None => caller.role,
        };
        let bearer = admitted.as_ref().map(|admitted| admitted.bearer);
        let key = admitted.map(|admitted| ShownKey {
            fingerprint: admitted.bearer.key.0,
            comment: admitted.comment,
        });
        let who = Visitor { role, address: address.to_string(), key, place: caller.place };
        if self.refuse(&who) { Err(Denied::Refused) } else { Ok(Admission { who, bearer }) }
    }

    /// Whether somebody who was let in by this right, under these or former doors, still may come in: by
    /// a rule that is not there any more, or without any where one is wanted, they may not.
    pub fn stand_by(&self, bearer: Option<Bearer>) -> bool {
        let is_ruled = |rules: &Rules| bearer.is_some_and(|bearer| rules.has(bearer.rule));
        self.rules.as_ref().is_none_or(is_ruled)
    }

    /// Whether the host has shown this one the door.
    pub fn refuse(&self, who: &Visitor) -> bool {
        let key = who.key.as_ref().map(|key| Refused::Key(key.fingerprint));
        let place = who.place.map(Refused::Place);
        let address = Some(Refused::Address(customer(&who.address)));
        [key, place, address].iter().flatten().any(|refused| self.refused.contains(refused))
    }
}

/// An address as limits count it: of IPv6, the network that one customer has, who is no other by taking
/// another address of it. What is no address stays as it is.
fn customer(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(address) => AddressKey::from(address).network().to_string(),
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn caller(credential: &Credential) -> Caller<'_> {
        let address = "::ffff:192.0.2.7".parse().expect("an address");
        Caller { role: Role::ReadWrite, address, credential, place: Some([7; 16]) }
    }

    fn admit(settings: Settings, credential: &Credential) -> Result<Admission, Denied> {
        Doors::of(&settings).expect("it is said").admit(&caller(credential), NOW)
    }

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINxDM8/pSr4hsikr7eiRmkR4ip0mzY+/S2hTh6+Es397 alice";

    fn key() -> Credential {
        Credential::Key(PublicKey::from_openssh(KEY).expect("a key"))
    }

    #[test]
    fn nothing_is_known_before_it_is_said() {
        assert!(Doors::of(&Settings::default()).is_none());
    }

    #[test]
    fn everybody_is_let_in_by_token_alone() {
        let settings = Settings { access: Access::Everybody, ..Settings::default() };
        let admission = admit(settings, &Credential::Nothing).expect("in");
        assert_eq!(admission.who.address, "192.0.2.7");
        assert_eq!((admission.who.key, admission.bearer), (None, None));
    }

    #[test]
    fn listed_key_is_let_in_with_its_name_and_rights() {
        let listed =
            |line: String| Settings { access: Access::Keys(vec![line]), ..Settings::default() };
        let admission = admit(listed(KEY.into()), &key()).expect("in");
        assert_eq!(admission.who.role, Role::ReadWrite);
        assert_eq!(admission.who.key.expect("known").comment, "alice");
        let admission = admit(listed(format!("read-only {KEY}")), &key()).expect("in");
        assert_eq!(admission.who.role, Role::ReadOnly);
        let denied = admit(listed(KEY.into()), &Credential::Nothing).expect_err("no key");
        assert_eq!(denied, Denied::KeyWanted);
        let denied = admit(listed("a line that nobody understands".into()), &key());
        assert_eq!(denied.expect_err("nobody"), Denied::KeyWanted);
        let none = Settings { access: Access::Keys(Vec::new()), ..Settings::default() };
        assert_eq!(admit(none, &key()).expect_err("nobody"), Denied::KeyWanted);
    }

    #[test]
    fn whoever_was_shown_the_door_stays_outside() {
        let fingerprint = admit(
            Settings { access: Access::Keys(vec![KEY.into()]), ..Settings::default() },
            &key(),
        );
        let fingerprint = fingerprint.expect("in").who.key.expect("known").fingerprint;
        for refused in [
            Refused::Address("192.0.2.7".into()),
            Refused::Place([7; 16]),
            Refused::Key(fingerprint),
        ] {
            let settings = Settings {
                access: Access::Keys(vec![KEY.into()]),
                refused: vec![refused],
                ..Settings::default()
            };
            assert_eq!(admit(settings, &key()).expect_err("refused"), Denied::Refused);
        }
    }

    #[test]
    fn whoever_was_shown_the_door_is_no_other_by_another_address_of_their_network() {
        let settings = Settings {
            access: Access::Everybody,
            refused: vec![Refused::Address("2001:db8:7:7::1".into())],
            ..Settings::default()
        };
        let doors = Doors::of(&settings).expect("it is said");
        let is_in = |address: &str| {
            let address = address.parse().expect("an address");
            let caller = Caller { address, ..caller(&Credential::Nothing) };
            doors.admit(&caller, NOW).is_ok()
        };
        assert!(!is_in("2001:db8:7:7::1") && !is_in("2001:db8:7:7:8::2"));
        assert!(is_in("2001:db8:7:8::1") && is_in("192.0.2.7"));
    }
}
