//! [`Budget`]: an amount in units of the plan (lakh of rupees in the demo document). [`super::amount`] parses amounts as text.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// The largest budget: 2^53 - 1, the largest whole number that JavaScript holds exactly.
pub const MAX_BUDGET: u64 = (1 << 53) - 1;

/// An amount in units of the plan, from 0 to [`MAX_BUDGET`].
///
/// A whole number is always an `Int`, also if it was made from a float or parsed from text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Budget {
    /// A whole number.
    Int(u64),
    /// A number with a fraction.
    Float(f64),
}

/// Why a value is not a budget.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BudgetError {
    /// A JSON value that is not a number.
    #[error("the budget must be a number, but it is {0}")]
    WrongType(&'static str),
    /// Infinite or NaN.
    #[error("the budget must be a finite number")]
    NotFinite,
    /// Less than 0.
    #[error("the budget cannot be negative")]
    Negative,
    /// More than [`MAX_BUDGET`].
    #[error("the budget is too large: at most {MAX_BUDGET} is accepted")]
    TooLarge,
}

impl Budget {
    /// A budget from a whole number.
    ///
    /// # Errors
    /// When it is too large.
    pub fn new_u64(number: u64) -> Result<Self, BudgetError> {
        if number > MAX_BUDGET { Err(BudgetError::TooLarge) } else { Ok(Self::Int(number)) }
    }

    /// A budget from a number; an `Int` if it is whole.
    ///
    /// # Errors
    /// When it is negative, too large or not finite.
    pub fn new_f64(number: f64) -> Result<Self, BudgetError> {
        #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact")]
        const MAX: f64 = MAX_BUDGET as f64;
        if !number.is_finite() {
            return Err(BudgetError::NotFinite);
        }
        if number < 0.0 {
            return Err(BudgetError::Negative);
        }
        if number > MAX {
            return Err(BudgetError::TooLarge);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and in the range")]
        let whole = (number.fract() == 0.0).then_some(number as u64);
        Ok(whole.map_or(Self::Float(number), Self::Int))
    }

    /// The amount that a stored value counts as: a number, or digits that another program wrote as text.
    pub(super) fn of_stored(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => text.trim().parse().ok().and_then(|number| Self::new_f64(number).ok()),
            value => Self::from_json(value).ok(),
        }
    }

    /// A budget from a JSON number. For text see [`parse_amount`](super::parse_amount).
    ///
    /// # Errors
    /// When the value is not a number, or the number is out of range.
    pub fn from_json(value: &Value) -> Result<Self, BudgetError> {
        match value {
            Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(number), _) => Self::new_u64(number),
                (None, Some(number)) => Self::new_f64(number),
                (None, None) => Err(BudgetError::NotFinite),
            },
            Value::String(_) => Err(BudgetError::WrongType("text")),
            Value::Null => Err(BudgetError::WrongType("null")),
            Value::Bool(_) => Err(BudgetError::WrongType("true or false")),
            Value::Array(_) => Err(BudgetError::WrongType("a list")),
            Value::Object(_) => Err(BudgetError::WrongType("an object")),
        }
    }

    /// The budget as a float. Exact, because no budget exceeds 2^53.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no budget exceeds 2^53")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

/// Formats the number without grouping or currency, as in CSV and change messages: `50000`, `12.5`.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_numbers_become_budgets() {
        for (value, budget) in [
            (json!(50000), Ok(Budget::Int(50_000))),
            (json!(12.5), Ok(Budget::Float(12.5))),
            (json!(12.0), Ok(Budget::Int(12))),
            (json!(-0.0), Ok(Budget::Int(0))),
            (json!("50"), Err(BudgetError::WrongType("text"))),
            (json!(-1), Err(BudgetError::Negative)),
            (json!(-0.5), Err(BudgetError::Negative)),
            (json!(9_007_199_254_740_992_u64), Err(BudgetError::TooLarge)),
            (json!(1e300), Err(BudgetError::TooLarge)),
            (json!(null), Err(BudgetError::WrongType("null"))),
            (json!(true), Err(BudgetError::WrongType("true or false"))),
            (json!([5]), Err(BudgetError::WrongType("a list"))),
            (json!({}), Err(BudgetError::WrongType("an object"))),
        ] {
            assert_eq!(Budget::from_json(&value), budget, "{value}");
        }
        assert_eq!(Budget::new_f64(f64::NAN), Err(BudgetError::NotFinite));
        assert_eq!(Budget::new_f64(f64::INFINITY), Err(BudgetError::NotFinite));
        assert_eq!(serde_json::to_string(&[Budget::Int(5), Budget::Float(0.5)]).expect("JSON"), "[5,0.5]");
    }
}
