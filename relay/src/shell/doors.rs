//! The way into a session: what its host has said is waited for, and who comes is held against it.

use super::admission::{Shared, WaitGuard};
use super::session::SessionHandle;
use super::waiting::AskedToken;
use crate::core::doors::Doors;
use crate::core::registry::Denied;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// How long an authentication waits for a host that is on its way: a second, over a bad path some.
/// It must leave time for the rest ([`Limits::auth_time`](crate::Limits)).
const AUTH_WAIT_MAX: Duration = Duration::from_secs(4);
/// How long a program that joins is kept waiting before it is told to ask again.
pub(super) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(4);

/// Who may join, once the host has said it. An error: the session is gone.
pub(super) async fn said(handle: &SessionHandle) -> Result<Arc<Doors>, Denied> {
    let mut doors = handle.doors.clone();
    let said = doors.wait_for(Option::is_some).await.map_err(|_| Denied::WrongToken)?;
    Ok(Arc::clone(said.as_ref().expect("it was waited for")))
}

/// The doors of the session that this token is for, during authentication. `None`: there is none, or
/// its host has not said anything in time; that is looked at again when the viewer joins.
pub(super) async fn at_authentication(
    shared: &Arc<Shared>,
    token: AskedToken,
    address: IpAddr,
) -> Option<Arc<Doors>> {
    let looking = async {
        if token.is_well_formed()
            && let Some(mut wait) = WaitGuard::begin(shared, token.hash, address)
        {
            wait.arrival().await;
        }
        let handle = shared.registry().find(token.hash)?;
        said(&handle).await.ok()
    };
    timeout(AUTH_WAIT_MAX, looking).await.ok().flatten()
}

/// Seconds since 1970.
pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
