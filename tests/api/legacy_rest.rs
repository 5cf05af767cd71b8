//! The legacy REST paths: replays the original's recorded answers, and tests the intended deviations.
//!
//! Deviations in every scenario, and why: budgets are numbers (P-7); dates always have the format of the original's
//! WebSocket; errors have JSON bodies, not HTML pages or nothing (P-13); a POST inserts at the front like any other new
//! row; CORS echoes an allowed origin, and never sends `*`.
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use happierwork::legacy::parse_date;
use plan::Budget;
use serde_json::{Value, json};

use crate::support::{Answer, TestServer};

const RECORDING: &str = include_str!("../fixtures/legacy/transcripts/rest.jsonl");
const FIXTURE: &str = include_str!("../fixtures/legacy/transcripts/fixture.json");
/// The row of the recorded requests.
const ROW: &str = "0be30cc0d3f126";

/// The expected answer instead of the recorded one.
enum Expected {
    Error(u16, &'static str),
    Message(u16, &'static str),
    /// The fixture's rows, with these changes.
    Rows(&'static [(&'static str, Change)]),
    /// Status 200, and no body.
    Nothing,
    /// An answer with this status, which is tested elsewhere.
    Status(u16),
}

#[derive(Clone, Copy)]
enum Change {
    Gone,
    /// The field has another value, and `lastUpdated` has the user and time of the edit.
    Edited(&'static str, &'static str),
}

use Change::{Edited, Gone};
use Expected::{Error, Message, Nothing, Rows, Status};

struct Deviation {
    scenario: &'static str,
    why: &'static str,
    answers: &'static [Expected],
    rows_afterwards: usize,
}

const UPDATED: Expected = Message(200, "Data updated successfully");
const DELETED: Expected = Message(200, "Data deleted successfully");
const ADDED: Expected = Message(201, "Data added successfully");
const INVALID: Expected = Error(400, "Invalid JSON");
const WELCOME: Expected = Message(200, "Login successful");

const fn deviation(
    scenario: &'static str,
    rows_afterwards: usize,
    why: &'static str,
    answers: &'static [Expected],
) -> Deviation {
    Deviation { scenario, why, answers, rows_afterwards }
}

const DEVIATIONS: &[Deviation] = &[
    deviation("GET /data (no slash)", 3, "P-13: answered at once, not redirected", &[Rows(&[])]),
    deviation("HEAD /data/", 3, "HEAD answers like GET, without the body", &[Nothing]),
    deviation("OPTIONS /data/ without preflight headers", 3, "CORS answers every OPTIONS", &[Nothing]),
    deviation(
        "POST /data/ (wrong method)",
        3,
        "P-13: 405; there is no CSRF check",
        &[Error(405, "Method not allowed")],
    ),
    deviation("POST /data/add/ with a JSON array", 3, "P-12: bodies other than objects are refused", &[INVALID]),
    deviation("POST /data/add (no slash)", 4, "P-13: with and without the final slash", &[ADDED]),
    deviation("POST /data/add/ bad JSON", 3, "P-13", &[INVALID]),
    deviation("POST /data/add/ empty body", 3, "P-13", &[INVALID]),
    deviation(
        "PUT existing, file grows",
        3,
        "P-8: an edit sets lastUpdated",
        &[UPDATED, Rows(&[(ROW, Edited("designation", "\"UI developer and lead of the web team\""))])],
    ),
    deviation(
        "PUT existing, same length",
        3,
        "P-8: an edit sets lastUpdated",
        &[UPDATED, Rows(&[(ROW, Edited("designation", "\"UX developer\""))])],
    ),
    deviation(
        "PUT existing, file shrinks",
        4,
        "the original destroys its file; here nothing depends on lengths",
        &[UPDATED, Rows(&[(ROW, Edited("designation", "\"UI\""))]), UPDATED, ADDED],
    ),
    deviation(
        "PUT existing, budget becomes a number",
        3,
        "P-8: an edit sets lastUpdated",
        &[UPDATED, Rows(&[(ROW, Edited("budget", "123456"))])],
    ),
    deviation("PUT existing, changes the id", 3, "P-12: ids are not changed", &[UPDATED, Rows(&[])]),
    deviation("PUT existing, unknown keys", 3, "P-12: only the four fields are taken", &[UPDATED, Rows(&[])]),
    deviation(
        "PUT unknown id when a row in the file has no id",
        3,
        "P-16: every row has an id here",
        &[Error(404, "Entry not found")],
    ),
    deviation("PUT existing bad JSON", 3, "P-13", &[INVALID]),
    deviation("PUT existing with a JSON array", 3, "P-13", &[INVALID]),
    deviation("PUT without slash", 3, "P-13: with and without the final slash", &[UPDATED]),
    deviation("DELETE existing", 2, "P-13: it works", &[DELETED, Rows(&[(ROW, Gone)])]),
    deviation("DELETE unknown", 3, "P-13", &[Error(404, "Entry not found")]),
    deviation("DELETE without slash", 2, "P-13: with and without the final slash", &[DELETED]),
    deviation("GET /data/ with corrupt file", 3, "there is no such file here", &[Rows(&[])]),
    deviation("GET /data/ with missing file", 3, "there is no such file here", &[Rows(&[])]),
    deviation("login, accounts file as shipped (0 bytes)", 3, "there is no such file here", &[WELCOME]),
    deviation("login with a JSON array", 3, "P-13", &[INVALID]),
    deviation("login email is a number", 3, "P-13", &[INVALID]),
    deviation("POST login without slash", 3, "P-13: with and without the final slash", &[WELCOME]),
    deviation("root path", 3, "a page that names the surfaces", &[Status(200)]),
    deviation("foreign Host header", 3, "421 is what the whole server says to that", &[Status(421)]),
];

struct Scenario {
    meta: Value,
    exchanges: Vec<(Value, Value)>,
}

fn scenarios() -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut sent = None;
    for line in RECORDING.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        if let Some(meta) = event.get("meta") {
            scenarios.push(Scenario { meta: meta.clone(), exchanges: Vec::new() });
        } else if event["dir"] == "send" {
            assert!(sent.replace(event).is_none());
        } else {
            scenarios.last_mut().unwrap().exchanges.push((sent.take().unwrap(), event));
        }
    }
    scenarios
}

/// A server with the fixture's three rows, in their order.
async fn with_fixture() -> TestServer {
    let server = TestServer::start().await;
    let rows: Vec<Value> = serde_json::from_str(FIXTURE).unwrap();
    for row in rows.iter().rev() {
        server.send("POST", "/data/add/", row).await.expect(201);
        // Rows are ordered by their milliseconds.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    server
}

/// Converts a row of the original to the format of this server's list.
fn as_listed(mut row: Value) -> Value {
    let budget = &row["budget"];
    let number = budget.as_str().map_or_else(|| budget.as_f64(), |text| text.parse().ok()).unwrap();
    row["budget"] = match Budget::new_f64(number).unwrap() {
        Budget::Int(number) => number.into(),
        Budget::Float(number) => number.into(),
    };
    let when = parse_date(row["lastUpdated"][1].as_str().unwrap()).unwrap();
    row["lastUpdated"][1] = happierwork::legacy::format_date(when).into();
    row
}

fn fixture_with(changes: &[(&str, Change)]) -> Vec<Value> {
    let rows: Vec<Value> = serde_json::from_str(FIXTURE).unwrap();
    let mut rows: Vec<Value> = rows.into_iter().map(as_listed).collect();
    for (id, change) in changes {
        match change {
            Gone => rows.retain(|row| row["id"] != *id),
            Edited(field, value) => {
                let row = rows.iter_mut().find(|row| row["id"] == *id).unwrap();
                row[*field] = serde_json::from_str(value).unwrap();
                row["lastUpdated"] = json!(["Admin", "now"]);
            }
        }
    }
    rows
}

/// The rows of an answer. Recent dates are replaced by `now`.
fn listed(answer: &Answer) -> Vec<Value> {
    let mut rows: Vec<Value> = serde_json::from_value(answer.expect(200)).unwrap();
    for row in &mut rows {
        let when = parse_date(row["lastUpdated"][1].as_str().unwrap()).unwrap();
        if runtime::clock::now_ms() - when < 600_000 {
            row["lastUpdated"][1] = "now".into();
        }
    }
    rows
}

fn check(expected: &Expected, answer: &Answer) {
    match expected {
        Error(status, text) => assert_eq!(answer.expect(*status), json!({ "error": text })),
        Message(status, text) => assert_eq!(answer.expect(*status), json!({ "message": text })),
        Rows(changes) => assert_eq!(listed(answer), fixture_with(changes)),
        Nothing => assert!(answer.status == 200 && answer.body.is_empty(), "{answer:?}"),
        Status(status) => assert_eq!(answer.status, *status),
    }
}

fn check_as_recorded(recorded: &Value, answer: &Answer) {
    assert_eq!(answer.status, u16::try_from(recorded["status"].as_u64().unwrap()).unwrap());
    let text = recorded["text"].as_str().unwrap_or_default();
    if answer.status.as_u16() >= 400 && text.is_empty() {
        let body = answer.json();
        assert!(body["error"].is_string() || body["detail"].is_string(), "{body}");
    } else if text.starts_with('[') {
        let rows: Vec<Value> = serde_json::from_str(text).unwrap();
        assert_eq!(listed(answer), rows.into_iter().map(as_listed).collect::<Vec<_>>());
    } else if text.is_empty() {
        assert_eq!(answer.text(), "");
    } else {
        assert_eq!(answer.json(), serde_json::from_str::<Value>(text).unwrap());
    }
    if recorded["headers"]["content-type"] == "application/json" {
        assert_eq!(answer.header("content-type"), "application/json");
    }
    if let Some(allow) = recorded["headers"]["allow"].as_str() {
        assert!(answer.header("allow").split(',').any(|method| method.trim() == allow), "{answer:?}");
    }
}

#[tokio::test]
async fn rest_answers_match_the_recording() {
    let scenarios = scenarios();
    let names: BTreeSet<&str> = scenarios.iter().map(|scenario| scenario.meta["scenario"].as_str().unwrap()).collect();
    assert_eq!(names.len(), scenarios.len());
    for deviation in DEVIATIONS {
        assert!(names.contains(deviation.scenario) && !deviation.why.is_empty(), "{}", deviation.scenario);
    }
    for Scenario { meta, exchanges } in &scenarios {
        let name = meta["scenario"].as_str().unwrap();
        let deviation = DEVIATIONS.iter().find(|deviation| deviation.scenario == name);
        eprintln!("{name}{}", deviation.map(|deviation| format!(" ({})", deviation.why)).unwrap_or_default());
        let server = with_fixture().await;
        if let Some(deviation) = deviation {
            assert_eq!(deviation.answers.len(), exchanges.len());
        }
        for (index, (sent, recorded)) in exchanges.iter().enumerate() {
            let headers = sent["headers"].as_object().unwrap();
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
            let (method, path) = (sent["method"].as_str().unwrap(), sent["path"].as_str().unwrap());
            let body = sent["text"].as_str().unwrap_or_default().to_owned();
            let answer = server.call(method, path, &headers, body).await;
            match deviation {
                Some(deviation) => check(&deviation.answers[index], &answer),
                None => check_as_recorded(recorded, &answer),
            }
            if name != "foreign Host header" {
                assert_eq!(answer.header("access-control-allow-origin"), "http://127.0.0.1:4300");
            }
            for header in ["x-frame-options", "x-content-type-options", "referrer-policy"] {
                if let Some(value) = recorded["headers"][header].as_str() {
                    assert_eq!(answer.header(header), value);
                }
            }
        }
        check_afterwards(&server, meta, deviation).await;
    }
}

async fn check_afterwards(server: &TestServer, meta: &Value, deviation: Option<&Deviation>) {
    let rows = listed(&server.get("/data/").await);
    let count = match deviation {
        Some(deviation) => deviation.rows_afterwards,
        None => usize::try_from(meta["rows_afterwards"].as_u64().unwrap()).unwrap(),
    };
    assert_eq!(rows.len(), count);
    if deviation.is_none() {
        for changed in meta["changed_or_new_rows"].as_array().into_iter().flatten() {
            let wanted = &changed[1];
            let keys = ["id", "designation", "department", "budget", "location"];
            let same = |row: &&Value| keys.iter().all(|key| wanted.get(key).is_none_or(|value| row[key] == *value));
            let row = rows.iter().find(same).unwrap_or_else(|| panic!("{wanted} is not in {rows:?}"));
            assert!(!row["id"].as_str().unwrap().is_empty());
            assert_eq!(row["lastUpdated"], json!(["Admin", "now"]));
        }
    }
}

#[tokio::test]
async fn new_row_is_first_and_rejected_rows_are_not_stored() {
    let server = with_fixture().await;
    let row = json!({ "designation": "UI", "budget": "₹1,00,000", "lastUpdated": ["Anita", "Nov 22, 2025 02:21 PM"] });
    server.send("POST", "/data/add", &row).await.expect(201);
    let rows = listed(&server.get("/data").await);
    assert_eq!(rows[0]["budget"], 100_000);
    assert_eq!(rows[0]["department"], "Other", "the client cannot draw a row without a department");
    assert_eq!(rows[0]["lastUpdated"], json!(["Anita", "Nov 22, 2025 02:21 PM"]));

    let before = server.get("/data/").await;
    for (row, status) in [
        (json!({ "designation": "", "budget": 1 }), 400),
        (json!({ "budget": 1 }), 400),
        (json!({ "designation": "UI" }), 400),
        (json!({ "designation": "UI", "budget": "lots" }), 400),
        (json!({ "designation": "UI", "budget": null }), 400),
        (json!({ "designation": "UI", "budget": 1e300 }), 400),
        (json!({ "designation": "UI", "budget": 1, "id": "" }), 400),
        (json!({ "designation": "UI", "budget": 1, "id": ROW }), 409),
        (json!({ "designation": "x".repeat(70_000), "budget": 1 }), 413),
    ] {
        let answer = server.send("POST", "/data/add/", &row).await;
        assert!(answer.expect(status)["error"].as_str().is_some_and(|text| !text.is_empty()));
    }
    let path = format!("/data/update/{ROW}/");
    for patch in [json!({ "designation": " " }), json!({ "budget": -5 }), json!({ "department": null })] {
        assert!(server.send("PUT", &path, &patch).await.expect(400)["error"].is_string());
    }
    assert_eq!(server.get("/data/").await.body, before.body);
}

#[tokio::test]
async fn listed_row_can_be_sent_back_unchanged() {
    let server = TestServer::start().await;
    for (id, department) in [("cfo", "Finance"), ("dev", "engineering")] {
        let row = json!({ "id": id, "designation": "Someone", "department": department, "budget": "8 lakh" });
        server.send("POST", "/data/add/", &row).await.expect(201);
        let listed = listed(&server.get("/data/").await);
        let mut row = listed.into_iter().find(|row| row["id"] == id).unwrap();
        assert_eq!(row["budget"], 8);
        assert_eq!(row["department"], if id == "cfo" { "Other" } else { "Engineering" });
        row["budget"] = json!(9);
        let path = format!("/data/update/{id}/");
        server.send("PUT", &path, &row).await.expect(200);
        let stored = server.get(&format!("/api/documents/default/positions/{id}")).await.expect(200);
        assert_eq!((&stored["department"], &stored["budget"]), (&json!(department), &json!(9)));
        server.send("PUT", &path, &json!({ "department": "Sales" })).await.expect(200);
        let stored = server.get(&format!("/api/documents/default/positions/{id}")).await.expect(200);
        assert_eq!(stored["department"], "Sales");
    }
}

#[tokio::test]
async fn unchanged_list_answers_304() {
    let server = with_fixture().await;
    let list = server.get("/data/").await;
    let tag = list.header("etag").to_owned();
    let again = server.call("GET", "/data", &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status.as_u16(), again.body.len(), again.header("etag")), (304, 0, tag.as_str()));
    server.call("DELETE", &format!("/data/delete/{ROW}/"), &[], "").await.expect(200);
    let after = server.call("GET", "/data", &[("if-none-match", &tag)], "").await;
    assert_eq!(listed(&after).len(), 2);
}

#[tokio::test]
async fn wrong_method_answers_405_with_allow() {
    let server = TestServer::start().await;
    for (method, path, allowed) in [
        ("POST", "/data", "GET,HEAD"),
        ("GET", "/data/add/", "POST"),
        ("POST", "/data/update/x", "PUT"),
        ("GET", "/data/delete/x/", "DELETE"),
        ("PUT", "/accounts/api/login", "POST"),
    ] {
        let answer = server.call(method, path, &[], "").await;
        assert!(answer.expect(405)["error"].is_string());
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn ids_with_special_characters_can_be_changed() {
    let server = TestServer::start().await;
    let row = json!({ "id": "a&b ü%", "designation": "UI", "budget": 1 });
    server.send("POST", "/data/add/", &row).await.expect(201);
    server.send("PUT", "/data/update/a%26b%20%C3%BC%25/", &json!({ "budget": 2 })).await.expect(200);
    assert_eq!(server.get("/data/").await.json()[0]["budget"], 2);
    server.call("DELETE", "/data/delete/a%26b%20%C3%BC%25", &[], "").await.expect(200);
    assert_eq!(server.get("/data/").await.text(), "[]");
    server.call("DELETE", "/data/delete/%ff", &[], "").await.expect(404);
}

#[tokio::test]
async fn legacy_login_grants_nothing() {
    let server = TestServer::start().await;
    for (body, status) in [
        (json!({ "email": "jane@example.com", "password": 5 }), 200),
        (json!({ "email": "" }), 400),
        (json!({ "email": null }), 400),
        (json!({ "email": ["a"] }), 400),
        (json!("text"), 400),
    ] {
        let answer = server.send("POST", "/accounts/api/login/", &body).await;
        answer.expect(status);
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn rest_writes_reach_sockets_immediately() {
    let server = TestServer::start().await;
    let url = format!("ws://{}/ws/dashboard/", server.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let row = json!({ "id": "ui", "designation": "UI", "department": "HR", "budget": 50 });
    server.send("POST", "/data/add/", &row).await.expect(201);
    server.send("PUT", "/data/update/ui/", &json!({ "budget": 51 })).await.expect(200);
    server.call("DELETE", "/data/delete/ui/", &[], "").await.expect(200);
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let frame = tokio::time::timeout(Duration::from_secs(5), socket.next()).await.unwrap().unwrap().unwrap();
        let frame: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
        if let Some(budget) = frame["entry"]["budget"].as_str() {
            seen.push(format!("entry {budget}"));
        } else if let Some(id) = frame["deleted_id"].as_str() {
            seen.push(format!("deleted {id}"));
        }
    }
    assert_eq!(seen, ["entry 50", "deleted ui", "entry 51", "deleted ui"]);
}
