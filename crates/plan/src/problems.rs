//! Values that do not fit the schema. Other programs write them. They are kept and shown as they are, and most count as not set.
//!
//! Refusing such changes would keep documents from converging: a peer that has made one cannot take it back.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value as Json;

use super::document_id::document_of_url;
use super::extra::Extra;
use super::fields::{FieldValue, MUST_BE_A_MONTH};
use super::position::{
    ARCHIVED, CREATED_AT, CURRENCY, DEPARTMENT_BUDGETS, DOCUMENT_ID, NAME, POSITIONS, PREDECESSOR, Plan, Position,
    SUCCESSOR, TOTAL_BUDGET, UNIT, UPDATED_AT, UPDATED_BY, YEAR_START, as_milliseconds,
};
use super::shared_map::{COLUMNS_MAP, SCENARIOS_MAP};
use super::{Budget, FieldId, FieldKind, Month};

/// Most characters of [`SchemaProblem::found`].
const MAX_FOUND: usize = 200;
/// Most problems of the settings of one plan that are counted.
const MAX_PLAN_PROBLEMS: usize = 1_000;

const MUST_BE_TEXT: &str = "must be text";
const MUST_BE_A_TIME: &str = "must be a time";
const MUST_BE_A_MAP: &str = "must be a map";

/// A value that does not fit the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaProblem {
    /// Key of the field or setting, or `departmentBudgets.<department>`. `None` if the value is in the place of a whole position.
    pub field: Option<Cow<'static, str>>,
    /// What the schema expects, such as "must be a number".
    pub reason: Cow<'static, str>,
    /// The value as JSON, up to 200 characters.
    pub found: String,
}

impl SchemaProblem {
    fn new(field: Option<Cow<'static, str>>, reason: Cow<'static, str>, found: &Json) -> Self {
        let json = found.to_string();
        let found = match json.char_indices().nth(MAX_FOUND) {
            Some((end, _)) => format!("{}…", &json[..end]),
            None => json,
        };
        Self { field, reason, found }
    }
}

/// Why the value of a field of a position does not fit the schema; `None` if it does, or the schema does not know the field. `null`
/// is a field without a value.
#[must_use]
pub fn field_problem(key: &str, value: &Json) -> Option<Cow<'static, str>> {
    match key {
        CREATED_AT | UPDATED_AT => {
            (!value.is_null() && as_milliseconds(value).is_none()).then(|| MUST_BE_A_TIME.into())
        }
        UPDATED_BY => (!value.is_null() && !value.is_string()).then(|| MUST_BE_TEXT.into()),
        key => FieldId::from_key(key).and_then(|field| reason(field, value)),
    }
}

fn reason(field: FieldId, value: &Json) -> Option<Cow<'static, str>> {
    match (field.kind(), value) {
        (_, Json::Null) => None,
        (FieldKind::Amount, _) if Budget::of_stored(value).is_some() => None,
        (FieldKind::Amount, _) => Some("must be a number that is not negative".into()),
        (_, Json::String(text)) => FieldValue::Text(text.clone()).check(field).err().map(Cow::Owned),
        (FieldKind::Text { .. }, _) => Some(MUST_BE_TEXT.into()),
        // The reason names the choices.
        (FieldKind::Choice(_), _) => FieldValue::Amount(Budget::Int(0)).check(field).err().map(Cow::Owned),
        (FieldKind::Month, _) => Some(MUST_BE_A_MONTH.into()),
    }
}

/// Why the value of a setting of a plan does not fit the schema; `None` if it does, or the schema does not know the setting. `null` is a
/// setting without a value.
#[must_use]
pub fn setting_problem(key: &str, value: &Json) -> Option<Cow<'static, str>> {
    let number = value.as_f64();
    let (fits, reason) = match key {
        DOCUMENT_ID | NAME | CURRENCY => (value.is_string(), MUST_BE_TEXT),
        UNIT => (number.is_some_and(|unit| unit > 0.0), "must be a number greater than 0"),
        TOTAL_BUDGET => (number.is_some_and(|total| total >= 0.0), "must be a number that is not negative"),
        YEAR_START => (value.as_str().is_some_and(|text| Month::parse(text).is_some()), MUST_BE_A_MONTH),
        ARCHIVED => (value.is_boolean(), "must be true or false"),
        SUCCESSOR | PREDECESSOR => {
            (value.as_str().is_some_and(|url| document_of_url(url).is_some()), "must be the URL of a document")
        }
        key if key == POSITIONS || [DEPARTMENT_BUDGETS, SCENARIOS_MAP.key, COLUMNS_MAP.key].contains(&key) => {
            (value.is_object(), MUST_BE_A_MAP)
        }
        _ => return None,
    };
    (!fits && !value.is_null()).then(|| reason.into())
}

/// The values of a position that do not fit the schema, in the order of its fields.
#[must_use]
pub fn position_problems(position: &Position) -> Vec<SchemaProblem> {
    if let Some(value) = position.extra.as_ref().and_then(|extra| extra.value.as_ref()) {
        return vec![SchemaProblem::new(None, MUST_BE_A_MAP.into(), value)];
    }
    let field = |(field, value): (FieldId, &Option<Json>)| {
        let key = || Some(Cow::Borrowed(field.key()));
        match value {
            Some(value) => reason(field, value).map(|reason| SchemaProblem::new(key(), reason, value)),
            None if field.is_required() => Some(SchemaProblem::new(key(), "must not be empty".into(), &Json::Null)),
            None => None,
        }
    };
    let mut problems: Vec<SchemaProblem> = position.fields.iter().filter_map(field).collect();
    let Some(extra) = &position.extra else { return problems };
    // Values of another type are kept with the unknown fields.
    for key in [CREATED_AT, UPDATED_AT, UPDATED_BY] {
        if let Some(value) = extra.fields.get(key).filter(|value| !value.is_null()) {
            let reason = if key == UPDATED_BY { MUST_BE_TEXT } else { MUST_BE_A_TIME };
            problems.push(SchemaProblem::new(Some(key.into()), reason.into(), value));
        }
    }
    problems
}

/// The settings of a plan that do not fit the schema. `extra`: the content of the root beyond the schema.
#[must_use]
pub(super) fn plan_problems(plan: &Plan, extra: Option<&Extra>) -> Vec<SchemaProblem> {
    // Settings of another type are kept with the unknown keys.
    let unknown = extra.map(|extra| extra.fields.iter()).unwrap_or_default();
    let settings = unknown.filter_map(|(key, value)| {
        Some(SchemaProblem::new(Some(key.clone().into()), setting_problem(key, value)?, value))
    });
    let departments = plan.department_budgets.as_deref().into_iter().flatten();
    let budgets = departments.filter(|(_, amount)| !amount.is_null() && Budget::from_json(amount).is_err()).map(
        |(department, amount)| {
            let key = format!("{DEPARTMENT_BUDGETS}.{department}");
            SchemaProblem::new(Some(key.into()), "must be a number that is not negative".into(), amount)
        },
    );
    settings.chain(budgets).take(MAX_PLAN_PROBLEMS).collect()
}

/// A problem with its place in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedProblem {
    /// The position; `None` for a setting of the plan.
    pub position: Option<Arc<str>>,
    /// The problem.
    pub problem: SchemaProblem,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_that_the_view_reads_are_no_problems() {
        for (key, value) in [
            ("designation", json!("UI developer")),
            ("department", json!("")),
            ("budget", json!(11.5)),
            ("budget", json!("12")),
            ("budget", json!(null)),
            ("status", json!("open")),
            ("status", json!("")),
            ("start", json!("2027-06")),
            ("createdAt", json!(1_790_000_000_000_i64)),
            ("updatedBy", json!("cfo")),
            ("team", json!({ "any": ["thing"] })),
        ] {
            assert_eq!(field_problem(key, &value), None, "{key}: {value}");
        }
        for (key, value) in [
            ("name", json!("Plan")),
            ("unit", json!(1)),
            ("archived", json!(false)),
            ("yearStart", json!("2027-04")),
            ("x", json!(1)),
        ] {
            assert_eq!(setting_problem(key, &value), None, "{key}: {value}");
        }
    }

    #[test]
    fn other_values_are_named_with_the_expected_one() {
        for (key, value, reason) in [
            ("designation", json!(" "), "must not be empty"),
            ("designation", json!(5), "must be text"),
            ("location", json!("x".repeat(1_001)), "must not be longer than 1000 characters"),
            ("budget", json!("twelve"), "must be a number that is not negative"),
            ("budget", json!(-1), "must be a number that is not negative"),
            ("budget", json!([1]), "must be a number that is not negative"),
            ("status", json!("frozen"), "must be one of proposed, approved, open, filled, or null"),
            ("status", json!(1), "must be one of proposed, approved, open, filled, or null"),
            ("start", json!("June"), MUST_BE_A_MONTH),
            ("end", json!(202_803), MUST_BE_A_MONTH),
            ("createdAt", json!("yesterday"), "must be a time"),
            ("updatedBy", json!(7), "must be text"),
        ] {
            assert_eq!(field_problem(key, &value).as_deref(), Some(reason), "{key}: {value}");
        }
        for (key, value) in [
            ("name", json!(1)),
            ("unit", json!(0)),
            ("totalBudget", json!("a lot")),
            ("archived", json!("yes")),
            ("positions", json!([])),
        ] {
            assert!(setting_problem(key, &value).is_some(), "{key}: {value}");
        }
    }

    #[test]
    fn long_values_are_truncated_at_a_character() {
        let problem = SchemaProblem::new(None, MUST_BE_A_MAP.into(), &json!("₹".repeat(1_000)));
        assert_eq!(problem.found.chars().count(), MAX_FOUND + 1);
    }
}
