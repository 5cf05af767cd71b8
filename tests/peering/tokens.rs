//! The token that is sent to another server.

use happierwork::server::PeerOptions;

use super::support::process::{Running, serve};
use super::{add, connected, create, dial, metric, server, until_positions};
use crate::support::process::folder;
use crate::support::users::Users;

#[tokio::test]
async fn token_is_read_again_when_its_file_changes() {
    let users = Users::new();
    let other = users.server().await;
    let file = users.path().join("peer-token");
    std::fs::write(&file, "wrong").unwrap();
    let peer = PeerOptions { token_file: Some(file.clone()), ..dial(&other) };
    let ours = server(|options| options.peers = vec![peer]).await;
    other.until_metric("happierwork_refusals_total{reason=\"unauthorized\"}", |refused| refused >= 1.0).await;
    assert_eq!(ours.metric(&metric("connected", &other)), 0.0);

    std::fs::write(&file, users.token("branch", "editor", "*")).unwrap();
    connected(&ours, &other).await;
    assert_eq!(other.metric("happierwork_refusals_total{reason=\"unauthorized\"}"), 1.0, "it is not dialled in a loop");
    let plan = create(&ours).await;
    until_positions(&other, &plan, &[]).await;
    add(&other, &plan, "theirs").await;
    until_positions(&ours, &plan, &["theirs"]).await;
}

#[tokio::test]
async fn refused_token_is_logged_with_the_reason_and_never_shown() {
    let users = Users::new();
    let other = users.server().await;
    let home = folder();
    let file = home.path().join("token");
    std::fs::write(&file, "sesame-secret").unwrap();
    let url = format!("ws://{}/sync", other.address);
    let flags = ["--peer", &url, "--peer-token-file", file.to_str().unwrap(), "--log", "trace"];
    let ended = tokio::task::spawn_blocking({
        let command = serve(&home.path().join("state.automerge"), &flags);
        move || {
            let (running, _) = Running::server(command);
            running.until_logged("a peer is not connected; check its settings");
            running.stop()
        }
    });
    let ended = ended.await.unwrap();
    let line = ended.err.lines().find(|line| line.contains("check its settings")).unwrap();
    assert!(line.contains("the server refused: ") && line.contains("(close code 4401)"), "{line}");
    assert!(line.contains(&other.address.to_string()), "{line}");
    assert!(!ended.err.contains("sesame"), "{}", ended.err);
}
