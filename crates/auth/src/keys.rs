//! The keys that sign and verify tokens: our own from keys.json, and those of a provider.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AuthError;
use super::key::{NewKey, OwnKey, SigningKey, VerifyingKey};
use super::provider_keys::{self, Unusable};

/// Our own keys, as stored in keys.json: a JWK set with private parts, in the order of creation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OwnKeys {
    keys: Vec<OwnKey>,
}

impl OwnKeys {
    /// Iterates over the keys, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &OwnKey> {
        self.keys.iter()
    }

    /// The key that signs: the newest, and the last one of those created within one second.
    #[must_use]
    pub fn newest(&self) -> Option<&OwnKey> {
        self.keys.iter().max_by_key(|key| key.created)
    }

    /// Generates a key, which signs from now on.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn make(&mut self, kind: NewKey, now: i64) -> Result<&OwnKey, AuthError> {
        // Never older than the newest, even if the clock was set back.
        let created = self.newest().map_or(now, |newest| newest.created.max(now));
        let index = self.keys.len();
        self.keys.push(OwnKey::generate(kind, created)?);
        Ok(&self.keys[index])
    }

    /// Deletes a key. Tokens that it has signed are refused from now on.
    ///
    /// # Errors
    /// When there is no such key, or it is the only one.
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

    /// The public keys as a JWK set, and the ids of the secret keys, which are not in it.
    #[must_use]
    pub fn export(&self) -> (Value, Vec<&str>) {
        let public: Vec<Value> = self.keys.iter().filter_map(OwnKey::public).collect();
        let secret = self.keys.iter().filter(|key| key.public().is_none()).map(OwnKey::id).collect();
        (json!({ "keys": public }), secret)
    }

    /// Prepares all keys for use.
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

/// All keys in use: our own and a provider's. They come from two files; either stays in use if the other is broken.
#[derive(Clone, Default)]
pub(super) struct Keys {
    pub(super) own: Arc<KeySet>,
    pub(super) provider: Arc<KeySet>,
}

impl Keys {
    /// Our own key wins if both have this id.
    pub(super) fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.own.get(kid).or_else(|| self.provider.get(kid))
    }

    /// The key that signs; `None` if we have no keys of our own.
    pub(super) fn signing(&self) -> Option<&SigningKey> {
        self.own.signing.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.own.by_id.is_empty() && self.provider.by_id.is_empty()
    }
}

/// The prepared keys of one file.
#[derive(Default)]
pub(super) struct KeySet {
    by_id: HashMap<Arc<str>, VerifyingKey>,
    signing: Option<SigningKey>,
}

impl KeySet {
    /// Reads a provider's keys, none of which may have the id of one of our own. Also returns why keys were left out.
    pub(super) fn of_provider(json: &[u8], own: &Self, unusable: Unusable) -> Result<(Self, Vec<String>), String> {
        let read = provider_keys::read(json, unusable)?;
        let mut set = Self::default();
        for key in read.keys {
            if own.get(&key.kid).is_some() {
                return Err(two_keys(&key.kid));
            }
            set.add(key)?;
        }
        Ok((set, read.left_out))
    }

    /// Ids are unique: otherwise the token could choose by which key, and by which algorithm, it is verified.
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
    fn newest_key_signs_even_if_the_clock_went_back() {
        let (mut keys, [_, second]) = two();
        let signs = |keys: &OwnKeys| keys.prepare().expect("keys").signing.expect("one").kid.to_string();
        assert_eq!(signs(&keys), second);
        let third = keys.make(NewKey::Ed25519, 900).expect("made").id().to_owned();
        assert_eq!(signs(&keys), third);
        keys.retire(&third).expect("another key is left");
        assert_eq!(signs(&keys), second, "the newest of the remaining keys");
    }

    #[test]
    fn retired_key_is_deleted_but_never_the_last() {
        let (mut keys, [first, second]) = two();
        assert!(matches!(keys.retire("other"), Err(AuthError::UnknownKey(_))));
        keys.retire(&first).expect("another key is left");
        assert!(!serde_json::to_string(&keys).expect("JSON").contains(&first));
        assert!(matches!(keys.retire(&second), Err(AuthError::OnlyKey(_))));
    }

    #[test]
    fn keys_survive_a_round_trip() {
        let (keys, ids) = two();
        let set = reread(&keys, |_| {}).expect("keys");
        assert!(ids.iter().all(|id| set.get(id).is_some()));
    }

    #[test]
    fn duplicate_ids_and_mismatched_parts_are_rejected() {
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
    fn export_has_no_private_parts_and_names_secret_keys() {
        let (keys, [first, second]) = two();
        let (exported, secret) = keys.export();
        let exported = exported.to_string();
        assert!(exported.contains(&first) && !exported.contains(&second), "{exported}");
        assert_eq!(secret, [second]);
        let kept = serde_json::to_value(&keys).expect("JSON");
        for part in [&kept["keys"][0]["d"], &kept["keys"][1]["k"]] {
            assert!(!exported.contains(part.as_str().expect("text")), "{exported}");
        }
        let read = KeySet::of_provider(exported.as_bytes(), &KeySet::default(), Unusable::IsAnError);
        let (others, left_out) = read.expect("read");
        assert_eq!(left_out, Vec::<String>::new());
        assert!(others.get(&first).is_some(), "exported keys can be given with --jwks");
    }

    #[test]
    fn debug_output_hides_private_parts() {
        let (keys, [first, second]) = two();
        assert_eq!(format!("{keys:?}"), format!("OwnKeys {{ keys: [OwnKey({first}), OwnKey({second})] }}"));
    }
}
