//! Scenarios in the JSON API, over HTTP.
use automerge::ROOT;
use automerge::transaction::Transactable;
use serde_json::{Value, json};

use crate::support::{PlainPeer, TestServer};

const DOCUMENT: &str = "/api/documents/default";
const POSITIONS: &str = "/api/documents/default/positions";

fn row(id: &str, department: &str, budget: u64) -> Value {
    json!({ "id": id, "designation": id, "department": department, "budget": budget })
}

/// A server with a plan of two positions and a scenario, and the scenario's id.
async fn with_scenario() -> (TestServer, String) {
    let server = TestServer::start().await;
    for position in [row("a", "Engineering", 10), row("b", "Engineering", 20)] {
        server.send("POST", POSITIONS, &position).await.expect(201);
    }
    let made = server.send("POST", &format!("{DOCUMENT}/scenarios"), &json!({ "name": "Freeze" })).await.expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    (server, id)
}

async fn change(server: &TestServer, document: &str, position: &str, patch: Value) {
    server.send("PATCH", &format!("/api/documents/{document}/positions/{position}"), &patch).await.expect(200);
}

#[tokio::test]
async fn entries_of_scenarios_are_no_unknown_field() {
    let (server, id) = with_scenario().await;
    let base = server.get(&format!("/api/documents/{id}")).await.expect(200)["heads"].clone();
    let list = server.get("/api/documents").await.expect(200);
    let [listed] = list.as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!(listed["scenarios"][0]["id"], json!(id));
    assert_eq!(listed["scenarioEntries"], Value::Null);

    let export = server.get(&format!("{DOCUMENT}/export.json")).await;
    assert_eq!(export.header("happierwork-omitted"), "0");
    for document in [server.get(DOCUMENT).await.expect(200), export.expect(200)["document"].clone()] {
        assert_eq!(document["extra"], Value::Null, "{document}");
        let entry = &document["scenarioEntries"][&id];
        assert_eq!((&entry["name"], &entry["state"], &entry["base"]), (&json!("Freeze"), &json!("open"), &base));
        assert_eq!(document["scenarios"], Value::Null);
    }
    let csv = server.get(&format!("{DOCUMENT}/export.csv")).await;
    assert_eq!(csv.header("happierwork-omitted"), "0");

    // The entry stays when the scenario is deleted.
    server.call("DELETE", &format!("{DOCUMENT}/scenarios/{id}"), &[], "").await.expect(204);
    let document = server.get(DOCUMENT).await.expect(200);
    assert_eq!(document["scenarioEntries"][&id]["state"], json!("dropped"));
    assert_eq!(server.get(&format!("{DOCUMENT}/scenarios")).await.expect(200), json!([]));
}

#[tokio::test]
async fn archived_plan_is_listed_as_archived() {
    let (server, id) = with_scenario().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    for (value, archived, extra) in [
        (json!(true), true, Value::Null),
        (json!("yes"), false, json!({ "archived": "yes" })),
        (json!(false), false, Value::Null),
        (json!(true), true, Value::Null),
    ] {
        match &value {
            Value::Bool(flag) => peer.doc.put(ROOT, "archived", *flag).unwrap(),
            text => peer.doc.put(ROOT, "archived", text.as_str().unwrap()).unwrap(),
        }
        peer.doc.commit();
        peer.until_acknowledged().await;
        let list = server.get("/api/documents").await.expect(200);
        assert_eq!(list[0]["archived"], json!(archived), "{value}");
        let document = server.get(DOCUMENT).await.expect(200);
        assert_eq!((&document["archived"], &document["extra"]), (&json!(archived), &extra), "{value}");
    }
    let scenario = server.get(&format!("/api/documents/{id}")).await.expect(200);
    assert_eq!(scenario["archived"], json!(false), "it was created before");
}

#[tokio::test]
async fn merge_checks_if_match_in_the_same_step() {
    let (server, id) = with_scenario().await;
    change(&server, &id, "a", json!({ "budget": 4 })).await;
    let merge = async |tag: &str, body: Value| {
        let headers = [("content-type", "application/json"), ("if-match", tag)];
        server.call("POST", &format!("{DOCUMENT}/merge"), &headers, body.to_string()).await
    };
    let outdated = server.get(DOCUMENT).await.header("etag").to_owned();
    change(&server, "default", "b", json!({ "budget": 21 })).await;
    for body in [json!({ "scenario": id }), json!({ "scenario": id, "rows": ["a"] })] {
        merge(&outdated, body).await.problem(412);
    }
    assert_eq!(server.get(&format!("{POSITIONS}/a")).await.expect(200)["budget"], json!(10), "nothing was merged");
    let current = server.get(DOCUMENT).await.header("etag").to_owned();
    let merged = merge(&current, json!({ "scenario": id })).await;
    let document = merged.expect(200)["document"].clone();
    assert_eq!(merged.header("etag"), server.get(DOCUMENT).await.header("etag"));
    assert_ne!(document["heads"], json!([]));
    assert_eq!(server.get(&format!("{POSITIONS}/a")).await.expect(200)["budget"], json!(4));
    assert_eq!(server.get(DOCUMENT).await.expect(200)["totalBudget"], Value::Null, "the total budget is unchanged");
}

#[tokio::test]
async fn departments_are_grouped_and_named_as_in_the_dashboard() {
    let (server, id) = with_scenario().await;
    change(&server, &id, "a", json!({ "department": "ENGINEERING", "budget": 4 })).await;
    change(&server, &id, "b", json!({ "department": "ENGINEERING" })).await;
    server.send("POST", &format!("/api/documents/{id}/positions"), &row("c", " sales", 5)).await.expect(201);
    let diff = server.get(&format!("{DOCUMENT}/diff?with={id}")).await.expect(200);
    assert_eq!(
        diff["sums"],
        json!([
            { "department": "Engineering", "base": 30.0, "plan": 30.0, "scenario": 24.0, "difference": -6.0 },
            { "department": "sales", "base": 0.0, "plan": 0.0, "scenario": 5.0, "difference": 5.0 },
        ])
    );
}

#[tokio::test]
async fn only_documents_of_one_family_are_compared_and_merged() {
    let (server, id) = with_scenario().await;
    let other = server.send("POST", "/api/documents", &json!({ "name": "Other" })).await.expect(201);
    let other = other["id"].as_str().unwrap();
    let plan = server.document.as_str().to_owned();
    for (document, with) in [("default", other), (other, id.as_str()), ("default", plan.as_str())] {
        server.get(&format!("/api/documents/{document}/diff?with={with}")).await.problem(404);
        let merge = json!({ "scenario": with });
        server.send("POST", &format!("/api/documents/{document}/merge"), &merge).await.problem(404);
    }
    // A scenario is brought up to date from its plan, but not by position.
    let update = format!("/api/documents/{id}/merge");
    server.send("POST", &update, &json!({ "scenario": plan, "rows": ["a"] })).await.problem(409);
    server.send("POST", &update, &json!({ "scenario": plan })).await.expect(200);
    assert_eq!(server.get(&format!("{DOCUMENT}/diff?with=x")).await.problem(400), "with");
    let unknown = server.send("PATCH", &format!("{DOCUMENT}/scenarios/{other}"), &json!({ "name": "x" })).await;
    unknown.problem(404);
    let malformed = server.send("PATCH", &format!("{DOCUMENT}/scenarios/x"), &json!({ "name": "x" })).await;
    assert_eq!(malformed.problem(400), "scenarioId");
}
