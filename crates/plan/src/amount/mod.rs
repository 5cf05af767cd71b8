//! Parses amounts of money as people type, paste and import them: `12.5`, `₹ 8 lakh`, `1.234,56 €`, `50000/-`.
//!
//! An amount is parsed exactly or rejected with a reason; nothing is guessed or dropped. The dashboard has the same grammar
//! (`dashboard/src/plan/amount.ts`), and both are tested with `tests/fixtures/amounts.json`, from which `docs/amounts.md` is
//! generated.

mod currency;
mod number;
#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
mod text;

use currency::codes_of;
use number::Decimal;
use serde_json::Value;

use super::{Budget, BudgetError};

/// The group and decimal marks of a number format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Mark between groups of digits.
    pub group: char,
    /// Mark before decimals.
    pub decimal: char,
}

impl Marks {
    /// The format of programs: `1,234.5`.
    pub const POINT: Self = Self { group: ',', decimal: '.' };
}

/// How a number as text is interpreted: its format, currency and unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale<'a> {
    /// The marks of the author's number format.
    pub marks: Marks,
    /// Code of the plan's currency. If `None`, an amount may name any currency.
    pub currency: Option<&'a str>,
    /// Currency units in one unit of the plan, such as 100,000 for lakh. Results are in units of the plan.
    pub unit: f64,
    /// Currency units in one unit of a number without a unit word; normally `unit`.
    pub bare: f64,
}

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AmountError {
    /// Empty, white space, or a dash as in an empty table cell.
    #[error("the budget is empty")]
    Empty,
    /// Not written as one number.
    #[error("the budget {0:?} is not a number")]
    NotANumber(String),
    /// The marks have several interpretations, or none.
    #[error("the budget {0:?} is ambiguous; write the number without marks between groups of digits")]
    Grouping(String),
    /// More than 0, but 0 as a 64-bit floating-point number.
    #[error("the budget is too small to be stored; write 0 or a larger number")]
    TooSmall,
    /// A currency other than the plan's.
    #[error("the budget {text:?} is in {named}, and this plan counts in {plan}")]
    OtherCurrency {
        /// The amount.
        text: String,
        /// The named currency: a code, or a symbol of several currencies.
        named: String,
        /// The plan's currency.
        plan: String,
    },
    /// An abbreviation with several meanings.
    #[error("the unit {0:?} is ambiguous; write it in full: thousand, lakh, million, crore or billion")]
    AmbiguousUnit(String),
    /// An unknown word beside the number.
    #[error("in the budget {text:?}, {word:?} is neither a unit nor a currency")]
    UnknownWord {
        /// The amount.
        text: String,
        /// The word.
        word: String,
    },
    /// The number is not a valid budget.
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

/// Why a cleaned text is not an amount.
#[derive(Debug, PartialEq)]
enum Refusal {
    NotANumber,
    Grouping,
    Negative,
    TooLarge,
    TooSmall,
    OtherCurrency(String),
    AmbiguousUnit(String),
    UnknownWord(String),
}

impl Refusal {
    fn about(self, text: &str, scale: &Scale<'_>) -> AmountError {
        match self {
            Self::NotANumber => AmountError::NotANumber(excerpt(text)),
            Self::Grouping => AmountError::Grouping(excerpt(text)),
            Self::Negative => BudgetError::Negative.into(),
            Self::TooLarge => BudgetError::TooLarge.into(),
            Self::TooSmall => AmountError::TooSmall,
            Self::OtherCurrency(named) => AmountError::OtherCurrency {
                text: excerpt(text),
                named: excerpt(&named),
                plan: excerpt(scale.currency.unwrap_or_default()),
            },
            Self::AmbiguousUnit(word) => AmountError::AmbiguousUnit(excerpt(&word)),
            Self::UnknownWord(word) => AmountError::UnknownWord { text: excerpt(text), word: excerpt(&word) },
        }
    }
}

/// Whether a text is blank: empty, white space, or a dash as in an empty table cell.
#[must_use]
pub fn is_blank_amount(text: &str) -> bool {
    text::is_blank(&text::clean(text))
}

/// Parses an amount. The result is in units of the plan.
///
/// # Errors
/// When the text is empty or ambiguous, is in another currency, or is not between 0 and
/// [`MAX_BUDGET`](super::MAX_BUDGET) units.
pub fn parse_amount(text: &str, scale: &Scale<'_>) -> Result<Budget, AmountError> {
    let cleaned = text::clean(text);
    if text::is_blank(&cleaned) {
        return Err(AmountError::Empty);
    }
    read(&cleaned, scale).map_err(|refusal| refusal.about(text, scale))
}

/// A budget from a JSON value: a number in units of [`Scale::bare`], or an amount as text.
///
/// # Errors
/// See [`parse_amount`]; also for values of other types.
pub fn amount_of_json(value: &Value, scale: &Scale<'_>) -> Result<Budget, AmountError> {
    match value {
        Value::String(text) => parse_amount(text, scale),
        Value::Number(number) if scale.bare.to_bits() != scale.unit.to_bits() => {
            parse_amount(&number.to_string(), scale)
        }
        value => Ok(Budget::from_json(value)?),
    }
}

fn read(cleaned: &str, scale: &Scale<'_>) -> Result<Budget, Refusal> {
    let parts = text::split(cleaned)?;
    let decimal = number::read(parts.number, scale.marks)?;
    for word in &parts.currencies {
        check_currency(word, scale.currency)?;
    }
    let budget = convert(&decimal, parts.power, scale)?;
    if parts.is_negative { Err(Refusal::Negative) } else { Ok(budget) }
}

/// Rejects a word that is not the plan's currency, or not a currency.
fn check_currency(word: &str, currency: Option<&str>) -> Result<(), Refusal> {
    let named = codes_of(word);
    let own = currency.map_or("", str::trim);
    let unknown = || Err(Refusal::UnknownWord(word.to_owned()));
    if own.is_empty() {
        // Without a plan currency, `top 5` is not five pa'anga.
        let is_lower_case_code = word.len() == 3 && named.first().is_some_and(|code| code.to_lowercase() == word);
        return if named.is_empty() || is_lower_case_code { unknown() } else { Ok(()) };
    }
    if word.to_uppercase() == own.to_uppercase() {
        return Ok(());
    }
    let codes = codes_of(own);
    match named {
        [] => unknown(),
        named if named.iter().any(|code| codes.contains(code)) => Ok(()),
        [code] => Err(Refusal::OtherCurrency((*code).to_owned())),
        _ => Err(Refusal::OtherCurrency(word.to_owned())),
    }
}

/// Converts the number to units of the plan. `power` is the power of ten of the unit word, if there is one.
///
/// For units that are powers of ten only the exponent changes, so that nothing is rounded.
fn convert(decimal: &Decimal, power: Option<i64>, scale: &Scale<'_>) -> Result<Budget, Refusal> {
    let ((factor, up), (divisor, down)) = match power {
        Some(power) => ((1.0, power), decompose(scale.unit)),
        None if scale.bare.to_bits() == scale.unit.to_bits() => ((1.0, 0), (1.0, 0)),
        None => (decompose(scale.bare), decompose(scale.unit)),
    };
    let shifted = format!("{}e{}", decimal.digits, decimal.exponent + up - down);
    let value = shifted.parse().unwrap_or(f64::NAN) * factor / divisor;
    if value == 0.0 && decimal.digits.bytes().any(|digit| digit != b'0') {
        return Err(Refusal::TooSmall);
    }
    Budget::new_f64(value).map_err(|_| Refusal::TooLarge)
}

/// A number as an integer and a power of ten: 500 is 5 and 2.
fn decompose(number: f64) -> (f64, i64) {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let mantissa = mantissa.replace('.', "").parse().unwrap_or(f64::NAN);
    (mantissa, exponent.parse().unwrap_or(0) - i64::try_from(decimals).unwrap_or(0))
}

/// The start of a text, for error messages.
fn excerpt(text: &str) -> String {
    const LETTERS: usize = 40;
    let mut start: String = text.chars().take(LETTERS).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}
