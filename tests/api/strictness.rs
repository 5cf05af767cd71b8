//! Ambiguous requests: unknown parameters, compressed bodies, byte order marks and escapes in JSON.
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::support::TestServer;

const POSITIONS: &str = "/api/documents/default/positions";
const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn unknown_query_parameters_are_rejected() {
    let server = TestServer::start().await;
    let description = server.get("/api/openapi.json").await.expect(200);
    let before = server.get(POSITIONS).await;
    let mut checked = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        if !path.starts_with("/api/") {
            continue;
        }
        let path = path.replace("{documentId}", "default").replace("{positionId}", "ui").replace("{user}", "cfo");
        for method in operations.as_object().unwrap().keys() {
            for name in ["autor", "departement", "_"] {
                let answer = server.send(&method.to_uppercase(), &format!("{path}?{name}=1"), &json!({})).await;
                assert_eq!(answer.problem(400), name, "{method} {path}");
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "{checked}");
    assert_eq!(server.get(&format!("{POSITIONS}?page=1")).await.problem(400), "page");
    let head = server.call("HEAD", &format!("{POSITIONS}?page=1"), &[], "").await;
    assert_eq!(head.status, 400);
    let twice = format!("{POSITIONS}?at=00&at=00");
    assert_eq!(server.get(&twice).await.problem(400), "at");
    assert_eq!(server.get(POSITIONS).await.body, before.body);
    // Every surface accepts a token in the query, also without authentication.
    server.get(&format!("{POSITIONS}?token=x")).await.expect(200);
}

#[tokio::test]
async fn legacy_paths_ignore_cache_busting_parameters() {
    let server = TestServer::start().await;
    server.get("/data/?_=1764400000").await.expect(200);
    let row = json!({ "designation": "UI", "budget": 1 });
    server.send("POST", "/data/add/?_=1", &row).await.expect(201);
}

#[tokio::test]
async fn compressed_bodies_are_decoded_or_rejected() {
    let server = TestServer::start().await;
    let row = json!({ "designation": "UI", "budget": 1 }).to_string();
    let made = server.call("POST", POSITIONS, &[JSON, GZIP], gzip(&row)).await.expect(201);
    assert_eq!(made["designation"], "UI");
    server.call("POST", "/data/add/", &[GZIP], gzip(&row)).await.expect(201);
    let login = json!({ "email": "ceo@example.com" }).to_string();
    server.call("POST", "/accounts/api/login/", &[GZIP], gzip(&login)).await.expect(200);

    for encoding in ["br", "deflate", "gzip, br"] {
        let encoding = ("content-encoding", encoding);
        server.call("POST", POSITIONS, &[JSON, encoding], row.clone()).await.problem(415);
        let refused = server.call("POST", "/data/add/", &[encoding], row.clone()).await.expect(415);
        assert!(refused["error"].is_string(), "{refused}");
    }
    server.call("POST", POSITIONS, &[JSON, GZIP], row.clone()).await.problem(400);
    let bomb = gzip(&" ".repeat(8 << 20));
    server.call("POST", POSITIONS, &[JSON, GZIP], bomb.clone()).await.problem(413);
    server.call("POST", "/data/add/", &[GZIP], bomb).await.expect(413);
    assert_eq!(server.get("/data/").await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn unusual_json_is_accepted_or_named() {
    let server = TestServer::start().await;
    let row = "\u{feff}{\"designation\": \"UI\", \"budget\": 1}";
    server.call("POST", POSITIONS, &[JSON], row).await.expect(201);
    server.call("POST", "/data/add/", &[], row).await.expect(201);
    let surrogate = r#"{"designation": "\ud83d", "budget": 1}"#;
    let refused = server.call("POST", POSITIONS, &[JSON], surrogate).await;
    assert_eq!(refused.problem(422), "designation");
    assert!(refused.text().contains("lone surrogate"), "{}", refused.text());
    let refused = server.call("POST", "/data/add/", &[], surrogate).await.expect(400);
    assert!(refused["error"].as_str().unwrap().starts_with("Invalid JSON"), "{refused}");
}
