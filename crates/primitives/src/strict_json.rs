//! JSON in which no object has a repeated key.
//!
//! Readers disagree about `{"budget": 5, "budget": 50}`; serde_json keeps the last value. These functions reject it
//! instead of dropping a value silently, so all input is read by them.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Reads JSON text.
///
/// # Errors
/// As [`serde_json::from_slice`], and when a key appears twice in one object, at any depth.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    let value = serde_json::from_slice(json)?;
    check(serde_json::Deserializer::from_slice(json))?;
    Ok(value)
}

/// Reads JSON text.
///
/// # Errors
/// As [`serde_json::from_str`], and when a key appears twice in one object, at any depth.
pub fn from_str<T: DeserializeOwned>(json: &str) -> serde_json::Result<T> {
    let value = serde_json::from_str(json)?;
    check(serde_json::Deserializer::from_str(json))?;
    Ok(value)
}

fn check<'de, R: serde_json::de::Read<'de>>(mut json: serde_json::Deserializer<R>) -> serde_json::Result<()> {
    UniqueKeys.deserialize(&mut json)
}

/// Reads any value, and checks that the keys of its objects are unique.
#[derive(Clone, Copy)]
struct UniqueKeys;

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(M::Error::custom(format_args!("the key {} appears twice", shortened(&key))));
            }
            keys.insert(key);
            map.next_value_seed(self)?;
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<(), S::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// The first characters of a text, in quotation marks: enough to recognize it in an error.
#[must_use]
pub fn shortened(text: &str) -> String {
    const CHARACTERS: usize = 40;
    if text.chars().count() <= CHARACTERS {
        return format!("{text:?}");
    }
    format!("{:?}…", text.chars().take(CHARACTERS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn unique_keys_are_accepted() {
        for json in ["{}", "[]", "5", "null", "\"a\"", r#"{"a": {"b": 1}, "b": [{"b": 1}, {"b": -2.5}], "c": true}"#] {
            assert_eq!(from_str::<Value>(json).unwrap(), serde_json::from_str::<Value>(json).unwrap());
            assert_eq!(from_slice::<Value>(json.as_bytes()).unwrap(), serde_json::from_str::<Value>(json).unwrap());
        }
    }

    #[test]
    fn repeated_keys_are_rejected_at_any_depth() {
        for json in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"b": {"a": 1, "c": 2, "a": 3}}"#,
            r#"[[{"a": 1, "\u0061": 2}]]"#,
            r#"{"a": {"a": 1}, "a": 1}"#,
        ] {
            let error = from_str::<Value>(json).unwrap_err().to_string();
            assert!(error.starts_with("the key \"a\" appears twice at line 1 column "), "{error}");
            assert_eq!(from_slice::<Value>(json.as_bytes()).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn other_errors_are_those_of_serde_json() {
        for json in ["", "{", "[1,]", "{\"a\": 1} x", "1e999"] {
            let expected = serde_json::from_str::<Value>(json).unwrap_err().to_string();
            assert_eq!(from_str::<Value>(json).unwrap_err().to_string(), expected);
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(from_str::<Value>(&deep).unwrap_err().to_string().contains("recursion limit"));
    }
}
