//! `Idempotency-Key`, `RateLimit` and `Retry-After`.
use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::users::{Users, bearer};
use crate::support::{Answer, TestServer};

const POSITIONS: &str = "/api/documents/default/positions";
const JSON: (&str, &str) = ("content-type", "application/json");

async fn post(server: &TestServer, path: &str, key: &str, body: &Value) -> Answer {
    server.call("POST", path, &[JSON, ("idempotency-key", key)], body.to_string()).await
}

async fn count(server: &TestServer) -> usize {
    server.get(POSITIONS).await.expect(200)["positions"].as_array().unwrap().len()
}

#[tokio::test]
async fn repeated_request_gets_the_first_answer() {
    let server = TestServer::start().await;
    let body = json!({ "designation": "Cook" });
    let first = post(&server, POSITIONS, "\"k-1\"", &body).await;
    let made = first.expect(201);
    assert_eq!(first.header("idempotent-replayed"), "");
    // The answer stays as it was, also if the position has changed.
    server
        .send("PATCH", &format!("{POSITIONS}/{}", made["id"].as_str().unwrap()), &json!({ "budget": 3 }))
        .await
        .expect(200);
    let again = post(&server, POSITIONS, "k-1", &body).await;
    assert_eq!((again.expect(201), again.header("idempotent-replayed")), (made, "true"));
    for header in ["location", "etag", "content-type"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
    assert_eq!(count(&server).await, 1);
    post(&server, POSITIONS, "k-2", &body).await.expect(201);
    assert_eq!(count(&server).await, 2);
}

#[tokio::test]
async fn every_creation_takes_a_key() {
    let server = TestServer::start().await;
    for (path, body) in [
        ("/api/documents", json!({ "name": "Growth" })),
        ("/api/documents/default/scenarios", json!({ "name": "Freeze" })),
        ("/api/documents/default/positions", json!({ "designation": "Cook" })),
    ] {
        let key = path.replace('/', "-");
        let first = post(&server, path, &key, &body).await.expect(201);
        assert_eq!(post(&server, path, &key, &body).await.expect(201), first, "{path}");
    }
    assert_eq!(server.get("/api/documents").await.expect(200).as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn key_of_another_request_is_refused() {
    let server = TestServer::start().await;
    post(&server, POSITIONS, "k", &json!({ "designation": "Cook" })).await.expect(201);
    let other = post(&server, POSITIONS, "k", &json!({ "designation": "Waiter" })).await;
    assert_eq!(other.problem(422), "idempotency-key");
    assert_eq!(post(&server, "/api/documents", "k", &json!({ "name": "x" })).await.problem(422), "idempotency-key");
    assert_eq!(count(&server).await, 1);
    for key in ["", "\"\"", "a b", &"x".repeat(256)] {
        assert_eq!(post(&server, POSITIONS, key, &json!({})).await.problem(400), "idempotency-key", "{key}");
    }
}

#[tokio::test]
async fn rejected_request_may_be_corrected() {
    let server = TestServer::start().await;
    assert_eq!(post(&server, POSITIONS, "k", &json!({ "designation": "" })).await.problem(422), "designation");
    post(&server, POSITIONS, "k", &json!({ "designation": "Cook" })).await.expect(201);
    assert_eq!(count(&server).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_repetitions_take_effect_once() {
    let server = TestServer::start().await;
    let body = json!({ "designation": "Cook" });
    let requests = (0..16).map(|_| post(&server, POSITIONS, "k", &body));
    let answers = join_all(requests).await;
    let mut made = BTreeSet::new();
    for answer in answers {
        match answer.status.as_u16() {
            201 => drop(made.insert(answer.json()["id"].as_str().unwrap().to_owned())),
            _ => {
                answer.problem(409);
                assert_eq!(answer.header("retry-after"), "1");
            }
        }
    }
    assert_eq!((made.len(), count(&server).await), (1, 1));
}

#[tokio::test]
async fn users_do_not_share_keys() {
    let users = Users::new();
    let server = users.server().await;
    let body = json!({ "designation": "Cook" }).to_string();
    for (user, status) in [("ceo", 201), ("cfo", 201)] {
        let (name, value) = bearer(&users.token(user, "editor", "default"));
        let headers = [JSON, ("idempotency-key", "k"), (name, value.as_str())];
        server.call("POST", POSITIONS, &headers, body.clone()).await.expect(status);
        let again = server.call("POST", POSITIONS, &headers, body.clone()).await;
        assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (201, "true"));
    }
    let (name, value) = bearer(&users.expired("ceo", "editor", "default"));
    let headers = [JSON, ("idempotency-key", "k"), (name, value.as_str())];
    server.call("POST", POSITIONS, &headers, body).await.problem(401);
}

#[tokio::test]
async fn creations_tell_what_is_left_of_the_limit() {
    let server = TestServer::start_in(Arc::new(tempdir().unwrap()), |options| {
        (options.limits.new_documents_per_minute, options.limits.new_documents_at_once) = (60, 3);
    })
    .await;
    let mut left = Vec::new();
    loop {
        let answer = server.send("POST", "/api/documents", &json!({ "name": "Growth" })).await;
        assert_eq!(answer.header("ratelimit-policy"), "\"new-documents\";q=3;w=3", "{answer:?}");
        let said = answer.header("ratelimit").to_owned();
        left.push(said.split(';').nth(1).unwrap().to_owned());
        if answer.status == 429 {
            answer.problem(429);
            assert_eq!(answer.header("retry-after"), "60");
            break;
        }
        answer.expect(201);
    }
    assert_eq!(left.last().map(String::as_str), Some("r=0"), "{left:?}");
    let refused = server.send("POST", "/api/documents", &json!({})).await;
    assert_eq!(
        (refused.problem(422), refused.header("ratelimit-policy")),
        ("name".to_owned(), "\"new-documents\";q=3;w=3")
    );
    assert_eq!(server.get("/api/documents").await.header("ratelimit-policy"), "", "reads are not limited");
}
