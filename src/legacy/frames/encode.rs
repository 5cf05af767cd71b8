//! The frames that legacy clients get, each as the text to send.

use plan::Budget;
use serde_json::{Map, Value, json};

use crate::legacy::format_when;

/// A position as legacy clients see it. A row of the document may lack anything but its id.
///
/// What is missing is sent as an empty text and never left out or null: the client calls text functions on the fields
/// and indexes `lastUpdated`. A budget that is unknown is sent as 0, as the client adds budgets up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EntryRow<'a> {
    /// The id.
    pub id: &'a str,
    /// What the person does.
    pub designation: Option<&'a str>,
    /// One of those that the client knows: see [`shown_department`](super::shown_department).
    pub department: &'static str,
    /// The budget; `None`: unknown.
    pub budget: Option<Budget>,
    /// Where.
    pub location: Option<&'a str>,
    /// Who last changed the row.
    pub updated_by: Option<&'a str>,
    /// When that was, in milliseconds since 1970.
    pub updated_at_ms: Option<i64>,
}

impl EntryRow<'_> {
    /// The row as `GET /data/` lists it: the budget is a number.
    #[must_use]
    pub fn listed(&self) -> Value {
        self.with_budget(match self.budget {
            Some(Budget::Int(number)) => number.into(),
            Some(Budget::Float(number)) => number.into(),
            None => 0.into(),
        })
    }

    /// The row as in an `entry` frame: the budget is a text, as the original sent it.
    fn announced(&self) -> Value {
        self.with_budget(self.budget.unwrap_or(Budget::Int(0)).to_string().into())
    }

    fn with_budget(&self, budget: Value) -> Value {
        json!({
            "id": self.id,
            "designation": self.designation.unwrap_or_default(),
            "department": self.department,
            "budget": budget,
            "location": self.location.unwrap_or_default(),
            "lastUpdated": [
                self.updated_by.unwrap_or_default(),
                self.updated_at_ms.map(format_when).unwrap_or_default(),
            ],
        })
    }
}

/// To the sender: a frame was dealt with.
#[must_use]
pub fn processed() -> String {
    json!({ "status": "Data processed" }).to_string()
}

/// To the sender of a `delete`, before [`processed`].
#[must_use]
pub fn deleted_direct() -> String {
    json!({ "status": "Data deleted successfully" }).to_string()
}

/// To everybody: the position of this id is gone.
#[must_use]
pub fn deleted(id: &str) -> String {
    json!({ "status": "Data deleted successfully", "deleted_id": id }).to_string()
}

/// To everybody: there is a new position. Clients put it in front of their list.
#[must_use]
pub fn entry(row: &EntryRow<'_>) -> String {
    json!({ "status": "Data added successfully", "entry": row.announced() }).to_string()
}

/// To everybody, after an [`entry`]: changes nothing, but makes the client draw again.
#[must_use]
pub fn trailer() -> String {
    json!({ "status": "Data added successfully", "elementID": null, "loginData": null }).to_string()
}

/// To everybody: somebody clicked there. Made from [`Tracking::element_id`](super::Tracking::element_id).
#[must_use]
pub fn tracking(element_id: &str) -> String {
    json!({ "status": "tracking successfully", "elementID": element_id, "loginData": null }).to_string()
}

/// To everybody, or to a newcomer: the total budget, in crore.
#[must_use]
pub fn total_budget(crore: Budget) -> String {
    tracking(&format!("{} {crore}", super::TOTAL_BUDGET_ELEMENT))
}

/// To everybody, after the [`login_update`] that a login caused.
#[must_use]
pub fn login_trailer(name: &str) -> String {
    json!({ "status": "tracking successfully", "elementID": null, "loginData": name }).to_string()
}

/// To everybody, or to a newcomer: who is here.
#[must_use]
pub fn login_update<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let online = |name: &str| (name.to_owned(), json!({ "status": "online" }));
    let users: Map<String, Value> = names.into_iter().map(online).collect();
    // The client looks for a key `login_update`, which the original never sent.
    json!({ "type": "login_update", "login_update": true, "logged_in_users": users }).to_string()
}

/// To the sender: its frame was refused.
#[must_use]
pub fn error(reason: &str) -> String {
    json!({ "error": reason }).to_string()
}
