//! What a relay asks: whose a key is, and who is there still.

use crate::key::ApiKey;
use crate::place::Place;
use crate::store::{Store, StoreError};
use std::pin::Pin;
use std::time::SystemTime;
use tern_bootstrap::ticket::OwnerId;
use tokio::sync::OnceCell;

/// A user to whom names belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Never given twice.
    pub id: OwnerId,
    /// The first part of their sessions' tokens.
    pub name: String,
}

/// What a relay hears about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// This user's.
    Of(Owner),
    /// Nobody's: wrong, or revoked.
    Nobody,
    /// There are no accounts here.
    NoAccounts,
}

/// The accounts can't be asked now. (Why is in the log.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the accounts can't be asked now")]
pub struct Unavailable;

/// An answer that takes its time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// What a relay asks; a trait, so that a program with a relay inside carries no database.
pub trait Owners: Send + Sync + 'static {
    /// Whose a key is, whatever was given for one.
    fn of_key<'a>(&'a self, key: &'a str) -> Answer<'a, Whose>;

    /// Those of `owners` that there still are.
    fn living(&self, owners: Vec<OwnerId>) -> Answer<'_, Vec<OwnerId>>;
}

/// The accounts of a relay. A relay whose operator has made no user has none, and needs no database:
/// SQLite's file is looked for whenever a key is to be judged.
#[derive(Debug)]
pub struct Accounts {
    place: Place,
    store: OnceCell<Store>,
}

impl Accounts {
    /// Opened as soon as there are any.
    pub fn at(place: Place) -> Self {
        Self { place, store: OnceCell::new() }
    }

    /// Opened now, or made: for an operator who named the place and would like to know that it works.
    pub async fn open(place: Place) -> Result<Self, StoreError> {
        let store = Store::open(&place).await?;
        Ok(Self::of(place, store))
    }

    /// Open already.
    pub fn of(place: Place, store: Store) -> Self {
        Self { place, store: OnceCell::new_with(Some(store)) }
    }

    /// `None`: there are no accounts.
    async fn store(&self) -> Result<Option<&Store>, Unavailable> {
        let is_absent = match &self.place {
            Place::File(path) => !self.store.initialized() && !path.exists(),
            Place::Server(_) => false,
        };
        if is_absent {
            return Ok(None);
        }
        self.store.get_or_try_init(|| Store::open(&self.place)).await.map(Some).map_err(unavailable)
    }
}

impl Owners for Accounts {
    fn of_key<'a>(&'a self, key: &'a str) -> Answer<'a, Whose> {
        Box::pin(async move {
            let Some(store) = self.store().await? else { return Ok(Whose::NoAccounts) };
            let Some(key) = ApiKey::parse(key) else { return Ok(Whose::Nobody) };
            let owner = store.owner_of(&key, SystemTime::now()).await.map_err(unavailable)?;
            Ok(owner.map_or(Whose::Nobody, Whose::Of))
        })
    }

    fn living(&self, owners: Vec<OwnerId>) -> Answer<'_, Vec<OwnerId>> {
        Box::pin(async move {
            let Some(store) = self.store().await? else { return Ok(Vec::new()) };
            store.living(&owners).await.map_err(unavailable)
        })
    }
}

fn unavailable(error: StoreError) -> Unavailable {
    tracing::warn!(%error, "the accounts can't be asked");
    Unavailable
}
