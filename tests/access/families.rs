//! A plan and its scenarios share the owners of actors, and no user can make them impossible to merge.

use std::sync::Arc;

use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ROOT, sync};
use primitives::DocumentId;
use runtime::clock::now_ms;
use runtime::hub::Requester;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{PlainPeer, TestServer};
use crate::support::users::{Users, bearer};

/// A server with a plan of one position, a scenario of it, and the tokens of two users.
struct Company {
    users: Users,
    server: TestServer,
    scenario: DocumentId,
    ceo: String,
    cfo: String,
}

impl Company {
    async fn new() -> Self {
        let users = Users::new();
        let (ceo, cfo) = (users.token("ceo", "owner", "*"), users.token("cfo", "editor", "*"));
        let server = users.server().await;
        let scenario = DocumentId::from_random([7; 16]);
        let mut company = Self { users, server, scenario, ceo, cfo };
        let position = json!({ "id": "a", "designation": "a", "budget": 1 });
        company.call("POST", "default/positions", &company.ceo, &position, 201).await;
        let made = company.call("POST", "default/scenarios", &company.ceo, &json!({ "name": "Freeze" }), 201).await;
        company.scenario = made["id"].as_str().unwrap().parse().unwrap();
        company
    }

    async fn call(&self, method: &str, path: &str, token: &str, body: &Value, status: u16) -> Value {
        let (name, value) = bearer(token);
        let headers = [("content-type", "application/json"), (name, value.as_str())];
        let answer = self.server.call(method, &format!("/api/documents/{path}"), &headers, body.to_string()).await;
        answer.expect(status)
    }

    fn plan(&self) -> DocumentId {
        self.server.document.clone()
    }

    /// The stored document.
    async fn stored(&self, id: &DocumentId) -> AutoCommit {
        let bytes = self.server.app.hub.export(&Requester::server(), id).await.unwrap().unwrap();
        AutoCommit::load(&bytes).unwrap()
    }

    /// A copy of the stored document that writes under this actor.
    async fn copy(&self, id: &DocumentId, actor: &ActorId) -> AutoCommit {
        self.stored(id).await.with_actor(actor.clone())
    }

    /// Connects with a copy of a document.
    async fn connect(&self, id: &DocumentId, token: &str, doc: AutoCommit) -> PlainPeer {
        let mut peer = PlainPeer::over(self.server.connect(&format!("/sync/{id}?token={token}")).await);
        peer.doc = doc;
        peer
    }

    /// Sends a copy of a document, which the server must take.
    async fn send(&self, id: &DocumentId, token: &str, doc: AutoCommit) -> AutoCommit {
        let mut peer = self.connect(id, token, doc).await;
        peer.until_acknowledged().await;
        peer.doc
    }

    /// Sends a copy of a document, which the server must refuse. Returns the reason.
    async fn refused(&self, id: &DocumentId, token: &str, doc: AutoCommit) -> String {
        let mut peer = self.connect(id, token, doc).await;
        peer.push().await;
        while peer.turn().await {}
        let close = peer.socket.closed_with.take().unwrap();
        assert_eq!(u16::from(close.code), 1008, "{}", close.reason);
        close.reason.to_string()
    }

    /// Merges the whole scenario into the plan.
    async fn merge(&self) {
        let merge = json!({ "scenario": self.scenario.as_str() });
        self.call("POST", "default/merge", &self.cfo, &merge, 200).await;
    }
}

fn write(doc: &mut AutoCommit, key: &str, value: i64) {
    doc.put(ROOT, key, value).unwrap();
    doc.commit();
}

fn actor(name: &str) -> ActorId {
    ActorId::from(name.as_bytes())
}

#[tokio::test]
async fn next_change_of_the_server_cannot_be_forged_in_a_scenario() {
    let company = Company::new().await;
    let plan = company.plan();
    // The server has made the last change of the plan. It goes on under the same actor.
    let server = company.stored(&plan).await.get_changes(&[]).last().unwrap().actor_id().clone();
    let mut forged = company.copy(&plan, &server).await;
    write(&mut forged, "forged", 1);
    let reason = company.refused(&company.scenario, &company.cfo, forged).await;
    assert!(reason.contains("actor id"), "{reason}");

    company.call("PATCH", "default/positions/a", &company.ceo, &json!({ "budget": 2 }), 200).await;
    let last = company.stored(&plan).await.get_changes(&[]).last().unwrap().actor_id().clone();
    assert_eq!(last, server, "the test forges the change that the server makes next");
    company
        .call("PATCH", &format!("{}/positions/a", company.scenario), &company.cfo, &json!({ "budget": 3 }), 200)
        .await;
    company.merge().await;
}

#[tokio::test]
async fn actor_cannot_write_different_changes_in_two_documents() {
    for is_plan_first in [true, false] {
        let company = Company::new().await;
        let (plan, scenario) = (company.plan(), company.scenario.clone());
        let (first, second) = if is_plan_first { (&plan, &scenario) } else { (&scenario, &plan) };
        let device = actor("cfo's device");
        let (mut one, mut other) = (company.copy(&scenario, &device).await, company.copy(&scenario, &device).await);
        write(&mut one, "value", 1);
        write(&mut other, "value", 2);
        company.send(first, &company.cfo, one).await;
        let reason = company.refused(second, &company.cfo, other).await;
        assert!(reason.contains("number of another change"), "{reason}");
        // Under an actor of its own, the other copy is taken.
        let mut other = company.copy(second, &actor("cfo's other device")).await;
        write(&mut other, "value", 2);
        company.send(second, &company.cfo, other).await;
        company.merge().await;
    }
}

/// An orphaned change is stored when its dependency arrives. Until then no other document may take another one in its place.
#[tokio::test]
async fn orphaned_change_keeps_its_number() {
    let company = Company::new().await;
    let (plan, scenario) = (company.plan(), company.scenario.clone());
    let mut base = company.copy(&scenario, &actor("cfo's laptop")).await;
    write(&mut base, "base", 1);
    let device = actor("cfo's device");
    let mut orphaned = base.fork().with_actor(device.clone());
    write(&mut orphaned, "value", 1);
    let changes = orphaned.get_changes(&base.get_heads());
    let message = sync::Message {
        heads: orphaned.get_heads(),
        need: Vec::new(),
        have: Vec::new(),
        changes: changes.iter().map(|change| change.raw_bytes().to_vec()).collect::<Vec<_>>().into(),
        flags: None,
        version: sync::MessageVersion::V1,
    };
    let mut peer = company.connect(&scenario, &company.cfo, AutoCommit::new()).await;
    peer.socket.send(Frame::binary(message.encode())).await;
    loop {
        let Some(Frame::Binary(answer)) = peer.socket.next().await else { panic!("closed") };
        if sync::Message::decode(&answer).unwrap().need == base.get_heads() {
            break;
        }
    }
    let mut other = company.copy(&plan, &device).await;
    write(&mut other, "value", 2);
    let reason = company.refused(&plan, &company.cfo, other).await;
    assert!(reason.contains("number of another change"), "{reason}");
    company.send(&scenario, &company.cfo, orphaned).await;
    company.merge().await;
}

#[tokio::test]
async fn merged_offline_changes_may_go_on_in_both_documents() {
    let company = Company::new().await;
    let (plan, scenario) = (company.plan(), company.scenario.clone());
    let mut in_scenario = company.copy(&scenario, &actor("scenario of the ceo")).await;
    let mut in_plan = company.copy(&plan, &actor("plan of the ceo")).await;
    for round in 0..3 {
        write(&mut in_scenario, "scenario", round);
        write(&mut in_plan, "plan", round);
        in_plan.merge(&mut in_scenario).unwrap();
        // The plan gets the changes of the scenario first, and the scenario those of the plan in turns.
        write(&mut in_scenario, "later", round);
        if round % 2 == 1 {
            in_scenario.merge(&mut in_plan).unwrap();
            in_scenario = company.send(&scenario, &company.ceo, in_scenario).await;
            in_plan = company.send(&plan, &company.ceo, in_plan).await;
        } else {
            in_plan = company.send(&plan, &company.ceo, in_plan).await;
            in_scenario = company.send(&scenario, &company.ceo, in_scenario).await;
        }
    }
    company.merge().await;
    // Others may still bring copies, and own no actor by that.
    let copy = company.copy(&plan, &actor("copy of the cfo")).await;
    company.send(&scenario, &company.cfo, copy).await;
    write(&mut in_scenario, "scenario", 100);
    company.send(&scenario, &company.ceo, in_scenario).await;
}

#[tokio::test]
async fn merged_actors_keep_their_owner_without_the_scenario() {
    let company = Company::new().await;
    let (plan, scenario) = (company.plan(), company.scenario.clone());
    let device = actor("scenario of the ceo");
    let mut doc = company.copy(&scenario, &device).await;
    write(&mut doc, "value", 1);
    company.send(&scenario, &company.ceo, doc).await;
    company.merge().await;
    company.call("DELETE", &format!("default/scenarios/{scenario}"), &company.ceo, &Value::Null, 204).await;
    let removed = company.server.app.hub.remove_deleted(now_ms() + 1).await.unwrap();
    assert_eq!(removed, [scenario]);
    let Company { users, server, scenario, ceo, cfo } = company;
    let folder = Arc::clone(&server.folder);
    assert!(server.stop().await);
    let server = TestServer::start_in(folder, users.known()).await;
    let company = Company { users, server, scenario, ceo, cfo };

    let mut forged = company.copy(&plan, &device).await;
    write(&mut forged, "value", 2);
    let reason = company.refused(&plan, &company.cfo, forged).await;
    assert!(reason.contains("another user"), "{reason}");
    let mut genuine = company.copy(&plan, &device).await;
    write(&mut genuine, "value", 3);
    company.send(&plan, &company.ceo, genuine).await;
}
