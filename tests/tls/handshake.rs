//! Handshakes of encrypted connections, and failed ones.

use std::time::Duration;

use happierwork::server::Limits;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::authority::{Authority, server, server_with};
use super::support::{PATIENCE, TestServer, encrypted};

const FAILED: &str = "happierwork_refusals_total{reason=\"tls_handshake\"}";

async fn tcp(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// Reads everything until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("an end in time").unwrap();
    text
}

#[tokio::test]
async fn tls_1_2_and_1_3_negotiate_http_1_1() {
    let authority = Authority::new("tests");
    let server = server(&authority).await;
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut config = (*authority.client_with(&[version])).clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = encrypted(tcp(&server).await, &config.into()).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(name));
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    assert_eq!(server.metric(FAILED), 0.0);
}

#[tokio::test]
async fn plain_http_is_answered_with_an_https_hint() {
    let server = server(&Authority::new("tests")).await;
    for request in
        ["GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", "POST /data/add/ HTTP/1.1\r\ncontent-length: 9\r\n\r\n{", "G"]
    {
        let mut stream = tcp(&server).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        assert!(head.starts_with("HTTP/1.1 400 ") && head.contains("content-type: text/plain"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())) && body.contains("https://"), "{answer}");
    }
    server.until_metric(FAILED, |failed| failed == 3.0).await;
}

#[tokio::test]
async fn garbage_is_counted_and_port_scans_are_not() {
    let authority = Authority::new("tests");
    let server = server(&authority).await;
    drop(tcp(&server).await);
    let mut stream = tcp(&server).await;
    stream.write_all(&[0x16, 3, 1, 0, 4, 1, 0, 0, 0]).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end in time").unwrap();
    // An alert.
    assert_eq!(answer.first(), Some(&0x15), "{answer:?}");
    // A client that does not trust the certificate sends an alert and disconnects.
    let stranger = Authority::new("another");
    let error = encrypted(tcp(&server).await, &stranger.client()).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    server.until_metric(FAILED, |failed| failed == 2.0).await;
    assert_eq!(server.http("GET", "/healthz", &[]).await.0, 200);
    assert_eq!(server.metric(FAILED), 2.0);
}

#[tokio::test]
async fn unsupported_protocols_get_an_alert() {
    let authority = Authority::new("tests");
    let server = server(&authority).await;
    let mut config = (*authority.client()).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let error = encrypted(tcp(&server).await, &config.into()).await.unwrap_err();
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    assert_eq!(cause, Some(&Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
}

#[tokio::test]
async fn unfinished_handshake_is_dropped_and_releases_its_permit() {
    let limits = Limits { connections: 2, handshake: Duration::from_millis(200), ..Limits::default() };
    let server = server_with(&Authority::new("tests"), |options| options.limits = limits).await;
    // One client sends nothing, one stops in the middle of a record: they hold all permits.
    let mut silent = tcp(&server).await;
    let mut half = tcp(&server).await;
    half.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap();
    assert_eq!((rest(&mut silent).await, rest(&mut half).await), (String::new(), String::new()));
    server.until_metric(FAILED, |failed| failed == 2.0).await;
    for _ in 0..2 {
        assert_eq!(server.http("GET", "/data/", &[]).await.0, 200);
    }
}

#[tokio::test]
async fn handshakes_count_as_connections() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = server_with(&Authority::new("tests"), |options| options.limits = limits).await;
    let half = tcp(&server).await;
    let full = async { while server.http("GET", "/data/", &[]).await.0 != 503 {} };
    timeout(PATIENCE, full).await.expect("it is full");
    let close = server.connect("/sync/default").await.closed().await.expect("a close frame");
    assert_eq!(u16::from(close.code), 1013);
    // Pending handshakes do not block shutdown.
    assert!(server.stop().await);
    drop(half);
}

#[tokio::test]
async fn connections_end_with_close_notify() {
    let authority = Authority::new("tests");
    let server = server(&authority).await;
    let mut stream = encrypted(tcp(&server).await, &authority.client()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    // rustls reports an end without close_notify as an error: an attacker could have cut the connection.
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("in time").unwrap();
    assert!(answer.ends_with("ok\n"), "{answer}");

    let mut stream = encrypted(tcp(&server).await, &authority.client()).await.unwrap();
    let upgrade = "GET /sync/nonsense HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101 ") && answer.windows(2).any(|two| two == 4400u16.to_be_bytes()));
}
