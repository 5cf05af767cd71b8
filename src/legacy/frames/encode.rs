//! Encodes the frames that legacy clients receive. Each function returns the text of one frame.

use plan::Budget;
use serde_json::{Map, Value, json};

use crate::legacy::format_date;

/// A position as legacy clients receive it. All fields of a position except its id may be missing.
///
/// Missing fields are sent as empty strings, since the client calls string methods on the fields and indexes `lastUpdated`. An unknown
/// budget is sent as 0, since the client adds budgets up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EntryRow<'a> {
    /// The id.
    pub id: &'a str,
    /// The designation.
    pub designation: Option<&'a str>,
    /// One of the five departments of the client: see [`shown_department`](super::shown_department).
    pub department: &'static str,
    /// The budget in units of the plan; `None` if it is unknown.
    pub budget: Option<Budget>,
    /// The location.
    pub location: Option<&'a str>,
    /// The author of the last change.
    pub updated_by: Option<&'a str>,
    /// Time of the last change, in Unix milliseconds.
    pub updated_at_ms: Option<i64>,
}

impl EntryRow<'_> {
    /// The row in the response of `GET /data/`: the budget is a number.
    #[must_use]
    pub fn listed(&self) -> Value {
        self.with_budget(match self.budget {
            Some(Budget::Int(number)) => number.into(),
            Some(Budget::Float(number)) => number.into(),
            None => 0.into(),
        })
    }

    /// The row in an `entry` frame: the budget is a string, as in the legacy backend.
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
                self.updated_at_ms.map(format_date).unwrap_or_default(),
            ],
        })
    }
}

/// To the sender: a frame was processed.
#[must_use]
pub fn processed() -> String {
    json!({ "status": "Data processed" }).to_string()
}

/// To the sender of a `delete`, before [`processed`].
#[must_use]
pub fn deleted_direct() -> String {
    json!({ "status": "Data deleted successfully" }).to_string()
}

/// To all clients: the position with this id was deleted.
#[must_use]
pub fn deleted(id: &str) -> String {
    json!({ "status": "Data deleted successfully", "deleted_id": id }).to_string()
}

/// To all clients: a position was added. Clients insert it at the top of their list.
#[must_use]
pub fn entry(row: &EntryRow<'_>) -> String {
    json!({ "status": "Data added successfully", "entry": row.announced() }).to_string()
}

/// To all clients, after an [`entry`]: makes the client redraw.
#[must_use]
pub fn trailer() -> String {
    json!({ "status": "Data added successfully", "elementID": null, "loginData": null }).to_string()
}

/// To all clients: a user clicked on an element. `element_id` is [`Tracking::element_id`](super::Tracking::element_id).
#[must_use]
pub fn tracking(element_id: &str) -> String {
    json!({ "status": "tracking successfully", "elementID": element_id, "loginData": null }).to_string()
}

/// To all clients, or to a new one: the total budget, in crore.
#[must_use]
pub fn total_budget(crore: Budget) -> String {
    tracking(&format!("{} {crore}", super::TOTAL_BUDGET_ELEMENT))
}

/// To all clients, after the [`login_update`] of a login.
#[must_use]
pub fn login_trailer(name: &str) -> String {
    json!({ "status": "tracking successfully", "elementID": null, "loginData": name }).to_string()
}

/// To all clients, or to a new one: the names of logged-in users.
#[must_use]
pub fn login_update<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let online = |name: &str| (name.to_owned(), json!({ "status": "online" }));
    let users: Map<String, Value> = names.into_iter().map(online).collect();
    // The client reads the key `login_update`, which the legacy backend never sent.
    json!({ "type": "login_update", "login_update": true, "logged_in_users": users }).to_string()
}

/// To the sender: its frame was rejected.
#[must_use]
pub fn error(reason: &str) -> String {
    json!({ "error": reason }).to_string()
}
