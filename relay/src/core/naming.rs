//! Whether a session gets the names that its host wants. What hinders it is told, and the session has
//! random tokens instead, as with tmate: nobody loses their sharing over a name.

use crate::core::text;
use tern_accounts::owners::Whose;
use tern_bootstrap::grant::NameClaim;
use tern_bootstrap::name;
use tern_bootstrap::ticket::OwnerId;

/// Names that are well-formed, and the key that should make them somebody's.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Says whose they are.
    pub api_key: &'a str,
    name: Option<&'a str>,
    name_ro: Option<&'a str>,
}

/// The names that a session gets.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Named {
    /// Whose they are.
    pub owner: Option<OwnerId>,
    /// `None`: a random one.
    pub token: Option<String>,
    /// `None`: a random one.
    pub token_ro: Option<String>,
    /// What the host's person should know.
    pub notice: Option<String>,
}

impl Named {
    /// No names, and why.
    fn not(notice: impl Into<String>) -> Self {
        Self { notice: Some(notice.into()), ..Self::default() }
    }
}

/// What is asked for. `Err`: it needs no key to say what becomes of it.
pub fn wanted<'a>(claim: Option<&'a NameClaim>, has_accounts: bool) -> Result<Wanted<'a>, Named> {
    let given = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
    let claim = claim.ok_or_else(Named::default)?;
    let (name, name_ro) = (given(&claim.name), given(&claim.name_ro));
    if name.is_none() && name_ro.is_none() {
        return Err(Named::default());
    }
    if !has_accounts {
        return Err(Named::not(text::NAMES_UNSUPPORTED));
    }
    for name in [name, name_ro].into_iter().flatten() {
        name::check_session(name).map_err(|error| Named::not(error.to_string()))?;
    }
    if name.map(name::fold) == name_ro.map(name::fold) {
        return Err(Named::not(name::NameError::Same.to_string()));
    }
    let api_key = given(&claim.api_key).ok_or_else(|| Named::not(text::NAMES_NEED_KEY))?;
    Ok(Wanted { api_key, name, name_ro })
}

/// What becomes of it, now that it is known whose the key is.
pub fn named(wanted: &Wanted<'_>, whose: Whose) -> Named {
    match whose {
        Whose::NoAccounts => Named::not(text::NAMES_UNSUPPORTED),
        Whose::Nobody => Named::not(text::KEY_INVALID),
        Whose::Of(owner) => {
            let token = |session: Option<&str>| session.map(|name| name::token(&owner.name, name));
            Named {
                owner: Some(owner.id),
                token: token(wanted.name),
                token_ro: token(wanted.name_ro),
                notice: None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_accounts::Owner;

    fn claim(name: &str, name_ro: &str, api_key: &str) -> NameClaim {
        let some = |text: &str| Some(text.to_owned());
        NameClaim { api_key: some(api_key), name: some(name), name_ro: some(name_ro) }
    }

    fn alice() -> Whose {
        Whose::Of(Owner { id: OwnerId(7), name: "alice".into() })
    }

    #[test]
    fn names_of_a_right_key_begin_with_its_owner() {
        for (name, name_ro) in [("web", ""), ("", "look"), ("web", "look")] {
            let claim = claim(name, name_ro, "key");
            let named = named(&wanted(Some(&claim), true).expect("names"), alice());
            let token = |name: &str| (!name.is_empty()).then(|| format!("alice/{name}"));
            assert_eq!((named.token, named.token_ro), (token(name), token(name_ro)));
            assert_eq!((named.owner, named.notice), (Some(OwnerId(7)), None));
        }
    }

    #[test]
    fn who_wants_no_name_is_told_nothing() {
        for claim in [None, Some(NameClaim::default()), Some(claim("", "", "key"))] {
            assert_eq!(wanted(claim.as_ref(), false).err(), Some(Named::default()));
        }
    }

    #[test]
    fn what_hinders_a_name_is_told_and_leaves_random_tokens() {
        for (claim, has_accounts, words) in [
            (claim("web", "", "key"), false, "Named sessions are not supported"),
            (claim("web", "", ""), true, "To name sessions, specify your api key with -k"),
            (claim("web", "WEB", "key"), true, "The same session name for write and read-only"),
            (claim("we b", "", "key"), true, "may only contain alphanumeric characters"),
            (claim("", "-x", "key"), true, "cannot begin or end with a hyphen"),
            (claim(&"x".repeat(51), "", "key"), true, "too long (max 50 chars)"),
        ] {
            let named = wanted(Some(&claim), has_accounts).err().expect("no names");
            let notice = named.notice.as_deref().unwrap_or_default();
            assert!(notice.contains(words), "{notice}");
            assert_eq!((named.owner, named.token, named.token_ro), (None, None, None));
        }
        let claim = claim("web", "", "key");
        let wanted = wanted(Some(&claim), true).expect("names");
        for (whose, words) in [
            (Whose::Nobody, "The provided api key is invalid"),
            (Whose::NoAccounts, "Named sessions are not supported"),
        ] {
            let notice = named(&wanted, whose).notice.unwrap_or_default();
            assert!(notice.contains(words), "{notice}");
        }
    }
}
