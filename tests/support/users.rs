//! A folder with keys and accounts, created like an operator does, and tokens signed with them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use auth::AuthOptions;
use happierwork::server::Options;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use runtime::clock::now;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::TestServer;
use super::process::{program, run};

/// The folder of keys and accounts.
#[derive(Clone)]
pub struct Users {
    folder: Arc<TempDir>,
}

impl Users {
    /// Creates a folder with one key.
    pub fn new() -> Self {
        let users = Self { folder: Arc::new(TempDir::new().unwrap()) };
        users.run(&["key", "new"]);
        users
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("auth")
    }

    /// Runs a command of the program on the folder.
    pub fn run(&self, arguments: &[&str]) -> String {
        let path = self.path();
        let ended = run(&[arguments, &["--auth", path.to_str().unwrap()]].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
        ended.out.trim().to_owned()
    }

    /// Like [`run`](Self::run), with this standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> String {
        let path = self.path();
        let arguments = [arguments, &["--auth", path.to_str().unwrap()]].concat();
        let mut child =
            program(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{input}").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A token for `documents`: `*`, or comma-separated ids.
    pub fn token(&self, user: &str, role: &str, documents: &str) -> String {
        self.run(&["token", "--user", user, "--role", role, "--documents", documents])
    }

    /// Signs arbitrary claims with the newest key.
    pub fn sign(&self, claims: &Value) -> String {
        let keys: Value = serde_json::from_slice(&std::fs::read(self.path().join("keys.json")).unwrap()).unwrap();
        let key = keys["keys"].as_array().unwrap().last().unwrap();
        let seed = base64(key["d"].as_str().unwrap());
        // PKCS #8 of an Ed25519 key (RFC 8410): a fixed header, then the key.
        let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = key["kid"].as_str().map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(&[&head[..], &seed].concat())).unwrap()
    }

    /// A token that expired an hour ago.
    pub fn expired(&self, user: &str, role: &str, documents: &str) -> String {
        let documents = if documents == "*" { json!("*") } else { documents.split(',').collect() };
        let (issued, expired) = (now() - 7_200, now() - 3_600);
        self.sign(&json!({
            "iss": "happierwork", "sub": user, "role": role, "documents": documents, "iat": issued, "exp": expired,
        }))
    }

    /// Adjusts the server's options to use this folder.
    pub fn known(&self) -> impl FnOnce(&mut Options) {
        let folder = Some(self.path());
        move |options| {
            let session = Duration::from_secs(3_600);
            options.auth = Some(AuthOptions { folder, session, ..AuthOptions::default() });
        }
    }

    /// Starts a server with these users.
    pub async fn server(&self) -> TestServer {
        TestServer::start_in(Arc::new(TempDir::new().unwrap()), self.known()).await
    }
}

/// Base64 for URLs, without padding.
fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

/// The `Authorization` header with a token.
pub fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

/// Files with this ending in a folder of documents.
pub fn beside(documents: &Path, ending: &str) -> Vec<String> {
    let names = std::fs::read_dir(documents).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(ending)).collect()
}
