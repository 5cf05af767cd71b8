//! Webhooks of the real program: messages arrive although the server and the receiver are killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod support;
#[allow(dead_code, reason = "shared with the tests of crashes")]
#[path = "crash/writers.rs"]
mod writers;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automerge::{AutoCommit, ChangeHash};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use support::ports::free_port;
use support::process::{Running, folder, run, serve};
use support::{PATIENCE, http_to, post_to};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const POSITIONS: &str = "/api/documents/default/positions";

/// A message that arrived: its id, and its body.
type Arrived = (String, Value);

/// A receiver that verifies signatures.
struct Receiver {
    address: SocketAddr,
    secret: Arc<Mutex<String>>,
    arrived: watch::Sender<Vec<Arrived>>,
    /// The connections, which end with the receiver.
    tasks: Option<JoinSet<()>>,
}

impl Receiver {
    async fn start() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let listener = TcpListener::bind(address).await.unwrap();
        let mut receiver = Self { address, secret: Arc::default(), arrived: watch::Sender::default(), tasks: None };
        receiver.listen(listener, true);
        receiver
    }

    /// Accepts connections. `answers`: whether it answers, or is silent after it has recorded a message.
    fn listen(&mut self, listener: TcpListener, answers: bool) {
        let (secret, arrived) = (Arc::clone(&self.secret), self.arrived.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (secret, arrived) = (Arc::clone(&secret), arrived.clone());
                let service =
                    service_fn(move |request| receive(request, Arc::clone(&secret), arrived.clone(), answers));
                connections.spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        self.tasks = Some(tasks);
    }

    /// Ends with all connections, as if it were killed.
    async fn kill(&mut self) {
        if let Some(mut tasks) = self.tasks.take() {
            tasks.shutdown().await;
        }
    }

    /// Listens again at the same address.
    async fn restart(&mut self, answers: bool) {
        self.kill().await;
        // Child processes that other tests are starting may have copies of the earlier listener until they run their program.
        let begun = Instant::now();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Err(error) if error.kind() == ErrorKind::AddrInUse && begun.elapsed() < PATIENCE => {
                    sleep(Duration::from_millis(10)).await;
                }
                bound => break bound.unwrap(),
            }
        };
        self.listen(listener, answers);
    }

    /// The number of messages that have arrived.
    fn count(&self) -> usize {
        self.arrived.borrow().len()
    }

    /// Waits until the messages that have arrived satisfy `wanted`.
    async fn until(&self, wanted: impl Fn(&[Arrived]) -> bool) -> Vec<Arrived> {
        let mut arrived = self.arrived.subscribe();
        let seen = timeout(PATIENCE, arrived.wait_for(|arrived| wanted(arrived))).await;
        seen.unwrap_or_else(|_| panic!("{:?}", self.arrived.borrow())).unwrap().clone()
    }
}

async fn receive(
    request: Request<Incoming>,
    secret: Arc<Mutex<String>>,
    arrived: watch::Sender<Vec<Arrived>>,
    answers: bool,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    let (id, timestamp, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let body = request.into_body().collect().await?.to_bytes();
    let key = STANDARD.decode(secret.lock().unwrap().strip_prefix("whsec_").unwrap()).unwrap();
    let signed = [format!("{id}.{timestamp}.").as_bytes(), &body].concat();
    let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed, &signature).expect("a valid signature");
    let body: Value = serde_json::from_slice(&body).unwrap();
    arrived.send_modify(|arrived| arrived.push((id, body)));
    if !answers {
        std::future::pending::<()>().await;
    }
    Ok(Response::new(Full::default()))
}

fn webhook(state: &Path, arguments: &[&str]) -> String {
    let documents = state.parent().unwrap().join("documents");
    let place = ["--state", state.to_str().unwrap(), "--documents", documents.to_str().unwrap()];
    let ended = run(&[&["webhook"], arguments, &place].concat());
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
    ended.out.trim().to_owned()
}

/// Adds a webhook for all documents that sends messages at once. Waits until the server has seen it. Returns its id.
async fn begin(state: &Path, receiver: &Receiver) -> String {
    let url = format!("http://{}/hooks", receiver.address);
    let out = webhook(state, &["add", &url, "--debounce", "0", "--allow-private"]);
    let (id, secret) = out.split_once("  ").unwrap();
    *receiver.secret.lock().unwrap() = secret.to_owned();
    until_begun(state, id).await;
    id.to_owned()
}

/// Waits until a webhook has begun: its progress is stored then.
async fn until_begun(state: &Path, id: &str) {
    let progress = state.parent().unwrap().join(format!("documents/webhooks/{id}.progress.json"));
    let began = async {
        while !progress.exists() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, began).await.unwrap();
}

async fn new_document(server: SocketAddr) -> String {
    let (status, answer) = post_to(server, "/api/documents", &json!({ "name": "Another" })).await;
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

async fn add(server: SocketAddr, position: &str) {
    let (status, answer) = post_to(server, POSITIONS, &json!({ "id": position, "designation": "UI" })).await;
    assert_eq!(status, 201, "{answer}");
}

/// The positions that messages say were added, in order, each once per message id.
fn added(arrived: &[Arrived]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let first = arrived.iter().filter(|(id, _)| seen.insert(id.clone()));
    let events = first.flat_map(|(_, body)| body["data"]["events"].as_array().into_iter().flatten());
    let rows = events.flat_map(|event| event["change"]["added"].as_array().into_iter().flatten());
    rows.map(|row| row["position"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_survive_the_death_of_server_and_receiver() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    let mut receiver = Receiver::start().await;
    let (server, address) = Running::server(serve(&state, &[]));
    let url = format!("http://{}/hooks", receiver.address);
    let out = webhook(&state, &["add", &url, "--debounce", "0", "--allow-private"]);
    let (id, secret) = out.split_once("  ").unwrap();
    *receiver.secret.lock().unwrap() = secret.to_owned();
    webhook(&state, &["test", id]);
    receiver.until(|arrived| arrived.len() == 1 && arrived[0].1["type"] == "webhook.test").await;
    until_begun(&state, id).await;
    add(address, "one").await;
    receiver.until(|arrived| added(arrived) == ["one"]).await;

    // The receiver gets the message, and dies before it answers. So does the server.
    receiver.restart(false).await;
    add(address, "two").await;
    let arrived = receiver.until(|arrived| added(arrived) == ["one", "two"]).await;
    let unanswered = arrived.last().unwrap().clone();
    server.signal("KILL");
    drop(server);
    receiver.kill().await;
    let (server, address) = Running::server(serve(&state, &[]));
    add(address, "three").await;
    receiver.restart(true).await;
    let arrived = receiver.until(|arrived| added(arrived) == ["one", "two", "three"]).await;
    let repeated: Vec<_> = arrived.iter().filter(|(id, _)| *id == unanswered.0).collect();
    assert!(repeated.len() > 1 && repeated.iter().all(|message| **message == unanswered), "{repeated:?}");

    // The server dies with changes that were not sent.
    receiver.kill().await;
    for position in ["four", "five"] {
        add(address, position).await;
    }
    server.signal("KILL");
    drop(server);
    receiver.restart(true).await;
    let (server, address) = Running::server(serve(&state, &[]));
    receiver.until(|arrived| added(arrived) == ["one", "two", "three", "four", "five"]).await;
    assert!(webhook(&state, &["list"]).contains(&url));
    webhook(&state, &["remove", id]);
    assert_eq!(webhook(&state, &["list"]), "");
    let (status, _, listed) = http_to(address, "GET", "/api/webhooks", &[], String::new()).await;
    assert_eq!((status, listed.as_str()), (200, r#"{"webhooks":[]}"#));
    drop(server);
}

/// Changes of a document, in an order in which none precedes those that it depends on.
fn changes(file: &Path) -> Vec<(ChangeHash, Vec<ChangeHash>)> {
    let mut document = AutoCommit::load(&std::fs::read(file).unwrap()).unwrap();
    document.get_changes(&[]).iter().map(|change| (change.hash(), change.deps().to_vec())).collect()
}

/// The changes that messages tell, by document, each once, in the order of their first arrival.
fn told(arrived: &[Arrived]) -> BTreeMap<String, Vec<ChangeHash>> {
    let (mut told, mut seen) = (BTreeMap::<String, Vec<ChangeHash>>::new(), BTreeSet::new());
    for event in arrived.iter().flat_map(|(_, body)| body["data"]["events"].as_array().into_iter().flatten()) {
        let hash: ChangeHash = event["change"]["hash"].as_str().expect("no reset").parse().unwrap();
        let document = event["documentId"].as_str().unwrap().to_owned();
        if seen.insert((document.clone(), hash)) {
            told.entry(document).or_default().push(hash);
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_and_reorder_no_change() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    let mut receiver = Receiver::start().await;
    let (mut server, mut address) = Running::server(serve(&state, &[]));
    let (_, _, default) = http_to(address, "GET", "/api/documents/default", &[], String::new()).await;
    let default: Value = serde_json::from_str(&default).unwrap();
    let mut files: BTreeMap<String, PathBuf> = [(default["id"].as_str().unwrap().to_owned(), state.clone())].into();
    for _ in 0..2 {
        let id = new_document(address).await;
        files.insert(id.clone(), folder.path().join(format!("documents/{id}.automerge")));
    }
    begin(&state, &receiver).await;
    let before: BTreeMap<&String, BTreeMap<_, _>> =
        files.iter().map(|(id, file)| (id, changes(file).into_iter().collect())).collect();
    let (mut acknowledged, mut at_least) = (0, 0);
    for round in 0..4 {
        let mut writers = JoinSet::new();
        for id in files.keys() {
            let path = format!("/api/documents/{id}/positions");
            writers.spawn(async move {
                let row =
                    |count: u32| (String::new(), json!({ "id": format!("{round}-{count}"), "designation": "UI" }));
                writers::http(address, &path, row).await.len()
            });
        }
        at_least += 5;
        receiver.until(|arrived| arrived.len() >= at_least).await;
        if round % 2 == 1 {
            // Answers that are under way are lost.
            receiver.restart(true).await;
            at_least = receiver.count() + 5;
            receiver.until(|arrived| arrived.len() >= at_least).await;
        }
        server.signal("KILL");
        drop(server);
        acknowledged += writers.join_all().await.into_iter().sum::<usize>();
        (server, address) = Running::server(serve(&state, &[]));
        at_least = receiver.count();
    }
    let new = |(id, file): (_, &PathBuf)| {
        let new = changes(file).into_iter().filter(|(hash, _)| !before[id].contains_key(hash));
        (id, new.collect::<BTreeMap<_, _>>())
    };
    let stored: BTreeMap<&String, BTreeMap<_, _>> = files.iter().map(new).collect();
    let expected: usize = stored.values().map(BTreeMap::len).sum();
    assert!(expected >= acknowledged && acknowledged > 50, "{acknowledged} acknowledged, {expected} stored");
    let arrived = receiver.until(|arrived| told(arrived).values().map(Vec::len).sum::<usize>() >= expected).await;
    let told = told(&arrived);
    for (id, stored) in stored {
        let mut seen = BTreeSet::new();
        for hash in &told[id] {
            let mut deps = stored[hash].iter().filter(|dep| stored.contains_key(*dep));
            assert!(deps.all(|dep| seen.contains(dep)), "{id}: {hash} came before its dependencies");
            seen.insert(*hash);
        }
        assert_eq!(seen, stored.keys().copied().collect(), "{id}");
    }
    let mut bodies = BTreeMap::new();
    for (id, body) in &arrived {
        assert_eq!(bodies.entry(id).or_insert(body), &body, "a repetition has the same content");
    }
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unchanged_documents_stay_closed_after_a_restart() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    let receiver = Receiver::start().await;
    let (server, address) = Running::server(serve(&state, &[]));
    for _ in 0..20 {
        new_document(address).await;
    }
    begin(&state, &receiver).await;
    server.stop();
    let (server, address) = Running::server(serve(&state, &[]));
    add(address, "one").await;
    receiver.until(|arrived| added(arrived) == ["one"]).await;
    let (_, _, metrics) = http_to(address, "GET", "/metrics", &[], String::new()).await;
    assert!(metrics.contains("\nhappierwork_documents_open 1\n"), "{metrics}");
    drop(server);
}

#[test]
fn private_addresses_and_databases_are_refused() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    let out = webhook(&state, &["add", "https://127.0.0.1:9/"]);
    let documents = folder.path().join("documents");
    let place = ["--state", state.to_str().unwrap(), "--documents", documents.to_str().unwrap()];
    let ended = run(&[&["webhook", "test", out.split_once("  ").unwrap().0], &place[..]].concat());
    assert!(ended.code == Some(1) && ended.err.contains("no public address"), "{ended:?}");
    for (arguments, expected) in [
        (&["add", "http://example.com/"][..], "must begin with https://"),
        (&["add", "example.com"], "must be a URL"),
        (&["test", "wh_unknown"], "there is no webhook"),
        (&["remove", "wh_unknown"], "there is no webhook"),
    ] {
        let ended = run(&[&["webhook"], arguments, &place[..]].concat());
        assert!(ended.code == Some(1) && ended.err.contains(expected), "{arguments:?}: {}", ended.err);
    }
    let database = format!("sqlite:{}", folder.path().join("plan.db").display());
    let ended = run(&["webhook", "list", "--database", &database]);
    assert!(ended.code == Some(1) && ended.err.contains("--database"), "{ended:?}");
}

#[tokio::test]
async fn only_owners_of_all_documents_manage_webhooks() {
    let users = support::users::Users::new();
    let server = users.server().await;
    let body = json!({ "url": "https://example.com/hooks", "documents": ["default"], "debounce": 60 }).to_string();
    let call = async |method: &str, path: &str, token: &str, body: &str| {
        let (name, value) = support::users::bearer(token);
        let headers = [(name, value.as_str()), ("content-type", "application/json")];
        server.call(method, path, &headers, body.to_owned()).await
    };
    for (role, documents) in [("viewer", "*"), ("editor", "*"), ("owner", "default")] {
        let token = users.token(role, role, documents);
        assert_eq!(call("GET", "/api/webhooks", &token, "").await.status, 403, "{role} of {documents}");
        assert_eq!(call("POST", "/api/webhooks", &token, &body).await.status, 403, "{role} of {documents}");
    }
    let owner = users.token("ceo", "owner", "*");
    let added = call("POST", "/api/webhooks", &owner, &body).await.expect(201);
    assert!(added["secret"].as_str().unwrap().starts_with("whsec_"), "{added}");
    let id = added["webhook"]["id"].as_str().unwrap();
    let listed = call("GET", "/api/webhooks", &owner, "").await;
    assert!(listed.text().contains(id) && !listed.text().contains("whsec_"), "{}", listed.text());
    for (body, field) in [
        (json!({ "url": "http://example.com/" }), "url"),
        (json!({ "url": "https://example.com/", "debounce": 3_601 }), "debounce"),
        (json!({ "url": "https://example.com/", "debounce": 0.5 }), "debounce"),
        (json!({ "url": "https://example.com/", "documents": ["x"] }), "documents"),
        (json!({ "url": "https://example.com/", "allowPrivate": true }), "allowPrivate"),
        (json!({}), "url"),
    ] {
        assert_eq!(call("POST", "/api/webhooks", &owner, &body.to_string()).await.problem(422), field, "{body}");
    }
    assert_eq!(call("DELETE", &format!("/api/webhooks/{id}"), &owner, "").await.status, 204);
    for (method, path) in [("DELETE", format!("/api/webhooks/{id}")), ("POST", format!("/api/webhooks/{id}/test"))] {
        assert_eq!(call(method, &path, &owner, "").await.status, 404, "{method} {path}");
    }
}
