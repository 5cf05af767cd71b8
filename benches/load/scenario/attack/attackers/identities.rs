//! What belongs to somebody else: a peer id, and an account.

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

/// How long one stays under a peer id.
const STAY: Duration = Duration::from_secs(10);
/// Addresses that passwords come from.
const ADDRESSES: usize = 250;
const PATIENCE: Duration = Duration::from_secs(10);

/// Joins under the peer id of somebody else, and stays.
pub async fn squat(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let mut line = Line::join(&gang, &gang.viewer_sync, &gang.peer_id).await?;
    line.stay(STAY).await;
    if line.is_over() { Err("closed".into()) } else { Ok(()) }
}

/// Tries a password, of somebody or nobody, from one address of many.
pub async fn guess(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let turn = gang.turn("guess");
    let address = Ipv4Addr::new(127, 0, 9, u8::try_from(turn % ADDRESSES + 1)?);
    let account = if turn.is_multiple_of(4) { gang.account.clone() } else { format!("account-{turn}") };
    let mut http = Http::connect_from(address, gang.server).await?;
    let body = json!({ "email": account, "password": "not the password" });
    let request = http.request(Method::POST, "/accounts/api/login/").header(CONTENT_TYPE, "application/json");
    let answer = timeout(PATIENCE, http.send(request.body(body.to_string().into())?)).await??;
    // Wrong, and looked at.
    if answer.status == 401 { Ok(()) } else { Err(format!("{}", answer.status).into()) }
}
