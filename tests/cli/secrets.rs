//! Passwords, tokens and keys appear in no log at any level.

use std::fs;

use repo_protocol::{Message, PeerId, PeerMetadata};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::support::process::{Running, folder, imported, program, run, serve};
use super::support::{http_to, post_to, socket_to};

const PASSWORD: &str = "correct horse battery staple";
const WRONG: &str = "wrong horse battery staple";

#[tokio::test]
async fn logs_contain_no_secrets_at_any_level() {
    let folder = folder();
    let state = imported(folder.path());
    let auth = folder.path().join("auth");
    let auth = auth.to_str().unwrap();
    fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    let added = program(&["user", "add", "cfo", "--role", "owner", "--auth", auth])
        .stdin(fs::File::open(folder.path().join("password")).unwrap())
        .output()
        .unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let token = run(&["token", "--user", "program", "--role", "owner", "--documents", "*", "--auth", auth]).out;
    let token = token.trim();

    let (server, address) = Running::server(serve(&state, &["--auth", auth, "--log", "trace"]));
    let login = |password: &str| json!({ "email": "cfo", "password": password });
    let (status, session) = post_to(address, "/accounts/api/login/", &login(PASSWORD)).await;
    assert_eq!(status, 200);
    assert_eq!(post_to(address, "/accounts/api/login/", &login(WRONG)).await.0, 401);
    let session = session["token"].as_str().unwrap().to_owned();
    let forged = format!("{}x", &token[..token.len() - 1]);
    for token in [token, &session, &forged] {
        let (bearer, cookie) = (format!("Bearer {token}"), format!("happierwork_session={token}"));
        for headers in [vec![], vec![("authorization", bearer.as_str())], vec![("cookie", cookie.as_str())]] {
            for path in ["/api/documents", "/data/", "/nowhere", "/sync", "/"] {
                let path = if headers.is_empty() { format!("{path}?token={token}") } else { path.to_owned() };
                http_to(address, "GET", &path, &headers, String::new()).await;
            }
        }
        let mut socket = socket_to(address, &format!("/sync/default?token={token}")).await;
        let _ = socket.next().await;
        let mut request = format!("ws://{address}/sync/default").into_client_request().unwrap();
        let protocols = format!("happierwork.bearer, {token}");
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
        tokio_tungstenite::connect_async(request).await.unwrap();
    }
    let bearer = format!("Bearer {session}");
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(http_to(address, "POST", "/accounts/api/logout/", &headers, String::new()).await.0, 200);
    let ended = server.stop();
    assert_eq!(ended.code, Some(0));

    let keys: Value = serde_json::from_slice(&fs::read(format!("{auth}/keys.json")).unwrap()).unwrap();
    let users = fs::read_to_string(format!("{auth}/users.json")).unwrap();
    let hash = users.split('"').find(|text| text.starts_with("$argon2id$")).unwrap();
    let said = format!("{}{}", ended.out, ended.err);
    assert!(said.contains("TRACE"), "every level was logged");
    // (The header is the same in all tokens of this key.)
    let signed = |token: &str| token.split_once('.').unwrap().1.to_owned();
    for (what, secret) in [
        ("password", PASSWORD.to_owned()),
        ("wrong password", WRONG.to_owned()),
        ("token", signed(token)),
        ("session", signed(&session)),
        ("forged token", signed(&forged)),
        ("signature", token.rsplit_once('.').unwrap().1.to_owned()),
        ("key", keys["keys"][0]["d"].as_str().unwrap().to_owned()),
        ("hash", hash.to_owned()),
    ] {
        let line = said.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{what} in {line:?}");
    }
}

#[tokio::test]
async fn peer_input_cannot_inject_log_lines() {
    let folder = folder();
    let state = imported(folder.path());
    let (server, address) = Running::server(serve(&state, &["--log", "happierwork=trace"]));
    let forged = "\n2026-01-01T00:00:00Z ERROR forged: the disk is on fire\u{1b}[2K";
    let me = PeerId::new(&format!("me{forged}")).unwrap();
    let mut socket = socket_to(address, "/sync").await;
    let join = Message::Join { sender: me.clone(), metadata: PeerMetadata::default(), versions: vec!["1".to_owned()] };
    let long = format!("{forged} {}", "x".repeat(60_000));
    for message in [
        join,
        Message::Error { sender: Some(me.clone()), target: None, document: None, message: long },
        Message::Leave { sender: PeerId::new(&format!("not me{forged}")).unwrap() },
        Message::Leave { sender: me },
    ] {
        socket.send(Frame::binary(message.encode())).await;
    }
    while socket.next().await.is_some() {}
    let said = server.stop().err;
    assert!(
        said.contains("the disk is on fire") && said.contains("reports an error"),
        "the errors were logged: {said}"
    );
    for line in said.lines() {
        assert!(!line.starts_with("2026-01-01T00:00:00Z ERROR forged") && !line.contains('\u{1b}'), "{line}");
        assert!(line.len() < 10_000, "the line is not truncated: {} bytes", line.len());
    }
}
