//! Who may ask: the page that a browser comes from, and the name by which it reached us.
//!
//! A server on a developer's machine is reachable by every web page that this person opens. Without these checks any of
//! them could read the salaries. So an `Origin` must be absent (no browser, or a plain navigation), our own, loopback,
//! or allowed by `--allow-origin`.
//!
//! A page can also have its own name resolve to this server (DNS rebinding): to the browser both are the same origin then.
//! So on a loopback listener the `Host` must be a loopback name, and on any listener of a server that asks nobody who they
//! are an IP address or a loopback name, neither of which a page's owner can point anywhere; or a name that the operator
//! gave with `--host`. Where users are known a foreign name is harmless: browsers keep cookies by name, and a page has no
//! token of its own.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// What was configured.
#[derive(Debug, Default)]
pub struct Access {
    /// Origins allowed besides our own and loopback: `https://plan.example.com`.
    pub allowed_origins: Vec<String>,
    /// Host names that this server answers to besides IP addresses and loopback names: lower case, without a port.
    pub hosts: Vec<String>,
    /// Nobody is asked who they are, so the name by which a request came is checked on every listener.
    pub open: bool,
    /// A foreign host has been written to the log.
    logged_host: AtomicBool,
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
    /// A name that is not this server's.
    #[error("this server answers to {}, not to {host}; its operator can allow the name with --host", answers(*.loopback))]
    Host {
        /// The name by which the request came, and its port.
        host: String,
        /// Whether it came to a loopback listener.
        loopback: bool,
    },
}

/// The names that need no `--host`.
fn answers(loopback: bool) -> &'static str {
    if loopback { "localhost, 127.0.0.1 and [::1] only" } else { "its IP addresses and to localhost only" }
}

impl Access {
    /// What is checked: pages of `allowed_origins` may ask besides our own and loopback ones, and names in `hosts` are ours.
    /// `open`: nobody is asked who they are.
    #[must_use]
    pub fn new(allowed_origins: Vec<String>, hosts: Vec<String>, open: bool) -> Self {
        Self { allowed_origins, hosts, open, logged_host: AtomicBool::new(false) }
    }

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
            if !self.answers_to(host_of(&host), loopback) {
                if !self.logged_host.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        ?host,
                        "refused a request for a host name that is not this server's; --host allows one"
                    );
                }
                return Err(Refused::Host { host, loopback });
            }
        }
        let host = headers.get(header::HOST).map(text);
        match headers.get_all(header::ORIGIN).iter().find(|origin| !self.allows(origin, host.as_deref(), secure)) {
            Some(origin) => Err(Refused::Origin(text(origin))),
            None => Ok(()),
        }
    }

    /// Whether a request for this host, without its port, is for this server. `loopback`: it came to a loopback listener.
    fn answers_to(&self, host: &str, loopback: bool) -> bool {
        let is_named = || self.hosts.iter().any(|named| named.eq_ignore_ascii_case(without_root(host)));
        let needs_name = loopback || self.open;
        !needs_name || is_loopback_name(host) || (!loopback && is_address(host)) || is_named()
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
    let name = without_root(host);
    let last = name.rsplit('.').next().unwrap_or(name);
    // Nobody can register a name below it (RFC 6761), and browsers resolve all of them to this machine.
    last.eq_ignore_ascii_case("localhost") || address_of(name).is_some_and(|address| address.is_loopback())
}

/// Whether a host is an IP address, which no name server has a say in.
fn is_address(host: &str) -> bool {
    address_of(host).is_some()
}

fn address_of(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// A name without the dot of the root, which may stand at its end.
fn without_root(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
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
        let access = Access::new(vec!["https://plan.example.com".to_owned()], Vec::new(), false);
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
        assert!(access.allows(&origin, Some("localhost:8443"), true), "pages of loopback are allowed");
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
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "plan.localhost:8000",
            "localhost.",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:8000",
        ] {
            assert!(check(host, None, true), "{host}");
        }
        for host in ["localhost.evil.example", "evil-localhost", "10.0.0.5:8000", "", ":8000", "[127.0.0.1]"] {
            assert!(!check(host, None, true), "{host:?}");
        }
    }

    #[test]
    fn open_server_answers_to_addresses_and_named_hosts_only() {
        let hosts = vec!["plan.example.com".to_owned()];
        let (open, asking) = (Access::new(Vec::new(), hosts.clone(), true), Access::new(Vec::new(), hosts, false));
        let check = |access: &Access, host: &str, loopback: bool| {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::try_from(host).unwrap())]);
            access.check(&headers, None, loopback, false)
        };
        for host in
            ["10.0.0.5:8000", "[2001:db8::1]:8000", "localhost:8000", "plan.example.com", "PLAN.example.com.:81"]
        {
            assert_eq!(check(&open, host, false), Ok(()), "{host}");
        }
        for host in ["evil.example:8000", "10.0.0.5.nip.io", "x.plan.example.com", "example.com", "0x0a000005", ""] {
            let refused = check(&open, host, false).unwrap_err();
            assert!(refused.to_string().contains("--host"), "{refused}");
            assert_eq!(check(&asking, host, false), Ok(()), "{host:?}: users are known");
        }
        for access in [&open, &asking] {
            assert_eq!(check(access, "plan.example.com", true), Ok(()), "named on loopback, for a proxy");
        }
    }
}
