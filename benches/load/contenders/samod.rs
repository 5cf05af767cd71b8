//! The minimal sync server that samod's documentation describes, with its own axum integration and file storage.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use samod::storage::TokioFilesystemStorage;
use samod::{AcceptorHandle, Repo, ShareConfig};
use tokio::net::TcpListener;

/// Serves the documents in this folder on `ws://LISTEN/` until the process is killed.
pub async fn serve(listen: SocketAddr, folder: PathBuf) -> io::Result<()> {
    let repo = Repo::build_tokio()
        .with_storage(TokioFilesystemStorage::new(folder))
        // A sync server answers requests for a document, and does not announce it to other peers.
        .with_share_policy(ShareConfig::read_write().with_announce(false))
        .load()
        .await;
    let url = format!("ws://{listen}/").parse().map_err(io::Error::other)?;
    let acceptor = repo.make_acceptor(url).map_err(io::Error::other)?;
    // Without Nagle's algorithm, like the other contenders.
    let listener = TcpListener::bind(listen).await?.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    axum::serve(listener, Router::new().route("/", get(upgrade)).with_state(acceptor)).await
}

async fn upgrade(State(acceptor): State<AcceptorHandle>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| {
        // Fails only after the repo was stopped, which does not happen here.
        let _ = acceptor.accept_axum(socket, None);
    })
}
