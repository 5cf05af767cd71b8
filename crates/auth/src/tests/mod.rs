//! Tests of an authority on real files, with all kinds of valid and forged tokens.

mod files;
mod logins;
mod providers;
mod shared;
mod tokens;

use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// The time of all tests.
const NOW: i64 = 1_800_000_000;
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct horse";

/// A folder of keys and accounts.
struct Home {
    home: TempDir,
    folder: AuthFolder,
}

impl Home {
    /// A folder with one key.
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let folder = AuthFolder::create(home.path().join("auth")).unwrap();
        let home = Self { home, folder };
        home.new_key(NewKey::Ed25519);
        home
    }

    fn new_key(&self, kind: NewKey) -> String {
        self.folder.change_keys(|keys| Ok(keys.make(kind, NOW)?.id().to_owned())).unwrap()
    }

    fn options(&self) -> AuthOptions {
        AuthOptions {
            folder: Some(self.folder.path().to_owned()),
            session: Duration::from_secs(3_600),
            ..AuthOptions::default()
        }
    }

    fn open(&self) -> Authority {
        Authority::open(&self.options()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Adds an account with the password [`PASSWORD`].
    fn account(&self, name: &str, role: Role) {
        let account = Account::new(HashedPassword::new(PASSWORD).unwrap(), role, Documents::All);
        self.folder.change_accounts(|accounts| accounts.add(AccountName::new(name).unwrap(), account)).unwrap();
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Account)) {
        let name = AccountName::new(name).unwrap();
        self.folder.change_accounts(|accounts| accounts.account(&name).map(change)).unwrap();
    }

    /// A token of the newest key, valid for an hour.
    fn token(&self, user: &str) -> String {
        self.folder.keys().unwrap().issue(user, (Role::Editor, Documents::All), NOW, 3_600).unwrap().0
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only its owner may read.
    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn keys_json(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("keys.json")).unwrap()).unwrap()
    }

    /// Opens an authority that also accepts this provider's keys.
    fn with_provider(&self, keys: &[Value], adjust: impl FnOnce(&mut AuthOptions)) -> Result<Authority, AuthError> {
        let path = self.home.path().join("jwks.json");
        fs::write(&path, json!({ "keys": keys }).to_string()).unwrap();
        let mut options = AuthOptions { jwks: Some(path), ..self.options() };
        adjust(&mut options);
        Authority::open(&options)
    }
}

/// Signs tokens in tests.
enum Signer {
    Ed25519(Ed25519KeyPair),
    Hmac(Vec<u8>),
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Nobody,
}

impl Signer {
    /// Our own key with this index in keys.json.
    fn own(home: &Home, number: usize) -> (Self, String) {
        let key = home.keys_json()["keys"][number].clone();
        let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let signer = match key["alg"].as_str().unwrap() {
            "EdDSA" => Self::Ed25519(Ed25519KeyPair::from_seed_and_public_key(&part("d"), &part("x")).unwrap()),
            _ => Self::Hmac(part("k")),
        };
        (signer, key["kid"].as_str().unwrap().to_owned())
    }

    fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    fn ecdsa() -> Self {
        Self::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// The public key as a provider publishes it.
    fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": text(pair.public_key().as_ref()) })
            }
            Self::Ecdsa(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig",
                        "x": text(&point[..32]), "y": text(&point[32..]) })
            }
            Self::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "key_ops": ["verify"],
                        "n": text(n.big_endian_without_leading_zero()), "e": text(e.big_endian_without_leading_zero()) })
            }
            Self::Hmac(secret) => json!({ "kty": "oct", "kid": kid, "alg": "HS256", "k": text(secret) }),
            Self::Nobody => json!({ "kty": "none", "kid": kid }),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Hmac(_) => "HS256",
            Self::Ecdsa(_) => "ES256",
            Self::Rsa(_) => "RS256",
            Self::Nobody => "none",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Hmac(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
            Self::Ecdsa(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Nobody => Vec::new(),
        }
    }

    /// A token with exactly this header and these claims.
    fn token_of(&self, head: &Value, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes())))
    }

    /// A token with these claims that names this key.
    fn token(&self, kid: &str, claims: &Value) -> String {
        self.token_of(&json!({ "typ": "JWT", "alg": self.name(), "kid": kid }), &claims.to_string())
    }
}

/// Valid claims of ours with `changes`; `null` removes a claim.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "happierwork", "sub": "cfo", "role": "editor", "documents": "*", "exp": NOW + 60, "iat": NOW, "jti": "1",
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// Runs `run` and returns what it logs.
fn logged(run: impl FnOnce()) -> String {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, run);
    String::from_utf8(lines.0.lock().clone()).unwrap()
}
