//! Web origins and host names that this server accepts.
//!
//! Every web page that a developer opens can send requests to a server on the developer's machine. Without these checks any
//! page could read the plan. So the `Origin` of a request must be absent (no browser, or a navigation), the server's own, a
//! loopback origin, or allowed by `--allow-origin`.
//!
//! An attacker's host name can also resolve to this server (DNS rebinding), which makes the attacker's page same-origin. So on
//! loopback listeners the `Host` must be a loopback name, and on a server without authentication an IP address or a loopback
//! name; or a name given with `--host`. With authentication other names are harmless: browsers keep cookies by name, and the
//! page has no token.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// The origins and host names that a server accepts.
#[derive(Debug, Default)]
pub struct OriginPolicy {
    /// Origins allowed in addition to the server's own and loopback origins, such as `https://plan.example.com`.
    pub allowed_origins: Vec<String>,
    /// Host names accepted in addition to IP addresses and loopback names: lower case, without a port.
    pub hosts: Vec<String>,
    /// Authentication is off, so host names are checked on every listener.
    pub open: bool,
    /// A rejected host name has been logged. It is logged once.
    logged_host: AtomicBool,
}

/// Why a request is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenOrigin {
    /// The request comes from a page of a foreign origin.
    #[error("pages of the origin {0} may not use this server; its operator can allow it with --allow-origin")]
    Origin(String),
    /// The request is for a host name that this server does not accept.
    #[error("unknown host name {host}: this server accepts {}; its operator can add names with --host", accepted(*.loopback))]
    Host {
        /// The host name of the request, with its port.
        host: String,
        /// Whether a loopback listener received the request.
        loopback: bool,
    },
}

/// The host names that need no `--host`.
fn accepted(loopback: bool) -> &'static str {
    if loopback { "localhost, 127.0.0.1 and [::1]" } else { "its IP addresses and localhost" }
}

impl OriginPolicy {
    /// Allows `allowed_origins` and `hosts` in addition to the defaults. `open`: authentication is off.
    #[must_use]
    pub fn new(allowed_origins: Vec<String>, hosts: Vec<String>, open: bool) -> Self {
        Self { allowed_origins, hosts, open, logged_host: AtomicBool::new(false) }
    }

    /// Checks the origin and the host name of a request. `authority`: that of the request target, if it is an absolute URL.
    /// `https`: the request came over TLS.
    ///
    /// # Errors
    /// If any origin or host name of the request is not accepted.
    pub fn check(
        &self,
        headers: &HeaderMap,
        authority: Option<&str>,
        loopback: bool,
        https: bool,
    ) -> Result<(), ForbiddenOrigin> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        for host in headers.get_all(header::HOST).iter().map(text).chain(authority.map(str::to_owned)) {
            if !self.accepts_host(host_of(&host), loopback) {
                if !self.logged_host.swap(true, Ordering::Relaxed) {
                    tracing::warn!(?host, "rejected a request for an unknown host name; --host adds names");
                }
                return Err(ForbiddenOrigin::Host { host, loopback });
            }
        }
        let host = headers.get(header::HOST).map(text);
        match headers.get_all(header::ORIGIN).iter().find(|origin| !self.allows(origin, host.as_deref(), https)) {
            Some(origin) => Err(ForbiddenOrigin::Origin(text(origin))),
            None => Ok(()),
        }
    }

    /// Whether this server accepts a host name (without a port). `loopback`: a loopback listener received the request.
    fn accepts_host(&self, host: &str, loopback: bool) -> bool {
        let is_configured = || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(without_root(host)));
        let is_checked = loopback || self.open;
        !is_checked || is_loopback_name(host) || (!loopback && is_address(host)) || is_configured()
    }

    /// Whether an origin is this server's own, or configured. `https`: the request came over TLS. The page must then have
    /// come over TLS as well, since an attacker on the network can modify plain HTTP. (A request without TLS may have passed
    /// an unknown proxy that removed TLS.)
    #[must_use]
    pub fn is_own_origin(&self, origin: &HeaderValue, host: Option<&str>, https: bool) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        if self.allowed_origins.iter().any(|allowed| allowed == origin) {
            return true;
        }
        let Ok(uri) = origin.parse::<Uri>() else { return false };
        let own = uri.authority().zip(host).is_some_and(|(own, host)| host.eq_ignore_ascii_case(own.as_str()));
        own && match uri.scheme_str() {
            Some("https") => true,
            Some("http") => !https,
            _ => false,
        }
    }

    /// Whether pages of an origin may send requests to this server under the name `host`.
    #[must_use]
    pub fn allows(&self, origin: &HeaderValue, host: Option<&str>, https: bool) -> bool {
        if self.is_own_origin(origin, host, https) {
            return true;
        }
        let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|authority| is_loopback_name(host_of(authority.as_str())))
        })
    }
}

/// The host in `host:port`. An IPv6 address keeps its brackets.
#[must_use]
pub fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => host,
        _ => authority,
    }
}

/// Whether a host name always denotes the local machine.
#[must_use]
pub fn is_loopback_name(host: &str) -> bool {
    let name = without_root(host);
    let last = name.rsplit('.').next().unwrap_or(name);
    // Names below `localhost` are reserved (RFC 6761), and browsers resolve all of them to the local machine.
    last.eq_ignore_ascii_case("localhost") || address_of(name).is_some_and(|address| address.is_loopback())
}

/// Whether a host is an IP address, which needs no name server.
fn is_address(host: &str) -> bool {
    address_of(host).is_some()
}

fn address_of(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// A host name without its optional final dot.
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
        let policy = OriginPolicy::new(vec!["https://plan.example.com".to_owned()], Vec::new(), false);
        policy.check(&headers, None, loopback, false).is_ok()
    }

    #[test]
    fn own_loopback_and_allowed_origins_are_accepted() {
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
    fn foreign_origins_are_rejected() {
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
    fn https_request_accepts_only_https_own_origin() {
        let policy = OriginPolicy::default();
        for (origin, over_tls, without) in [
            ("https://10.0.0.5:8443", true, true),
            ("http://10.0.0.5:8443", false, true),
            ("https://10.0.0.5", false, false),
            ("ws://10.0.0.5:8443", false, false),
        ] {
            let origin = HeaderValue::from_static(origin);
            for (secure, expected) in [(true, over_tls), (false, without)] {
                assert_eq!(
                    policy.is_own_origin(&origin, Some("10.0.0.5:8443"), secure),
                    expected,
                    "{origin:?} {secure}"
                );
                assert_eq!(policy.allows(&origin, Some("10.0.0.5:8443"), secure), expected, "{origin:?} {secure}");
            }
        }
        let origin = HeaderValue::from_static("http://localhost:4300");
        assert!(policy.allows(&origin, Some("localhost:8443"), true), "pages of loopback are allowed");
    }

    #[test]
    fn every_host_and_origin_of_a_request_is_checked() {
        let policy = OriginPolicy::default();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost".parse().unwrap());
        assert!(policy.check(&headers, Some("localhost:8000"), true, false).is_ok());
        assert!(policy.check(&headers, Some("evil.example"), true, false).is_err());
        headers.append(header::HOST, "evil.example".parse().unwrap());
        assert!(policy.check(&headers, None, true, false).is_err());
        headers.remove(header::HOST);
        headers.insert(header::ORIGIN, "http://localhost".parse().unwrap());
        headers.append(header::ORIGIN, "http://evil.example".parse().unwrap());
        assert!(policy.check(&headers, None, true, false).is_err());
    }

    #[test]
    fn loopback_listener_rejects_foreign_host_names() {
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
    fn open_server_accepts_addresses_and_configured_hosts() {
        let hosts = vec!["plan.example.com".to_owned()];
        let (open, authenticated) =
            (OriginPolicy::new(Vec::new(), hosts.clone(), true), OriginPolicy::new(Vec::new(), hosts, false));
        let check = |policy: &OriginPolicy, host: &str, loopback: bool| {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::try_from(host).unwrap())]);
            policy.check(&headers, None, loopback, false)
        };
        for host in
            ["10.0.0.5:8000", "[2001:db8::1]:8000", "localhost:8000", "plan.example.com", "PLAN.example.com.:81"]
        {
            assert_eq!(check(&open, host, false), Ok(()), "{host}");
        }
        for host in ["evil.example:8000", "10.0.0.5.nip.io", "x.plan.example.com", "example.com", "0x0a000005", ""] {
            let refused = check(&open, host, false).unwrap_err();
            assert!(refused.to_string().contains("--host"), "{refused}");
            assert_eq!(check(&authenticated, host, false), Ok(()), "{host:?}");
        }
        for policy in [&open, &authenticated] {
            assert_eq!(check(policy, "plan.example.com", true), Ok(()), "configured, on loopback behind a proxy");
        }
    }
}
