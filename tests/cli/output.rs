//! Standard output and standard error that cannot be written: a full disk, or a pipe without a reader.

use std::fs::OpenOptions;
use std::io::pipe;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};

use super::support::ports::free_port;
use super::support::process::{FIXTURES, folder, imported, program, serve};
use super::support::{PATIENCE, http_to};

/// A disk without any room.
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reader is closed.
fn closed() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

const UNWRITABLE: [fn() -> Stdio; 2] = [full, closed];

/// Waits until the server listens.
async fn until_up(server: &mut Child, address: SocketAddr) {
    let up = async {
        while TcpStream::connect(address).is_err() {
            let ended = server.try_wait().unwrap();
            assert_eq!(ended, None, "the server has ended");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, up).await.expect("it listens in time");
}

#[tokio::test]
async fn server_runs_with_unwritable_output() {
    for unwritable in UNWRITABLE {
        for format in ["text", "json"] {
            let folder = folder();
            let state = imported(folder.path());
            // A server without output cannot print its address.
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            let mut command = serve(&state, &["--log", "debug", "--log-format", format]);
            command.arg("--listen").arg(address.to_string()).stdout(unwritable()).stderr(unwritable());
            let mut server = command.spawn().unwrap();
            until_up(&mut server, address).await;
            let (status, _, answer) = http_to(address, "GET", "/readyz", &[], String::new()).await;
            assert_eq!((status, answer.as_str()), (200, "ok\n"));
            let killed = std::process::Command::new("kill").arg("-TERM").arg(server.id().to_string()).status().unwrap();
            assert!(killed.success());
            assert_eq!(server.wait().unwrap().code(), Some(0), "it exits normally");
        }
    }
}

#[test]
fn command_reports_unwritable_output() {
    let folder = folder();
    let state = imported(folder.path());
    let (state, auth) = (state.to_str().unwrap(), folder.path().join("auth"));
    let auth = auth.to_str().unwrap();
    for unwritable in UNWRITABLE {
        for arguments in [
            &["key", "new", "--auth", auth][..],
            &["key", "list", "--auth", auth],
            &["key", "export", "--auth", auth],
            &["token", "--user", "ceo", "--role", "viewer", "--documents", "*", "--auth", auth],
            &["user", "list", "--auth", auth],
            &["check", state],
            &["export", "--state", state],
            &["document", "list", "--state", state],
            &["document", "list", "--state", state, "--json"],
            &["check", state, "--json"],
            &["user", "list", "--auth", auth, "--json"],
        ] {
            let output = program(arguments).stdout(unwritable()).stderr(Stdio::piped()).output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
            assert!(error.contains("standard output could not be written"), "{arguments:?}: {error}");
            // The error output may be unwritable, too.
            let output = program(arguments).stdout(unwritable()).stderr(unwritable()).status().unwrap();
            assert_eq!(output.code(), Some(1), "{arguments:?}");
        }
    }
}

#[test]
fn command_reports_a_change_despite_unwritable_output() {
    let data = format!("{FIXTURES}/positions.json");
    for unwritable in UNWRITABLE {
        let folder = folder();
        let state = folder.path().join("state.automerge");
        let arguments = ["import", &data, "--state", state.to_str().unwrap()];
        let output = program(&arguments).stdout(unwritable()).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("60 positions are imported, but standard output could not be written"), "{error}");
    }
}
