//! Properties of a TCP connection for request handlers. Every request has both types as extensions.

use std::net::IpAddr;

use super::connection_limits::{ClosePermit, ConnectionPermit, TooManyConnections};

/// The kind of listener that accepted a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerKind {
    /// The listener is bound to a loopback address: only this machine can reach it.
    pub loopback: bool,
    /// Connections use TLS.
    pub tls: bool,
}

/// One TCP connection of a client. It keeps its permit until the connection, or the WebSocket on it, is closed.
#[derive(Debug)]
pub struct ClientConnection {
    /// Address of the other end: a client, or a proxy.
    pub peer: IpAddr,
    /// Whether the connection limits admit it.
    pub admission: Admission,
}

/// Whether the connection limits admit a connection.
#[derive(Debug)]
pub enum Admission {
    /// Requests are served.
    Admitted(#[expect(dead_code, reason = "released on drop")] ConnectionPermit),
    /// A limit is reached. The connection gets one response that says so.
    Rejected(TooManyConnections, #[expect(dead_code, reason = "released on drop")] ClosePermit),
}

impl ClientConnection {
    /// The limit that rejects this connection; `None` if it is admitted.
    #[must_use]
    pub fn rejection(&self) -> Option<TooManyConnections> {
        match &self.admission {
            Admission::Admitted(_) => None,
            Admission::Rejected(limit, _) => Some(*limit),
        }
    }
}
