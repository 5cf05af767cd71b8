//! What a legacy client can ask for.

use plan::Budget;

/// The DOM id under which the Angular client announces, and takes, the total budget (in crore).
pub const TOTAL_BUDGET_ELEMENT: &str = "enterBudgetBtn";
/// Rupees in one crore, in which legacy clients count the total budget.
pub const ONE_CRORE: f64 = 1e7;
/// The total budget, in crore, that the Angular client shows until it is told another.
pub const INITIAL_TOTAL: u64 = 20;
/// Characters that a tracked element may have, its value included.
pub const MAX_ELEMENT: usize = 1_000;

/// One frame of a legacy client.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Make a position.
    Add(AddRow),
    /// Delete the position of this id, if there is one.
    Delete {
        /// The id; may be empty.
        id: String,
    },
    /// The person at this connection is called so.
    Login {
        /// As sent; may be empty or have white space around it.
        name: String,
    },
    /// The login page's second message. It is acknowledged, and means nothing.
    LoginObject {
        /// The first part of the e-mail address.
        user: Option<String>,
    },
    /// The person at this connection has pressed "Log out".
    LogoutObject {
        /// The first part of the e-mail address; not known after a deep link.
        user: Option<String>,
    },
    /// The person at this connection has clicked on something.
    Tracking(Tracking),
    /// The total budget is to be this.
    SetTotal {
        /// In units of the currency.
        amount: Budget,
    },
    /// No action of the protocol; acknowledged, as the original did.
    Unknown {
        /// The action that was asked for.
        action: String,
    },
}

/// A position that a legacy client wants made.
#[derive(Debug, Clone, PartialEq)]
pub struct AddRow {
    /// What the person does; never empty.
    pub designation: String,
    /// As sent; may be empty, or other than the five that the client's form offers.
    pub department: String,
    /// In units of the plan.
    pub budget: Budget,
    /// As sent; may be empty.
    pub location: String,
}

/// A click on something in the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    /// The DOM id of the thing; may be empty.
    pub element: String,
    /// The value that was entered there.
    pub value: Option<String>,
}

impl Tracking {
    /// The `elementID` to pass on to everybody: the element, and after a space the value if there is one.
    #[must_use]
    pub fn element_id(&self) -> String {
        match &self.value {
            Some(value) => format!("{} {value}", self.element),
            None => self.element.clone(),
        }
    }
}
