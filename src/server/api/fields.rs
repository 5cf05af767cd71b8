//! Strict request bodies: every error names its field.
//!
//! Fields are read one by one, because errors of a derived deserializer name the field only in prose.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use plan::{Budget, BudgetError, FieldId, FieldKind, FieldValue, MAX_BUDGET};
use runtime::hub::Caller;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use crate::server::{App, Problem, body};

/// The unread fields of a JSON object, as sent.
#[derive(Debug)]
pub struct Fields(Vec<(String, Box<RawValue>)>);

impl FromRequest<Arc<App>> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let sent = request.headers().get(header::CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
        if !sent.as_deref().is_some_and(is_json) {
            let sent = sent.map_or_else(|| "none was given".to_owned(), |kind| format!("not {kind}"));
            return Err(Problem::unsupported_media_type(format!("the Content-Type must be application/json; {sent}")));
        }
        let caller = request.extensions().get::<Caller>().cloned();
        let (head, body) = request.into_parts();
        let body = body::read(&head.headers, body).await?;
        if let Some(caller) = caller {
            app.renew(&caller)?;
        }
        Self::parse(&body)
    }
}

fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// For `"\\ud800"`, which is valid JSON but not a character.
const LONE_SURROGATE: &str = "holds a lone surrogate (half of a pair of \\u escapes), which is no character";

impl Fields {
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            Problem::bad_request(format!("the body is not UTF-8 text: byte {at} is the first that is not"))
        })?;
        // Some programs put a byte order mark in front; RFC 8259 lets a reader ignore it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut json = serde_json::Deserializer::from_str(text);
        let fields = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let field = error.path().iter().next().and_then(|segment| match segment {
                Segment::Map { key } => Some(key.clone()),
                _ => None,
            });
            Self::not_an_object(text, field, &error.into_inner())
        })?;
        json.end().map_err(|error| Self::not_an_object(text, None, &error))?;
        Ok(fields)
    }

    /// The error of a body that is not a JSON object. `field` is the field in which parsing stopped.
    fn not_an_object(text: &str, field: Option<String>, error: &serde_json::Error) -> Problem {
        match (error.classify(), field) {
            (Category::Data, _) => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "A value is not acceptable",
                "the body must be a JSON object",
            ),
            _ if text.trim().is_empty() => Problem::bad_request("the body is empty; it must be a JSON object"),
            // The text of the error ends with line and column.
            (_, Some(field)) => Problem {
                field: Some(field.clone()),
                ..Problem::bad_request(format!("{field}: the body is not JSON here: {error}"))
            },
            (_, None) => Problem::bad_request(format!("the body is not JSON: {error}")),
        }
    }

    /// Rejects fields that are not among these, and fields that were sent twice.
    pub fn only(self, known: &[&str]) -> Result<Self, Problem> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let detail = format!("{name}: there is no such field; those that there are: {}", known.join(", "));
                return Err(Problem::invalid(name, detail));
            }
            if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::invalid(name, format!("{name}: was sent twice")));
            }
        }
        Ok(self)
    }

    fn take(&mut self, field: &str) -> Option<Box<RawValue>> {
        let index = self.0.iter().position(|(name, _)| name == field)?;
        Some(self.0.swap_remove(index).1)
    }

    /// The value of a field of a position, if it was sent.
    pub fn value(&mut self, field: FieldId) -> Result<Option<FieldValue>, Problem> {
        Ok(match field.kind() {
            FieldKind::Text { .. } => self.text(field.key())?.map(FieldValue::Text),
            FieldKind::Amount => self.nullable_number(field.key())?.map(FieldValue::Amount),
        })
    }

    /// The text of a field, if it was sent.
    pub fn text(&mut self, field: &str) -> Result<Option<String>, Problem> {
        let Some(raw) = self.take(field) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| {
            // A string that does not decode: half of a pair of UTF-16 escapes.
            let is_text = raw.get().starts_with('"');
            refused(field, if is_text { LONE_SURROGATE } else { "must be text" })
        })
    }

    /// The number of a field that may be null, if it was sent.
    pub fn nullable_number(&mut self, field: &str) -> Result<Option<Option<Budget>>, Problem> {
        if self.0.iter().any(|(name, raw)| name == field && raw.get() == "null") {
            self.take(field);
            return Ok(Some(None));
        }
        Ok(self.number(field)?.map(Some))
    }

    /// The number of a field, if it was sent. A number that serde cannot represent is too large.
    pub fn number(&mut self, field: &str) -> Result<Option<Budget>, Problem> {
        let Some(raw) = self.take(field) else { return Ok(None) };
        let reason = match serde_json::from_str(raw.get()) {
            Ok(number @ Value::Number(_)) => match Budget::from_json(&number) {
                Ok(number) => return Ok(Some(number)),
                Err(BudgetError::Negative) => "must not be negative".to_owned(),
                Err(_) => too_large(),
            },
            Ok(_) => "must be a number".to_owned(),
            Err(_) if raw.get().starts_with('-') => "must not be negative".to_owned(),
            Err(_) => too_large(),
        };
        Err(refused(field, &reason))
    }
}

fn too_large() -> String {
    format!("must not be more than {MAX_BUDGET}")
}

fn refused(field: &str, reason: &str) -> Problem {
    Problem::invalid(field, format!("{field}: {reason}"))
}

/// The value of a required field.
pub fn required<T>(value: Option<T>, field: &str) -> Result<T, Problem> {
    value.ok_or_else(|| refused(field, "is missing"))
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem<T: fmt::Debug>(result: Result<T, Problem>) -> (u16, Option<String>, String) {
        let problem = result.unwrap_err();
        (problem.status, problem.field, problem.detail)
    }

    #[test]
    fn json_comes_under_several_names() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in ["", "text/plain", "application/jsonp", "text/json+json", "application/x-www-form-urlencoded"] {
            assert!(!is_json(kind), "{kind}");
        }
    }

    #[test]
    fn bad_json_is_told_where() {
        let (status, field, detail) = problem(Fields::parse(b"{\n  \"budget\": NaN }"));
        assert_eq!((status, field.as_deref()), (400, Some("budget")));
        assert_eq!(detail, "budget: the body is not JSON here: expected value at line 2 column 13");
        for (body, field) in [
            ("{\"a\": 1, \"b\": {\"c\": nul}}", Some("b")),
            ("{\"a\": \"unterminated}", Some("a")),
            ("{\"a\": 1, b: 2}", None),
            ("{\"a\": 1", None),
            ("{\"a\": 1}}", None),
            ("{]", None),
        ] {
            assert_eq!(problem(Fields::parse(body.as_bytes())).1.as_deref(), field, "{body}");
        }
        for body in [&b""[..], b" \n", b"{", b"{\"a\": 1} x", b"\xff", b"{\"a\": \xff}"] {
            assert_eq!(problem(Fields::parse(body)).0, 400, "{body:?}");
        }
        for body in [&b"[]"[..], b"5", b"null", b"\"text\""] {
            assert_eq!(problem(Fields::parse(body)).0, 422, "{body:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert!(Fields::parse("\u{feff}{\"a\": 1}".as_bytes()).unwrap().only(&["a"]).is_ok());
        let (status, _, detail) = problem(Fields::parse("\u{feff}".as_bytes()));
        assert_eq!((status, detail.contains("is empty")), (400, true), "{detail}");
        let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(problem(Fields::parse(&utf16)).2.contains("not UTF-8"));
    }

    #[test]
    fn unknown_and_repeated_fields_are_named() {
        let only = |body: &str| Fields::parse(body.as_bytes()).unwrap().only(&["a", "b"]);
        assert!(only("{\"a\": 1, \"b\": 2}").is_ok());
        assert_eq!(problem(only("{\"a\": 1, \"c\": 2}")).1.as_deref(), Some("c"));
        assert_eq!(problem(only("{\"a\": 1, \"a\": 2}")), (422, Some("a".into()), "a: was sent twice".into()));
    }

    #[test]
    fn numbers_are_numbers() {
        let number = |text: &str| Fields::parse(format!("{{\"n\":{text}}}").as_bytes()).unwrap().number("n");
        assert_eq!(number("12.5").unwrap(), Some(Budget::Float(12.5)));
        assert_eq!(number("45000.0").unwrap(), Some(Budget::Int(45_000)));
        assert_eq!(number("9007199254740991").unwrap(), Some(Budget::Int(MAX_BUDGET)));
        for (text, reason) in [
            ("-1", "n: must not be negative"),
            ("-1e999", "n: must not be negative"),
            ("9007199254740992", "n: must not be more than 9007199254740991"),
            ("1e300", "n: must not be more than 9007199254740991"),
            ("1e999", "n: must not be more than 9007199254740991"),
            ("\"5\"", "n: must be a number"),
            ("null", "n: must be a number"),
            ("true", "n: must be a number"),
            ("{}", "n: must be a number"),
        ] {
            assert_eq!(problem(number(text)), (422, Some("n".into()), reason.into()), "{text}");
        }
    }

    #[test]
    fn a_nullable_number_may_be_null() {
        let number = |text: &str| Fields::parse(text.as_bytes()).unwrap().nullable_number("n");
        assert_eq!(number("{}").unwrap(), None);
        assert_eq!(number("{\"n\": null }").unwrap(), Some(None));
        assert_eq!(number("{\"n\": 5}").unwrap(), Some(Some(Budget::Int(5))));
        assert_eq!(problem(number("{\"n\": \"5\"}")).2, "n: must be a number");
    }

    #[test]
    fn texts_are_texts() {
        let text = |text: &str| Fields::parse(format!("{{\"t\":{text}}}").as_bytes()).unwrap().text("t");
        assert_eq!(text("\"a \\\"b\\\"\"").unwrap().as_deref(), Some("a \"b\""));
        for value in ["5", "null", "[]"] {
            assert_eq!(problem(text(value)), (422, Some("t".into()), "t: must be text".into()), "{value}");
        }
        for value in ["\"\\ud800\"", "\"a\\udfff\"", "\"\\ud83dx\"", "\"\\ud83d\\ud83d\""] {
            let (status, field, detail) = problem(text(value));
            assert_eq!((status, field.as_deref()), (422, Some("t")), "{value}");
            assert!(detail.contains("lone surrogate"), "{value}: {detail}");
        }
        assert_eq!(text("\"\\ud83d\\ude00\"").unwrap().as_deref(), Some("\u{1f600}"));
        assert_eq!(Fields::parse(b"{}").unwrap().text("t").unwrap(), None);
        assert_eq!(problem(required(None::<u8>, "t")), (422, Some("t".into()), "t: is missing".into()));
    }
}
