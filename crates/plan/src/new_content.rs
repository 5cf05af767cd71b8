//! [`NewContent`]: the whole content of a new plan, such as that of an export.

use std::collections::BTreeMap;

use automerge::transaction::Transactable;
use automerge::{Automerge, ROOT};
use primitives::DocumentId;
use serde_json::{Map, Value as Json};

use super::batch::{Batch, Extras, NewRow};
use super::change::{Author, EditError, commit};
use super::edit::{Edit, run};
use super::json_decoder::put_json;
use super::plan_patch::PlanPatch;
use super::position::{
    ARCHIVED, CURRENCY, DEPARTMENT_BUDGETS, DOCUMENT_ID, NAME, POSITIONS, PREDECESSOR, SUCCESSOR, TOTAL_BUDGET, UNIT,
    YEAR_START,
};
use super::shared_map::{COLUMNS_MAP, SHARED_MAPS, VIEWS_MAP};

/// Root keys that belong to the schema.
const SCHEMA: [&str; 11] = [
    ARCHIVED,
    CURRENCY,
    DEPARTMENT_BUDGETS,
    DOCUMENT_ID,
    NAME,
    POSITIONS,
    PREDECESSOR,
    SUCCESSOR,
    TOTAL_BUDGET,
    UNIT,
    YEAR_START,
];

/// The content of a new plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewContent {
    /// The settings.
    pub settings: PlanPatch,
    /// Whether the plan is archived.
    pub archived: bool,
    /// The columns that people have added, by key.
    pub columns: BTreeMap<String, Json>,
    /// Root keys beyond the schema. Those of the schema are left out.
    pub extra: Extras,
    /// The positions.
    pub positions: Vec<NewRow>,
}

impl NewContent {
    /// Writes the content into an empty document, as a few changes.
    ///
    /// # Errors
    /// When a setting or a position is invalid.
    pub fn write(mut self, doc: &mut Automerge, id: DocumentId, author: &Author) -> Result<(), EditError> {
        let department_budgets = std::mem::take(&mut self.settings.department_budgets);
        run(doc, &Edit::Create { id, plan: self.settings, positions: Vec::new() }, author)?;
        if !self.positions.is_empty() {
            let batch = Batch { add: self.positions, ..Batch::default() };
            run(doc, &Edit::Batch(Box::new(batch)), author)?;
        }
        if !department_budgets.is_empty() {
            run(doc, &Edit::Describe(PlanPatch { department_budgets, ..PlanPatch::default() }), author)?;
        }
        let views = match self.extra.remove(VIEWS_MAP.key) {
            Some(Json::Object(views)) => views,
            _ => Map::new(),
        };
        let is_free = |key: &String| !SCHEMA.contains(&key.as_str()) && SHARED_MAPS.iter().all(|map| map.key != key);
        self.extra.retain(|key, _| is_free(key));
        if self.columns.is_empty() && views.is_empty() && self.extra.is_empty() && !self.archived {
            return Ok(());
        }
        if !self.columns.is_empty() {
            COLUMNS_MAP.prepare(doc)?;
        }
        if !views.is_empty() {
            VIEWS_MAP.prepare(doc)?;
        }
        commit(doc, author, format!("{}: columns and other content", author.name), |tx| {
            if self.archived {
                tx.put(ROOT, ARCHIVED, true)?;
            }
            if !self.columns.is_empty()
                && let Some(map) = COLUMNS_MAP.open(tx)?
            {
                self.columns.iter().try_for_each(|(key, entry)| put_json(tx, &map, key, entry))?;
            }
            if !views.is_empty()
                && let Some(map) = VIEWS_MAP.open(tx)?
            {
                views.iter().try_for_each(|(key, entry)| put_json(tx, &map, key, entry))?;
            }
            self.extra.iter().try_for_each(|(key, value)| put_json(tx, &ROOT, key, value))
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Budget, NewPosition, Renderings, View};

    #[test]
    fn all_content_is_read_again() {
        let map = |value: Json| -> BTreeMap<String, Json> { serde_json::from_value(value).unwrap() };
        let columns = map(json!({ "colgrade": { "title": "Grade", "type": "choice", "options": { "A": 1 } } }));
        let row = NewRow { position: NewPosition::new("p1", "Cook"), extra: map(json!({ "colgrade": "A" })) };
        let new = NewContent {
            settings: PlanPatch {
                name: Some("Growth".to_owned()),
                department_budgets: [("HR".to_owned(), Some(Budget::Int(4)))].into(),
                ..PlanPatch::default()
            },
            archived: true,
            columns: columns.clone(),
            extra: map(
                json!({ "notes": ["a"], "positions": "none", "scenarios": {}, "views": { "v1": { "name": "HR" } } }),
            ),
            positions: vec![row.clone()],
        };
        let mut doc = Automerge::new();
        let author = Author { name: "cfo".to_owned(), now: 1_000 };
        new.write(&mut doc, DocumentId::from_random([7; 16]), &author).unwrap();
        let view = View::new(&doc, Renderings::default());
        let plan = view.plan();
        assert_eq!((plan.name.as_deref(), plan.archived), (Some("Growth"), true));
        assert_eq!(plan.department_budgets.as_deref(), Some(&map(json!({ "HR": 4 }))));
        assert_eq!(plan.columns.as_deref(), Some(&columns));
        assert_eq!(
            view.extra().map(|extra| &extra.fields),
            Some(&map(json!({ "notes": ["a"], "views": { "v1": { "name": "HR" } } })))
        );
        let position = &view.get("p1").unwrap().position;
        assert_eq!(position.extra.as_ref().map(|extra| &extra.fields), Some(&row.extra));
    }
}
