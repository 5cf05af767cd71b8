//! Passwords: how they are kept, and how they are looked at.
//!
//! Whoever guesses pays for every guess with memory and time, and so does the server. What it costs must not tell whether there is
//! such an account: so a guess at one that is not there is hashed as well.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::{Output, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use serde::{Deserialize, Serialize};

use super::AuthError;

/// Characters in a password, at the least.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// Bytes in a password, at the most.
pub const MAX_PASSWORD: usize = 1_024;

/// What one hash takes: argon2id with 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// What a hash in users.json may take, at the most: whoever may write there must not stop the server with it.
const MOST_MEMORY_KIB: u32 = 256 * 1_024;
const MOST_PASSES: u32 = 10;
const MOST_LANES: u32 = 4;

/// Why a text is no password for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password has at least {MIN_PASSWORD_CHARS} characters, and at most {MAX_PASSWORD} bytes")]
pub struct InvalidPassword;

/// A hash as it is kept: a PHC string (`$argon2id$v=19$m=19456,t=2,p=1$…`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HashedPassword(PasswordHash);

impl HashedPassword {
    /// Hashes a new password.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub fn new(password: &str) -> Result<Self, AuthError> {
        if password.chars().count() < MIN_PASSWORD_CHARS || password.len() > MAX_PASSWORD {
            return Err(InvalidPassword.into());
        }
        let salt: [u8; 16] = rand::random();
        let hash = hasher().hash_password_with_salt(password.as_bytes(), &salt);
        hash.map(Self).map_err(|_| AuthError::Crypto("hashing the password"))
    }

    /// What a guess at an account that is not there is held against. Nothing hashes to it in practice, and if something did it would
    /// not count.
    fn nobody() -> Option<Self> {
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

/// Never shown: not in a log, not in an error.
impl fmt::Debug for HashedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedPassword")
    }
}

/// Why a text in users.json is no hash. It does not say the text.
#[derive(Debug, thiserror::Error)]
#[error("the password is not an argon2id hash of acceptable cost; set it with `happierwork user passwd`")]
pub struct InvalidHash;

impl TryFrom<String> for HashedPassword {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, InvalidHash> {
        let hash = Self(PasswordHash::new(&text).map_err(|_| InvalidHash)?);
        let (memory, passes, lanes) = hash.cost().ok_or(InvalidHash)?;
        let whole = hash.0.algorithm == ARGON2ID_IDENT && hash.0.salt.is_some() && hash.0.hash.is_some();
        let bearable = memory <= MOST_MEMORY_KIB && passes <= MOST_PASSES && lanes <= MOST_LANES;
        if whole && bearable { Ok(hash) } else { Err(InvalidHash) }
    }
}

impl From<HashedPassword> for String {
    fn from(hash: HashedPassword) -> Self {
        hash.0.to_string()
    }
}

fn hasher() -> Argon2<'static> {
    // These are the crate's own defaults, too, should it ever find ours impossible.
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Looks at guesses.
#[derive(Debug)]
pub(super) struct Verifier {
    nobody: Option<HashedPassword>,
    /// KiB that were filled for all guesses so far, each as often as there were passes.
    work: AtomicU64,
}

impl Verifier {
    pub(super) fn new() -> Self {
        Self { nobody: HashedPassword::nobody(), work: AtomicU64::new(0) }
    }

    /// Whether this is the password. `None`: there is no such account; the same work is done, and the answer is no.
    pub(super) fn is_right(&self, password: &str, expected: Option<&HashedPassword>) -> bool {
        let Some(hash) = expected.or(self.nobody.as_ref()) else { return false };
        if let Some((memory, passes, _)) = hash.cost() {
            self.work.fetch_add(u64::from(memory) * u64::from(passes), Ordering::Relaxed);
        }
        let matches = hasher().verify_password(password.as_bytes(), &hash.0).is_ok();
        matches && expected.is_some()
    }

    /// See the field.
    #[cfg(test)]
    pub(super) fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_password_is_right_and_no_other() {
        let verifier = Verifier::new();
        let hash = HashedPassword::new("correct horse").expect("long enough");
        assert!(verifier.is_right("correct horse", Some(&hash)));
        for wrong in ["correct horsf", "correct hors", "correct horse ", "Correct horse", ""] {
            assert!(!verifier.is_right(wrong, Some(&hash)), "{wrong}");
        }
    }

    #[test]
    fn a_guess_at_nobody_takes_what_a_guess_at_somebody_takes_and_is_never_right() {
        let verifier = Verifier::new();
        let hash = HashedPassword::new("correct horse").expect("long enough");
        verifier.is_right("wrong password", Some(&hash));
        let at_somebody = verifier.work();
        assert_eq!(at_somebody, 19 * 1_024 * 2);
        assert!(!verifier.is_right("wrong password", None));
        assert_eq!(verifier.work(), at_somebody * 2);
    }

    #[test]
    fn a_hash_is_written_and_read_as_a_phc_string_with_a_salt_of_its_own() {
        let [one, two] = [(), ()].map(|()| HashedPassword::new("correct horse").expect("long enough"));
        assert_ne!(one, two);
        let text = serde_json::to_string(&one).expect("JSON");
        assert!(text.starts_with("\"$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        assert_eq!(serde_json::from_str::<HashedPassword>(&text).expect("a hash"), one);
        assert_eq!(format!("{one:?}"), "HashedPassword");
    }

    #[test]
    fn passwords_are_neither_short_nor_endless() {
        for bad in ["", "1234567", "ééééééé", &"x".repeat(1_025)] {
            assert!(matches!(HashedPassword::new(bad), Err(AuthError::Password(InvalidPassword))));
        }
        assert!(HashedPassword::new(&"é".repeat(8)).is_ok());
        assert!(HashedPassword::new(&"x".repeat(1_024)).is_ok());
    }

    #[test]
    fn what_is_no_hash_or_would_take_too_much_is_not_read() {
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
