//! What a legacy client can ask for.

use crate::format::{Budget, BudgetError, parse_budget};

/// The DOM id under which the Angular client announces, and takes, the total budget (in crore).
pub const TOTAL_BUDGET_ELEMENT: &str = "enterBudgetBtn";

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
    /// The budget, a number whatever form it was sent in.
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
    /// The total budget in crore, if this announces one; an error if it means to and has no number.
    #[must_use]
    pub fn total_budget(&self) -> Option<Result<Budget, BudgetError>> {
        // Clients split at the first space, so a value inside of the element is as good as one beside it.
        let (element, inner) = match self.element.split_once(' ') {
            Some((element, inner)) => (element, Some(inner)),
            None => (&*self.element, None),
        };
        if element != TOTAL_BUDGET_ELEMENT {
            return None;
        }
        let value = inner.or(self.value.as_deref()).unwrap_or_default();
        Some(parse_budget(value))
    }

    /// The `elementID` to pass on to everybody: the element, and after a space the value if there is one.
    ///
    /// `None` for a total budget without a number, which would show as `NaN` in every window; a total budget that was
    /// written in a way that only people read (`1,000`) is passed on as a plain number.
    #[must_use]
    pub fn element_id(&self) -> Option<String> {
        match (self.total_budget(), &self.value) {
            (Some(Ok(total)), _) => Some(format!("{TOTAL_BUDGET_ELEMENT} {total}")),
            (Some(Err(_)), _) => None,
            (None, Some(value)) => Some(format!("{} {value}", self.element)),
            (None, None) => Some(self.element.clone()),
        }
    }
}
