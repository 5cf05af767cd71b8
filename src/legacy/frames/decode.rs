//! Decodes the frames of legacy clients.

use plan::{Scale, amount_of_json};
use primitives::{InvalidAuthorName, MAX_NAME, check_author_name, is_blank, strict_json};
use serde_json::{Map, Value};

use super::{
    Action, AddRow, BadArgument, LegacyError, MAX_ELEMENT, MAX_FRAME, ONE_CRORE, Request, TOTAL_BUDGET_ELEMENT,
    Tracking, comma_separated,
};

/// Decodes a text frame. Amounts are in units of the plan, whose `scale` is given.
///
/// The content of a JSON string is parsed as JSON again, or as comma-separated text if it is neither an array nor an object. An array
/// is an action with its arguments, an object is a login or a logout. Both may also be sent without the string around them.
///
/// # Errors
/// If the frame is not an action with an argument, or if an argument of a known action is invalid.
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
                let fields: Vec<Value> = comma_separated::split(&inner).into_iter().map(Value::String).collect();
                array(&fields, Form::CommaSeparated, scale)
            }
        },
        Value::Array(items) => array(&items, Form::Array, scale),
        Value::Object(object) => object_form(&object),
        _ => Err(LegacyError::Undecodable),
    }
}

/// The form of the arguments.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// A JSON array.
    Array,
    /// Comma-separated text, in which a comma inside of a field cannot be told from a separator.
    CommaSeparated,
}

/// Decodes an action from all arguments, the first argument, and the scale of amounts.
type ReadArguments = fn(&[Value], &Value, &Scale<'_>) -> Result<Request, BadArgument>;

fn array(items: &[Value], form: Form, scale: &Scale<'_>) -> Result<Request, LegacyError> {
    // Any action without an argument is undecodable: the legacy backend closed the connection.
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
    // Additional fields of an array are ignored, as in the legacy backend. In comma-separated text they show that a field contains a
    // comma, so the fields cannot be told apart.
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
        // Pages without a known user log in without a name.
        Ok(_) | Err(InvalidAuthorName::Empty) => Ok(Request::Login { name }),
        Err(InvalidAuthorName::TooLong) => Err(BadArgument::TooLong { field: "name", most: MAX_NAME }),
        Err(InvalidAuthorName::Control) => Err(BadArgument::ControlCharacters("name")),
    }
}

fn tracking(element: &Value, value: Option<&Value>) -> Result<Request, BadArgument> {
    let element = text("element", element)?;
    // `undefined` in JavaScript arrives as null.
    let value = value.filter(|value| !value.is_null()).map(|value| text("value", value)).transpose()?;
    let tracking = Tracking { element, value };
    at_most("element", &tracking.element_id(), MAX_ELEMENT)?;
    Ok(Request::Tracking(tracking))
}

/// If the element is the total budget, returns the part after its name. Clients split the element at the first space, so the value may
/// be inside of the element.
fn element_of_total(element: &Value) -> Option<Option<&str>> {
    match element.as_str()?.split_once(' ') {
        Some((TOTAL_BUDGET_ELEMENT, inner)) => Some(Some(inner)),
        None if element == TOTAL_BUDGET_ELEMENT => Some(None),
        _ => None,
    }
}

fn set_total(element: &Value, value: Option<&Value>, plan: &Scale<'_>) -> Result<Request, BadArgument> {
    // In units of the currency: the document converts it to units of the plan, which may change meanwhile.
    let scale = Scale { unit: 1.0, bare: ONE_CRORE, ..*plan };
    let inner = element_of_total(element).flatten().map(Value::from);
    let value = inner.as_ref().or(value).filter(|value| !value.is_null());
    let amount = value.map_or_else(|| amount_of_json(&"".into(), &scale), |value| amount_of_json(value, &scale))?;
    Ok(Request::SetTotal { amount })
}

/// Decodes the object form, which clients use for login and logout only.
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

/// A string, or the digits of a number. Other values are not text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
