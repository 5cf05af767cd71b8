//! Certificates and keys that prevent a start: the error names the file and the remedy.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::authority::{Authority, files};
use super::support::TestServer;
use super::support::process::{Running, program, refused, serve};

fn with_files(folder: &Path) -> std::process::Command {
    let files = files(folder);
    let mut command = serve(&folder.join("state.automerge"), &[]);
    command.arg("--tls-cert").arg(files.certificate).arg("--tls-key").arg(files.key);
    command
}

#[test]
fn invalid_files_are_reported_with_a_remedy() {
    let authority = Authority::new("tests");
    let (one, other) = (authority.issue(&["127.0.0.1"]), authority.issue(&["127.0.0.1"]));
    let damaged = one.certificate.replace("-----END CERTIFICATE-----", "");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
                         -----END RSA PRIVATE KEY-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (certificate, key, file, remedy) in [
        (&*one.key, &*one.key, "cert.pem", "-----BEGIN CERTIFICATE-----"),
        ("", &one.key, "cert.pem", "there is no certificate in"),
        (&damaged, &one.key, "cert.pem", "a whole PEM file"),
        (no_certificate, &one.key, "cert.pem", "the server's own"),
        (&one.certificate, &one.certificate, "key.pem", "-----BEGIN PRIVATE KEY-----"),
        (&one.certificate, encrypted, "key.pem", "openssl pkey"),
        (&one.certificate, old_encrypted, "key.pem", "openssl pkey"),
        (&one.certificate, no_key, "key.pem", "Ed25519"),
        (&one.certificate, &other.key, "key.pem", "made together"),
        (&format!("{}{}", authority.pem, one.certificate), &one.key, "cert.pem", "comes before"),
    ] {
        let folder = TempDir::new().unwrap();
        let files = files(folder.path());
        fs::write(&files.certificate, certificate).unwrap();
        fs::write(&files.key, key).unwrap();
        let ended = refused(with_files(folder.path()));
        let file = folder.path().join(file);
        assert!(ended.err.contains(file.to_str().unwrap()) && ended.err.contains(remedy), "{}", ended.err);
        assert!(!folder.path().join("state.automerge").exists(), "nothing is made");
    }
}

#[test]
fn missing_file_is_named() {
    let folder = TempDir::new().unwrap();
    let files = Authority::new("tests").issue(&["127.0.0.1"]).write(folder.path());
    for (file, flag) in [(files.key, "--tls-key"), (files.certificate, "--tls-cert")] {
        fs::remove_file(&file).unwrap();
        let ended = refused(with_files(folder.path()));
        assert!(ended.err.contains(file.to_str().unwrap()) && ended.err.contains(flag), "{}", ended.err);
    }
}

#[test]
fn certificate_without_key_is_a_flag_error() {
    for (flag, other) in [("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert")] {
        let ended = program(&[flag, "file.pem"]).output().unwrap();
        assert_eq!(ended.status.code(), Some(2));
        assert!(String::from_utf8(ended.stderr).unwrap().contains(other));
    }
    let mut command = program(&[]);
    let ended = command.env("HAPPIERWORK_TLS_CERT", "file.pem").output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
}

#[test]
fn chains_and_combined_files_are_accepted() {
    let authority = Authority::new("tests");
    let one = authority.issue(&["127.0.0.1"]);
    let folder = TempDir::new().unwrap();
    let both = format!("{}{}{}", one.key, one.certificate, authority.pem);
    let file = folder.path().join("both.pem");
    fs::write(&file, both).unwrap();
    let mut command = serve(&folder.path().join("state.automerge"), &[]);
    command.env("HAPPIERWORK_TLS_CERT", &file).env("HAPPIERWORK_TLS_KEY", &file);
    let (server, address) = Running::server(command);
    let ended = server.stop();
    assert!(ended.out.contains(&format!("listening https://{address}/  (wss://{address}/sync)\n")), "{}", ended.out);
    assert_eq!(ended.code, Some(0));
}

#[tokio::test]
async fn metric_tells_when_the_certificate_expires() {
    let folder = Arc::new(TempDir::new().unwrap());
    let files = Authority::new("tests").issue_expired(&["127.0.0.1"]).write(folder.path());
    let server = TestServer::start_in(folder, |options| options.tls = Some(files)).await;
    // 2020-02-29
    let expected = 1_582_934_400.0;
    server.until_metric("happierwork_certificate_expiry_timestamp_seconds", |expiry| expiry == expected).await;
}
