//! The keys by which tokens are signed and verified: our own in keys.json, and those of a provider.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::key::{NewKey, OwnKey, SigningKey, VerifyingKey};
use super::{AuthError, foreign};

/// Our own keys, as in keys.json: a JWK set with private parts, in the order in which they were made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OwnKeys {
    keys: Vec<OwnKey>,
}

impl OwnKeys {
    /// All, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &OwnKey> {
        self.keys.iter()
    }

    /// The one that signs: the newest; of several of one second, the one that was made last.
    #[must_use]
    pub fn newest(&self) -> Option<&OwnKey> {
        self.keys.iter().max_by_key(|key| key.created)
    }

    /// Makes another one, which signs from now on.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn make(&mut self, kind: NewKey, now: i64) -> Result<&OwnKey, AuthError> {
        // Also if the clock went back since the last one was made.
        let created = self.newest().map_or(now, |newest| newest.created.max(now));
        let place = self.keys.len();
        self.keys.push(OwnKey::generate(kind, created)?);
        Ok(&self.keys[place])
    }

    /// Forgets a key, private part and all. What it has signed is refused from now on.
    ///
    /// # Errors
    /// When there is no such key, or no other one.
    pub fn retire(&mut self, kid: &str) -> Result<(), AuthError> {
        if !self.keys.iter().any(|key| key.id() == kid) {
            return Err(AuthError::UnknownKey(kid.to_owned()));
        }
        if self.keys.len() == 1 {
            return Err(AuthError::OnlyKey(kid.to_owned()));
        }
        self.keys.retain(|key| key.id() != kid);
        Ok(())
    }

    /// What others need to verify our tokens: a JWK set. Also the ids of the keys that are not in it, since they are secrets.
    #[must_use]
    pub fn export(&self) -> (Value, Vec<&str>) {
        let public: Vec<Value> = self.keys.iter().filter_map(OwnKey::public).collect();
        let secret = self.keys.iter().filter(|key| key.public().is_none()).map(OwnKey::id).collect();
        (json!({ "keys": public }), secret)
    }

    /// Ready for use.
    pub(super) fn prepare(&self) -> Result<KeySet, String> {
        let mut set = KeySet::default();
        let newest = self.newest().map(OwnKey::id);
        for key in &self.keys {
            let (signing, verifying) = key.prepare()?;
            if newest == Some(&*signing.kid) {
                set.signing = Some(signing);
            }
            set.add(verifying)?;
        }
        Ok(set)
    }
}

/// All keys that count: our own, and those of a provider. They are in two files, and neither of them has to be good for the
/// other to count.
#[derive(Clone, Default)]
pub(super) struct Keys {
    pub(super) own: Arc<KeySet>,
    pub(super) foreign: Arc<KeySet>,
}

impl Keys {
    /// Should both have a key of this id, it is ours.
    pub(super) fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.own.get(kid).or_else(|| self.foreign.get(kid))
    }

    /// What signs; none: there are no keys of our own.
    pub(super) fn signing(&self) -> Option<&SigningKey> {
        self.own.signing.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.own.by_id.is_empty() && self.foreign.by_id.is_empty()
    }
}

/// The keys of a file, ready for use.
#[derive(Default)]
pub(super) struct KeySet {
    by_id: HashMap<Arc<str>, VerifyingKey>,
    signing: Option<SigningKey>,
}

impl KeySet {
    /// The keys of a provider, none of which may have the id of one of our own. Says which of them are left out.
    pub(super) fn foreign(json: &[u8], own: &Self) -> Result<(Self, Vec<String>), String> {
        let foreign = foreign::read(json)?;
        let mut set = Self::default();
        for key in foreign.keys {
            if own.get(&key.kid).is_some() {
                return Err(two_keys(&key.kid));
            }
            set.add(key)?;
        }
        Ok((set, foreign.left_out))
    }

    /// An id must name one key: with two it would be the token's choice by which of them, and by which algorithm, it is verified.
    fn add(&mut self, key: VerifyingKey) -> Result<(), String> {
        let kid = Arc::clone(&key.kid);
        match self.by_id.insert(Arc::clone(&kid), key) {
            Some(_) => Err(two_keys(&kid)),
            None => Ok(()),
        }
    }

    fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.by_id.get(kid)
    }
}

fn two_keys(kid: &str) -> String {
    format!("there are two keys with the id {kid:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> (OwnKeys, [String; 2]) {
        let mut keys = OwnKeys::default();
        let ids = [NewKey::Ed25519, NewKey::Hs256].map(|kind| keys.make(kind, 1_000).expect("made").id().to_owned());
        (keys, ids)
    }

    fn reread(keys: &OwnKeys, change: impl Fn(&mut Value)) -> Result<KeySet, String> {
        let mut json = serde_json::to_value(keys).expect("JSON");
        change(&mut json);
        let keys: OwnKeys = serde_json::from_value(json).map_err(|error| error.to_string())?;
        keys.prepare()
    }

    #[test]
    fn the_newest_key_signs_also_within_a_second_and_when_the_clock_went_back() {
        let (mut keys, [_, second]) = two();
        let signs = |keys: &OwnKeys| keys.prepare().expect("keys").signing.expect("one").kid.to_string();
        assert_eq!(signs(&keys), second);
        let third = keys.make(NewKey::Ed25519, 900).expect("made").id().to_owned();
        assert_eq!(signs(&keys), third);
        keys.retire(&third).expect("another is left");
        assert_eq!(signs(&keys), second, "the newest of those that are left");
    }

    #[test]
    fn a_retired_key_is_gone_and_the_last_one_stays() {
        let (mut keys, [first, second]) = two();
        assert!(matches!(keys.retire("other"), Err(AuthError::UnknownKey(_))));
        keys.retire(&first).expect("another is left");
        assert!(!serde_json::to_string(&keys).expect("JSON").contains(&first));
        assert!(matches!(keys.retire(&second), Err(AuthError::OnlyKey(_))));
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let (keys, ids) = two();
        let set = reread(&keys, |_| {}).expect("keys");
        assert!(ids.iter().all(|id| set.get(id).is_some()));
    }

    #[test]
    fn two_keys_with_one_id_or_with_parts_that_do_not_fit_are_not_read() {
        let (keys, [first, _]) = two();
        for (change, word) in [
            ((|json| json["keys"][1]["kid"] = json["keys"][0]["kid"].clone()) as fn(&mut Value), "two keys"),
            (|json| json["keys"][0]["kid"] = "".into(), "no proper id"),
            (|json| json["keys"][0]["x"] = json["keys"][0]["d"].clone(), "do not belong together"),
            (|json| json["keys"][0]["d"] = "AAAA".into(), "do not belong together"),
            (|json| json["keys"][0]["x"] = "!".into(), "no proper x"),
            (|json| json["keys"][1]["k"] = "AAAA".into(), "at least 32 bytes"),
            (|json| json["keys"][0]["alg"] = "HS256".into(), "OKP"),
            (|json| json["keys"][0]["alg"] = "none".into(), "none"),
            (|json| json["keys"][0]["crv"] = "Ed448".into(), "Ed448"),
        ] {
            let error = reread(&keys, change).err().unwrap_or_else(|| panic!("{word}: read"));
            assert!(error.contains(word), "{word:?} is not in {error}");
            assert!(
                !error.contains(&serde_json::to_value(&keys).expect("JSON")["keys"][0]["d"].to_string()),
                "{first}"
            );
        }
    }

    #[test]
    fn what_is_exported_has_no_private_part_and_says_which_keys_are_missing() {
        let (keys, [first, second]) = two();
        let (exported, secret) = keys.export();
        let exported = exported.to_string();
        assert!(exported.contains(&first) && !exported.contains(&second), "{exported}");
        assert_eq!(secret, [second]);
        let kept = serde_json::to_value(&keys).expect("JSON");
        for part in [&kept["keys"][0]["d"], &kept["keys"][1]["k"]] {
            assert!(!exported.contains(part.as_str().expect("text")), "{exported}");
        }
        let (others, left_out) = KeySet::foreign(exported.as_bytes(), &KeySet::default()).expect("read");
        assert_eq!(left_out, Vec::<String>::new());
        assert!(others.get(&first).is_some(), "what is exported can be given with --jwks");
    }

    #[test]
    fn keys_do_not_show_their_private_parts() {
        let (keys, [first, second]) = two();
        assert_eq!(format!("{keys:?}"), format!("OwnKeys {{ keys: [OwnKey({first}), OwnKey({second})] }}"));
    }
}
