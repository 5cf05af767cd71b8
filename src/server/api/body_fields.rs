//! Strict request bodies: every error names its field.
//!
//! Handlers read the fields one by one. A derived `Deserialize` names missing, unknown and duplicate fields only in the text of
//! its error, and cannot distinguish an absent field from `null`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use offload::run_cpu_bound;
use plan::fields::MUST_BE_A_MONTH;
use plan::{Budget, BudgetError, FieldId, FieldKind, FieldValue, MAX_BUDGET, Month};
use runtime::hub::Requester;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use crate::server::body::{self, LargeBody};
use crate::server::{App, Problem};

/// The fields of a JSON object that were not read yet, in the order in which they were sent.
#[derive(Debug)]
pub struct BodyFields(Vec<(String, Box<RawValue>)>);

impl FromRequest<Arc<App>> for BodyFields {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let requester = request.extensions().get::<Requester>().cloned();
        let (head, body) = request.into_parts();
        let body = body::read(&head.headers, body).await?;
        if let Some(requester) = requester {
            app.recheck(&requester)?;
        }
        Self::parse(&body)
    }
}

/// The fields of a JSON object with many positions: up to [`body::MAX_BATCH`] bytes.
pub struct LargeFields {
    /// The fields.
    pub fields: BodyFields,
    /// Counts in the memory budget until the request is answered.
    pub body: LargeBody,
}

impl FromRequest<Arc<App>> for LargeFields {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let requester = request.extensions().get::<Requester>().cloned();
        let (head, body) = request.into_parts();
        let payer = requester.as_ref().and_then(Requester::payer);
        let body = body::read_large(app, &head.headers, body, body::MAX_BATCH, payer).await?;
        if let Some(requester) = requester {
            app.recheck(&requester)?;
        }
        let fields = run_cpu_bound(|| BodyFields::parse(body.bytes()))?;
        Ok(Self { fields, body })
    }
}

/// Rejects a body that is not declared as JSON.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let sent = headers.get(header::CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
    if sent.as_deref().is_some_and(is_json) {
        return Ok(());
    }
    let sent = sent.map_or_else(|| "it is missing".to_owned(), |kind| format!("it is {kind}"));
    Err(Problem::unsupported_media_type(format!("the Content-Type must be application/json; {sent}")))
}

fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Reason for rejecting texts such as `"\\ud800"`, which is valid JSON but not a character.
const LONE_SURROGATE: &str = "contains a lone surrogate (half of a pair of \\u escapes), which is not a character";

impl BodyFields {
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            Problem::bad_request(format!("the body is not UTF-8: byte {at} is invalid"))
        })?;
        // Some programs begin with a byte order mark. RFC 8259 allows readers to ignore it.
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
                "Invalid value",
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

    /// Rejects unknown and duplicate fields.
    pub fn only(self, known: &[&str]) -> Result<Self, Problem> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let detail = format!("{name}: unknown field; the fields are: {}", known.join(", "));
                return Err(Problem::invalid(name, detail));
            }
            if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::invalid(name, format!("{name}: duplicate field")));
            }
        }
        Ok(self)
    }

    fn take(&mut self, field: &str) -> Option<Box<RawValue>> {
        let index = self.0.iter().position(|(name, _)| name == field)?;
        Some(self.0.swap_remove(index).1)
    }

    /// Reads a field of a position; `None` if it is absent.
    pub fn value(&mut self, field: FieldId) -> Result<Option<FieldValue>, Problem> {
        Ok(match field.kind() {
            FieldKind::Text { .. } => self.text(field.key())?.map(FieldValue::Text),
            FieldKind::Amount => self.nullable_number(field.key())?.map(FieldValue::from),
            FieldKind::Choice(_) | FieldKind::Month => {
                self.nullable_text(field.key())?.map(|text| text.map_or(FieldValue::Unset, FieldValue::Text))
            }
        })
    }

    /// Reads a text field; `None` if it is absent.
    pub fn text(&mut self, field: &str) -> Result<Option<String>, Problem> {
        let Some(raw) = self.take(field) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| {
            let is_text = raw.get().starts_with('"');
            invalid(field, if is_text { LONE_SURROGATE } else { "must be text" })
        })
    }

    /// Reads a list of texts; `None` if it is absent.
    pub fn texts(&mut self, field: &str) -> Result<Option<Vec<String>>, Problem> {
        let Some(raw) = self.take(field) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| invalid(field, "must be a list of texts"))
    }

    /// Reads a list of objects; empty if the field is absent.
    pub fn objects(&mut self, field: &str) -> Result<Vec<Self>, Problem> {
        let Some(raw) = self.take(field) else { return Ok(Vec::new()) };
        serde_json::from_str(raw.get()).map_err(|_| invalid(field, "must be a list of objects"))
    }

    /// Reads a text or `null`; `None` if the field is absent, `Some(None)` if it is `null`.
    pub fn nullable_text(&mut self, field: &str) -> Result<Option<Option<String>>, Problem> {
        if self.take_null(field) { Ok(Some(None)) } else { Ok(self.text(field)?.map(Some)) }
    }

    /// Reads a month, or `null` or an empty text; `None` if the field is absent, `Some(None)` if it is `null` or empty.
    pub fn nullable_month(&mut self, field: &str) -> Result<Option<Option<Month>>, Problem> {
        let Some(text) = self.nullable_text(field)? else { return Ok(None) };
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Some(None)) };
        Month::parse(&text).map(|month| Some(Some(month))).ok_or_else(|| invalid(field, MUST_BE_A_MONTH))
    }

    /// Reads a number or `null`; `None` if the field is absent, `Some(None)` if it is `null`.
    pub fn nullable_number(&mut self, field: &str) -> Result<Option<Option<Budget>>, Problem> {
        if self.take_null(field) { Ok(Some(None)) } else { Ok(self.number(field)?.map(Some)) }
    }

    /// Takes a field that is `null`. Returns whether it was.
    fn take_null(&mut self, field: &str) -> bool {
        let is_null = self.0.iter().any(|(name, raw)| name == field && raw.get() == "null");
        is_null && self.take(field).is_some()
    }

    /// Reads an object of numbers or `null`; `None` if the field is absent.
    pub fn nullable_numbers(&mut self, field: &str) -> Result<Option<BTreeMap<String, Option<Budget>>>, Problem> {
        let Some(raw) = self.take(field) else { return Ok(None) };
        if !raw.get().starts_with('{') {
            return Err(invalid(field, "must be an object"));
        }
        let mut members: Self = serde_json::from_str(raw.get()).map_err(|_| invalid(field, LONE_SURROGATE))?;
        let mut numbers = BTreeMap::new();
        while let Some((name, _)) = members.0.last() {
            let name = name.clone();
            let problem = |reason: &str| invalid(field, &format!("{name:?} {reason}"));
            let number = members
                .nullable_number(&name)
                .map_err(|error| problem(error.detail.strip_prefix(&format!("{name}: ")).unwrap_or(&error.detail)))?;
            if numbers.insert(name.clone(), number.flatten()).is_some() {
                return Err(problem("is there twice"));
            }
        }
        Ok(Some(numbers))
    }

    /// Reads a number; `None` if the field is absent. Numbers that serde_json cannot represent are too large.
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
        Err(invalid(field, &reason))
    }
}

fn too_large() -> String {
    format!("must not be more than {MAX_BUDGET}")
}

fn invalid(field: &str, reason: &str) -> Problem {
    Problem::invalid(field, format!("{field}: {reason}"))
}

/// The value of a required field.
///
/// # Errors
/// When it is absent.
pub fn required<T>(value: Option<T>, field: &str) -> Result<T, Problem> {
    value.ok_or_else(|| invalid(field, "is missing"))
}

impl<'de> Deserialize<'de> for BodyFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = BodyFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<BodyFields, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(BodyFields(fields))
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
    fn json_media_types_are_recognized() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in ["", "text/plain", "application/jsonp", "text/json+json", "application/x-www-form-urlencoded"] {
            assert!(!is_json(kind), "{kind}");
        }
    }

    #[test]
    fn malformed_json_is_located() {
        let (status, field, detail) = problem(BodyFields::parse(b"{\n  \"budget\": NaN }"));
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
            assert_eq!(problem(BodyFields::parse(body.as_bytes())).1.as_deref(), field, "{body}");
        }
        for body in [&b""[..], b" \n", b"{", b"{\"a\": 1} x", b"\xff", b"{\"a\": \xff}"] {
            assert_eq!(problem(BodyFields::parse(body)).0, 400, "{body:?}");
        }
        for body in [&b"[]"[..], b"5", b"null", b"\"text\""] {
            assert_eq!(problem(BodyFields::parse(body)).0, 422, "{body:?}");
        }
    }

    #[test]
    fn byte_order_mark_is_ignored() {
        assert!(BodyFields::parse("\u{feff}{\"a\": 1}".as_bytes()).unwrap().only(&["a"]).is_ok());
        let (status, _, detail) = problem(BodyFields::parse("\u{feff}".as_bytes()));
        assert_eq!((status, detail.contains("is empty")), (400, true), "{detail}");
        let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(problem(BodyFields::parse(&utf16)).2.contains("not UTF-8"));
    }

    #[test]
    fn unknown_and_duplicate_fields_are_named() {
        let only = |body: &str| BodyFields::parse(body.as_bytes()).unwrap().only(&["a", "b"]);
        assert!(only("{\"a\": 1, \"b\": 2}").is_ok());
        assert_eq!(problem(only("{\"a\": 1, \"c\": 2}")).1.as_deref(), Some("c"));
        assert_eq!(problem(only("{\"a\": 1, \"a\": 2}")), (422, Some("a".into()), "a: duplicate field".into()));
    }

    #[test]
    fn numbers_are_checked() {
        let number = |text: &str| BodyFields::parse(format!("{{\"n\":{text}}}").as_bytes()).unwrap().number("n");
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
    fn nullable_number_accepts_null() {
        let number = |text: &str| BodyFields::parse(text.as_bytes()).unwrap().nullable_number("n");
        assert_eq!(number("{}").unwrap(), None);
        assert_eq!(number("{\"n\": null }").unwrap(), Some(None));
        assert_eq!(number("{\"n\": 5}").unwrap(), Some(Some(Budget::Int(5))));
        assert_eq!(problem(number("{\"n\": \"5\"}")).2, "n: must be a number");
    }

    #[test]
    fn nullable_text_accepts_null() {
        let text = |text: &str| BodyFields::parse(text.as_bytes()).unwrap().nullable_text("t");
        assert_eq!(text("{}").unwrap(), None);
        assert_eq!(text("{\"t\": null }").unwrap(), Some(None));
        assert_eq!(text("{\"t\": \"\"}").unwrap(), Some(Some(String::new())));
        assert_eq!(problem(text("{\"t\": 5}")).2, "t: must be text");
    }

    #[test]
    fn months_are_checked() {
        let month = |text: &str| BodyFields::parse(format!("{{\"m\":{text}}}").as_bytes()).unwrap().nullable_month("m");
        assert_eq!(month("\"2027-04\"").unwrap(), Some(Month::parse("2027-04")));
        for text in ["null", "\"\""] {
            assert_eq!(month(text).unwrap(), Some(None), "{text}");
        }
        assert_eq!(problem(month("\"2027\"")).2, format!("m: {MUST_BE_A_MONTH}"));
        assert_eq!(problem(month("2027")).2, "m: must be text");
    }

    #[test]
    fn objects_of_numbers_are_checked() {
        let numbers =
            |text: &str| BodyFields::parse(format!("{{\"n\":{text}}}").as_bytes()).unwrap().nullable_numbers("n");
        assert_eq!(BodyFields::parse(b"{}").unwrap().nullable_numbers("n").unwrap(), None);
        let read = numbers("{\"HR\": 4.5, \"a \\\"b\\\"\": 1, \"Sales\": null}").unwrap().unwrap();
        let expected = [("HR", Some(Budget::Float(4.5))), ("Sales", None), ("a \"b\"", Some(Budget::Int(1)))];
        assert_eq!(read, expected.map(|(name, number)| (name.to_owned(), number)).into());
        for (text, reason) in [
            ("null", "n: must be an object"),
            ("[]", "n: must be an object"),
            ("5", "n: must be an object"),
            ("{\"HR\": \"5\"}", "n: \"HR\" must be a number"),
            ("{\"HR\": -1}", "n: \"HR\" must not be negative"),
            ("{\"HR\": 1e300}", "n: \"HR\" must not be more than 9007199254740991"),
            ("{\"HR\": 1, \"HR\": 1}", "n: \"HR\" is there twice"),
            ("{\"HR\": 1, \"HR\": null}", "n: \"HR\" is there twice"),
        ] {
            assert_eq!(problem(numbers(text)), (422, Some("n".into()), reason.into()), "{text}");
        }
        assert!(problem(numbers("{\"\\ud800\": 1}")).2.contains("lone surrogate"));
    }

    #[test]
    fn texts_are_checked() {
        let text = |text: &str| BodyFields::parse(format!("{{\"t\":{text}}}").as_bytes()).unwrap().text("t");
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
        assert_eq!(BodyFields::parse(b"{}").unwrap().text("t").unwrap(), None);
        assert_eq!(problem(required(None::<u8>, "t")), (422, Some("t".into()), "t: is missing".into()));
    }
}
