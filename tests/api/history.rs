//! The history of a document and its earlier states, over HTTP.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ChangeHash, ObjType, ROOT};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use happierwork::legacy::RENDERINGS;
use happierwork::legacy::renderings::row_frames;
use plan::fields::BUDGET;
use plan::history::{Page, Query};
use plan::{Author, Budget, Edit, FieldId, NewPosition, PositionPatch};
use primitives::DocumentId;
use runtime::document_log::ActorSource;
use runtime::hub::{APPLY_BUDGET, Hub, HubSettings, ReadFailure, Requester, outbox};
use runtime::metrics::Metrics;
use serde_json::{Value, json};
use store::MemoryStore;
use sync_engine::MessageLimits;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::{PlainPeer, TestServer, http_to};

const DOCUMENT: &str = "/api/documents/default";
const POSITIONS: &str = "/api/documents/default/positions";
const HISTORY: &str = "/api/documents/default/history";
const READ: &str = "happierwork_history_changes_total";

async fn get(server: &TestServer, path: &str) -> Value {
    let (status, _, body) = server.http("GET", path, &[]).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The field that a problem of this status names.
async fn problem(server: &TestServer, path: &str, expected: u16) -> String {
    let (status, headers, body) = server.http("GET", path, &[]).await;
    assert_eq!((status, headers["content-type"].as_bytes()), (expected, &b"application/problem+json"[..]), "{path}");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    problem["field"].as_str().unwrap_or_default().to_owned()
}

async fn send(server: &TestServer, method: &str, path: &str, body: &Value) {
    let headers = [("content-type", "application/json")];
    let (status, _, answer) = http_to(server.address, method, path, &headers, body.to_string()).await;
    assert!((200..300).contains(&status), "{method} {path}: {answer}");
}

async fn add(server: &TestServer, id: &str, designation: &str) {
    send(server, "POST", POSITIONS, &json!({ "id": id, "designation": designation, "budget": 1 })).await;
}

async fn set_budget(server: &TestServer, id: &str, budget: i64) {
    send(server, "PATCH", &format!("{POSITIONS}/{id}?author=cfo"), &json!({ "budget": budget })).await;
}

async fn delete(server: &TestServer, id: &str) {
    send(server, "DELETE", &format!("{POSITIONS}/{id}"), &Value::Null).await;
}

fn changes(page: &Value) -> &Vec<Value> {
    page["changes"].as_array().unwrap()
}

/// Every change of a history, read in pages of `limit`.
async fn all(server: &TestServer, query: &str, limit: usize) -> Vec<Value> {
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let page = get(server, &format!("{HISTORY}?limit={limit}{query}{before}")).await;
        assert!(changes(&page).len() <= limit);
        found.extend(changes(&page).iter().cloned());
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return found,
        }
    }
}

/// The query for the state after a change.
fn at(change: &Value) -> String {
    let heads: Vec<&str> = change["heads"].as_array().unwrap().iter().map(|head| head.as_str().unwrap()).collect();
    format!("{POSITIONS}?at={}", heads.join(","))
}

fn set<'a>(change: &'a Value, field: &str) -> Option<&'a Value> {
    change["fields"].as_array().unwrap().iter().find(|set| set["field"] == field)
}

/// How many fields a new position has: those that are not optional, its times and its editor.
fn written_fields() -> usize {
    FieldId::all().filter(|field| !field.kind().is_optional()).count() + 3
}

#[tokio::test]
async fn history_lists_new_and_previous_values() {
    let server = TestServer::start().await;
    add(&server, "ui", "UI developer").await;
    set_budget(&server, "ui", 12).await;
    send(&server, "PATCH", DOCUMENT, &json!({ "totalBudget": 500 })).await;
    let page = get(&server, HISTORY).await;
    assert_eq!((&page["documentId"], &page["next"]), (&json!(server.document.as_str()), &Value::Null));
    assert_eq!(page["heads"], get(&server, DOCUMENT).await["heads"]);
    let [total, budget, added, made] = changes(&page).as_slice() else { panic!("{page}") };

    let plan = json!({ "position": null, "designation": null, "field": "totalBudget", "old": null, "new": 500 });
    assert_eq!(total["fields"], json!([plan]));
    assert_eq!(total["heads"], page["heads"]);

    let row = json!({ "position": "ui", "designation": "UI developer", "field": "budget", "old": 1, "new": 12 });
    assert_eq!(set(budget, "budget"), Some(&row));
    assert_eq!(budget["message"], "cfo: UI developer: budget 12");
    assert_eq!((budget["user"].clone(), budget["surface"].clone()), (Value::Null, Value::Null));
    let now = get(&server, &format!("{POSITIONS}/ui")).await;
    let updated = set(budget, "updatedAt").unwrap();
    assert_eq!((&updated["new"], &updated["old"]), (&now["updatedAt"], &now["createdAt"]));
    assert_eq!(set(budget, "updatedBy").unwrap()["new"], "cfo");
    // The change itself has seconds.
    let seconds = |moment: &Value| moment.as_str().unwrap()[..19].to_owned();
    assert_eq!(seconds(&budget["time"]), seconds(&now["updatedAt"]));

    assert_eq!(added["added"], json!([{ "position": "ui", "designation": "UI developer" }]));
    assert_eq!(set(added, "budget").unwrap()["old"], Value::Null);
    assert_eq!(added["fields"].as_array().unwrap().len(), written_fields());
    assert_eq!(set(made, "name").unwrap()["new"], "New plan");
}

#[tokio::test]
async fn pagination_is_stable_while_the_document_grows() {
    let server = TestServer::start().await;
    add(&server, "ui", "UI").await;
    for budget in 0..20 {
        set_budget(&server, "ui", 100 + budget).await;
    }
    let whole = all(&server, "", 500).await;
    assert_eq!(whole.len(), 22);
    for limit in [1, 4, 11, 22] {
        assert_eq!(all(&server, "", limit).await, whole, "{limit}");
    }
    let first = get(&server, &format!("{HISTORY}?limit=5")).await;
    assert_eq!(changes(&first), &whole[..5]);
    set_budget(&server, "ui", 7).await;
    let next = first["next"].as_str().unwrap();
    let second = get(&server, &format!("{HISTORY}?limit=5&before={next}")).await;
    assert_eq!(changes(&second), &whole[5..10]);

    let folder = Arc::clone(&server.folder);
    assert!(server.stop().await);
    let server = TestServer::start_in(folder, |_| {}).await;
    let second = get(&server, &format!("{HISTORY}?limit=5&before={next}")).await;
    assert_eq!(changes(&second), &whole[5..10], "and after a restart");
}

#[tokio::test]
async fn unchanged_resource_answers_304() {
    let server = TestServer::start().await;
    add(&server, "ui", "UI").await;
    let then = at(&changes(&get(&server, HISTORY).await)[0]);
    for path in [HISTORY, &then] {
        let (_, headers, _) = server.http("GET", path, &[]).await;
        let tag = headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(tag, server.http("GET", POSITIONS, &[]).await.1["etag"].to_str().unwrap());
        let (status, _, body) = server.http("GET", path, &[("if-none-match", &tag)]).await;
        assert_eq!((status, body.as_str()), (304, ""), "{path}");
    }
    let (_, headers, _) = server.http("GET", HISTORY, &[]).await;
    let tag = headers["etag"].to_str().unwrap().to_owned();
    set_budget(&server, "ui", 2).await;
    assert_eq!(server.http("GET", HISTORY, &[("if-none-match", &tag)]).await.0, 200);
    // Earlier states do not change.
    assert_eq!(server.http("GET", &then, &[("if-none-match", &tag)]).await.0, 304);
}

#[tokio::test]
async fn history_can_be_filtered_by_position_and_field() {
    let server = TestServer::start().await;
    add(&server, "ui", "UI").await;
    add(&server, "ux?é", "UX").await;
    set_budget(&server, "ui", 2).await;
    send(&server, "PATCH", &format!("{POSITIONS}/ux%3F%C3%A9"), &json!({ "location": "Pune", "budget": 3 })).await;
    send(&server, "PATCH", DOCUMENT, &json!({ "name": "Growth" })).await;
    delete(&server, "ui").await;

    let ui = all(&server, "&position=ui", 2).await;
    let told: Vec<_> = ui.iter().map(|change| (change["deleted"].clone(), set(change, "budget").cloned())).collect();
    assert_eq!(told.len(), 3);
    assert_eq!(told[0], (json!([{ "position": "ui", "designation": "UI" }]), None));
    assert_eq!(told[1].1.as_ref().unwrap()["old"], 1);
    let ux = all(&server, "&position=ux%3F%C3%A9", 50).await;
    assert_eq!((ux.len(), &ux[1]["added"][0]["position"]), (2, &json!("ux?é")));

    let budgets = all(&server, "&field=budget", 1).await;
    let told: Vec<_> = budgets.iter().map(|change| change["fields"][0]["new"].clone()).collect();
    assert_eq!(told, [json!(3), json!(2), json!(1), json!(1)]);
    assert!(
        budgets.iter().all(|change| change["fields"].as_array().unwrap().len() == 1 && change["added"] == json!([]))
    );
    assert_eq!(all(&server, "&field=budget&position=ui", 50).await.len(), 2);
    assert_eq!(all(&server, "&field=name", 50).await.len(), 2);
    assert_eq!(all(&server, "&field=unit&position=ui", 50).await, [] as [Value; 0]);
}

#[tokio::test]
async fn deleted_position_can_be_read_and_restored() {
    let server = TestServer::start().await;
    add(&server, "ui", "UI").await;
    set_budget(&server, "ui", 2).await;
    let before = get(&server, POSITIONS).await;
    delete(&server, "ui").await;
    add(&server, "ui", "UX").await;
    let told = all(&server, "&position=ui", 50).await;
    let came: Vec<_> =
        told.iter().map(|change| ["added", "restored", "deleted"].map(|how| change[how].clone())).collect();
    let row = |designation: &str| json!([{ "position": "ui", "designation": designation }]);
    let none = || json!([]);
    assert_eq!(came[0], [none(), row("UX"), none()]);
    assert_eq!(came[1], [none(), none(), row("UI")]);
    assert_eq!(came[3], [row("UI"), none(), none()]);
    assert_eq!(set(&told[0], "budget").unwrap()["old"], Value::Null, "it is another position");

    assert_eq!(get(&server, &at(&told[2])).await, before, "identical to the earlier answer");
    assert_eq!(get(&server, &at(&told[1])).await["positions"], json!([]));
    assert_eq!(get(&server, &at(&told[0])).await, get(&server, POSITIONS).await);
    let heads = get(&server, POSITIONS).await["heads"][0].as_str().unwrap().to_owned();
    let named = get(&server, &format!("{POSITIONS}?at={heads}")).await;
    assert_eq!(named["positions"][0]["designation"], "UX", "heads name a moment");
}

#[tokio::test]
async fn concurrent_edits_show_the_values_each_author_saw() {
    let server = TestServer::start().await;
    add(&server, "ui", "UI").await;
    let mut ceo = PlainPeer::connect(&server, &server.document).await;
    let mut cfo = PlainPeer::connect(&server, &server.document).await;
    for (peer, budget, name, time) in [(&mut ceo, 20, "ceo", 2_000_000_000), (&mut cfo, 30, "cfo", 2_000_000_100)] {
        let row = peer.row("ui").unwrap();
        peer.doc.put(&row, "budget", budget).unwrap();
        peer.put_text(&row, "updatedBy", name);
        peer.doc.commit_with(CommitOptions::default().with_message(name).with_time(time));
    }
    ceo.until_acknowledged().await;
    cfo.until_acknowledged().await;
    let page = get(&server, HISTORY).await;
    let [second, first, added, _] = changes(&page).as_slice() else { panic!("{page}") };
    for (change, name, budget, time) in
        [(second, "cfo", 30, "2033-05-18T03:35:00.000Z"), (first, "ceo", 20, "2033-05-18T03:33:20.000Z")]
    {
        assert_eq!((&change["message"], &change["time"]), (&json!(name), &json!(time)));
        let set = set(change, "budget").unwrap();
        assert_eq!((&set["old"], &set["new"]), (&json!(1), &json!(budget)));
    }
    // The state after both has a conflict; the state after the first alone has none.
    assert_eq!((second["heads"].as_array().unwrap().len(), first["heads"].as_array().unwrap().len()), (2, 1));
    let now = get(&server, &at(second)).await;
    assert_eq!(now["positions"], get(&server, POSITIONS).await["positions"]);
    assert!(now["positions"][0]["conflicts"]["budget"].is_array(), "{now}");
    let then = get(&server, &at(first)).await;
    assert_eq!((&then["positions"][0]["budget"], &then["positions"][0]["conflicts"]), (&json!(20), &Value::Null));
    assert_eq!(get(&server, &at(added)).await["positions"][0]["budget"], 1);

    set_budget(&server, "ui", 25).await;
    let settled = &changes(&get(&server, HISTORY).await)[0].clone();
    let old = set(settled, "budget").unwrap()["old"].clone();
    assert_eq!(old, now["positions"][0]["budget"], "the winner of the two");
    assert_eq!(set(settled, "budget").unwrap()["settled"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn resolved_conflict_shows_the_chosen_value() {
    let server = TestServer::start().await;
    add(&server, "ui", "UI").await;
    for kept in [21, 22] {
        set_budget(&server, "ui", 1).await;
        let mut ceo = PlainPeer::connect(&server, &server.document).await;
        let mut cfo = PlainPeer::connect(&server, &server.document).await;
        for (peer, budget) in [(&mut ceo, 21), (&mut cfo, 22)] {
            let row = peer.row("ui").unwrap();
            peer.doc.put(&row, "budget", budget).unwrap();
        }
        ceo.until_acknowledged().await;
        cfo.until_acknowledged().await;
        let shown = get(&server, &format!("{POSITIONS}/ui")).await["budget"].clone();
        let losing = if shown == 21 { 22 } else { 21 };
        set_budget(&server, "ui", kept).await;
        let page = get(&server, HISTORY).await;
        let told = set(&changes(&page)[0], "budget").unwrap();
        assert_eq!((&told["old"], &told["new"]), (&shown, &json!(kept)));
        assert_eq!(told["settled"], json!([shown, losing]), "{kept}");
        assert_eq!(get(&server, &format!("{POSITIONS}/ui")).await["conflicts"], Value::Null);
    }
}

#[tokio::test]
async fn forged_author_is_shown_next_to_the_real_user() {
    let server = TestServer::start().await;
    add(&server, "ui", "UI").await;
    let mut intern = PlainPeer::connect(&server, &server.document).await;
    let row = intern.row("ui").unwrap();
    intern.doc.put(&row, "budget", 99).unwrap();
    intern.put_text(&row, "updatedBy", "the CEO");
    intern.until_acknowledged().await;
    let page = get(&server, HISTORY).await;
    let forged = &changes(&page)[0];
    assert_eq!(set(forged, "updatedBy").unwrap()["new"], "the CEO");
    // This server does not authenticate its users.
    assert_eq!((&forged["user"], &forged["surface"], &forged["received"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(forged["actor"], intern.doc.get_actor().to_hex_string());
}

#[tokio::test]
async fn import_is_one_change_that_lists_every_row() {
    let server = TestServer::start().await;
    server.import(include_bytes!("../fixtures/legacy/positions.json")).await;
    let list = get(&server, POSITIONS).await;
    let rows = list["positions"].as_array().unwrap().len();
    let page = get(&server, HISTORY).await;
    let import = &changes(&page)[0];
    assert_eq!(import["message"], format!("editor: added {rows} positions"));
    assert_eq!((import["added"].as_array().unwrap().len(), &import["omitted"]), (rows, &json!(0)));
    assert_eq!(import["fields"].as_array().unwrap().len(), written_fields() * rows);
    let one = all(&server, &format!("&position={}", list["positions"][7]["id"].as_str().unwrap()), 50).await;
    assert_eq!((one.len(), one[0]["fields"].as_array().unwrap().len()), (1, written_fields()));
}

#[tokio::test]
async fn document_without_plan_has_a_history_of_root_keys() {
    let server = TestServer::start().await;
    let id = DocumentId::from_random([9; 16]);
    let mut doc = AutoCommit::new().with_actor(ActorId::from([7u8; 16]));
    let list = doc.put_object(ROOT, "todo", ObjType::List).unwrap();
    doc.commit_with(CommitOptions::default().with_message("begun").with_time(1_900_000_000));
    doc.insert(&list, 0, "buy milk").unwrap();
    doc.commit_with(CommitOptions::default().with_message("more").with_time(1_900_000_001));
    PlainPeer::connect_as(&server, &id, doc).await.until_acknowledged().await;
    let page = get(&server, &format!("/api/documents/{id}/history")).await;
    let told: Vec<_> = changes(&page).iter().map(|change| &change["message"]).collect();
    assert_eq!(told, ["more", "begun"]);
    for (change, old, new) in
        [(&changes(&page)[0], json!([]), json!(["buy milk"])), (&changes(&page)[1], Value::Null, json!([]))]
    {
        let todo = json!({ "position": null, "designation": null, "field": "todo", "old": old, "new": new });
        assert_eq!((&change["fields"], &change["added"], &change["omitted"]), (&json!([todo]), &json!([]), &json!(0)));
    }
    assert_eq!(get(&server, &format!("/api/documents/{id}/history?field=budget")).await["changes"], json!([]));
}

#[tokio::test]
async fn invalid_history_requests_are_rejected() {
    let server = TestServer::start().await;
    add(&server, "ui", "UI").await;
    let none = "/api/documents/4NMNnkMhL8jXrdJ9jamS58PAVdXu";
    let hash = "ab".repeat(32);
    for (path, status, field) in [
        (format!("{HISTORY}?limit=0"), 400, "limit"),
        (format!("{HISTORY}?limit=501"), 400, "limit"),
        (format!("{HISTORY}?before=yesterday"), 400, "before"),
        (format!("{HISTORY}?field=color"), 404, ""),
        (format!("{HISTORY}?position=nobody"), 404, ""),
        (format!("{HISTORY}?position=a&position=b"), 400, "position"),
        (format!("{none}/history"), 404, ""),
        (format!("{none}/positions?at={hash}"), 404, ""),
        ("/api/documents/x/history".to_owned(), 400, "documentId"),
        (format!("{POSITIONS}?at={hash}"), 404, ""),
        (format!("{POSITIONS}?at="), 400, "at"),
        (format!("{POSITIONS}?at=now"), 400, "at"),
        (format!("{POSITIONS}?at={hash},"), 400, "at"),
    ] {
        assert_eq!(problem(&server, &path, status).await, field, "{path}");
    }
    assert_eq!(get(&server, "/api/documents").await.as_array().unwrap().len(), 1, "reading creates no document");
}

/// A folder for a server, with a document of this many changes.
fn folder_with(edits: i64) -> Arc<TempDir> {
    let mut doc = AutoCommit::new().with_actor(ActorId::from([5u8; 16]));
    let map = doc.put_object(ROOT, "positions", ObjType::Map).unwrap();
    let rows: Vec<_> = (0..50).map(|row| doc.put_object(&map, format!("row {row}"), ObjType::Map).unwrap()).collect();
    for edit in 0..edits {
        doc.commit_with(CommitOptions::default().with_time(1_700_000_000 + edit));
        let row = &rows[usize::try_from(edit).unwrap() % rows.len()];
        doc.put(row, "budget", edit).unwrap();
    }
    let folder = Arc::new(TempDir::new().unwrap());
    std::fs::write(folder.path().join("state.automerge"), doc.save()).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_history_is_read_once() {
    const EDITS: i64 = 10_000;
    let server = TestServer::start_in(folder_with(EDITS), |_| {}).await;
    // Including the change that added the rows, and the server's change that gave the document its id.
    let changes_of_document = EDITS as f64 + 2.0;
    assert_eq!(server.metric(READ), 0.0);
    let first = get(&server, HISTORY).await;
    assert_eq!(changes(&first).len(), 50);
    assert_eq!(server.metric(READ), changes_of_document);
    let row = all(&server, "&position=row%207", 50).await;
    assert_eq!(row.len(), 201);
    let whole = all(&server, "", 500).await;
    let hashes: BTreeSet<&str> = whole.iter().map(|change| change["hash"].as_str().unwrap()).collect();
    assert_eq!((whole.len() as f64, hashes.len() as f64), (changes_of_document, changes_of_document));
    assert_eq!(server.metric(READ), changes_of_document, "repeated reads scan nothing again");
    set_budget(&server, "row%207", 7).await;
    let newest = get(&server, &format!("{HISTORY}?limit=1")).await;
    assert_eq!(set(&changes(&newest)[0], "budget").unwrap()["old"], 9_957);
    assert_eq!(server.metric(READ), changes_of_document + 1.0, "only the new change is read");
    // A state in the middle of the history.
    let then = &whole[5_000];
    let budgets = get(&server, &at(then)).await;
    let (position, new) = (&then["fields"][0]["position"], &then["fields"][0]["new"]);
    let rows = budgets["positions"].as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == *position).unwrap();
    assert_eq!((rows.len(), &row["budget"]), (50, new));
}

#[tokio::test]
async fn history_readers_are_limited_and_block_no_one() {
    let server = TestServer::start().await;
    add(&server, "ui", "UI").await;
    let hub = &server.app.hub;
    let heads: Vec<ChangeHash> = get(&server, DOCUMENT).await["heads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|head| head.as_str().unwrap().parse().unwrap())
        .collect();
    let reading = hub.past(&Requester::server(), &server.document, heads.clone()).await.unwrap().unwrap();
    set_budget(&server, "ui", 2).await;
    assert_eq!(reading.past.positions()[0].fields[BUDGET], Some(json!(1)));

    let caller = Requester::server();
    let mut others: FuturesUnordered<_> =
        (0..1_000).map(|_| hub.past(&caller, &server.document, heads.clone())).collect();
    let mut held = vec![reading];
    let busy = loop {
        match others.next().await.unwrap() {
            Ok(read) => held.extend(read),
            Err(ReadFailure::Busy) => break true,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(busy);
    let then = format!("{POSITIONS}?at={}", heads[0]);
    let (status, headers, _) = server.http("GET", &then, &[]).await;
    assert_eq!((status, headers["retry-after"].as_bytes()), (503, &b"3"[..]));
    drop((others, held));
    assert_eq!(get(&server, &then).await["positions"][0]["budget"], 1);
}

const IDLE: Duration = Duration::from_secs(100);

/// A hub over a store in memory, with a document of one position.
async fn hub(store: &Arc<MemoryStore>) -> (Hub, DocumentId) {
    let settings = HubSettings {
        renderings: RENDERINGS,
        rows: row_frames,
        legacy_presence: None,
        limits: MessageLimits::default(),
        apply_budget: APPLY_BUDGET,
        idle_after: IDLE,
        max_pending: 1,
        max_pending_per_connection: 1,
        new_documents_per_minute: 0,
        new_documents_at_once: 0,
        message_memory: 0,
        default_document: None,
        may_create: None,
        actors: ActorSource::default(),
    };
    let hub = Hub::new(Arc::clone(store) as _, settings, Arc::new(Metrics::new()));
    let id = DocumentId::from_random([3; 16]);
    let ui = NewPosition::new("ui", "UI").with(BUDGET, Budget::Int(1));
    hub.edit(&Requester::server(), &id, Edit::Add(ui), author()).await.unwrap();
    (hub, id)
}

fn author() -> Author {
    Author { name: "cfo".to_owned(), now: 1_795_357_260_000 }
}

fn budget(budget: u64) -> Edit {
    let patch = PositionPatch::set(BUDGET, Budget::Int(budget));
    Edit::Patch { id: "ui".to_owned(), patch }
}

async fn page(hub: &Hub, id: &DocumentId) -> Page {
    hub.history(&Requester::server(), id, Query { limit: 50, ..Query::default() }).await.unwrap().unwrap().page
}

fn looked_at(hub: &Hub) -> String {
    let text = hub.metrics().render();
    text.lines().find_map(|line| line.strip_prefix(READ)).unwrap().trim().to_owned()
}

#[tokio::test(start_paused = true)]
async fn unused_history_is_dropped() {
    let (hub, id) = hub(&Arc::default()).await;
    // A watcher keeps the document open.
    let (outbox, _receiver) = outbox(CancellationToken::new());
    hub.watch(&Requester::server(), &id, hub.new_connection(), outbox).await.unwrap();
    page(&hub, &id).await;
    tokio::time::sleep(IDLE / 2).await;
    page(&hub, &id).await;
    assert_eq!(looked_at(&hub), "1");
    tokio::time::sleep(IDLE * 2).await;
    hub.edit(&Requester::server(), &id, budget(2), author()).await.unwrap();
    assert_eq!(looked_at(&hub), "1", "no history is in memory for the edit");
    assert_eq!(page(&hub, &id).await.entries.len(), 2);
    assert_eq!(looked_at(&hub), "3");
    hub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn failed_change_is_not_in_the_history() {
    let store = Arc::new(MemoryStore::new());
    let (hub, id) = hub(&store).await;
    page(&hub, &id).await;
    store.fail_appends(1);
    hub.edit(&Requester::server(), &id, budget(2), author()).await.unwrap_err();
    assert_eq!(page(&hub, &id).await.entries.len(), 1);
    hub.edit(&Requester::server(), &id, budget(3), author()).await.unwrap();
    let page = page(&hub, &id).await;
    let budgets: Vec<_> =
        page.entries.iter().flat_map(|entry| &entry.fields).filter(|set| &*set.field == "budget").collect();
    assert_eq!((&budgets[0].old, &budgets[0].new), (&json!(1), &json!(3)));
    hub.stop().await;
}

#[tokio::test]
async fn concurrent_readers_share_one_complete_history() {
    let server = TestServer::start_in(folder_with(500), |_| {}).await;
    let hub = &server.app.hub;
    let caller = Requester::server();
    let (one, two, three, edit) = tokio::join!(
        page(hub, &server.document),
        page(hub, &server.document),
        page(hub, &server.document),
        hub.edit(&caller, &server.document, Edit::SetTotalAmount(5e7), author()),
    );
    edit.unwrap();
    assert_eq!([one, two, three].map(|page| page.entries.len()), [50; 3]);
    let newest = page(hub, &server.document).await;
    assert_eq!(newest.entries[0].fields[0].new, json!(500));
    assert_eq!(newest.heads, [newest.entries[0].hash]);
    assert_eq!(server.metric(READ), 503.0);
}
