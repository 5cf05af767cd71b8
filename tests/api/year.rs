//! The year of a plan, the budgets of departments, and what positions cost.
use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT, ReadDoc};
use plan::shared_map::DEPARTMENT_BUDGETS_MAP;
use serde_json::{Value, json};

use crate::support::{PlainPeer, TestServer};

const DOCUMENT: &str = "/api/documents/default";
const POSITIONS: &str = "/api/documents/default/positions";

async fn patch(server: &TestServer, body: Value) -> Value {
    server.send("PATCH", DOCUMENT, &body).await.expect(200)
}

#[tokio::test]
async fn sums_follow_positions_and_year() {
    let server = TestServer::start().await;
    for body in [
        json!({ "designation": "UI", "budget": 12 }),
        json!({ "designation": "UX", "budget": 0.1, "start": "2028-03" }),
        json!({ "designation": "QA", "budget": 24, "start": "2027-01", "end": "2027-05" }),
        json!({ "designation": "HR" }),
    ] {
        server.send("POST", POSITIONS, &body).await.expect(201);
    }
    let without_year = server.get(DOCUMENT).await.json();
    assert_eq!(without_year["yearStart"], Value::Null);
    let expected = json!({ "budget": 36.1, "thisYear": null, "runRate": null, "byMonth": null });
    assert_eq!(without_year["sums"], expected);

    let changed = patch(&server, json!({ "yearStart": "2027-04" })).await;
    assert_eq!(changed["yearStart"], "2027-04");
    let sums = &changed["sums"];
    assert_eq!((&sums["thisYear"], &sums["runRate"]), (&json!(16.008_333_333_333_333), &json!(12.1)));
    let by_month = sums["byMonth"].as_array().unwrap();
    assert_eq!((by_month.len(), &by_month[0]), (12, &json!({ "month": "2027-04", "cost": 3 })));
    assert_eq!(by_month[2], json!({ "month": "2027-06", "cost": 1 }));
    assert_eq!(by_month[11]["month"], "2028-03");
    assert_eq!(server.get(DOCUMENT).await.json()["sums"], *sums);
    let export = server.get(&format!("{DOCUMENT}/export.json")).await.json();
    assert_eq!((&export["document"]["sums"], &export["document"]["yearStart"]), (sums, &json!("2027-04")));
    let listed = server.get("/api/documents").await.json();
    assert_eq!((listed[0].get("sums"), &listed[0]["yearStart"]), (None, &json!("2027-04")));

    for unset in [Value::Null, json!("")] {
        patch(&server, json!({ "yearStart": "2027-01" })).await;
        assert_eq!(patch(&server, json!({ "yearStart": unset })).await["yearStart"], Value::Null);
    }
    let peer = PlainPeer::connect(&server, &server.document).await;
    assert!(peer.doc.get(ROOT, "yearStart").unwrap().is_none(), "absent, and not null");
    for value in [json!("April"), json!("2027"), json!(2027)] {
        let answer = server.send("PATCH", DOCUMENT, &json!({ "yearStart": value })).await;
        assert_eq!(answer.problem(422), "yearStart", "{value}");
    }
    let made = server.send("POST", "/api/documents", &json!({ "name": "x", "yearStart": "2030-01" })).await.expect(201);
    assert_eq!(made["yearStart"], "2030-01");
}

#[tokio::test]
async fn invalid_year_is_shown_as_it_is() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.put_text(&ROOT, "yearStart", "April");
    peer.until_acknowledged().await;
    let document = server.get(DOCUMENT).await.json();
    assert_eq!((&document["yearStart"], &document["extra"]["yearStart"]), (&Value::Null, &json!("April")));
    assert_eq!(document["sums"]["thisYear"], Value::Null);
}

#[tokio::test]
async fn department_budgets_are_set_entry_by_entry() {
    let server = TestServer::start().await;
    assert_eq!(server.get(DOCUMENT).await.json().get("departmentBudgets"), None);
    let unchanged = patch(&server, json!({ "departmentBudgets": { "HR": null } })).await;
    assert_eq!(unchanged.get("departmentBudgets"), None, "there was nothing to remove");
    let set = patch(&server, json!({ "departmentBudgets": { "Engineering": 400, "HR": 12.5 } })).await;
    assert_eq!(set["departmentBudgets"], json!({ "Engineering": 400, "HR": 12.5 }));
    assert_eq!(set.get("extra"), None);
    let heads = &set["heads"];
    let same = patch(&server, json!({ "departmentBudgets": { "Engineering": 400 } })).await;
    assert_eq!(same["heads"], *heads, "nothing was written");
    let removed = patch(&server, json!({ "departmentBudgets": { "HR": null, "Sales": 1 } })).await;
    assert_eq!(removed["departmentBudgets"], json!({ "Engineering": 400, "Sales": 1 }));
    let export = server.get(&format!("{DOCUMENT}/export.json")).await.json();
    assert_eq!(export["document"]["departmentBudgets"], removed["departmentBudgets"]);
    let history = server.get(&format!("{DOCUMENT}/history?field=departmentBudgets&limit=1")).await.json();
    let written = &history["changes"][0]["fields"][0];
    assert_eq!((&written["old"]["HR"], &written["new"]["Sales"]), (&json!(12.5), &json!(1)));
    for (budgets, reason) in [
        (json!({ "HR": "5" }), "must be a number"),
        (json!({ "HR": -1 }), "must not be negative"),
        (json!({ " ": 1 }), "must not be empty"),
        (json!(null), "must be an object"),
        (json!({ "x".repeat(1_001): 1 }), "longer than"),
    ] {
        let answer = server.send("PATCH", DOCUMENT, &json!({ "departmentBudgets": budgets })).await;
        assert!(answer.text().contains(reason), "{budgets}: {}", answer.text());
        assert_eq!(answer.problem(422), "departmentBudgets");
    }
}

#[tokio::test]
async fn department_budgets_of_two_writers_are_in_one_map() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    let mut plan = peer.doc.fork();
    patch(&server, json!({ "departmentBudgets": { "HR": 1 } })).await;
    // A client has created the map offline, by the same change.
    plan.load_incremental(DEPARTMENT_BUDGETS_MAP.change_bytes()).unwrap();
    let (_, map) = plan.get(ROOT, "departmentBudgets").unwrap().unwrap();
    plan.put(&map, "Sales", 2).unwrap();
    plan.put(&map, "Product", "lots").unwrap();
    peer.doc.merge(&mut plan).unwrap();
    peer.until_acknowledged().await;
    let document = server.get(DOCUMENT).await.json();
    assert_eq!(document["departmentBudgets"], json!({ "HR": 1, "Sales": 2, "Product": "lots" }));
    assert_eq!((document.get("conflicts"), document.get("extra")), (None, None));
    assert_eq!(peer.doc.get_all(ROOT, "departmentBudgets").unwrap().len(), 1);
}

#[tokio::test]
async fn conflicting_department_budgets_are_shown_and_resolved() {
    let server = TestServer::start().await;
    patch(&server, json!({ "departmentBudgets": { "HR": 1 } })).await;
    let mut one = PlainPeer::connect(&server, &server.document).await;
    let mut two = PlainPeer::connect(&server, &server.document).await;
    for (peer, amount) in [(&mut one, 10), (&mut two, 20)] {
        let (_, map) = peer.doc.get(ROOT, "departmentBudgets").unwrap().unwrap();
        peer.doc.put(&map, "HR", amount).unwrap();
    }
    one.until_acknowledged().await;
    two.until_acknowledged().await;
    let document = server.get(DOCUMENT).await.json();
    let (shown, lost) = (&document["departmentBudgets"]["HR"], &document["conflicts"]["departmentBudgets.HR"]);
    let mut values = [shown.as_i64().unwrap(), lost[0].as_i64().unwrap()];
    values.sort_unstable();
    assert_eq!(values, [10, 20]);
    let settled = patch(&server, json!({ "departmentBudgets": { "HR": shown } })).await;
    assert_eq!((&settled["departmentBudgets"]["HR"], settled.get("conflicts")), (shown, None));
}

#[tokio::test]
async fn value_that_is_not_a_map_of_departments_is_kept() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    let list = peer.doc.put_object(ROOT, "departmentBudgets", ObjType::List).unwrap();
    peer.doc.insert(&list, 0, 5).unwrap();
    peer.until_acknowledged().await;
    let document = server.get(DOCUMENT).await.json();
    assert_eq!((document.get("departmentBudgets"), &document["extra"]["departmentBudgets"]), (None, &json!([5])));
    let answer = server.send("PATCH", DOCUMENT, &json!({ "departmentBudgets": { "HR": 1 } })).await;
    assert_eq!(answer.problem(422), "departmentBudgets");
}

#[tokio::test]
async fn legacy_clients_do_not_notice_department_budgets() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    let mut observer = server.legacy().await;
    patch(&server, json!({ "departmentBudgets": { "HR": 1 }, "yearStart": "2027-04" })).await;
    peer.add("ux", "UX", "HR", 1);
    peer.until_acknowledged().await;
    assert_eq!(observer.json().await["entry"]["id"], "ux", "the first frame");
}
