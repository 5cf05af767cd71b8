//! The first start of a container: everything below one folder, the first owner from a secret, and the health check.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::support::http::{post_to, request_over};
use super::support::process::{Ended, Running, folder, names, program, refused, run, run_with};

const PASSWORD: &str = "correct horse battery";

/// A command with the variables of a container.
fn in_container(arguments: &[&str], home: &Path) -> Command {
    let mut command = program(arguments);
    command.current_dir(home).env("HAPPIERWORK_DATA_DIR", home.join("data"));
    command
}

fn ended(mut command: Command) -> Ended {
    command.output().unwrap().into()
}

/// The port of a server that listens on all addresses.
fn local(address: SocketAddr) -> SocketAddr {
    ([127, 0, 0, 1], address.port()).into()
}

#[tokio::test]
async fn first_start_makes_folder_key_and_owner() {
    let home = folder();
    let secret = home.path().join("secret");
    fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    let start = || {
        let mut command = in_container(&["--listen", "0.0.0.0:0"], home.path());
        command.env("HAPPIERWORK_OWNER", "ceo@example.com").env("HAPPIERWORK_OWNER_PASSWORD_FILE", &secret);
        Running::server(command)
    };
    let credentials = json!({ "email": "ceo@example.com", "password": PASSWORD });
    let (server, address) = start();
    let (status, session) = post_to(local(address), "/accounts/api/login/", &credentials).await;
    assert_eq!((status, &session["role"]), (200, &json!("owner")));
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(names(&home.path().join("data")), ["auth", "documents", "state.automerge", "state.automerge.lock"]);
    assert_eq!(names(home.path()), ["data", "secret"]);

    // Later starts do not need the secret.
    fs::remove_file(&secret).unwrap();
    let (server, address) = start();
    let (status, _) = post_to(local(address), "/accounts/api/login/", &credentials).await;
    assert_eq!(status, 200);
    assert_eq!(server.stop().code, Some(0));
    let listed = ended(in_container(&["user", "list"], home.path()));
    assert!(listed.out.contains("ceo@example.com  owner"), "{listed:?}");
}

#[tokio::test]
async fn link_creates_the_first_account_once() {
    let home = folder();
    let start = || Running::server(in_container(&["--listen", "0.0.0.0:0"], home.path()));
    let (mut server, address) = start();
    let code = server.until(|line| Some(line.split_once("#setup=")?.1.split_once(' ')?.0.to_owned()));
    let set_up = async |code: &str, name: &str, password: &str| {
        let account = json!({ "code": code, "name": name, "password": password });
        let stream = tokio::net::TcpStream::connect(local(address)).await.unwrap();
        let headers = [("content-type", "application/json")];
        request_over(stream, local(address), "POST", "/api/setup", &headers, account.to_string()).await
    };
    set_up("guess", "ceo", PASSWORD).await.problem(403);
    assert_eq!(set_up(&code, "ceo", "short").await.problem(422), "password");
    assert_eq!(set_up(&code, " ", PASSWORD).await.problem(422), "name");
    set_up(&code, "ceo", PASSWORD).await.expect(204);
    set_up(&code, "cfo", PASSWORD).await.problem(403);
    let credentials = json!({ "email": "ceo", "password": PASSWORD });
    let (status, session) = post_to(local(address), "/accounts/api/login/", &credentials).await;
    assert_eq!((status, &session["role"]), (200, &json!("owner")));
    assert_eq!(server.stop().code, Some(0));
    let (server, _) = start();
    assert!(!server.stop().out.contains("#setup="));
}

#[test]
fn flags_win_over_the_data_folder() {
    let home = folder();
    let (server, _) =
        Running::server(in_container(&["--listen", "127.0.0.1:0", "--state", "other.automerge"], home.path()));
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(names(home.path()), ["data", "other.automerge", "other.automerge.lock"]);
    assert_eq!(names(&home.path().join("data")), ["documents"]);
}

#[tokio::test]
async fn accounts_in_the_data_folder_are_required() {
    let home = folder();
    let data = home.path().join("data");
    let listen = ["--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
    let new_plan = json!({ "name": "Plan" });
    // Without accounts, a server on a loopback address asks nobody who they are.
    let (server, address) = Running::server(program(&listen));
    assert_eq!(post_to(address, "/api/documents", &new_plan).await.0, 201);
    assert_eq!(server.stop().code, Some(0));
    let added = run_with(&["user", "add", "ceo", "--role", "owner", "--data-dir", data.to_str().unwrap()], PASSWORD);
    assert_eq!(added.code, Some(0), "{}", added.err);
    let (server, address) = Running::server(program(&listen));
    assert_eq!(post_to(address, "/api/documents", &new_plan).await.0, 401);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn owner_needs_a_password_and_a_place() {
    let home = folder();
    let secret = home.path().join("secret");
    let incomplete = ended(in_container(&["--owner", "ceo"], home.path()));
    assert_eq!(incomplete.code, Some(2), "{}", incomplete.err);
    let owner = ["--listen", "127.0.0.1:0", "--owner", "ceo", "--owner-password-file", secret.to_str().unwrap()];
    assert!(refused(program(&owner)).err.contains("--owner adds an account"));
    let fails = |reason: &str| {
        let started = ended(in_container(&owner, home.path()));
        assert!(started.code == Some(1) && started.err.contains(reason), "{started:?}");
    };
    fails("secret cannot be read");
    fs::write(&secret, "short").unwrap();
    fails("at least 8 characters");
}

#[test]
fn health_is_that_of_the_server() {
    let home = folder();
    let (server, address) = Running::server(in_container(&["--listen", "0.0.0.0:0", "--open"], home.path()));
    let listen = format!("0.0.0.0:{}", address.port());
    let mut command = in_container(&["health"], home.path());
    let healthy = ended({
        command.env("HAPPIERWORK_LISTEN", &listen);
        command
    });
    assert_eq!((healthy.code, &*healthy.out), (Some(0), "ok\n"), "{}", healthy.err);
    // Without TLS at the other end.
    let certificate = home.path().join("certificate.pem");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&certificate, made.cert.pem()).unwrap();
    let ended = run(&["health", "--listen", &listen, "--tls-cert", certificate.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("the TLS connection to"), "{}", ended.err);
    assert_eq!(server.stop().code, Some(0));
    let ended = run(&["health", "--listen", &listen]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("nothing answers at 127.0.0.1:"), "{}", ended.err);
}

#[test]
fn health_over_tls_requires_the_certificate_in_use() {
    let home = folder();
    let write = |name: &str| {
        let made = rcgen::generate_simple_self_signed(["plan.example.com".to_owned()]).unwrap();
        let (certificate, key) = (home.path().join(format!("{name}.pem")), home.path().join(format!("{name}.key")));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned())
    };
    let ((certificate, key), (other, _)) = (write("used"), write("other"));
    let tls = ["--listen", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key];
    let (server, address) = Running::server(in_container(&tls, home.path()));
    let health = |more: &[&str]| run(&[&["health", "--listen", &address.to_string()], more].concat());
    assert_eq!(health(&["--tls-cert", &certificate]).code, Some(0));
    assert!(health(&["--tls-cert", &other]).err.contains("must be the certificate in use"));
    let plain = health(&[]);
    assert!(plain.err.contains("requires TLS"), "{}", plain.err);
    assert_eq!(server.stop().code, Some(0));
}
