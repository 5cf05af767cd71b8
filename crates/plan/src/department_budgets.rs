//! The budgets of departments: a map at the root of the document, from the name of a department to an amount.
//!
//! The map is shared ([`DEPARTMENT_BUDGETS_MAP`]), so that two people who create it at the same time keep the entries of both.

use std::collections::BTreeMap;

use automerge::transaction::{Transactable, Transaction};
use automerge::{Automerge, AutomergeError, ObjType, ROOT, ReadDoc, ScalarValue, Value};
use primitives::is_blank;

use super::fields::check_length;
use super::shared_map::DEPARTMENT_BUDGETS_MAP;
use super::{Budget, position};

/// New amounts by department; `None` removes the entry of a department. Other entries stay as they are.
pub type DepartmentBudgetsPatch = BTreeMap<String, Option<Budget>>;

/// Checks the names of departments, and that the document can take the changes.
///
/// # Errors
/// The reason, when it cannot.
pub(super) fn check(doc: &Automerge, patch: &DepartmentBudgetsPatch) -> Result<(), String> {
    for department in patch.keys() {
        if is_blank(department) {
            return Err("the name of a department must not be empty".to_owned());
        }
        check_length(department).map_err(|reason| format!("the name of a department {reason}"))?;
    }
    match doc.get(ROOT, position::DEPARTMENT_BUDGETS) {
        Ok(None | Some((Value::Object(ObjType::Map), _))) => Ok(()),
        _ if patch.is_empty() => Ok(()),
        _ => Err("another program has put a value that is not a map in this place".to_owned()),
    }
}

/// Creates the map, if these changes need it. Call it before the transaction, and [`write`] in it.
///
/// # Errors
/// When the Automerge library fails.
pub(super) fn prepare(doc: &mut Automerge, patch: &DepartmentBudgetsPatch) -> Result<(), AutomergeError> {
    if patch.values().any(Option::is_some) { DEPARTMENT_BUDGETS_MAP.prepare(doc) } else { Ok(()) }
}

/// Writes the entries that differ. An entry with the same amount is written only if that resolves a conflict.
///
/// # Errors
/// When the Automerge library fails.
pub(super) fn write(tx: &mut Transaction<'_>, patch: &DepartmentBudgetsPatch) -> Result<(), AutomergeError> {
    let has_map = tx.get(ROOT, position::DEPARTMENT_BUDGETS)?.is_some();
    if !has_map && patch.values().all(Option::is_none) {
        return Ok(());
    }
    let Some(map) = DEPARTMENT_BUDGETS_MAP.open(tx)? else { return Ok(()) };
    for (department, amount) in patch {
        let values = tx.get_all(&map, department.as_str())?;
        let current = match values.as_slice() {
            [(Value::Scalar(value), _)] => amount_of(value),
            _ => None,
        };
        match amount {
            None if values.is_empty() => {}
            None => tx.delete(&map, department.as_str())?,
            Some(amount) if current == Some(amount.as_f64()) => {}
            Some(amount) => super::change::put_number(tx, &map, department, *amount)?,
        }
    }
    Ok(())
}

fn amount_of(value: &ScalarValue) -> Option<f64> {
    match value {
        ScalarValue::F64(number) => Some(*number),
        value => {
            let number = value.as_i64().and_then(|number| u64::try_from(number).ok())?;
            Budget::new_u64(number).ok().map(Budget::as_f64)
        }
    }
}
