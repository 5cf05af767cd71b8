//! Budgets: a number of units (lakh of rupees in the demo document), and how people write it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// The largest budget: 2^53 - 1, the largest whole number that JavaScript holds exactly.
pub const MAX_BUDGET: u64 = (1 << 53) - 1;

/// What a position may cost: a number from 0 to [`MAX_BUDGET`].
///
/// Made by [`Budget::new_f64`], [`Budget::from_json`] or [`parse_budget`], a whole number is always an `Int`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Budget {
    /// A whole number.
    Int(u64),
    /// A number with a fraction.
    Float(f64),
}

/// Why something is not a budget.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BudgetError {
    /// Nothing, or nothing but white space.
    #[error("the budget is empty")]
    Empty,
    /// Not written as a number.
    #[error("the budget {0:?} is not a number")]
    NotANumber(String),
    /// Commas or spaces where they group nothing: a decimal comma, most likely.
    #[error("the budget {0:?} is ambiguous: write it without commas and spaces, and with a point before decimals")]
    Grouping(String),
    /// A JSON value that is neither a number nor text.
    #[error("the budget must be a number, but it is {0}")]
    WrongType(&'static str),
    /// Infinite, or not a number at all.
    #[error("the budget must be a finite number")]
    NotFinite,
    /// Less than nothing.
    #[error("the budget cannot be negative")]
    Negative,
    /// More than [`MAX_BUDGET`].
    #[error("the budget is too large: at most {MAX_BUDGET} is accepted")]
    TooLarge,
}

impl Budget {
    /// The budget of this whole number.
    pub fn new_u64(number: u64) -> Result<Self, BudgetError> {
        if number > MAX_BUDGET { Err(BudgetError::TooLarge) } else { Ok(Self::Int(number)) }
    }

    /// The budget of this number; an `Int` if it is whole.
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

    /// The budget that a JSON value holds: a number, or a text that [`parse_budget`] reads.
    pub fn from_json(value: &Value) -> Result<Self, BudgetError> {
        match value {
            Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(number), _) => Self::new_u64(number),
                (None, Some(number)) => Self::new_f64(number),
                (None, None) => Err(BudgetError::NotFinite),
            },
            Value::String(text) => parse_budget(text),
            Value::Null => Err(BudgetError::WrongType("null")),
            Value::Bool(_) => Err(BudgetError::WrongType("true or false")),
            Value::Array(_) => Err(BudgetError::WrongType("a list")),
            Value::Object(_) => Err(BudgetError::WrongType("an object")),
        }
    }

    /// The budget as a float; exact, as no budget is beyond 2^53.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no budget is beyond 2^53")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

/// The form that the legacy clients get as text: `50000`, `12.5`.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
        }
    }
}

/// Reads a budget as people type it: digits, perhaps grouped by commas or spaces in the western (1,234,567) or the
/// Indian way (12,34,567), perhaps with `₹` in front, perhaps with decimals after a point.
///
/// Everything else is refused. So is `12,5`, because whoever typed it did not mean 125.
pub fn parse_budget(text: &str) -> Result<Budget, BudgetError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(BudgetError::Empty);
    }
    let reason = match trimmed.strip_prefix(['-', '−']) {
        None => return parse_amount(trimmed).map_err(|reason| reason.about(text)),
        // What is no number does not become a negative one by a dash.
        Some(amount) => parse_amount(amount).map_or_else(|reason| reason, |_| Refusal::Negative),
    };
    Err(reason.about(text))
}

enum Refusal {
    NotANumber,
    Grouping,
    Negative,
    TooLarge,
}

impl Refusal {
    fn about(self, text: &str) -> BudgetError {
        match self {
            Self::NotANumber => BudgetError::NotANumber(excerpt(text)),
            Self::Grouping => BudgetError::Grouping(excerpt(text)),
            Self::Negative => BudgetError::Negative,
            Self::TooLarge => BudgetError::TooLarge,
        }
    }
}

fn parse_amount(amount: &str) -> Result<Budget, Refusal> {
    let amount = amount.strip_prefix('₹').map_or(amount, str::trim_start);
    let (whole, decimals) = match amount.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (amount, None),
    };
    let groups: Vec<&str> = whole.split(is_separator).collect();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !groups.iter().copied().chain(decimals).all(is_number) {
        return Err(Refusal::NotANumber);
    }
    if !is_grouped(&groups) {
        return Err(Refusal::Grouping);
    }
    let digits = groups.concat();
    let budget = match decimals {
        None => digits.parse().map_err(|_| BudgetError::TooLarge).and_then(Budget::new_u64),
        Some(decimals) => {
            let number: f64 = format!("{digits}.{decimals}").parse().map_err(|_| Refusal::NotANumber)?;
            Budget::new_f64(number)
        }
    };
    // All that can be wrong with digits is that they are too many.
    budget.map_err(|_| Refusal::TooLarge)
}

fn is_separator(letter: char) -> bool {
    // A space, and the three kinds of it that number formatters put between groups.
    matches!(letter, ',' | ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}')
}

/// Whether digits are grouped as in 1,234,567 or as in 12,34,567, or not at all.
fn is_grouped(groups: &[&str]) -> bool {
    let [first, middle @ .., last] = groups else { return true };
    let western = first.len() <= 3 && middle.iter().all(|group| group.len() == 3);
    let indian = first.len() <= 2 && middle.iter().all(|group| group.len() == 2);
    last.len() == 3 && (western || indian)
}

/// Enough of a text to recognise it by.
fn excerpt(text: &str) -> String {
    const LETTERS: usize = 40;
    let mut start: String = text.chars().take(LETTERS).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn budgets_as_people_write_them() {
        for (text, budget) in [
            ("50000", Budget::Int(50_000)),
            ("0", Budget::Int(0)),
            ("007", Budget::Int(7)),
            ("50,000", Budget::Int(50_000)),
            ("1,00,000", Budget::Int(100_000)),
            ("1,23,45,678", Budget::Int(12_345_678)),
            ("12,345,678", Budget::Int(12_345_678)),
            ("123,456.50", Budget::Float(123_456.5)),
            ("50 000", Budget::Int(50_000)),
            ("50\u{a0}000", Budget::Int(50_000)),
            ("  12.5 ", Budget::Float(12.5)),
            ("12.50", Budget::Float(12.5)),
            ("12.0", Budget::Int(12)),
            ("₹35", Budget::Int(35)),
            ("₹ 1,00,000", Budget::Int(100_000)),
            ("9007199254740991", Budget::Int(MAX_BUDGET)),
        ] {
            assert_eq!(parse_budget(text), Ok(budget), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_budget_is_told_why() {
        let not_a_number = |text: &str| Err(BudgetError::NotANumber(text.into()));
        let grouping = |text: &str| Err(BudgetError::Grouping(text.into()));
        assert_eq!(parse_budget(""), Err(BudgetError::Empty));
        assert_eq!(parse_budget(" \t"), Err(BudgetError::Empty));
        for text in [
            "lots",
            "Engineering",
            "null",
            "true",
            "1e5",
            "0x10",
            "12.",
            ".5",
            "1.2.3",
            "NaN",
            "Infinity",
            "+5",
            "₹",
            "35L",
            "50 lakh",
            "--5",
            "-x",
            "1,,000",
            ",000",
            "1,000,",
            "५०",
            "12.5,0",
            "₹₹5",
            "\"50000",
            "5\n5",
            "₹-5",
        ] {
            assert_eq!(parse_budget(text), not_a_number(text), "{text:?}");
        }
        for text in ["12,5", "5,0", "12,50", "1,0000", "1000,000", "1,00,00", "123,45,678", "1 2", "1,000,00,000"] {
            assert_eq!(parse_budget(text), grouping(text), "{text:?}");
        }
        for text in ["-5", "−5", "-50,000", "-₹3"] {
            assert_eq!(parse_budget(text), Err(BudgetError::Negative), "{text:?}");
        }
        let endless = "9".repeat(400);
        for text in
            ["9007199254740992", "9007199254740992.5", "99999999999999999999999", &endless, &format!("{endless}.5")]
        {
            assert_eq!(parse_budget(text), Err(BudgetError::TooLarge), "{text:?}");
        }
        let long = "x".repeat(1000);
        assert!(parse_budget(&long).unwrap_err().to_string().len() < 100);
    }

    #[test]
    fn budgets_in_json() {
        for (value, budget) in [
            (json!(50000), Ok(Budget::Int(50_000))),
            (json!(12.5), Ok(Budget::Float(12.5))),
            (json!(12.0), Ok(Budget::Int(12))),
            (json!(-0.0), Ok(Budget::Int(0))),
            (json!("50,000"), Ok(Budget::Int(50_000))),
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

    proptest! {
        #[test]
        fn what_is_shown_is_read(number in 0.0..9e15) {
            let budget = Budget::new_f64(number).expect("in range");
            prop_assert_eq!(parse_budget(&budget.to_string()), Ok(budget));
        }

        #[test]
        fn any_text_is_answered(text in "[-0-9, .₹a]{0,12}") {
            let _ = parse_budget(&text);
        }
    }
}
