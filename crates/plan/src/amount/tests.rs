use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::MAX_BUDGET;

/// `tests/fixtures/amounts.json`, which the dashboard's tests read, too.
#[derive(Deserialize)]
pub(super) struct Fixture {
    /// By language.
    marks: BTreeMap<String, FixtureMarks>,
    pub(super) groups: Vec<Group>,
}

#[derive(Deserialize)]
struct FixtureMarks {
    group: char,
    decimal: char,
}

#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) note: Option<String>,
    pub(super) currency: Option<String>,
    pub(super) unit: f64,
    pub(super) bare: Option<f64>,
    pub(super) cases: Vec<(String, Expected)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Expected {
    Everywhere(Outcome),
    ByLanguage(BTreeMap<String, Outcome>),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    Value(f64),
    /// The kind.
    Refused(String),
}

impl Fixture {
    pub(super) fn read() -> Self {
        serde_json::from_str(include_str!("../../../../tests/fixtures/amounts.json")).expect("the fixture")
    }
}

impl Expected {
    pub(super) fn under(&self, language: &str) -> &Outcome {
        match self {
            Self::Everywhere(outcome) => outcome,
            Self::ByLanguage(outcomes) => &outcomes[language],
        }
    }
}

fn kind(error: &AmountError) -> &'static str {
    match error {
        AmountError::Empty => "empty",
        AmountError::NotANumber(_) => "notANumber",
        AmountError::Grouping(_) => "grouping",
        AmountError::TooSmall => "tooSmall",
        AmountError::OtherCurrency { .. } => "otherCurrency",
        AmountError::AmbiguousUnit(_) => "ambiguousUnit",
        AmountError::UnknownWord { .. } => "unknownWord",
        AmountError::Budget(BudgetError::Negative) => "negative",
        AmountError::Budget(BudgetError::TooLarge) => "tooLarge",
        AmountError::Budget(_) => "another",
    }
}

#[test]
fn amounts_match_the_table_of_cases() {
    let fixture = Fixture::read();
    let mut wrong = Vec::new();
    for group in &fixture.groups {
        for (language, marks) in &fixture.marks {
            let marks = Marks { group: marks.group, decimal: marks.decimal };
            let (currency, unit) = (group.currency.as_deref(), group.unit);
            let scale = Scale { marks, currency, unit, bare: group.bare.unwrap_or(unit) };
            for (text, expected) in &group.cases {
                let found = match parse_amount(text, &scale) {
                    Ok(budget) => Outcome::Value(budget.as_f64()),
                    Err(error) => Outcome::Refused(kind(&error).to_owned()),
                };
                if found != *expected.under(language) {
                    wrong.push(format!("{language}, {}: {text:?} is {found:?}", group.title));
                }
                assert_eq!(is_blank_amount(text), found == Outcome::Refused("empty".to_owned()), "{text:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const LAKH: Scale<'static> = Scale { marks: Marks::POINT, currency: Some("INR"), unit: 1e5, bare: 1e5 };

#[test]
fn errors_state_the_reason() {
    for (text, message) in [
        ("", "the budget is empty"),
        ("lots", "the budget \"lots\" is not a number"),
        ("12,34,5", "the budget \"12,34,5\" is ambiguous; write the number without marks between groups of digits"),
        ("-5", "the budget cannot be negative"),
        ("1e16", "the budget is too large: at most 9007199254740991 is accepted"),
        ("USD 30", "the budget \"USD 30\" is in USD, and this plan counts in INR"),
        ("$30", "the budget \"$30\" is in $, and this plan counts in INR"),
        ("50k", "the unit \"k\" is ambiguous; write it in full: thousand, lakh, million, crore or billion"),
        ("Jan 2024", "in the budget \"Jan 2024\", \"Jan\" is neither a unit nor a currency"),
    ] {
        assert_eq!(parse_amount(text, &LAKH).unwrap_err().to_string(), message);
    }
    let long = "x".repeat(1_000);
    assert!(parse_amount(&long, &LAKH).unwrap_err().to_string().len() < 130);
}

#[test]
fn json_values_are_numbers_or_amounts() {
    let total = Scale { unit: 1.0, bare: 1e7, ..LAKH };
    for (value, scale, budget) in [
        (json!(5), LAKH, Ok(Budget::Int(5))),
        (json!(12.5), LAKH, Ok(Budget::Float(12.5))),
        (json!("8L"), LAKH, Ok(Budget::Int(8))),
        (json!(-0.0), LAKH, Ok(Budget::Int(0))),
        (json!(25), total, Ok(Budget::Int(250_000_000))),
        (json!(0.29), total, Ok(Budget::Int(2_900_000))),
        (json!("50 Cr"), total, Ok(Budget::Int(500_000_000))),
        (json!(null), LAKH, Err(BudgetError::WrongType("null").into())),
        (json!([5]), total, Err(BudgetError::WrongType("a list").into())),
        (json!(-1), LAKH, Err(BudgetError::Negative.into())),
        (json!(""), LAKH, Err(AmountError::Empty)),
    ] {
        assert_eq!(amount_of_json(&value, &scale), budget, "{value}");
    }
}

#[test]
fn hostile_units_of_documents_are_rejected() {
    for unit in [0.0, -5.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
        let scale = Scale { unit, bare: unit, ..LAKH };
        assert_eq!(parse_amount("8", &scale), Ok(Budget::Int(8)), "{unit}");
        assert!(parse_amount("8 lakh", &scale).is_err(), "{unit}");
    }
}

/// A number as it is formatted in a language: groups by the Indian way or in threes, decimals after the decimal mark.
fn formatted(number: &str, marks: Marks, is_indian: bool) -> String {
    let (whole, decimals) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        let starts_group = if is_indian { left == 3 || (left > 3 && left % 2 == 1) } else { left % 3 == 0 };
        if at > 0 && starts_group {
            text.push(marks.group);
        }
        text.push(digit);
    }
    if let Some(decimals) = decimals {
        text.push(marks.decimal);
        text += decimals;
    }
    text
}

fn languages() -> impl Strategy<Value = (Marks, bool)> {
    prop_oneof![
        Just((Marks::POINT, false)),
        Just((Marks::POINT, true)),
        Just((Marks { group: '.', decimal: ',' }, false)),
        Just((Marks { group: '\u{202f}', decimal: ',' }, false)),
        Just((Marks { group: '\u{a0}', decimal: ',' }, false)),
        Just((Marks { group: '\u{2019}', decimal: '.' }, false)),
        Just((Marks { group: '٬', decimal: '٫' }, false)),
    ]
}

proptest! {
    #[test]
    fn formatted_numbers_are_read_back(
        (marks, is_indian) in languages(),
        whole in 0..100_000_000_000_u64,
        decimals in proptest::option::of("[0-9]{1,4}"),
        around in prop_oneof![Just(("", "")), Just(("₹", "")), Just(("", "\u{a0}₹")), Just(("INR ", "")), Just(("₹ ", "/-"))],
    ) {
        let number = decimals.map_or_else(|| whole.to_string(), |decimals| format!("{whole}.{decimals}"));
        let text = format!("{}{}{}", around.0, formatted(&number, marks, is_indian), around.1);
        let expected = Budget::new_f64(number.parse().unwrap());
        prop_assert_eq!(parse_amount(&text, &Scale { marks, ..LAKH }).map_err(drop), expected.map_err(drop), "{}", text);
    }

    #[test]
    fn displayed_amounts_are_parsed_back(number in 0.0..9e15) {
        let budget = Budget::new_f64(number).expect("in range");
        prop_assert_eq!(parse_amount(&budget.to_string(), &LAKH), Ok(budget));
    }

    /// A conversion between units that are powers of ten moves the point, and nothing else.
    #[test]
    fn conversion_is_decimal_exact(
        digits in 1..1_000_000_000_000_u64,
        decimals in 0..9_usize,
        (word, power) in prop_oneof![
            Just(("thousand", 3)), Just(("lakh", 5)), Just(("million", 6)), Just(("crore", 7)), Just(("billion", 9)),
        ],
        unit in prop_oneof![Just(0), Just(3), Just(5), Just(6), Just(7)],
    ) {
        let padded = format!("{digits:010}");
        let (whole, fraction) = padded.split_at(padded.len() - decimals);
        let text = if decimals == 0 { format!("{whole} {word}") } else { format!("{whole}.{fraction} {word}") };
        // Both shifts together as digits with a point, written out.
        let shift = power - unit - i32::try_from(decimals).unwrap();
        let expected = if shift >= 0 {
            format!("{digits}{}", "0".repeat(shift.unsigned_abs() as usize))
        } else {
            let places = shift.unsigned_abs() as usize;
            let padded = format!("{digits:0width$}", width = places + 1);
            let (whole, fraction) = padded.split_at(padded.len() - places);
            format!("{whole}.{fraction}")
        };
        let scale = Scale { unit: 10_f64.powi(unit), bare: 10_f64.powi(unit), ..LAKH };
        let expected = Budget::new_f64(expected.parse().unwrap()).map_err(drop);
        prop_assert_eq!(parse_amount(&text, &scale).map_err(drop), expected, "{}", text);
    }

    #[test]
    fn any_text_is_parsed_or_rejected(text in "[-+0-9,.٫٬ '()₹$a-zA-Z/eE\u{a0}\u{200b}५]{0,16}", comma in any::<bool>()) {
        let marks = if comma { Marks { group: '.', decimal: ',' } } else { Marks::POINT };
        if let Ok(budget) = parse_amount(&text, &Scale { marks, ..LAKH }) {
            prop_assert!(budget.as_f64() <= Budget::Int(MAX_BUDGET).as_f64());
        }
    }

    #[test]
    fn any_unicode_is_parsed_or_rejected(text in "\\PC{0,12}") {
        let _ = parse_amount(&text, &LAKH);
    }
}
