//! Asks the web for lists of keys.

use crate::core::key_lists::Fetched;
use std::sync::Arc;
use tern_web::core::address::Reach;
use tern_web::core::url::WebUrl;
use tern_web::shell::client::{Ask, Client};

/// Longest list that is read: a hundred keys, each of the longest RSA ones.
const LIST_SIZE_MAX: usize = 256 * 1024;

/// By whom lists are asked for.
#[derive(Debug)]
pub(super) struct Fetcher {
    any: Client,
    /// Without TLS: what a name leads to is looked at, whatever it promises.
    this_machine: Client,
}

impl Fetcher {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            any: Client::new(Reach::Any),
            this_machine: Client::new(Reach::ThisMachine),
        })
    }

    /// Asks once.
    pub(super) async fn fetch(&self, url: &WebUrl) -> Fetched {
        let client = if url.is_https { &self.any } else { &self.this_machine };
        let headers = [("accept", "text/plain".to_owned())];
        let answer_size_max = LIST_SIZE_MAX;
        let ask = Ask { url, body: None, headers: &headers, answer_size_max, share: None };
        match client.ask(ask).await {
            Ok(answer) if answer.status.is_success() => {
                Fetched::List(String::from_utf8_lossy(&answer.body).into_owned())
            }
            Ok(answer) if matches!(answer.status.as_u16(), 404 | 410) => Fetched::Gone,
            Ok(answer) => Fetched::Failed(format!("{url} answers {}", answer.status)),
            Err(error) => Fetched::Failed(error.to_string()),
        }
    }
}
