//! Frames of legacy clients to requests.

use plan::{Scale, amount_of_json};
use primitives::{InvalidAuthorName, MAX_NAME, check_author_name, is_blank, strict_json};
use serde_json::{Map, Value};

use super::{
    Action, AddRow, BadArgument, LegacyError, MAX_ELEMENT, MAX_FRAME, ONE_CRORE, Request, TOTAL_BUDGET_ELEMENT,
    Tracking, pieces,
};

/// Reads one text frame. `scale` is the plan's: amounts count in its unit.
///
/// A JSON text is read once more as JSON, and if it is neither an array nor an object, as comma-separated text. An array
/// is an action with its arguments, an object a login or a logout; both may also come without the text around them.
///
/// # Errors
/// When the frame is no action with an argument, or an action that is known has an argument that is not acceptable.
pub fn decode(text: &str, scale: &Scale<'_>) -> Result<Request, LegacyError> {
    if text.len() > MAX_FRAME {
        return Err(LegacyError::TooLong(text.len()));
    }
    match strict_json::from_str(text).map_err(|_| LegacyError::Undecodable)? {
        Value::String(inner) => match strict_json::from_str(&inner) {
            Ok(Value::Array(items)) => array(&items, Form::Array, scale),
            Ok(Value::Object(object)) => object_form(&object),
            // A key that appears twice.
            Err(error) if error.is_data() => Err(LegacyError::Undecodable),
            _ => {
                let pieces: Vec<Value> = pieces::split(&inner).into_iter().map(Value::String).collect();
                array(&pieces, Form::CommaSeparated, scale)
            }
        },
        Value::Array(items) => array(&items, Form::Array, scale),
        Value::Object(object) => object_form(&object),
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

/// Reads the arguments of an action: all of them, the first, and the scale of amounts.
type ReadArguments = fn(&[Value], &Value, &Scale<'_>) -> Result<Request, BadArgument>;

fn array(items: &[Value], form: Form, scale: &Scale<'_>) -> Result<Request, LegacyError> {
    // An action without an argument is not decodable, whatever the action: the original closed the connection.
    let [name, arguments @ ..] = items else { return Err(LegacyError::Undecodable) };
    let name = text_of(name).ok_or(LegacyError::Undecodable)?;
    let first = arguments.first().ok_or(LegacyError::Undecodable)?;
    let (action, read): (Action, ReadArguments) = match name.trim() {
        "add" => (Action::Add, |arguments, _, scale| add(arguments, scale)),
        "delete" => (Action::Delete, |_, first, _| Ok(Request::Delete { id: text("id", first)? })),
        "login" => (Action::Login, |_, first, _| login(first)),
        "tracking" if element_of_total(first).is_some() => {
            (Action::SetTotal, |arguments, first, scale| set_total(first, arguments.get(1), scale))
        }
        "tracking" => (Action::Tracking, |arguments, first, _| tracking(first, arguments.get(1))),
        other => return Ok(Request::Unknown { action: other.to_owned() }),
    };
    // More fields of an array are ignored, as recorded. Here they mean that a comma was cut at that should not have
    // been, and which field is which is a guess.
    let most = action.arguments();
    if form == Form::CommaSeparated && arguments.len() > most {
        return Err(LegacyError::bad(action, BadArgument::TooManyFields { found: arguments.len(), most }));
    }
    read(arguments, first, scale).map_err(|reason| LegacyError::bad(action, reason))
}

fn add(arguments: &[Value], scale: &Scale<'_>) -> Result<Request, BadArgument> {
    let [designation, department, budget, location, ..] = arguments else {
        return Err(BadArgument::TooFewFields(arguments.len()));
    };
    let designation = text("designation", designation)?;
    if is_blank(&designation) {
        return Err(BadArgument::NoDesignation);
    }
    Ok(Request::Add(AddRow {
        designation,
        department: text("department", department)?,
        budget: amount_of_json(budget, scale)?,
        location: text("location", location)?,
    }))
}

fn login(name: &Value) -> Result<Request, BadArgument> {
    let name = text("name", name)?;
    match check_author_name(&name) {
        // Pages that do not know who uses them log in without a name.
        Ok(_) | Err(InvalidAuthorName::Empty) => Ok(Request::Login { name }),
        Err(InvalidAuthorName::TooLong) => Err(BadArgument::TooLong { field: "name", most: MAX_NAME }),
        Err(InvalidAuthorName::Control) => Err(BadArgument::ControlCharacters("name")),
    }
}

fn tracking(element: &Value, value: Option<&Value>) -> Result<Request, BadArgument> {
    let element = text("element", element)?;
    // A value that JavaScript does not have arrives as null.
    let value = value.filter(|value| !value.is_null()).map(|value| text("value", value)).transpose()?;
    let tracking = Tracking { element, value };
    at_most("element", &tracking.element_id(), MAX_ELEMENT)?;
    Ok(Request::Tracking(tracking))
}

/// The element's part after the name of the total budget, if it is that. Clients split at the first space, so a value
/// inside of the element is as good as one beside it.
fn element_of_total(element: &Value) -> Option<Option<&str>> {
    match element.as_str()?.split_once(' ') {
        Some((TOTAL_BUDGET_ELEMENT, inner)) => Some(Some(inner)),
        None if element == TOTAL_BUDGET_ELEMENT => Some(None),
        _ => None,
    }
}

fn set_total(element: &Value, value: Option<&Value>, plan: &Scale<'_>) -> Result<Request, BadArgument> {
    // The total is kept as an amount of currency until the document converts it, as its unit may change meanwhile.
    let scale = Scale { unit: 1.0, bare: ONE_CRORE, ..*plan };
    let inner = element_of_total(element).flatten().map(Value::from);
    let value = inner.as_ref().or(value).filter(|value| !value.is_null());
    let amount = value.map_or_else(|| amount_of_json(&"".into(), &scale), |value| amount_of_json(value, &scale))?;
    Ok(Request::SetTotal { amount })
}

/// The form in which the client sends a login and a logout, and nothing else.
fn object_form(object: &Map<String, Value>) -> Result<Request, LegacyError> {
    let Some(Value::String(name)) = object.get("action") else { return Err(LegacyError::Undecodable) };
    let user = |action| {
        let user = object.get("userID").filter(|user| !user.is_null());
        user.map(|user| text("userID", user)).transpose().map_err(|reason| LegacyError::bad(action, reason))
    };
    let as_array = |action, form| Err(LegacyError::bad(action, BadArgument::ObjectForm(form)));
    match name.trim() {
        "login" => Ok(Request::LoginObject { user: user(Action::Login)? }),
        "logout" => Ok(Request::LogoutObject { user: user(Action::Logout)? }),
        "add" => as_array(Action::Add, r#"["add", designation, department, budget, location]"#),
        "delete" => as_array(Action::Delete, r#"["delete", id]"#),
        "tracking" => as_array(Action::Tracking, r#"["tracking", element, value]"#),
        other => Ok(Request::Unknown { action: other.to_owned() }),
    }
}

fn text(field: &'static str, value: &Value) -> Result<String, BadArgument> {
    text_of(value).ok_or(BadArgument::NotText(field))
}

fn at_most(field: &'static str, text: &str, most: usize) -> Result<(), BadArgument> {
    if text.chars().count() > most { Err(BadArgument::TooLong { field, most }) } else { Ok(()) }
}

/// Text, or a number as its digits: what has neither a meaning of its own nor could be mistaken.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
