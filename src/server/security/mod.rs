//! Access control for requests: origins and host names, authentication, TLS, and the sessions of connected users.
//!
//! | module | purpose |
//! |---|---|
//! | [`origin`] | allowed web origins and host names |
//! | [`https`] | whether a request came over TLS, and the HSTS header |
//! | [`cookies`] | names and attributes of cookies |
//! | [`authentication`] | the principal of a request, by its token |
//! | [`session_monitor`] | closes connections whose token is no longer valid |

pub mod authentication;
pub mod cookies;
pub mod https;
pub mod origin;
pub mod session_monitor;
