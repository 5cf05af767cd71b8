//! Servers that dial others over TLS.

use std::sync::Arc;
use std::time::Duration;

use happierwork::server::PeerOptions;
use runtime::hub::Requester;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::authority::{Authority, server};
use super::support::{PATIENCE, TestServer};

/// A server that dials another one, and trusts this authority.
async fn dialler(other: &TestServer, trusted: &Authority) -> TestServer {
    let folder = Arc::new(TempDir::new().unwrap());
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, &trusted.pem).unwrap();
    let peer = PeerOptions { authorities: Some(file), ..PeerOptions::new(other.url("/sync")) };
    TestServer::start_in(folder, |options| options.peers = vec![peer]).await
}

fn connected(other: &TestServer) -> String {
    format!("happierwork_peering_connected{{peer=\"{}\"}}", other.address)
}

#[tokio::test]
async fn peer_with_a_trusted_certificate_is_kept_in_step() {
    let authority = Authority::new("tests");
    let other = server(&authority).await;
    let ours = dialler(&other, &authority).await;
    ours.until_metric(&connected(&other), |up| up == 1.0).await;
    // The default document arrives whole: the frames of a large message are encrypted and masked.
    ours.import(include_bytes!("../fixtures/legacy/positions.json")).await;
    let wanted = ours.content(&ours.document).await;
    let arrived = async {
        while other.app.hub.list(&Requester::server()).await.unwrap().len() < 2
            || other.content(&ours.document).await != wanted
        {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, arrived).await.expect("in time");
}

#[tokio::test]
async fn peer_with_an_untrusted_certificate_gets_nothing() {
    let other = server(&Authority::new("tests")).await;
    let ours = dialler(&other, &Authority::new("others")).await;
    other.until_metric("happierwork_refusals_total{reason=\"tls_handshake\"}", |refused| refused >= 1.0).await;
    assert_eq!(ours.metric(&connected(&other)), 0.0);
}
