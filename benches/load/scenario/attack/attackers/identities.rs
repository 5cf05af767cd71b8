//! Identities of other users: a peer id, and an account.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use hyper::Method;
use hyper::header::CONTENT_TYPE;
use serde_json::json;
use tokio::time::timeout;

use super::Gang;
use super::line::Line;
use crate::Fallible;
use crate::client::Http;

/// How long a connection stays with a peer id.
const STAY: Duration = Duration::from_secs(10);
/// Number of addresses that try passwords.
const ADDRESSES: usize = 250;
const PATIENCE: Duration = Duration::from_secs(10);

/// Joins with the peer id of another user, and stays connected.
pub async fn squat(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let mut line = Line::join(&gang, &gang.viewer_sync, &gang.peer_id).await?;
    line.stay(STAY).await;
    if line.is_over() { Err("closed".into()) } else { Ok(()) }
}

/// Tries a password of a known or unknown account, from one of many addresses.
pub async fn guess(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let turn = gang.turn("guess");
    let address = Ipv4Addr::new(127, 0, 9, u8::try_from(turn % ADDRESSES + 1)?);
    let account = if turn.is_multiple_of(4) { gang.account.clone() } else { format!("account-{turn}") };
    let mut http = Http::connect_from(address, gang.server).await?;
    let body = json!({ "email": account, "password": "not the password" });
    let request = http.request(Method::POST, "/accounts/api/login/").header(CONTENT_TYPE, "application/json");
    let answer = timeout(PATIENCE, http.send(request.body(body.to_string().into())?)).await??;
    // The password is wrong, but was checked.
    if answer.status == 401 { Ok(()) } else { Err(format!("{}", answer.status).into()) }
}
