//! The Rust client over TLS: it syncs with trusted servers, and explains its refusal of others.

use std::sync::Arc;

use client::{Endpoint, Problem, Replica, ReplicaOptions, Status};
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Budget, Edit, NewPosition, read_view};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::time::timeout;

use super::authority::{Authority, Issued, server};
use super::support::{PATIENCE, TestServer};

fn add(id: &str) -> Edit {
    Edit::Add(
        NewPosition::new(id, format!("Engineer {id}"))
            .with(DEPARTMENT, "Engineering")
            .with(BUDGET, Budget::Int(5))
            .with(LOCATION, "Pune"),
    )
}

async fn open(home: &TempDir, server: &TestServer, endpoint: Endpoint) -> Replica {
    let file = home.path().join("replica.automerge");
    Replica::open(ReplicaOptions::new(file, server.document.clone(), "ceo").online(endpoint)).await.unwrap()
}

/// Why the first attempt failed.
async fn problem(server: &TestServer, endpoint: Endpoint) -> Problem {
    let home = TempDir::new().unwrap();
    let replica = open(&home, server, endpoint).await;
    let failed = replica.wait_for(|status| matches!(status, Status::Offline { last_error: Some(_), .. }));
    let status = timeout(PATIENCE, failed).await.expect("in time").unwrap();
    replica.close().await.unwrap();
    let Status::Offline { last_error: Some(problem), .. } = status else { panic!("{status:?}") };
    problem
}

/// Why a client that trusts another certificate refuses a server with this one.
async fn untrusted(issued: Issued, trusted: &str) -> String {
    let folder = Arc::new(TempDir::new().unwrap());
    let files = issued.write(folder.path());
    let server = TestServer::start_in(folder, |options| options.tls = Some(files)).await;
    let endpoint = Endpoint::new(format!("wss://{}/sync", server.address)).trust(trusted.as_bytes()).unwrap();
    let problem = problem(&server, endpoint).await;
    assert!(matches!(problem, Problem::Untrusted(_)), "{problem:?}");
    problem.to_string()
}

/// A self-signed certificate.
fn self_signed(authority: bool) -> Issued {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().unwrap();
    Issued { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

#[tokio::test]
async fn replica_trusts_a_given_authority() {
    let authority = Authority::new("tests");
    let server = server(&authority).await;
    server.edit(add("a")).await;
    let home = TempDir::new().unwrap();
    let endpoint = Endpoint::new(server.url("/sync")).trust(authority.pem.as_bytes()).unwrap();
    let replica = open(&home, &server, endpoint.clone()).await;
    timeout(PATIENCE, replica.wait_until_synced()).await.expect("in time").unwrap();
    assert_eq!(read_view(replica.view()).len(), 1);
    replica.edit(add("b")).await.unwrap();
    timeout(PATIENCE, replica.wait_until_synced()).await.expect("in time").unwrap();
    let positions = server.positions().await;
    assert!(positions.contains(&"a".to_owned()) && positions.contains(&"b".to_owned()), "{positions:?}");

    replica.disconnect().await.unwrap();
    replica.edit(add("c")).await.unwrap();
    replica.connect(endpoint).await.unwrap();
    timeout(PATIENCE, replica.wait_until_synced()).await.expect("in time").unwrap();
    assert_eq!(server.positions().await.len(), 3);
    replica.close().await.unwrap();
    assert_eq!(server.metric("happierwork_refusals_total{reason=\"tls_handshake\"}"), 0.0);
}

#[tokio::test]
async fn self_signed_certificate_can_be_trusted() {
    let issued = self_signed(false);
    let folder = Arc::new(TempDir::new().unwrap());
    let files = issued.write(folder.path());
    let server = TestServer::start_in(folder, |options| options.tls = Some(files)).await;
    let endpoint = Endpoint::new(format!("wss://{}/sync", server.address));
    let home = TempDir::new().unwrap();
    let replica = open(&home, &server, endpoint.trust(issued.certificate.as_bytes()).unwrap()).await;
    timeout(PATIENCE, replica.wait_until_synced()).await.expect("in time").unwrap();
}

#[tokio::test]
async fn certificate_errors_are_explained() {
    let (ours, another) = (Authority::new("tests"), Authority::new("another"));
    for (issued, words) in [
        (another.issue(&["127.0.0.1"]), "not signed by a trusted authority"),
        (ours.issue(&["plan.example.com"]), "is not for 127.0.0.1, but for"),
        (ours.issue_expired(&["127.0.0.1"]), "expired on 2020-02-29"),
        (
            ours.issue_with(&["127.0.0.1"], |params| params.not_before = rcgen::date_time_ymd(3000, 1, 1)),
            "before 3000-01-01",
        ),
    ] {
        let said = untrusted(issued, &ours.pem).await;
        assert!(said.starts_with("the server cannot be trusted: ") && said.contains(words), "{said}");
    }
    let authority = self_signed(true);
    let trusted = authority.certificate.clone();
    let said = untrusted(authority, &trusted).await;
    assert!(said.contains("an authority's") && said.contains("CA:FALSE"), "{said}");
}

#[tokio::test]
async fn wrong_scheme_is_explained() {
    let authority = Authority::new("tests");
    let (encrypted, plain) = (server(&authority).await, TestServer::start().await);
    let said = problem(&encrypted, Endpoint::new(format!("ws://{}/sync", encrypted.address))).await.to_string();
    assert!(said.contains("400 Bad Request") && said.contains("wss:// instead of ws://"), "{said}");
    let endpoint = Endpoint::new(format!("wss://{}/sync", plain.address)).trust(authority.pem.as_bytes()).unwrap();
    let said = problem(&plain, endpoint).await.to_string();
    assert!(said.contains("does not speak TLS") && said.contains("ws://"), "{said}");
}
