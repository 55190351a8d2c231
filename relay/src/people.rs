//! Accounts and registration, as the command line wants them.

use crate::args::{Arguments, RegistrationArguments};
use anyhow::Context as _;
use std::sync::Arc;
use tern_accounts::register::letter::Paths;
use tern_accounts::register::mail::Mailer;
use tern_accounts::register::web;
use tern_accounts::{Accounts, Owners, Registrar, Registration, Store};
use tern_bootstrap::grant::PORT_DEFAULT;
use tokio::net::TcpListener;

/// What a relay asks about people.
pub(crate) struct People {
    pub(crate) accounts: Arc<dyn Owners>,
    pub(crate) registrar: Option<Arc<dyn Registrar>>,
}

impl People {
    /// A database that was named, or that is needed for registration, must be there; else accounts
    /// may appear in the data folder later.
    pub(crate) async fn start(arguments: &Arguments) -> anyhow::Result<Self> {
        let (places, registration) = (&arguments.places, &arguments.registration);
        let place = places.accounts();
        let mailer = mailer(registration)?;
        if places.database.is_none() && mailer.is_none() {
            return Ok(Self { accounts: Arc::new(Accounts::at(place)), registrar: None });
        }
        let store = Store::open(&place).await?;
        let accounts = Arc::new(Accounts::of(place, store.clone()));
        let Some(mailer) = mailer else { return Ok(Self { accounts, registrar: None }) };
        let paths = Paths { relay: name(arguments), web_url: registration.web_url.clone() };
        let registrar = Registration::start(store, mailer, paths);
        if let Some(address) = registration.http_listen {
            let listener = TcpListener::bind(address).await;
            let listener = listener
                .with_context(|| format!("cannot listen on {address} (another --http-listen?)"))?;
            tracing::info!(http = %address, "listening for registrations");
            tokio::spawn(web::serve(listener, registrar.clone()));
        }
        Ok(Self { accounts, registrar: Some(registrar) })
    }
}

fn mailer(arguments: &RegistrationArguments) -> anyhow::Result<Option<Mailer>> {
    let (Some(url), Some(from)) = (&arguments.smtp_url, &arguments.mail_from) else {
        return Ok(None);
    };
    Ok(Some(Mailer::new(url, from)?))
}

/// The relay in commands, as far as it knows its name.
fn name(arguments: &Arguments) -> String {
    let host = arguments.host.as_deref().unwrap_or("RELAY");
    let port = arguments.ssh_port_advertised.unwrap_or(arguments.listen().port());
    if port == PORT_DEFAULT { host.to_owned() } else { format!("{host}:{port}") }
}
