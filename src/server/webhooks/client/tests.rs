//! A message reaches a receiver over TLS, and nothing else than 2xx counts.

use auth::Documents;
use dialer::TrustStore;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::super::definition::NewWebhook;
use super::*;

fn webhook(url: String) -> Webhook {
    let new = NewWebhook { url, documents: Documents::All, debounce: 0, allow_private: true, added_by: None };
    new.create(0).unwrap()
}

/// Reads one request, and answers. Returns the request.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, status: &str) -> String {
    let mut request = String::new();
    while !request.ends_with("{}") {
        let mut bytes = [0; 1_024];
        let read = stream.read(&mut bytes).await.unwrap();
        assert!(read > 0, "{request}");
        request.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    let answer = format!("HTTP/1.1 {status}\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    request
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn message_is_posted_over_tls_to_a_trusted_receiver() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, port) = listen().await;
    let receiver: JoinHandle<String> = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // The first client does not trust the certificate.
            if let Ok(stream) = acceptor.accept(stream).await {
                return answer(stream, "204 No Content").await;
            }
        }
    });
    let webhook = webhook(format!("https://localhost:{port}/hooks?a=b"));
    let refused = Sender::default().post(&webhook, "msg_1", 5, Bytes::from_static(b"{}")).await;
    assert!(matches!(refused, Err(SendError::Connection(_))), "{refused:?}");
    let sender = Sender { trust: Arc::new(TrustStore::new(vec![certified.cert.der().clone()])) };
    sender.post(&webhook, "msg_1", 5, Bytes::from_static(b"{}")).await.unwrap();
    let request = receiver.await.unwrap();
    let signature = webhook.secret.sign("msg_1", 5, b"{}");
    assert!(request.starts_with("POST /hooks?a=b HTTP/1.1\r\n"), "{request}");
    for header in [
        format!("host: localhost:{port}"),
        "webhook-id: msg_1".into(),
        "webhook-timestamp: 5".into(),
        format!("webhook-signature: {signature}"),
    ] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header}: {request}");
    }
}

#[tokio::test]
async fn redirects_and_errors_are_failures() {
    for (status, expected) in [
        ("302 Found", "the answer is 302"),
        ("500 Internal Server Error", "the answer is 500"),
        ("410 Gone", "the answer is 410 Gone"),
    ] {
        let (listener, port) = listen().await;
        let receiver = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            answer(stream, status).await;
            // A client that follows the redirect would connect again.
            listener
        });
        let webhook = webhook(format!("http://127.0.0.1:{port}/"));
        let error = Sender::default().post(&webhook, "msg_1", 5, Bytes::from_static(b"{}")).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        drop(receiver.await.unwrap());
        let error = Sender::default().post(&webhook, "msg_1", 5, Bytes::from_static(b"{}")).await.unwrap_err();
        assert!(matches!(error, SendError::Connection(_)), "{error}");
    }
}

#[tokio::test]
async fn address_that_never_answers_does_not_block_the_next() {
    // Connections to a full queue get no answer.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = silent.local_addr().unwrap();
    let _silent = silent.listen(1).unwrap();
    let limit = Duration::from_millis(100);
    let mut queue = Vec::new();
    while let Ok(stream) = timeout(limit, TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
    }
    let (listener, port) = listen().await;
    let stream = connect(&[address, listener.local_addr().unwrap()], limit).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap().port(), port);
    let error = connect(&[address], limit).await.unwrap_err();
    assert_eq!(error.to_string(), "no connection: the host does not answer");
}

/// A receiver that answers one byte at a time occupies the sender no longer than any other.
#[tokio::test(start_paused = true)]
async fn answer_that_takes_too_long_is_a_failure() {
    let (listener, port) = listen().await;
    let receiver = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for byte in b"HTTP/1.1 200 OK\r\n".iter().chain(std::iter::repeat(&b'a')) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let webhook = webhook(format!("http://127.0.0.1:{port}/"));
    let error = Sender::default().post(&webhook, "msg_1", 5, Bytes::from_static(b"{}")).await.unwrap_err();
    assert!(matches!(error, SendError::Timeout), "{error}");
    receiver.abort();
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    for url in [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/",
    ] {
        let url = ServerUrl::parse_http(url).unwrap();
        let refused = allowed_addresses(&url, false).await;
        assert!(matches!(refused, Err(SendError::Private(_))), "{}: {refused:?}", url.host);
        assert!(!allowed_addresses(&url, true).await.unwrap().is_empty());
    }
    let public = ServerUrl::parse_http("https://1.1.1.1:8443/").unwrap();
    assert_eq!(allowed_addresses(&public, false).await.unwrap(), ["1.1.1.1:8443".parse().unwrap()]);
}
