//! The documents for measurements, made with the library's own API.

use std::sync::Arc;

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ChangeHash, ObjId, ObjType, ROOT, ReadDoc};
use bytes::Bytes;
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Author, Budget, Edit, NewPosition, PlanPatch, Position, Renderings};
use primitives::DocumentId;
use runtime::document::{AuthoredEdit, Document, Item, Outcome};
use sync_engine::MessageLimits;

use crate::Fallible;

/// Positions of the small document.
pub const SMALL: usize = 100;
/// Positions of the large one.
pub const LARGE: usize = 5_000;

/// Time of creation, so that the documents are the same in every run except for their ids.
const MADE: i64 = 1_767_225_600_000;
const DESIGNATIONS: [&str; 5] = ["Accountant", "Designer", "Office Manager", "Software Engineer", "Team Lead"];
const DEPARTMENTS: [&str; 5] = ["Finance", "HR", "Marketing", "Other", "Product"];
const LOCATIONS: [&str; 4] = ["Ahmedabad", "Bengaluru", "Mumbai", "Pune"];
/// Number of authors of the history.
const AUTHORS: usize = 4;

/// The benchmarks do not read rows.
const NO_RENDERINGS: Renderings = Renderings { json: nothing, additional: nothing, csv: nothing };

fn nothing(_: &Position, _: &mut Vec<u8>) {}

/// A document. Cheap to clone.
#[derive(Clone)]
pub struct Plan {
    /// Its id, which is also in the document.
    pub id: DocumentId,
    /// The stored form: a snapshot.
    pub bytes: Bytes,
    /// Its heads.
    pub heads: Vec<ChangeHash>,
    doc: Arc<Automerge>,
}

impl Plan {
    /// Creates a document with this number of positions, in one change.
    pub fn new(positions: usize) -> Fallible<Self> {
        let id = DocumentId::from_random(rand::random());
        let mut document = Document::load(id.clone(), &[], actor(), NO_RENDERINGS, MessageLimits::default())?;
        let plan = PlanPatch {
            name: Some("Growth 2027".to_owned()),
            currency: Some("INR".to_owned()),
            unit: Some(Budget::Int(100_000)),
            total_budget: Some(Budget::Int(2_000)),
            ..PlanPatch::default()
        };
        let positions = (0..positions).map(position).collect();
        let edit = Edit::Create { id: id.clone(), plan, positions };
        let author = Author { name: "cfo".to_owned(), now: MADE };
        let applied = document.engine.apply(vec![Item::Edit { edit: AuthoredEdit { edit, author }, by: None }]);
        if let Some(Outcome::Edited(Err(error))) = applied.outcomes.into_iter().next() {
            return Err(error.into());
        }
        Ok(Self::of(id, Automerge::load(&document.engine.save())?))
    }

    /// The same document after this number of further changes of one field each.
    pub fn with_history(&self, changes: usize) -> Fallible<Self> {
        let mut doc = self.open();
        let rows = rows(&doc)?;
        let actors: Vec<ActorId> = (0..AUTHORS).map(|_| actor()).collect();
        for edit in 0..changes {
            doc.set_actor(actors[edit % AUTHORS].clone());
            // Never the current value: that would not be a change.
            let budget = 1_000_000 + i64::try_from(edit)?;
            set_budget(&mut doc, &rows[edit % rows.len()], budget, MADE / 1_000)?;
        }
        Ok(Self::of(self.id.clone(), doc))
    }

    /// A stored document.
    pub fn read(bytes: Vec<u8>) -> Fallible<Self> {
        let doc = Automerge::load(&bytes)?;
        let id = plan::document_id::read_document_id(&doc).ok_or("the document has no id")?.parse()?;
        Ok(Self { id, bytes: bytes.into(), heads: doc.get_heads(), doc: Arc::new(doc) })
    }

    fn of(id: DocumentId, doc: Automerge) -> Self {
        Self { id, bytes: doc.save().into(), heads: doc.get_heads(), doc: Arc::new(doc) }
    }

    /// A copy of the document under another id.
    pub fn copy(&self) -> Fallible<Self> {
        let id = DocumentId::from_random(rand::random());
        let mut doc = self.open();
        let mut transaction = doc.transaction();
        let text = transaction.put_object(ROOT, "documentId", ObjType::Text)?;
        transaction.splice_text(text, 0, 0, id.as_str())?;
        transaction.commit();
        Ok(Self::of(id, doc))
    }

    /// The document, for a client that edits it.
    pub fn open(&self) -> Automerge {
        Automerge::clone(&self.doc).with_actor(actor())
    }
}

/// The rows of a document, in a fixed order.
pub fn rows(doc: &Automerge) -> Fallible<Vec<ObjId>> {
    let (_, positions) = doc.get(ROOT, "positions")?.ok_or("the document has no positions")?;
    let rows = doc.map_range(&positions, ..).map(|item| item.id());
    Ok(rows.collect())
}

/// One change that sets one field of one position.
pub fn set_budget(doc: &mut Automerge, row: &ObjId, budget: i64, now_s: i64) -> Fallible<ChangeHash> {
    let mut transaction = doc.transaction();
    transaction.put(row, "budget", budget)?;
    let (hash, _) = transaction.commit_with(CommitOptions::default().with_time(now_s));
    Ok(hash.ok_or("the edit changed nothing")?)
}

/// A new actor: two writers with one actor would make conflicting changes.
fn actor() -> ActorId {
    ActorId::from(rand::random::<[u8; 16]>())
}

/// A position as a row of the legacy backend.
pub fn legacy_row(number: usize) -> serde_json::Value {
    let text = |field| position(number).fields[field].as_text().unwrap_or_default().to_owned();
    serde_json::json!({
        "id": id(number),
        "designation": text(plan::fields::DESIGNATION),
        "department": text(DEPARTMENT),
        "budget": (5 + number % 60).to_string(),
        "location": text(LOCATION),
        "lastUpdated": ["Jane", "Nov 22, 2026 02:21 PM"],
    })
}

fn id(number: usize) -> String {
    format!("{:014x}", (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8)
}

fn position(number: usize) -> NewPosition {
    NewPosition::new(id(number), DESIGNATIONS[number % DESIGNATIONS.len()].to_owned())
        .with(DEPARTMENT, DEPARTMENTS[number / 3 % DEPARTMENTS.len()].to_owned())
        .with(BUDGET, Budget::Int(5 + number as u64 % 60))
        .with(LOCATION, LOCATIONS[number / 7 % LOCATIONS.len()].to_owned())
}
