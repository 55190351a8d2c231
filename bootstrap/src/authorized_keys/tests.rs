//! Whom lists of keys let in, and that no line lets in more than it says.

use super::*;
use proptest::prelude::*;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::certificate::Builder;
use russh::keys::ssh_key::private::Ed25519Keypair;

const NOW: u64 = 1_800_000_000;
const HOME: &str = "192.0.2.7";

fn private(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn line(seed: u8) -> String {
    private(seed).public_key().to_openssh().expect("a key can be written").trim().to_owned()
}

fn shown(seed: u8) -> Credential {
    Credential::Key(private(seed).public_key().clone())
}

fn certificate(authority: u8, seed: u8, change: impl FnOnce(&mut Builder)) -> Credential {
    let key = private(seed);
    let mut builder =
        Builder::new([7; 16], key.public_key().key_data().clone(), NOW - 60, NOW + 60)
            .expect("the times are in order");
    builder.key_id("alice's").expect("a name").valid_principal("alice").expect("a name");
    change(&mut builder);
    let signed = builder.sign(&private(authority)).expect("it can be signed");
    Credential::Certificate(Box::new(signed))
}

fn admit(text: &str, shown: &Credential, address: &str) -> Option<Admitted> {
    let (rules, _) = Rules::parse(text);
    rules.admit(shown, address.parse().expect("an address"), NOW)
}

fn lets_in(text: &str, shown: &Credential) -> bool {
    admit(text, shown, HOME).is_some()
}

fn faults(text: &str) -> Vec<String> {
    Rules::parse(text).1.iter().map(Fault::to_string).collect()
}

#[test]
fn listed_key_gets_in_with_its_comment_and_no_other_does() {
    let text = format!("# who\n\n{} alice@home\n", line(1));
    let admitted = admit(&text, &shown(1), HOME).expect("it is listed");
    assert_eq!(admitted.comment, "alice@home");
    assert!(!admitted.is_read_only);
    assert!(admitted.bearer.key.to_string().starts_with("SHA256:"));
    assert!(!lets_in(&text, &shown(2)));
    assert!(!lets_in(&text, &Credential::Nothing));
    assert!(!lets_in("", &shown(1)));
}

#[test]
fn lines_that_cannot_be_read_are_named_and_the_others_count() {
    let text = format!("nonsense\n{}\nssh-ed25519 AAAA\nssh-dss AAAAB3Nz x\n\n#\n", line(1));
    assert!(lets_in(&text, &shown(1)));
    let faults = faults(&text);
    let lines: Vec<_> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
    assert_eq!(lines, ["line 1", "line 3", "line 4"], "{faults:?}");
    assert!(faults[2].contains("DSA"), "{faults:?}");
}

#[test]
fn option_that_is_not_honoured_refuses_its_key() {
    let line = line(1);
    for harmless in ["restrict,no-pty", "no-port-forwarding", "permitopen=\"a:1\"", "PTY"] {
        assert!(lets_in(&format!("{harmless} {line}"), &shown(1)), "{harmless}");
    }
    for refused in [
        "command=\"x\"",
        "environment=\"A=b\"",
        "verify-required",
        "unheard-of",
        "unheard-of=\"x\"",
        "principals=\"alice\"",
        "from=\"192.0.2.7\",from=\"*\"",
        "from=\"host.example\"",
        "from=\"!bad.cafe,192.0.2.7\"",
        "from=\"192.0.2.7/24\"",
        "from=\"\"",
        "from",
        "read-only=\"no\"",
        "expiry-time=\"soon\"",
        "restrict,,no-pty",
        "from=192.0.2.7",
        "from=\"192.0.2.7\"read-only",
        "from=\"192.0.2.7",
    ] {
        let text = format!("{refused} {line}");
        assert!(!lets_in(&text, &shown(1)), "{refused}");
        assert_eq!(faults(&text).len(), 1, "{refused}");
    }
}

#[test]
fn read_only_key_may_only_look() {
    let text = format!("restrict,read-only {}", line(1));
    assert!(admit(&text, &shown(1), HOME).expect("it is listed").is_read_only);
}

#[test]
fn key_counts_from_its_addresses_only() {
    let cases = [
        ("192.0.2.7", HOME, true),
        ("192.0.2.0/24", HOME, true),
        ("192.0.3.0/24", HOME, false),
        ("192.0.2.*", HOME, true),
        ("192.0.2.?", HOME, true),
        ("192.0.2.?", "192.0.2.77", false),
        ("*,!192.0.2.7", HOME, false),
        ("!192.0.2.7,*", HOME, false),
        ("!192.0.2.7", "192.0.2.8", false),
        ("10.0.0.0/8,2001:db8::/32", "2001:db8::1", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("::/0", "2001:db8::1", true),
        ("192.0.2.7", "::ffff:192.0.2.7", true),
        ("2001:db8:*", "2001:db8::1", true),
    ];
    for (from, address, is_in) in cases {
        let text = format!("from=\"{from}\" {}", line(1));
        assert_eq!(admit(&text, &shown(1), address).is_some(), is_in, "{from} {address}");
    }
}

#[test]
fn key_counts_until_it_expires() {
    // 2027-01-15 08:00:00Z is NOW.
    for (time, is_in) in [
        ("20270115080001Z", true),
        ("20270115080000Z", false),
        ("202701150801Z", true),
        ("20270115Z", false),
        ("20270117", true),
        ("20260101", false),
    ] {
        let text = format!("expiry-time=\"{time}\" {}", line(1));
        assert_eq!(lets_in(&text, &shown(1)), is_in, "{time}");
    }
    for nonsense in ["2027", "20271301", "20270230", "202701152500", "2027011508000", "ä0270115"] {
        let text = format!("expiry-time=\"{nonsense}\" {}", line(1));
        assert_eq!(faults(&text).len(), 1, "{nonsense}");
    }
}

#[test]
fn authority_lets_in_by_its_certificates_only() {
    let text = format!("cert-authority {} ca", line(9));
    let admitted = admit(&text, &certificate(9, 1, |_| ()), HOME).expect("it is signed");
    assert_eq!(admitted.comment, "alice's");
    assert_eq!(admitted.bearer.valid_until, NOW + 60);
    assert!(!lets_in(&text, &shown(9)), "the authority's own key is no user's");
    assert!(!lets_in(&text, &certificate(8, 1, |_| ())), "another authority");
    assert!(!lets_in(&line(9), &certificate(9, 1, |_| ())), "a key that is no authority");
    assert!(!lets_in(&line(1), &certificate(9, 1, |_| ())), "a certificate is not its key");
}

#[test]
fn certificate_is_held_to_principals_times_kind_and_options() {
    let named = |names: &str| format!("cert-authority,principals=\"{names}\" {}", line(9));
    assert!(lets_in(&named("bob,alice"), &certificate(9, 1, |_| ())));
    assert!(!lets_in(&named("bob"), &certificate(9, 1, |_| ())));
    let any = format!("cert-authority {}", line(9));
    let host = certificate(9, 1, |builder| {
        builder.cert_type(CertType::Host).expect("a kind");
    });
    assert!(!lets_in(&any, &host));
    let with = |name: &'static str, value: &'static str| {
        certificate(9, 1, |builder| {
            builder.critical_option(name, value).expect("an option");
        })
    };
    assert!(lets_in(&any, &with("source-address", "192.0.2.0/24")));
    assert!(!lets_in(&any, &with("source-address", "10.0.0.0/8")));
    assert!(!lets_in(&any, &with("source-address", "nonsense")));
    assert!(!lets_in(&any, &with("force-command", "true")));
    let (rules, _) = Rules::parse(&any);
    let home = HOME.parse().expect("an address");
    assert!(rules.admit(&certificate(9, 1, |_| ()), home, NOW + 60).is_none(), "it is over");
    assert!(rules.admit(&certificate(9, 1, |_| ()), home, NOW - 61).is_none(), "too early");
}

#[test]
fn ticket_counts_as_long_as_its_line_stands_as_it_was() {
    let text = format!("from=\"192.0.2.0/24\" {} alice", line(1));
    let kept = Credential::Kept(admit(&text, &shown(1), HOME).expect("in").bearer);
    assert!(lets_in(&text, &kept));
    assert!(lets_in(&text.replace("alice", "a new comment"), &kept));
    assert!(admit(&text, &kept, "10.0.0.1").is_none(), "from elsewhere");
    assert!(!lets_in(&text.replace("from", "read-only,from"), &kept), "the line has changed");
    assert!(!lets_in(&line(2), &kept), "the line is gone");
    let authority = format!("cert-authority {}", line(9));
    let bearer = admit(&authority, &certificate(9, 1, |_| ()), HOME).expect("in").bearer;
    let (rules, _) = Rules::parse(&authority);
    let home = HOME.parse().expect("an address");
    assert!(rules.admit(&Credential::Kept(bearer), home, NOW + 59).is_some());
    assert!(rules.admit(&Credential::Kept(bearer), home, NOW + 60).is_none());
}

#[test]
fn written_lines_mean_the_same() {
    let text = format!(
        "restrict,READ-ONLY,from=\"!10.0.0.1,10.0.0.0/8,192.*\",expiry-time=\"20270116\" {} a b\n\
         cert-authority,principals=\"x,y\" {}\n",
        line(1),
        line(2)
    );
    let (rules, faults) = Rules::parse(&text);
    assert!(faults.is_empty(), "{faults:?}");
    let written: Vec<_> = rules.to_lines().collect();
    let (again, faults) = Rules::parse(&written.join("\n"));
    assert!(faults.is_empty(), "{faults:?}");
    for (one, other) in rules.0.iter().zip(&again.0) {
        assert_eq!((one.id, &one.options), (other.id, &other.options));
        assert_eq!(one.comment, other.comment);
    }
    assert!(written[0].contains("expiry-time=\"2027011"), "{written:?}");
}

/// Options as somebody may write them, right or wrong.
fn options() -> impl Strategy<Value = Vec<String>> {
    let address = "(!?)([0-9]{1,3}\\.){3}([0-9]{1,3}|\\*)(/[0-9]{1,2})?";
    let one = prop_oneof![
        Just("read-only".to_owned()),
        Just("restrict".to_owned()),
        address.prop_map(|address| format!("from=\"{address}\"")),
        "[0-9]{8}Z?".prop_map(|time| format!("expiry-time=\"{time}\"")),
        "[a-z-]{0,12}(=\"[ -~]{0,8}\")?",
    ];
    proptest::collection::vec(one, 0..4)
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>(), options in options()) {
        let _ = Rules::parse(&text);
        let _ = Rules::parse(&format!("{text} {}", line(1)));
        let _ = Rules::parse(&format!("{} {}", options.join(","), line(1)));
    }

    /// One more option never lets in somebody whom the line without it kept out.
    #[test]
    fn option_never_widens(options in options(), at in 0..4usize, address: [u8; 4], now: u32) {
        let address = IpAddr::from(address);
        let admit = |options: &[String]| {
            let text = match options {
                [] => line(1),
                options => format!("{} {}", options.join(","), line(1)),
            };
            Rules::parse(&text).0.admit(&shown(1), address, now.into())
        };
        let with = admit(&options);
        let mut fewer = options.clone();
        if at < fewer.len() {
            fewer.remove(at);
        }
        if let Some(with) = with {
            let without = admit(&fewer).expect("with fewer options it gets in as well");
            prop_assert!(with.is_read_only || !without.is_read_only || fewer.len() == options.len());
        }
    }

    #[test]
    fn written_line_admits_whom_the_read_one_does(options in options(), address: [u8; 4], now: u32) {
        let text = match options.as_slice() {
            [] => line(1),
            options => format!("{} {}", options.join(","), line(1)),
        };
        let (rules, _) = Rules::parse(&text);
        let (again, faults) = Rules::parse(&rules.to_lines().collect::<Vec<_>>().join("\n"));
        prop_assert!(faults.is_empty());
        let admit = |rules: &Rules| rules.admit(&shown(1), IpAddr::from(address), now.into());
        prop_assert_eq!(admit(&rules), admit(&again));
    }
}
