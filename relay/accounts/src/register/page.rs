//! The web pages of registration. They need no script and load nothing.

use super::code::Code;
use crate::store::Confirmed;

/// What a browser may do with a page: show it, and send its form back to where it came from.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; \
     base-uri 'none'";

/// The link was followed. Programs that look through mail do that, too: so it takes a button to use
/// the code up.
pub fn question(code: &Code) -> String {
    page(
        "Your API key",
        &format!(
            "<p>This shows your API key, once. Keys that you had before count no more.</p>\
             <form method=\"post\" action=\"/register/{}\"><button>Show my API key</button></form>",
            escape(code.reveal())
        ),
    )
}

/// The button was pressed.
pub fn key(confirmed: &Confirmed, relay: &str) -> String {
    let (name, key) = (escape(&confirmed.name), escape(confirmed.key.reveal()));
    page(
        "Your API key",
        &format!(
            "<p>You are <b>{name}</b>. Your API key, which is shown only now:</p><pre>{key}</pre>\
             <p>Keep it as a password. To share a terminal as <code>{name}/web</code>:</p>\
             <pre>export TERN_API_KEY={key}\ntern --relay {} -n web</pre>",
            escape(relay)
        ),
    )
}

/// Something else, in words.
pub fn notice(text: &str) -> String {
    page("Registration", &format!("<p>{}</p>", escape(text)))
}

fn page(title: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title} - tern</title>\
         <style>body{{font:1rem/1.5 sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}\
         pre{{background:#eee;color:#111;padding:.8rem;overflow:auto}}\
         button{{font:inherit;padding:.4rem 1rem}}</style></head>\
         <body><h1>{title}</h1>{content}</body></html>\n"
    )
}

/// As text, wherever it stands.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiKey;

    #[test]
    fn nothing_that_is_shown_is_markup() {
        let text = notice("<script>alert(\"1\")</script> & 'x'");
        assert!(text.contains("&lt;script&gt;alert(&quot;1&quot;)") && !text.contains("<script"));
        let confirmed = Confirmed { name: "<b>".into(), key: ApiKey::generate() };
        let shown = key(&confirmed, "\"><img src=x>");
        assert!(!shown.contains("<img") && !shown.contains("<b><b>"), "{shown}");
        assert!(shown.contains(confirmed.key.reveal()));
    }

    #[test]
    fn question_has_a_button_that_posts_and_no_link() {
        let code = Code::generate();
        let shown = question(&code);
        assert!(shown.contains("method=\"post\"") && shown.contains(code.reveal()), "{shown}");
        assert!(!shown.contains("href"), "{shown}");
    }
}
