//! Frames of legacy clients to requests.

use serde_json::{Map, Value};

use super::pieces;
use super::{AddRow, BadAdd, LegacyError, MAX_FRAME, Request, Tracking};
use crate::format::{Budget, is_blank, json};

/// Reads one text frame.
///
/// A JSON text is read once more as JSON, and if it is neither an array nor an object, as comma-separated text. An array
/// is an action with its arguments, an object a login or a logout; both may also come without the text around them.
pub fn decode(text: &str) -> Result<Request, LegacyError> {
    if text.len() > MAX_FRAME {
        return Err(LegacyError::TooLong(text.len()));
    }
    match json::from_str(text).map_err(|_| LegacyError::Undecodable)? {
        Value::String(inner) => match json::from_str(&inner) {
            Ok(Value::Array(items)) => action(&items, Form::Array),
            Ok(Value::Object(object)) => presence(&object),
            // A key that appears twice.
            Err(error) if error.is_data() => Err(LegacyError::Undecodable),
            _ => {
                let pieces: Vec<Value> = pieces::split(&inner).into_iter().map(Value::String).collect();
                action(&pieces, Form::CommaSeparated)
            }
        },
        Value::Array(items) => action(&items, Form::Array),
        Value::Object(object) => presence(&object),
        _ => Err(LegacyError::Undecodable),
    }
}

/// How the arguments came.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Every field is what it is.
    Array,
    /// A comma may be a part of a field, or not.
    CommaSeparated,
}

fn action(items: &[Value], form: Form) -> Result<Request, LegacyError> {
    // No argument is not decodable, whatever the action: the original closed the connection.
    let [action, arguments @ ..] = items else { return Err(LegacyError::Undecodable) };
    let action = text_of(action).ok_or(LegacyError::Undecodable)?;
    let argument = arguments.first().ok_or(LegacyError::Undecodable)?;
    match action.trim() {
        "add" => add(arguments, form).map(Request::Add).map_err(|reason| LegacyError::BadAdd { reason }),
        "delete" => text_of(argument).map(|id| Request::Delete { id }).ok_or(LegacyError::BadDelete),
        "login" => text_of(argument).map(|name| Request::Login { name }).ok_or(LegacyError::Undecodable),
        "tracking" => {
            let element = text_of(argument).ok_or(LegacyError::Undecodable)?;
            Ok(Request::Tracking(Tracking { element, value: arguments.get(1).and_then(text_of) }))
        }
        other => Ok(Request::Unknown { action: other.to_owned() }),
    }
}

fn add(arguments: &[Value], form: Form) -> Result<AddRow, BadAdd> {
    let [designation, department, budget, location, extra @ ..] = arguments else {
        return Err(BadAdd::TooFewFields(arguments.len()));
    };
    // More fields of an array are ignored, as recorded. Here they mean that a comma was cut at that should not have
    // been, and which field is which is a guess.
    if form == Form::CommaSeparated && !extra.is_empty() {
        return Err(BadAdd::TooManyFields(arguments.len()));
    }
    let text = |name, value| text_of(value).ok_or(BadAdd::NotText(name));
    let designation = text("designation", designation)?;
    if is_blank(&designation) {
        return Err(BadAdd::NoDesignation);
    }
    Ok(AddRow {
        designation,
        department: text("department", department)?,
        budget: Budget::from_json(budget)?,
        location: text("location", location)?,
    })
}

fn presence(object: &Map<String, Value>) -> Result<Request, LegacyError> {
    let Some(Value::String(action)) = object.get("action") else { return Err(LegacyError::Undecodable) };
    let user = object.get("userID").and_then(text_of);
    Ok(match action.trim() {
        "login" => Request::LoginObject { user },
        "logout" => Request::LogoutObject { user },
        other => Request::Unknown { action: other.to_owned() },
    })
}

/// Text, or a number as its digits: what has neither a meaning of its own nor could be mistaken.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
