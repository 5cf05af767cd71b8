//! Who may ask: the page that a browser comes from, and the name by which it reached us.
//!
//! A server on a developer's machine is reachable by every web page that this person opens. Without these checks any of
//! them could read the salaries. So an `Origin` must be absent (no browser, or a plain navigation), our own, loopback,
//! or allowed by `--allow-origin`; and on a loopback listener the `Host` must be a loopback name, or a page could have
//! its own name resolve to 127.0.0.1 (DNS rebinding).

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// What was configured.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Origins allowed besides our own and loopback: `https://plan.example.com`.
    pub allowed_origins: Vec<String>,
}

/// Which side of the machine a listener is on, and what is spoken there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerKind {
    /// Only reachable from this machine.
    pub loopback: bool,
    /// Whether TLS is spoken there.
    pub tls: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A web page of somebody else's.
    #[error("pages of the origin {0} may not use this server; its operator can allow it with --allow-origin")]
    Origin(String),
    /// A name that is not this machine's.
    #[error("this server listens on loopback and answers to localhost, 127.0.0.1 and [::1] only, not to {0}")]
    Host(String),
}

impl Access {
    /// Checks a request by its headers. `authority`: the one in its target, if that is a whole URL. `secure`: it came over TLS.
    ///
    /// # Errors
    /// When it comes from a page that may not ask, or by a name that is not ours.
    pub fn check(
        &self,
        headers: &HeaderMap,
        authority: Option<&str>,
        loopback: bool,
        secure: bool,
    ) -> Result<(), Refused> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        // A request that names two hosts, or two origins, is nobody's: each of them must be fine.
        for host in headers.get_all(header::HOST).iter().map(text).chain(authority.map(str::to_owned)) {
            if loopback && !is_loopback_name(host_of(&host)) {
                return Err(Refused::Host(host));
            }
        }
        let host = headers.get(header::HOST).map(text);
        match headers.get_all(header::ORIGIN).iter().find(|origin| !self.allows(origin, host.as_deref(), secure)) {
            Some(origin) => Err(Refused::Origin(text(origin))),
            None => Ok(()),
        }
    }

    /// Whether a page is this server's own, or one that its operator has named. `secure`: the request came over TLS; then so
    /// must the page have, which anybody between could else have written. (What came without may have been taken out of TLS
    /// by a proxy that is not known here.)
    #[must_use]
    pub fn is_ours(&self, origin: &HeaderValue, host: Option<&str>, secure: bool) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        if self.allowed_origins.iter().any(|allowed| allowed == origin) {
            return true;
        }
        let Ok(uri) = origin.parse::<Uri>() else { return false };
        let own = uri.authority().zip(host).is_some_and(|(own, host)| host.eq_ignore_ascii_case(own.as_str()));
        own && match uri.scheme_str() {
            Some("https") => true,
            Some("http") => !secure,
            _ => false,
        }
    }

    /// Whether pages of this origin may ask a server that was reached as `host`.
    #[must_use]
    pub fn allows(&self, origin: &HeaderValue, host: Option<&str>, secure: bool) -> bool {
        if self.is_ours(origin, host, secure) {
            return true;
        }
        let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|authority| is_loopback_name(host_of(authority.as_str())))
        })
    }
}

/// The name in `name:port`; an IPv6 address keeps its brackets.
#[must_use]
pub fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => host,
        _ => authority,
    }
}

/// Whether a name means this machine to everybody.
#[must_use]
pub fn is_loopback_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>, loopback: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let access = Access { allowed_origins: vec!["https://plan.example.com".to_owned()] };
        access.check(&headers, None, loopback, false).is_ok()
    }

    #[test]
    fn programs_own_pages_loopback_pages_and_allowed_pages_may_ask() {
        for origin in [
            None,
            Some("http://localhost:4300"),
            Some("http://127.0.0.1:9"),
            Some("https://[::1]:4300"),
            Some("https://plan.example.com"),
        ] {
            assert!(check("127.0.0.1:8000", origin, true), "{origin:?}");
        }
        assert!(check("plan.internal:8000", Some("http://plan.internal:8000"), false));
    }

    #[test]
    fn other_pages_may_not() {
        for origin in [
            "null",
            "https://evil.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "https://plan.example.com.evil.example",
            "file://",
            "chrome-extension://localhost",
        ] {
            assert!(!check("127.0.0.1:8000", Some(origin), true), "{origin}");
        }
        assert!(!check("plan.internal:8000", Some("http://plan.internal:9000"), false), "another port");
    }

    #[test]
    fn over_tls_only_a_page_that_came_over_tls_is_our_own() {
        let access = Access::default();
        for (origin, over_tls, without) in [
            ("https://10.0.0.5:8443", true, true),
            ("http://10.0.0.5:8443", false, true),
            ("https://10.0.0.5", false, false),
            ("ws://10.0.0.5:8443", false, false),
        ] {
            let origin = HeaderValue::from_static(origin);
            for (secure, expected) in [(true, over_tls), (false, without)] {
                assert_eq!(access.is_ours(&origin, Some("10.0.0.5:8443"), secure), expected, "{origin:?} {secure}");
                assert_eq!(access.allows(&origin, Some("10.0.0.5:8443"), secure), expected, "{origin:?} {secure}");
            }
        }
        let origin = HeaderValue::from_static("http://localhost:4300");
        assert!(access.allows(&origin, Some("localhost:8443"), true), "whoever works on a page of their own may ask");
    }

    #[test]
    fn a_second_host_or_origin_and_the_target_are_looked_at_as_well() {
        let access = Access::default();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost".parse().unwrap());
        assert!(access.check(&headers, Some("localhost:8000"), true, false).is_ok());
        assert!(access.check(&headers, Some("evil.example"), true, false).is_err());
        headers.append(header::HOST, "evil.example".parse().unwrap());
        assert!(access.check(&headers, None, true, false).is_err());
        headers.remove(header::HOST);
        headers.insert(header::ORIGIN, "http://localhost".parse().unwrap());
        headers.append(header::ORIGIN, "http://evil.example".parse().unwrap());
        assert!(access.check(&headers, None, true, false).is_err());
    }

    #[test]
    fn a_name_that_was_made_to_point_at_loopback_is_refused_there() {
        assert!(!check("evil.example:8000", None, true));
        assert!(!check("127.0.0.1.nip.io", None, true));
        assert!(check("evil.example:8000", None, false));
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8000"] {
            assert!(check(host, None, true), "{host}");
        }
    }
}
