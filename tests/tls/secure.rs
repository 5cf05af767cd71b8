//! HSTS is sent only over TLS.

use std::net::Ipv4Addr;
use std::sync::Arc;

use happierwork::server::Limits;
use tempfile::TempDir;

use super::authority::{Authority, server, server_with};
use super::support::TestServer;

const PUBLIC: (&str, &str) = ("host", "plan.example.com");

async fn promised(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Option<String> {
    let (_, headers, _) = server.http("GET", path, headers).await;
    headers.get("strict-transport-security").map(|value| value.to_str().unwrap().to_owned())
}

/// A server that treats this test as its proxy.
async fn behind_a_proxy() -> TestServer {
    let limits = Limits { trusted_proxies: vec![Ipv4Addr::LOCALHOST.into()], ..Limits::default() };
    TestServer::start_in(Arc::new(TempDir::new().unwrap()), |options| options.limits = limits).await
}

#[tokio::test]
async fn tls_answers_have_hsts() {
    // On all addresses: a loopback listener would refuse other host names.
    let everywhere = |options: &mut happierwork::server::Options| {
        options.listen = vec![(Ipv4Addr::UNSPECIFIED, 0).into()];
        options.hosts = vec![PUBLIC.1.to_owned()];
    };
    let mut server = server_with(&Authority::new("tests"), everywhere).await;
    server.address.set_ip(Ipv4Addr::LOCALHOST.into());
    for path in ["/", "/data/", "/api/documents", "/healthz", "/nowhere", "/sync"] {
        assert_eq!(promised(&server, path, &[PUBLIC]).await.as_deref(), Some("max-age=31536000"), "{path}");
    }
    let refused = [PUBLIC, ("origin", "https://evil.example")];
    assert!(promised(&server, "/data/", &refused).await.is_some());
    let upgrade = [
        PUBLIC,
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert!(promised(&server, "/ws/dashboard/", &upgrade).await.is_some());
}

#[tokio::test]
async fn localhost_gets_no_hsts() {
    let server = server(&Authority::new("tests")).await;
    for host in ["localhost", "localhost:8000", "127.0.0.1:8000"] {
        assert_eq!(promised(&server, "/", &[("host", host)]).await, None, "{host}");
    }
}

#[tokio::test]
async fn plain_http_has_no_hsts() {
    let server = TestServer::start().await;
    for headers in [&[][..], &[("x-forwarded-proto", "https")], &[("forwarded", "proto=https")]] {
        assert_eq!(promised(&server, "/", headers).await, None, "{headers:?}");
    }
}

#[tokio::test]
async fn trusted_proxy_enables_hsts() {
    let server = behind_a_proxy().await;
    for (said, secure) in [
        ("https", true),
        ("HTTPS", true),
        ("https, https", true),
        ("http", false),
        // The first value may be the client's own.
        ("https, http", false),
        ("http, https", false),
        ("", false),
    ] {
        let headers = [("host", "localhost"), ("x-forwarded-proto", said)];
        assert_eq!(promised(&server, "/", &headers).await.is_some(), secure, "{said:?}");
    }
    assert_eq!(promised(&server, "/", &[("host", "localhost")]).await, None);
}

#[tokio::test]
async fn trusted_proxy_can_report_a_plain_client_over_tls() {
    let limits = Limits { trusted_proxies: vec![Ipv4Addr::LOCALHOST.into()], ..Limits::default() };
    let server = server_with(&Authority::new("tests"), |options| options.limits = limits).await;
    assert_eq!(promised(&server, "/", &[("x-forwarded-proto", "http")]).await, None);
    assert!(promised(&server, "/", &[("x-forwarded-proto", "https")]).await.is_some());
}
