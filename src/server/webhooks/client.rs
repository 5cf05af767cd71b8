//! Sends one message: resolves the host, connects to an allowed address, and posts. Follows no redirects.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::header;
use bytes::Bytes;
use dialer::{ServerUrl, TrustStore, encrypt};
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use runtime::clock::now_ms;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::address::is_public;
use super::definition::Webhook;
use super::message::test_message;

/// Time limit of an attempt.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// Most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 4;
/// Time limit of a connection to one address: one that never answers must not use up the time of the others.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Name of this program in requests.
const USER_AGENT: &str = concat!("happierwork/", env!("CARGO_PKG_VERSION"));

/// Sends messages. Clones share the certificates that they trust.
#[derive(Debug, Clone)]
pub struct Sender {
    trust: Arc<TrustStore>,
}

impl Default for Sender {
    fn default() -> Self {
        Self { trust: Arc::new(TrustStore::new(Vec::new())) }
    }
}

/// Why a message was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The URL is invalid.
    #[error("the URL is not valid")]
    Url,
    /// The host has no address.
    #[error("the host {0} cannot be found")]
    Unknown(String),
    /// The host has only addresses that are not on the public internet.
    #[error("{0} has no public address; messages to private addresses need --allow-private")]
    Private(String),
    /// No connection.
    #[error("no connection: {0}")]
    Connection(String),
    /// No answer in time.
    #[error("no answer within {} s", TIME_LIMIT.as_secs())]
    Timeout,
    /// The answer is 410: the receiver wants no messages any more.
    #[error("the answer is 410 Gone")]
    Gone,
    /// Another answer than 2xx.
    #[error("the answer is {0}")]
    Status(u16),
}

impl Sender {
    /// Sends a signed message. `timestamp`: the time of the attempt, in seconds since 1970.
    ///
    /// # Errors
    /// When the receiver does not accept it.
    pub async fn post(&self, webhook: &Webhook, id: &str, timestamp: i64, body: Bytes) -> Result<(), SendError> {
        timeout(TIME_LIMIT, self.attempt(webhook, id, timestamp, body)).await.unwrap_or(Err(SendError::Timeout))
    }

    async fn attempt(&self, webhook: &Webhook, id: &str, timestamp: i64, body: Bytes) -> Result<(), SendError> {
        let url = ServerUrl::parse_http(&webhook.url).map_err(|_| SendError::Url)?;
        let failed = |error: &dyn std::fmt::Display| SendError::Connection(error.to_string());
        // Connects to an address that was checked: the name could have another one by the next look-up.
        let addresses = allowed_addresses(&url, webhook.allow_private).await?;
        let stream = connect(&addresses, CONNECT_LIMIT).await?;
        let stream = encrypt(stream, &url, Some(&self.trust)).await.map_err(|error| failed(&error))?;
        let request = Request::post(&url.path)
            .header(header::HOST, &url.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", webhook.secret.sign(id, timestamp, &body))
            .body(Full::new(body))
            .map_err(|_| SendError::Url)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        // Dropped, and so aborted, when the answer is there.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answer = sender.send_request(request).await;
        match answer.map_err(|error| failed(&error))?.status().as_u16() {
            200..300 => Ok(()),
            410 => Err(SendError::Gone),
            status => Err(SendError::Status(status)),
        }
    }
}

/// Sends a test message.
///
/// # Errors
/// When the receiver does not accept it.
pub async fn send_test(sender: &Sender, webhook: &Webhook) -> Result<(), SendError> {
    let now = now_ms();
    let id = format!("msg_{:032x}", rand::random::<u128>());
    sender.post(webhook, &id, now / 1_000, test_message(now)).await
}

/// The addresses of a host that messages may be sent to.
async fn allowed_addresses(url: &ServerUrl, allow_private: bool) -> Result<Vec<SocketAddr>, SendError> {
    let found: Vec<SocketAddr> = match url.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, url.port)],
        Err(_) => match lookup_host((url.host.as_str(), url.port)).await {
            Ok(addresses) => addresses.collect(),
            Err(_) => return Err(SendError::Unknown(url.host.clone())),
        },
    };
    if found.is_empty() {
        return Err(SendError::Unknown(url.host.clone()));
    }
    let allowed = found.into_iter().filter(|address| allow_private || is_public(address.ip()));
    let allowed: Vec<SocketAddr> = allowed.take(MAX_ADDRESSES).collect();
    if allowed.is_empty() { Err(SendError::Private(url.host.clone())) } else { Ok(allowed) }
}

/// Connects to the first address that answers within `limit`.
async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, SendError> {
    let mut last = String::new();
    for address in addresses {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = "the host does not answer".to_owned(),
        }
    }
    Err(SendError::Connection(last))
}

#[cfg(test)]
mod tests;
