//! Preconditions of edits, which detect concurrent edits of the same state.

use automerge::{Automerge, ChangeHash};

use super::position::{Position, position_maps, read_position};

/// A state that the author of an edit has read, and that must still hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The document still has these heads.
    Heads(Vec<ChangeHash>),
    /// The position is unchanged, including its conflicts and its content beyond the schema.
    Row(Box<Position>),
}

impl Condition {
    pub(super) fn holds(&self, doc: &Automerge) -> bool {
        match self {
            Self::Heads(heads) => doc.get_heads() == *heads,
            Self::Row(position) => read_position(doc, &position_maps(doc), &position.id)
                .is_some_and(|reading| reading.position == **position),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::PositionPatch;
    use crate::change::{Author, EditError};
    use crate::edit::{Edit, run};
    use crate::fields::BUDGET;
    use crate::{Budget, NewPosition};

    fn edit(doc: &mut Automerge, edit: &Edit) -> Result<bool, EditError> {
        run(doc, edit, &Author { name: "cfo".to_owned(), now: 1_000 }).map(|done| done.changed)
    }

    fn patch(id: &str, budget: u64) -> Edit {
        Edit::Patch { id: id.into(), patch: PositionPatch::set(BUDGET, Budget::Int(budget)) }
    }

    fn read(doc: &Automerge, id: &str) -> Condition {
        let reading = read_position(doc, &position_maps(doc), &Arc::from(id)).unwrap();
        Condition::Row(Box::new(reading.position))
    }

    #[test]
    fn edit_is_made_only_while_its_condition_holds() {
        let mut doc = Automerge::new();
        for id in ["one", "two"] {
            let position = NewPosition::new(id, "UI").with(BUDGET, Budget::Int(1));
            assert!(edit(&mut doc, &Edit::Add(position)).unwrap());
        }
        let only_if = |condition, edit| Edit::OnlyIf { condition, edit: Box::new(edit) };
        let (heads, row) = (Condition::Heads(doc.get_heads()), read(&doc, "one"));

        // A change of another row changes the heads, but not this row.
        assert!(edit(&mut doc, &only_if(heads.clone(), patch("two", 2))).unwrap());
        assert!(matches!(edit(&mut doc, &only_if(heads, patch("two", 3))), Err(EditError::Changed)));
        assert!(edit(&mut doc, &only_if(row.clone(), patch("one", 2))).unwrap());
        assert!(matches!(edit(&mut doc, &only_if(row, patch("one", 3))), Err(EditError::Changed)));

        let row = read(&doc, "one");
        assert!(edit(&mut doc, &Edit::Delete { id: "one".into() }).unwrap());
        let gone = edit(&mut doc, &only_if(row, Edit::Delete { id: "one".into() }));
        assert!(matches!(gone, Err(EditError::Changed)), "{gone:?}");
    }
}
