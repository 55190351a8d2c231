//! What is written to whoever asked for an account, or has the mailbox that somebody named.

use super::code::Code;
use crate::store::Standing;

/// Where links and commands in letters lead.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The relay as people name it, `HOST[:PORT]`.
    pub relay: String,
    /// Beginning of links, without a slash at its end; `None`: there is no web page.
    pub web_url: Option<String>,
}

/// A mail, but for its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line; nothing in it is a stranger's.
    pub subject: &'static str,
    /// Plain text.
    pub body: String,
}

/// The letter for somebody who wants (or in whose name somebody wants) the name `wanted`. `code` is
/// there unless the name is taken.
pub fn letter(standing: &Standing, wanted: &str, code: Option<&Code>, paths: &Paths) -> Letter {
    let relay = &paths.relay;
    let (subject, what) = match standing {
        Standing::New => (
            "Your account at a tern relay",
            format!(
                "somebody, hopefully you, asks for the user name {wanted} at the relay {relay}."
            ),
        ),
        Standing::Known(name) => (
            "A new API key for your account at a tern relay",
            format!(
                "somebody, hopefully you, asks for an account at the relay {relay}. You have one: \
                 {name}. You may have a new API key for it; those that you have then count no more."
            ),
        ),
        Standing::NameTaken => (
            "The name that you want at a tern relay is taken",
            format!(
                "somebody, hopefully you, asks for the user name {wanted} at the relay {relay}. It \
                 is taken: please register anew with another."
            ),
        ),
    };
    let todo = code.map(|code| todo(code, paths)).unwrap_or_default();
    let body = format!("Hello,\n\n{what}\n{todo}\nIf it was not you, you need not do anything.\n");
    Letter { subject, body }
}

fn todo(code: &Code, paths: &Paths) -> String {
    let code = code.reveal();
    let command = format!("tern register --relay {} --code {code}", paths.relay);
    let way = match &paths.web_url {
        Some(url) => format!("    {url}/register/{code}\n\nor run\n\n    {command}\n"),
        None => format!("    {command}\n"),
    };
    let verb = if paths.web_url.is_some() { "open" } else { "run" };
    format!("\nTo get your API key, {verb}\n\n{way}\nThat works once, and for an hour.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(web_url: Option<&str>) -> Paths {
        Paths { relay: "relay.example".into(), web_url: web_url.map(str::to_owned) }
    }

    #[test]
    fn letter_has_a_link_if_there_is_a_page_and_always_a_command() {
        let code = Code::generate();
        let write = |url| letter(&Standing::New, "alice", Some(&code), &paths(url)).body;
        let command = format!("tern register --relay relay.example --code {}", code.reveal());
        let with_page = write(Some("https://relay.example"));
        assert!(with_page.contains(&format!("https://relay.example/register/{}\n", code.reveal())));
        assert!(with_page.contains(&command) && with_page.contains("alice"));
        let without = write(None);
        assert!(without.contains(&command) && !without.contains("/register/"), "{without}");
    }

    #[test]
    fn who_has_an_account_reads_its_name_and_who_wants_a_taken_one_gets_no_code() {
        let known = Standing::Known("bob".into());
        let body = letter(&known, "alice", Some(&Code::generate()), &paths(None)).body;
        assert!(body.contains("You have one: bob") && body.contains("--code"), "{body}");
        let body = letter(&Standing::NameTaken, "alice", None, &paths(None)).body;
        assert!(body.contains("It is taken") && !body.contains("--code"), "{body}");
    }
}
