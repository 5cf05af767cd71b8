//! Revoked rights end at all servers within a second.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::TURN;
use super::servers::{Cluster, Databases};
use crate::support::users::Users;
use crate::support::{Socket, connect_to, http_to};

/// The deadline in docs/cluster.md.
const PROMISE: Duration = Duration::from_secs(1);

/// A user at a server.
struct User<'a> {
    address: SocketAddr,
    token: &'a str,
}

impl User<'_> {
    async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", &bearer[..]), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, _, text) = http_to(self.address, method, path, &headers, body).await;
        (status, text)
    }

    async fn get(&self, path: &str) -> u16 {
        self.call("GET", path, &Value::Null).await.0
    }

    /// A socket on which the document has arrived.
    async fn syncs(&self, id: &str) -> Socket {
        let url = format!("ws://{}/sync/{id}?token={}", self.address, self.token);
        let mut socket = connect_to(&url, &[], None).await;
        assert!(socket.next().await.is_some(), "the document arrives");
        socket
    }
}

/// Waits until a request is answered with this status.
async fn until_answered(user: &User<'_>, path: &str, wanted: u16, since: Instant) {
    loop {
        let status = user.get(path).await;
        if status == wanted {
            return;
        }
        assert!(since.elapsed() < PROMISE, "{path} is still answered with {status}, not {wanted}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a socket is closed.
async fn until_closed(socket: &mut Socket, since: Instant) {
    let closed = async { while socket.next().await.is_some() {} };
    tokio::time::timeout_at(since + PROMISE, closed).await.expect("the socket is closed within a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_rights_act_at_other_servers_within_a_second() {
    let _turn = TURN.lock().await;
    let users = Users::new();
    let (ceo, cfo) = (users.token("ceo", "editor", "default"), users.token("cfo", "editor", "default"));
    let folder = users.path().to_str().unwrap().to_owned();
    let databases = Databases::start();
    let arguments = ["--auth".to_owned(), folder, "--who-may-create".to_owned(), "editor".to_owned()];
    let cluster = Cluster::start(&databases, "plan", &arguments).await;
    let addresses = cluster.addresses.lock().clone();
    let at = |token| addresses.iter().map(|address| User { address: *address, token }).collect::<Vec<_>>();
    let (owners, guests) = (at(&ceo), at(&cfo));

    let (status, made) = owners[0].call("POST", "/api/documents", &json!({ "name": "Growth" })).await;
    assert_eq!(status, 201, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    let (document, access) = (format!("/api/documents/{id}"), format!("/api/documents/{id}/access/cfo"));

    // A role that was granted.
    assert_eq!(guests[0].get(&document).await, 404);
    let since = Instant::now();
    assert_eq!(owners[0].call("PUT", &access, &json!({ "role": "editor" })).await.0, 204);
    for guest in &guests {
        until_answered(guest, &document, 200, since).await;
    }
    let position = json!({ "id": "ui", "designation": "UI", "department": "HR", "budget": 1, "location": "Pune" });
    assert_eq!(guests[1].call("POST", &format!("{document}/positions"), &position).await.0, 201);

    // A lowered role: reads continue, and no write is accepted after the answer.
    assert_eq!(owners[1].call("PUT", &access, &json!({ "role": "viewer" })).await.0, 204);
    for (number, guest) in guests.iter().enumerate() {
        let position = json!({ "id": format!("late-{number}"), "designation": "UI" });
        assert_eq!(guest.call("POST", &format!("{document}/positions"), &position).await.0, 403);
        assert_eq!(guest.get(&document).await, 200);
    }

    // A revocation.
    let mut sockets = Vec::new();
    for guest in &guests {
        sockets.push(guest.syncs(&id).await);
    }
    let since = Instant::now();
    assert_eq!(owners[0].call("DELETE", &access, &Value::Null).await.0, 204);
    for socket in &mut sockets {
        until_closed(socket, since).await;
    }
    for guest in &guests {
        until_answered(guest, &document, 404, since).await;
    }

    // A deletion.
    let mut sockets = Vec::new();
    for owner in &owners {
        sockets.push(owner.syncs(&id).await);
    }
    let since = Instant::now();
    assert_eq!(owners[2].call("DELETE", &document, &Value::Null).await.0, 204);
    for socket in &mut sockets {
        until_closed(socket, since).await;
    }
    for owner in &owners {
        until_answered(owner, &document, 404, since).await;
    }

    // A token that was logged out.
    for guest in &guests {
        assert_eq!(guest.get("/api/documents/default").await, 200);
    }
    let since = Instant::now();
    assert_eq!(guests[0].call("POST", "/accounts/api/logout/", &Value::Null).await.0, 200);
    for guest in &guests {
        until_answered(guest, "/api/documents/default", 401, since).await;
    }
    cluster.stop();
}
