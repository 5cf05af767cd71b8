//! Cookies. Over TLS, only those with the prefix `__Host-` count: another host of the domain, or an attacker on the network, cannot have
//! set them (RFC 6265bis, section 4.1.3).

use axum::http::{HeaderMap, header};

/// A cookie under its two names.
#[derive(Debug, Clone, Copy)]
pub struct CookieName {
    /// The name without TLS.
    pub plain: &'static str,
    secure: &'static str,
}

/// The session of a user.
pub const SESSION: CookieName = CookieName { plain: "happierwork_session", secure: "__Host-happierwork_session" };
/// A login that an identity provider has not finished yet.
pub const LOGIN: CookieName = CookieName { plain: "happierwork_login", secure: "__Host-happierwork_login" };

/// Whether browsers send a cookie with requests that other sites cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when the user follows a link or a redirect to this site.
    Lax,
}

impl CookieName {
    /// The value that a request has sent.
    pub fn find(self, headers: &HeaderMap, https: bool) -> Option<&str> {
        let cookies = || {
            let lists = headers.get_all(header::COOKIE).iter().filter_map(|list| list.to_str().ok());
            lists.flat_map(|list| list.split(';')).filter_map(|cookie| cookie.trim().split_once('='))
        };
        let named = |wanted: &str| cookies().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        named(self.secure).or_else(|| named(self.plain).filter(|_| !https))
    }

    /// The `Set-Cookie` value. `seconds`: its lifetime.
    pub fn set(self, value: &str, seconds: u64, same_site: SameSite, https: bool) -> String {
        let (name, secure) = if https { (self.secure, "; Secure") } else { (self.plain, "") };
        let same_site = match same_site {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
        };
        format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}")
    }
}
