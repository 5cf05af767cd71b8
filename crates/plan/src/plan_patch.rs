//! Changes to the settings of a plan.

use automerge::transaction::Transaction;
use automerge::{AutomergeError, ROOT};
use primitives::is_blank;

use super::change::{EditError, delete_if_present, put_number, put_text};
use super::fields::check_length;
use super::position::{CURRENCY, NAME, TOTAL_BUDGET, UNIT, YEAR_START};
use super::{Budget, DepartmentBudgetsPatch, Month, department_budgets};

/// Changes to the settings of a plan. `None` leaves a setting unchanged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanPatch {
    /// The plan's name.
    pub name: Option<String>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Currency units in one unit of a budget.
    pub unit: Option<Budget>,
    /// In units of the plan.
    pub total_budget: Option<Budget>,
    /// The first month of the plan's year. `Some(None)` removes it.
    pub year_start: Option<Option<Month>>,
    /// Changed budgets of departments.
    pub department_budgets: DepartmentBudgetsPatch,
}

/// Rejects values that a setting cannot have.
pub(super) fn check(plan: &PlanPatch) -> Result<(), EditError> {
    if let Some(Err(reason)) = plan.name.as_deref().map(check_length) {
        return Err(EditError::Invalid { field: NAME, reason });
    }
    if plan.name.as_deref().is_some_and(is_blank) {
        return Err(EditError::Invalid { field: NAME, reason: "must not be empty".to_owned() });
    }
    let code = |code: &String| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if plan.currency.as_ref().is_some_and(|currency| !code(currency)) {
        let reason = "must be a currency code of three capital letters, such as INR".to_owned();
        return Err(EditError::Invalid { field: CURRENCY, reason });
    }
    if plan.unit.is_some_and(|unit| unit.as_f64() <= 0.0) {
        return Err(EditError::Invalid { field: UNIT, reason: "must be more than 0".to_owned() });
    }
    Ok(())
}

/// Writes the changed settings.
pub(super) fn write(tx: &mut Transaction<'_>, plan: &PlanPatch) -> Result<(), AutomergeError> {
    if let Some(name) = &plan.name {
        put_text(tx, &ROOT, NAME, name)?;
    }
    if let Some(currency) = &plan.currency {
        put_text(tx, &ROOT, CURRENCY, currency)?;
    }
    if let Some(unit) = plan.unit {
        put_number(tx, &ROOT, UNIT, unit)?;
    }
    if let Some(total) = plan.total_budget {
        put_number(tx, &ROOT, TOTAL_BUDGET, total)?;
    }
    match plan.year_start {
        Some(Some(month)) => put_text(tx, &ROOT, YEAR_START, &month.to_string())?,
        Some(None) => delete_if_present(tx, &ROOT, YEAR_START)?,
        None => {}
    }
    department_budgets::write(tx, &plan.department_budgets)
}
