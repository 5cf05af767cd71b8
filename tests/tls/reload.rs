//! Certificates are replaced while the program runs.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::authority::{Authority, Issued};
use super::support::process::{Running, serve};
use super::support::{Socket, connect_to, encrypted, socket_to};

fn started(folder: &Path, issued: &Issued) -> (Running, SocketAddr) {
    let files = issued.write(folder);
    let mut command = serve(&folder.join("state.automerge"), &[]);
    command.arg("--tls-cert").arg(files.certificate).arg("--tls-key").arg(files.key);
    Running::server(command)
}

/// Whether new connections get this certificate.
async fn shows(address: SocketAddr, authority: &Authority, issued: &Issued) -> bool {
    let stream = encrypted(TcpStream::connect(address).await.unwrap(), &authority.client()).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    shown == CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()
}

async fn is_alive(socket: &mut Socket) {
    socket.send(super::support::add("Keeper of keys")).await;
    while socket.json().await["status"] != "Data processed" {}
}

#[tokio::test]
async fn reload_affects_only_new_connections() {
    let authority = Authority::new("tests");
    let (old, new) = (authority.issue(&["127.0.0.1"]), authority.issue(&["127.0.0.1"]));
    let folder = TempDir::new().unwrap();
    let (server, address) = started(folder.path(), &old);
    let client = authority.client();
    let url = format!("wss://{address}/ws/dashboard/");
    let mut socket = connect_to(&url, &[], Some(client.clone())).await;
    assert!(shows(address, &authority, &old).await);

    new.write(folder.path());
    assert!(shows(address, &authority, &old).await, "not before the signal");
    server.signal("HUP");
    server.until_logged("certificate reloaded");
    assert!(shows(address, &authority, &new).await);
    // Resuming an earlier session does not bypass the new certificate.
    let mut resumed = connect_to(&url, &[], Some(client)).await;
    for socket in [&mut socket, &mut resumed] {
        is_alive(socket).await;
    }

    // Unusable files are ignored: a key alone, a partially written file, a missing file.
    let files = super::authority::files(folder.path());
    fs::write(&files.key, &old.key).unwrap();
    server.signal("HUP");
    server.until_logged("certificate not reloaded");
    fs::write(&files.certificate, &old.certificate[..100]).unwrap();
    server.signal("HUP");
    server.until_logged("certificate not reloaded");
    fs::remove_file(&files.certificate).unwrap();
    server.signal("HUP");
    server.until_logged("certificate not reloaded");
    assert!(shows(address, &authority, &new).await);
    is_alive(&mut socket).await;

    old.write(folder.path());
    server.signal("HUP");
    server.until_logged("certificate reloaded");
    assert!(shows(address, &authority, &old).await);
    drop((socket, resumed));
    let ended = tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
    assert_eq!(ended.code, Some(0));
    assert!(ended.err.contains("made together") && ended.err.contains("cert.pem"), "{}", ended.err);
}

#[tokio::test]
async fn sighup_without_tls_is_harmless() {
    let folder = TempDir::new().unwrap();
    let (server, address) = Running::server(serve(&folder.path().join("state.automerge"), &[]));
    let mut socket = socket_to(address, "/ws/dashboard/").await;
    server.signal("HUP");
    server.until_logged("nothing to reload");
    is_alive(&mut socket).await;
    drop(socket);
    let ended = tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}
