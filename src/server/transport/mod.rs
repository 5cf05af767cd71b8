//! TCP connections: listeners, TLS, connection limits, and compression of HTTP responses.
//!
//! | module | purpose |
//! |---|---|
//! | [`listen`] | accepts connections, serves HTTP on them, and shuts the server down |
//! | [`client_connection`] | what request handlers know about a connection |
//! | [`connection_limits`] | limits per server, address and user |
//! | [`tls`] | certificate, key and handshake |
//! | [`byte_stream`] | the bytes of a connection, with or without TLS |
//! | [`content_encoding`], [`compression`] | negotiation and compression of responses |

pub mod byte_stream;
pub mod client_connection;
pub mod compression;
pub mod connection_limits;
pub mod content_encoding;
pub mod listen;
pub mod tls;
