//! The requests of legacy clients.

use plan::Budget;

/// The element id with which the Angular client sends and receives the total budget (in crore).
pub const TOTAL_BUDGET_ELEMENT: &str = "enterBudgetBtn";
/// Rupees in one crore, the legacy unit of the total budget.
pub const ONE_CRORE: f64 = 1e7;
/// The total budget, in crore, that the Angular client shows before it receives one.
pub const INITIAL_TOTAL: u64 = 20;
/// Maximum number of characters of a tracked element, including its value.
pub const MAX_ELEMENT: usize = 1_000;

/// One frame of a legacy client.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Add a position.
    Add(AddRow),
    /// Delete a position, if it exists.
    Delete {
        /// The id. May be empty.
        id: String,
    },
    /// Set the name of the user on this socket.
    Login {
        /// The name as sent. May be empty or have surrounding white space.
        name: String,
    },
    /// The second message of the login page. It is acknowledged and has no effect.
    LoginObject {
        /// The local part of the e-mail address.
        user: Option<String>,
    },
    /// Remove the name of the user on this socket.
    LogoutObject {
        /// The local part of the e-mail address. Unknown if the user followed a deep link.
        user: Option<String>,
    },
    /// Broadcast a click of the user.
    Tracking(Tracking),
    /// Set the total budget.
    SetTotal {
        /// The total budget in units of the currency.
        amount: Budget,
    },
    /// An unknown action. It is acknowledged, as by the legacy backend.
    Unknown {
        /// The name of the action.
        action: String,
    },
}

/// The fields of a new position.
#[derive(Debug, Clone, PartialEq)]
pub struct AddRow {
    /// The designation, which is not blank.
    pub designation: String,
    /// The department as sent. May be empty, and may differ from the five in the client's form.
    pub department: String,
    /// The budget in units of the plan.
    pub budget: Budget,
    /// The location as sent. May be empty.
    pub location: String,
}

/// A click on an element of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    /// The id of the DOM element. May be empty.
    pub element: String,
    /// The value of the element.
    pub value: Option<String>,
}

impl Tracking {
    /// The `elementID` to broadcast: the element, followed by a space and the value if there is one.
    #[must_use]
    pub fn element_id(&self) -> String {
        match &self.value {
            Some(value) => format!("{} {value}", self.element),
            None => self.element.clone(),
        }
    }
}
