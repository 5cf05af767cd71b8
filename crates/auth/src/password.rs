//! Passwords: hashing and verification.
//!
//! Every guess costs memory and time. The cost must not reveal whether an account exists, so a guess for an unknown
//! account is hashed as well.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::{Output, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use serde::{Deserialize, Serialize};

use super::AuthError;

/// Fewest characters of a password.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// Most bytes of a password.
pub const MAX_PASSWORD: usize = 1_024;

/// Cost of one hash: argon2id with 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Highest accepted cost of a hash in users.json: an expensive one could stall the server.
const MOST_MEMORY_KIB: u32 = 256 * 1_024;
const MOST_PASSES: u32 = 10;
const MOST_LANES: u32 = 4;

/// Why a text is not acceptable as a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password has at least {MIN_PASSWORD_CHARS} characters, and at most {MAX_PASSWORD} bytes")]
pub struct InvalidPassword;

/// A stored hash: a PHC string (`$argon2id$v=19$m=19456,t=2,p=1$…`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HashedPassword(PasswordHash);

impl HashedPassword {
    /// Hashes a new password.
    ///
    /// # Errors
    /// When the password is too short or too long.
    pub fn new(password: &str) -> Result<Self, AuthError> {
        if password.chars().count() < MIN_PASSWORD_CHARS || password.len() > MAX_PASSWORD {
            return Err(InvalidPassword.into());
        }
        let salt: [u8; 16] = rand::random();
        let hash = hasher().hash_password_with_salt(password.as_bytes(), &salt);
        hash.map(Self).map_err(|_| AuthError::Crypto("hashing the password"))
    }

    /// The hash that guesses for unknown accounts are compared with. Nothing hashes to it in practice, and a match
    /// would not count.
    pub(super) fn placeholder() -> Option<Self> {
        let params = hasher().params().try_into().ok()?;
        let (salt, hash) = (Salt::new(&[0; 16]).ok()?, Output::new(&[0; 32]).ok()?);
        let version = Some(Version::V0x13.into());
        Some(Self(PasswordHash { algorithm: ARGON2ID_IDENT, version, params, salt: Some(salt), hash: Some(hash) }))
    }

    fn cost(&self) -> Option<(u32, u32, u32)> {
        let params = Params::try_from(&self.0).ok()?;
        Some((params.m_cost(), params.t_cost(), params.p_cost()))
    }
}

/// Hides the hash from logs and errors.
impl fmt::Debug for HashedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedPassword")
    }
}

/// Why a text in users.json is not an acceptable hash. Does not contain the text.
#[derive(Debug, thiserror::Error)]
#[error("the password is not an argon2id hash of acceptable cost; set it with `happierwork user passwd`")]
pub struct InvalidHash;

impl TryFrom<String> for HashedPassword {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, InvalidHash> {
        let hash = Self(PasswordHash::new(&text).map_err(|_| InvalidHash)?);
        let (memory, passes, lanes) = hash.cost().ok_or(InvalidHash)?;
        let whole = hash.0.algorithm == ARGON2ID_IDENT && hash.0.salt.is_some() && hash.0.hash.is_some();
        let affordable = memory <= MOST_MEMORY_KIB && passes <= MOST_PASSES && lanes <= MOST_LANES;
        if whole && affordable { Ok(hash) } else { Err(InvalidHash) }
    }
}

impl From<HashedPassword> for String {
    fn from(hash: HashedPassword) -> Self {
        hash.0.to_string()
    }
}

fn hasher() -> Argon2<'static> {
    // These equal the crate's defaults, so falling back to those changes nothing.
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Verifies passwords.
#[derive(Debug)]
pub(super) struct Verifier {
    placeholder: Option<HashedPassword>,
    /// Argon2 work so far: KiB filled, times passes.
    work: AtomicU64,
}

impl Verifier {
    pub(super) fn new() -> Self {
        Self { placeholder: HashedPassword::placeholder(), work: AtomicU64::new(0) }
    }

    /// Whether this is the password. Without an account (`None`) it does the same work and returns false.
    pub(super) fn is_right(&self, password: &str, expected: Option<&HashedPassword>) -> bool {
        let Some(hash) = expected.or(self.placeholder.as_ref()) else { return false };
        if let Some((memory, passes, _)) = hash.cost() {
            self.work.fetch_add(u64::from(memory) * u64::from(passes), Ordering::Relaxed);
        }
        let matches = hasher().verify_password(password.as_bytes(), &hash.0).is_ok();
        matches && expected.is_some()
    }

    /// Argon2 work so far.
    #[cfg(test)]
    pub(super) fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_verifies() {
        let verifier = Verifier::new();
        let hash = HashedPassword::new("correct horse").expect("long enough");
        assert!(verifier.is_right("correct horse", Some(&hash)));
        for wrong in ["correct horsf", "correct hors", "correct horse ", "Correct horse", ""] {
            assert!(!verifier.is_right(wrong, Some(&hash)), "{wrong}");
        }
    }

    #[test]
    fn unknown_account_costs_the_same_and_never_matches() {
        let verifier = Verifier::new();
        let hash = HashedPassword::new("correct horse").expect("long enough");
        verifier.is_right("wrong password", Some(&hash));
        let known_account = verifier.work();
        assert_eq!(known_account, 19 * 1_024 * 2);
        assert!(!verifier.is_right("wrong password", None));
        assert_eq!(verifier.work(), known_account * 2);
    }

    #[test]
    fn hashes_are_salted_phc_strings() {
        let [one, two] = [(), ()].map(|()| HashedPassword::new("correct horse").expect("long enough"));
        assert_ne!(one, two);
        let text = serde_json::to_string(&one).expect("JSON");
        assert!(text.starts_with("\"$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        assert_eq!(serde_json::from_str::<HashedPassword>(&text).expect("a hash"), one);
        assert_eq!(format!("{one:?}"), "HashedPassword");
    }

    #[test]
    fn short_and_long_passwords_are_rejected() {
        for bad in ["", "1234567", "ééééééé", &"x".repeat(1_025)] {
            assert!(matches!(HashedPassword::new(bad), Err(AuthError::Password(InvalidPassword))));
        }
        assert!(HashedPassword::new(&"é".repeat(8)).is_ok());
        assert!(HashedPassword::new(&"x".repeat(1_024)).is_ok());
    }

    #[test]
    fn malformed_and_expensive_hashes_are_rejected() {
        let tail = "$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let read = |head: &str| HashedPassword::try_from(format!("{head}{tail}")).is_ok();
        assert!(read("$argon2id$v=19$m=19456,t=2,p=1"));
        for bad in [
            "",
            "secret",
            "$argon2i$v=19$m=19456,t=2,p=1",
            "$argon2id$v=19$m=4194304,t=2,p=1",
            "$argon2id$v=19$m=19456,t=4000000,p=1",
            "$argon2id$v=19$m=19456,t=2,p=64",
        ] {
            assert!(!read(bad), "{bad}");
        }
        assert!(HashedPassword::try_from("$argon2id$v=19$m=19456,t=2,p=1".to_owned()).is_err(), "no salt, no hash");
    }
}
