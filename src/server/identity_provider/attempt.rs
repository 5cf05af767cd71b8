//! A login between its redirect to the provider and back. The browser keeps it in a cookie: the request that comes back must be from
//! the browser that began, and any server of a cluster may answer it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Time for a login at the provider, in seconds.
pub(super) const LIFETIME: u64 = 900;
/// Random bytes of each value.
const RANDOM: usize = 32;

/// The random values of a login.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Returns in the provider's redirect (RFC 6749, section 10.12).
    pub(super) state: String,
    /// Returns in the ID token (OpenID Connect Core, section 15.5.2).
    pub(super) nonce: String,
    /// Proves to the provider that who exchanges the code is who began (RFC 7636).
    pub(super) verifier: String,
}

impl Attempt {
    pub(super) fn new() -> Self {
        let random = || BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; RANDOM]>());
        Self { state: random(), nonce: random(), verifier: random() }
    }

    /// The verifier's hash (RFC 7636, section 4.2).
    pub(super) fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))
    }

    /// The value of the cookie.
    pub(super) fn to_cookie(&self) -> String {
        [&*self.state, &*self.nonce, &*self.verifier].join(".")
    }

    /// Reads the value of the cookie.
    pub(super) fn from_cookie(value: &str) -> Option<Self> {
        let parts: Vec<&str> = value.split('.').collect();
        let [state, nonce, verifier] = parts.try_into().ok()?;
        let is_random = |text: &&str| BASE64_URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == RANDOM);
        [state, nonce, verifier].iter().all(is_random).then(|| Self {
            state: state.to_owned(),
            nonce: nonce.to_owned(),
            verifier: verifier.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempt_survives_the_cookie() {
        let attempt = Attempt::new();
        assert_eq!(Attempt::from_cookie(&attempt.to_cookie()), Some(attempt));
        assert_ne!(Attempt::new(), Attempt::new());
        for bad in ["", "a.b.c", "..", &Attempt::new().to_cookie()[1..], &format!("{}.x", Attempt::new().to_cookie())] {
            assert_eq!(Attempt::from_cookie(bad), None, "{bad}");
        }
    }

    #[test]
    fn challenge_is_that_of_the_specification() {
        // RFC 7636, appendix B.
        let attempt = Attempt {
            state: String::new(),
            nonce: String::new(),
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned(),
        };
        assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
