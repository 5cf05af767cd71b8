//! Who may follow changes, and how long.

use std::sync::Arc;

use auth::Role;
use plan::{Author, Edit, PlanPatch};
use primitives::DocumentId;
use runtime::hub::Requester;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::support::{FeedStream, TestServer};
use crate::support::repo_peer::new_id;
use crate::support::users::{Users, bearer};

const FEEDS: &str = "happierwork_connections{kind=\"feed\"}";

async fn stream(server: &TestServer, path: &str, token: &str) -> FeedStream {
    let (name, value) = bearer(token);
    let mut stream = FeedStream::open(server.address, path, &[(name, &value)]).await.unwrap();
    stream.ready().await;
    stream
}

fn changes(id: &DocumentId) -> String {
    format!("/api/documents/{id}/changes")
}

fn author() -> Author {
    Author { name: "somebody".to_owned(), now: 0 }
}

async fn make(server: &TestServer) -> DocumentId {
    let id = new_id();
    let create = Edit::Create { id: id.clone(), plan: PlanPatch::default(), positions: Vec::new() };
    server.app.hub.edit(&Requester::server(), &id, create, author()).await.unwrap();
    id
}

async fn describe(server: &TestServer, id: &DocumentId, name: &str) {
    let patch = PlanPatch { name: Some(name.to_owned()), ..PlanPatch::default() };
    server.app.hub.edit(&Requester::server(), id, Edit::Describe(patch), author()).await.unwrap();
}

async fn set_role(server: &TestServer, id: &DocumentId, role: Option<Role>) {
    server.app.hub.set_role(&Requester::server(), id, &"cfo".into(), role).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabled_account_ends_its_feeds() {
    let users = Users::new();
    users.run_with(&["user", "add", "cfo", "--role", "viewer", "--documents", "*"], "a long password");
    let server = users.server().await;
    let login = serde_json::json!({ "email": "cfo", "password": "a long password" });
    let (_, session) = server.post("/accounts/api/login/", &login).await;
    let token = session["token"].as_str().unwrap().to_owned();
    let other = users.token("ceo", "viewer", "*");
    let one = stream(&server, &changes(&server.document), &token).await;
    let all = stream(&server, "/api/changes", &token).await;
    let mut others = stream(&server, "/api/changes", &other).await;
    let waiting = {
        let (address, (name, value)) = (server.address, bearer(&token));
        tokio::spawn(async move {
            let headers = [(name, value.as_str())];
            super::support::http_to(address, "GET", "/api/changes?wait=30", &headers, String::new()).await.0
        })
    };
    server.until_metric(FEEDS, |open| open == 4.0).await;
    let disable = users.clone();
    spawn_blocking(move || disable.run(&["user", "disable", "cfo"])).await.unwrap();
    for feed in [one, all] {
        let reason = feed.ended().await;
        assert!(reason.contains("token"), "{reason}");
    }
    assert_eq!(waiting.await.unwrap(), 401);
    describe(&server, &server.document, "Still there").await;
    assert_eq!(others.change().await.data["documentId"], server.document.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_show_only_documents_that_the_user_may_read() {
    let users = Users::new();
    let server = users.server().await;
    let (shared, hidden) = (make(&server).await, make(&server).await);
    let token = users.token("cfo", "viewer", "default");
    let (name, value) = bearer(&token);
    let refused = FeedStream::open(server.address, &changes(&shared), &[(name, &value)]).await;
    assert_eq!(refused.err().map(|status| status.as_u16()), Some(404));
    set_role(&server, &shared, Some(Role::Viewer)).await;
    let one = stream(&server, &changes(&shared), &token).await;
    let mut all = stream(&server, "/api/changes", &token).await;
    describe(&server, &hidden, "Hidden").await;
    describe(&server, &shared, "Shared").await;
    assert_eq!(all.change().await.data["documentId"], shared.as_str());
    set_role(&server, &shared, None).await;
    let reason = one.ended().await;
    assert!(reason.contains("there is no document"), "{reason}");
    describe(&server, &shared, "No longer shared").await;
    describe(&server, &server.document, "Default").await;
    assert_eq!(all.change().await.data["documentId"], server.document.as_str());
}

#[tokio::test]
async fn one_user_cannot_exhaust_connections_with_feeds() {
    let users = Users::new();
    let server = TestServer::start_in(Arc::new(TempDir::new().unwrap()), |options| {
        users.known()(options);
        options.limits.connections = 64;
    })
    .await;
    let (intern, ceo) = (users.token("intern", "viewer", "*"), users.token("ceo", "viewer", "*"));
    let mut feeds = Vec::new();
    for _ in 0..16 {
        feeds.push(stream(&server, "/api/changes", &intern).await);
    }
    let (name, value) = bearer(&intern);
    for accept in ["text/event-stream", "application/json"] {
        let headers = [(name, value.as_str()), ("accept", accept)];
        let answer = server.call("GET", "/api/changes?wait=1", &headers, "").await;
        assert_eq!(answer.status, 429);
    }
    assert_eq!(server.metric("happierwork_refusals_total{reason=\"too_many_from_user\"}"), 2.0);
    stream(&server, "/api/changes", &ceo).await;
    feeds.clear();
    server.until_metric(FEEDS, |open| open == 0.0).await;
    stream(&server, "/api/changes", &intern).await;
}
