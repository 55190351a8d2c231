//! Sends letters by SMTP.

use super::letter::Letter;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::fmt;
use std::time::Duration;

/// How long a server may take for each step.
const STEP_TIME_MAX: Duration = Duration::from_secs(20);

/// Why mail can't be sent, for operators.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The server's URL can't be one.
    #[error(
        "the SMTP server's URL can't be used ({0}): it is smtps://USER:PASSWORD@HOST, \
         smtp://HOST?tls=required, or smtp://localhost"
    )]
    Url(String),
    /// The sender can't be one.
    #[error("'{0}' is no sender of mail: it is ADDRESS or NAME <ADDRESS>")]
    From(String),
}

/// A way to an SMTP server, and who writes.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailer({})", self.from.email)
    }
}

impl Mailer {
    /// Connects for each letter.
    pub fn new(url: &str, from: &str) -> Result<Self, MailError> {
        let from = from.parse().map_err(|_| MailError::From(from.to_owned()))?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|error| MailError::Url(error.to_string()))?
            .timeout(Some(STEP_TIME_MAX))
            .build();
        Ok(Self { transport, from })
    }

    /// Hands a letter to the server. The error is for the log, and names nobody.
    pub(super) async fn send(&self, to: &Address, letter: &Letter) -> Result<(), SendError> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(letter.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.body.clone())
            .map_err(|error| SendError { reason: error.to_string(), is_final: true })?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(SendError { is_final: error.is_permanent(), reason: error.to_string() })
            }
        }
    }
}

/// A letter was not taken.
pub(super) struct SendError {
    pub(super) reason: String,
    /// Trying again is of no use.
    pub(super) is_final: bool,
}
