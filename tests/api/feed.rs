//! The change feed: streams and pages of what changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use automerge::ROOT;
use automerge::transaction::Transactable;
use plan::fields::BUDGET;
use plan::{Author, Budget, Edit, NewPosition, PlanPatch, PositionPatch};
use primitives::DocumentId;
use runtime::hub::Requester;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::support::{FeedStream, PlainPeer, SentEvent, TestServer, http_to};

const POSITIONS: &str = "/api/documents/default/positions";
const CHANGES: &str = "/api/documents/default/changes";
const ALL: &str = "/api/changes";
const EVENTS: &str = "happierwork_feed_events_total";

async fn stream(server: &TestServer, path: &str, last: Option<&str>) -> FeedStream {
    let headers: Vec<(&str, &str)> = last.map(|last| ("last-event-id", last)).into_iter().collect();
    let mut stream = FeedStream::open(server.address, path, &headers).await.unwrap();
    stream.ready().await;
    stream
}

async fn add(server: &TestServer, id: &str) {
    server.edit(Edit::Add(NewPosition::new(id, id).with(BUDGET, Budget::Int(1)))).await;
}

async fn set_budget(server: &TestServer, id: &str, budget: u64) {
    server.edit(Edit::Patch { id: id.to_owned(), patch: PositionPatch::set(BUDGET, Budget::Int(budget)) }).await;
}

async fn new_document(server: &TestServer) -> DocumentId {
    let answer = server.send("POST", "/api/documents", &json!({ "name": "Another" })).await.expect(201);
    answer["id"].as_str().unwrap().parse().unwrap()
}

async fn describe(server: &TestServer, id: &DocumentId, name: &str) {
    let patch = PlanPatch { name: Some(name.to_owned()), ..PlanPatch::default() };
    let author = Author { name: "editor".to_owned(), now: 0 };
    server.app.hub.edit(&Requester::server(), id, Edit::Describe(patch), author).await.unwrap();
}

/// The hashes of all changes, as the history lists them.
async fn history(server: &TestServer) -> BTreeSet<String> {
    let page = server.get("/api/documents/default/history?limit=500").await.expect(200);
    assert!(page["next"].is_null());
    page["changes"].as_array().unwrap().iter().map(|change| change["hash"].as_str().unwrap().to_owned()).collect()
}

fn hash(event: &Value) -> String {
    event["change"]["hash"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn stream_tells_what_was_changed_and_by_whom() {
    let server = TestServer::start().await;
    let mut feed = stream(&server, CHANGES, None).await;
    let position = json!({ "id": "ui", "designation": "UI", "budget": 11 });
    server.send("POST", &format!("{POSITIONS}?author=cfo"), &position).await.expect(201);
    let row = format!("{POSITIONS}/ui");
    server.send("PATCH", &row, &json!({ "budget": 12 })).await.expect(200);
    server.call("DELETE", &row, &[], "").await;
    server.send("POST", POSITIONS, &position).await.expect(201);
    server.send("PATCH", "/api/documents/default", &json!({ "totalBudget": 500 })).await.expect(200);

    let added = feed.change().await;
    assert_eq!(added.data["documentId"], server.document.as_str());
    let change = &added.data["change"];
    assert_eq!(change["added"], json!([{ "position": "ui", "designation": "UI" }]));
    assert!(change["message"].as_str().unwrap().starts_with("cfo: "), "{change}");
    assert!(change["user"].is_null() && change["time"].is_string() && change["actor"].is_string(), "{change}");
    assert_eq!(change["heads"], json!([change["hash"]]), "the id names what was read so far");
    assert_eq!(added.id(), change["hash"].as_str().unwrap());
    let edited = feed.change().await.data;
    let fields = edited["change"]["fields"].as_array().unwrap();
    let budget = fields.iter().find(|field| field["field"] == "budget").unwrap();
    assert_eq!((&budget["old"], &budget["new"], &budget["position"]), (&json!(11), &json!(12), &json!("ui")));
    assert_eq!(feed.change().await.data["change"]["deleted"][0]["position"], "ui");
    assert_eq!(feed.change().await.data["change"]["restored"][0]["position"], "ui");
    let settings = feed.change().await;
    let setting = json!({ "position": null, "designation": null, "field": "totalBudget", "old": null, "new": 500 });
    assert_eq!(settings.data["change"]["fields"], json!([setting]));

    let page = server.get(CHANGES).await.expect(200);
    assert_eq!((&page["events"], &page["next"]), (&json!([]), &json!(settings.id())), "from now on");
}

#[tokio::test]
async fn resumed_stream_has_each_change_once_over_a_restart() {
    let folder = Arc::new(TempDir::new().unwrap());
    let server = TestServer::start_in(Arc::clone(&folder), |_| {}).await;
    let mut feed = stream(&server, CHANGES, None).await;
    let before = history(&server).await;
    for number in 0..20 {
        add(&server, &format!("p{number}")).await;
    }
    let mut read: Vec<SentEvent> = Vec::new();
    for _ in 0..7 {
        read.push(feed.change().await);
    }
    let last = read.last().unwrap().id().to_owned();
    server.stop().await;
    drop(feed);

    let server = TestServer::start_in(folder, |_| {}).await;
    add(&server, "after the restart").await;
    // The browser repeats the URL of the first request.
    let mut feed = stream(&server, &format!("{CHANGES}?since={}", read[0].id()), Some(&last)).await;
    add(&server, "last").await;
    let every = history(&server).await;
    while read.len() + before.len() < every.len() {
        read.push(feed.change().await);
    }
    let hashes: BTreeSet<String> = read.iter().map(SentEvent::hash).collect();
    assert_eq!(hashes.len(), read.len(), "none is doubled");
    assert_eq!(hashes, every.difference(&before).cloned().collect());
    // The order is that of the edits: each has the previous one as its only head.
    for pair in read.windows(2) {
        let deps = server.get(&format!("{CHANGES}?since={}", pair[0].id())).await.expect(200);
        assert_eq!(hash(&deps["events"][0]), pair[1].hash());
    }
}

#[tokio::test]
async fn page_waits_until_something_changes() {
    let server = TestServer::start().await;
    add(&server, "ui").await;
    let start = server.get(CHANGES).await.expect(200);
    let (_, feeds) = (add(&server, "db").await, "happierwork_connections{kind=\"feed\"}");
    let page = server.get(&format!("{CHANGES}?since={}", start["next"].as_str().unwrap())).await.expect(200);
    assert_eq!((page["events"].as_array().unwrap().len(), &page["more"]), (1, &json!(false)));
    let waiting = format!("{CHANGES}?since={}&wait=30", page["next"].as_str().unwrap());
    let edit = async {
        server.until_metric(feeds, |open| open == 1.0).await;
        set_budget(&server, "ui", 5).await;
    };
    let (answer, ()) = tokio::join!(server.get(&waiting), edit);
    let page = answer.expect(200);
    assert_eq!(page["events"][0]["change"]["fields"][0]["new"], 5);
    server.until_metric(feeds, |open| open == 0.0).await;
}

#[tokio::test]
async fn many_changes_come_in_several_pages() {
    let server = TestServer::start().await;
    let mut place = server.get(CHANGES).await.expect(200)["next"].as_str().unwrap().to_owned();
    for number in 0..130 {
        add(&server, &format!("p{number}")).await;
    }
    let (mut sizes, mut hashes) = (Vec::new(), BTreeSet::new());
    loop {
        let page = server.get(&format!("{CHANGES}?since={place}")).await.expect(200);
        let events = page["events"].as_array().unwrap();
        sizes.push(events.len());
        hashes.extend(events.iter().map(hash));
        place = page["next"].as_str().unwrap().to_owned();
        if page["more"] == false {
            break;
        }
    }
    assert!(sizes.len() > 1 && sizes.iter().all(|size| (1..=100).contains(size)), "{sizes:?}");
    assert_eq!((sizes.iter().sum::<usize>(), hashes.len()), (130, 130), "none is doubled");
}

#[tokio::test]
async fn unknown_heads_are_answered_with_a_reset() {
    let server = TestServer::start().await;
    let unknown = "ab".repeat(32);
    let current = server.get(CHANGES).await.expect(200)["next"].clone();
    let page = server.get(&format!("{CHANGES}?since={unknown}&wait=30")).await.expect(200);
    let reset = json!({ "type": "reset", "documentId": server.document.as_str(), "heads": [current] });
    assert_eq!((&page["events"], &page["next"]), (&json!([reset]), &current));
    let mut feed = stream(&server, CHANGES, Some(&unknown)).await;
    let event = feed.next().await.unwrap();
    assert_eq!((event.name.as_str(), &event.data, event.id()), ("reset", &reset, current.as_str().unwrap()));
    add(&server, "ui").await;
    assert_eq!(feed.change().await.data["change"]["added"][0]["position"], "ui");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_stream_holds_one_portion_and_misses_nothing() {
    let server = TestServer::start().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let socket = socket.connect(server.address).await.unwrap();
    let mut feed = FeedStream::over(socket, server.address, CHANGES, &[]).await.unwrap();
    feed.ready().await;
    let count = 60;
    for number in 0..count {
        let positions = (0..100).map(|part| NewPosition::new(format!("{number}-{part}"), "UI"));
        server.edit(Edit::AddAll(positions.collect())).await;
    }
    // A change is about 50 KB. The sockets hold some of the events, the server one portion of them.
    server.until_metric(EVENTS, |sent| sent > 3.0).await;
    let mut handed = server.metric(EVENTS);
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = server.metric(EVENTS);
        if now == handed {
            break;
        }
        handed = now;
    }
    assert!(handed < 40.0, "{handed} of {count} events are in memory");
    for number in 0..count {
        let event = feed.change().await;
        let first = event.data["change"]["added"][0]["position"].as_str().unwrap();
        assert!(first.starts_with(&format!("{number}-")), "{first} comes before the changes of {number}");
    }
}

#[tokio::test]
async fn feed_of_all_documents_names_the_document() {
    let folder = Arc::new(TempDir::new().unwrap());
    let server = TestServer::start_in(Arc::clone(&folder), |_| {}).await;
    let mut feed = FeedStream::open(server.address, ALL, &[]).await.unwrap();
    let start = feed.ready().await.id().to_owned();
    let other = new_document(&server).await;
    add(&server, "ui").await;
    describe(&server, &other, "Renamed").await;
    let mut places = vec![start];
    for document in [&other, &server.document, &other] {
        let event = feed.change().await;
        assert_eq!(event.data["documentId"], document.as_str());
        places.push(event.id().to_owned());
    }
    for (index, place) in places.iter().enumerate() {
        let mut place = place.clone();
        let mut seen = 0;
        loop {
            let page = server.get(&format!("{ALL}?after={place}")).await.expect(200);
            seen += page["events"].as_array().unwrap().len();
            place = page["next"].as_str().unwrap().to_owned();
            if page["more"] == false {
                break;
            }
        }
        assert_eq!((seen, &place), (3 - index, &places[3]), "from place {index}");
    }
    server.stop().await;

    let server = TestServer::start_in(folder, |_| {}).await;
    let page = server.get(&format!("{ALL}?after={}&wait=30", places[3])).await.expect(200);
    assert_eq!(page["events"], json!([{ "type": "reset", "documentId": null }]), "the list does not survive a restart");
    let mut feed = stream(&server, ALL, page["next"].as_str()).await;
    describe(&server, &other, "Renamed again").await;
    assert_eq!(feed.change().await.data["documentId"], other.as_str());
}

#[tokio::test]
async fn large_batch_resumes_in_the_middle_of_all_documents() {
    let server = TestServer::start().await;
    let start = server.get(ALL).await.expect(200)["next"].as_str().unwrap().to_owned();
    // One message of a client, so one batch, with 150 changes.
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    for number in 0..150 {
        peer.doc.put(ROOT, "totalBudget", number).unwrap();
        peer.doc.commit();
    }
    peer.until_acknowledged().await;
    let mut feed = FeedStream::open(server.address, &format!("{ALL}?after={start}"), &[]).await.unwrap();
    feed.ready().await;
    let mut read = Vec::new();
    for _ in 0..120 {
        read.push(feed.change().await);
    }
    let mut feed = stream(&server, ALL, Some(read[119].id())).await;
    for _ in 120..150 {
        read.push(feed.change().await);
    }
    let hashes: BTreeSet<String> = read.iter().map(SentEvent::hash).collect();
    assert_eq!(hashes.len(), 150);
}

#[tokio::test]
async fn followed_document_is_not_unloaded() {
    let server = TestServer::start_in(Arc::new(TempDir::new().unwrap()), |options| {
        options.idle_after = Duration::from_millis(50);
    })
    .await;
    let (one, other) = (new_document(&server).await, new_document(&server).await);
    let mut feed = stream(&server, &format!("/api/documents/{one}/changes"), None).await;
    let mut all = stream(&server, ALL, None).await;
    server.until_metric("happierwork_documents_open", |open| open == 1.0).await;
    for (document, name) in [(&one, "One"), (&other, "Other")] {
        describe(&server, document, name).await;
        assert_eq!(all.change().await.data["change"]["fields"][0]["new"], name);
    }
    assert_eq!(feed.change().await.data["change"]["fields"][0]["new"], "One");
}

#[tokio::test]
async fn invalid_requests_name_the_parameter() {
    let server = TestServer::start().await;
    for (path, field) in [
        (format!("{CHANGES}?since=x"), "since"),
        (format!("{CHANGES}?wait=31"), "wait"),
        (format!("{CHANGES}?wait=soon"), "wait"),
        (format!("{CHANGES}?after=x"), "after"),
        (format!("{ALL}?after=x"), "after"),
        (format!("{ALL}?wait=-1"), "wait"),
        (format!("{ALL}?since=x"), "since"),
    ] {
        assert_eq!(server.get(&path).await.problem(400), field, "{path}");
    }
    for path in [CHANGES, ALL] {
        let headers = [("accept", "text/event-stream"), ("last-event-id", "x")];
        assert_eq!(server.call("GET", path, &headers, "").await.problem(400), "Last-Event-ID");
    }
    server.get("/api/documents/4NMNnkMhL8jXrdJ9jamS58PAVdXu/changes").await.problem(404);
}

#[tokio::test]
async fn server_that_stops_ends_streams_and_pages() {
    let server = TestServer::start().await;
    let feed = stream(&server, CHANGES, None).await;
    let address = server.address;
    let waiting =
        tokio::spawn(async move { http_to(address, "GET", &format!("{ALL}?wait=30"), &[], String::new()).await });
    server.until_metric("happierwork_connections{kind=\"feed\"}", |open| open == 2.0).await;
    let (stopped, reason) = tokio::join!(server.stop(), feed.ended());
    assert!(stopped, "within the grace period");
    assert!(reason.contains("shutting down"), "{reason}");
    assert_eq!(waiting.await.unwrap().0, 503);
}
