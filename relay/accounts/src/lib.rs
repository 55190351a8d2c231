//! `accounts` is who may name sessions on a relay: users, and the API keys by which their hosts show
//! whose they are, in SQLite or PostgreSQL; and how people register by e-mail.
//!
//! It knows no session and no terminal: a relay asks it whose a key is.

mod hash;
pub mod key;
pub mod owners;
pub mod place;
pub mod register;
pub mod store;

pub use key::ApiKey;
pub use owners::{Accounts, Owner, Owners};
pub use place::Place;
pub use register::{Registrar, Registration};
pub use store::{Store, StoreError};
