//! The plan: positions and budgets in an Automerge document.
//!
//! | module | what it does |
//! |---|---|
//! | [`fields`] | the table of editable fields, from which the other modules derive |
//! | [`position`] | positions and the plan's settings, read from a document |
//! | [`document_id`] | the ids of documents in the root of a document |
//! | [`edit`] | edits as Automerge transactions, with preconditions |
//! | `bulk` | adds many positions, in changes of bounded size |
//! | [`view`] | all positions, kept up to date change by change, with conflicts |
//! | [`history`] | what changed when, page by page |
//! | [`shared_map`] | maps at the root that several people may create at the same time |
//! | [`past`] | the plan at earlier heads |
//! | [`content`](mod@content) | any document as JSON |
//! | [`scenarios`] | the entries of scenarios in their plan |
//! | [`successor`](fn@successor) | a copy without the history |
//! | [`diff`](mod@diff) | a plan compared with a scenario |
//! | [`pick`] | merges single rows of a scenario |
//! | [`amount`] | budgets and amounts of money as people write them |
//! | [`problems`] | values that do not fit the schema |
//! | [`cost`] | what positions cost in the months of a year |
//! | [`csv`] | the CSV export |
//!
//! Pure: no clock, disk, socket or task, and nothing about peers or sync.
//!
//! ```
//! use automerge::Automerge;
//! use plan::edit::run;
//! use plan::fields::BUDGET;
//! use plan::{Author, Budget, Edit, NewPosition, PlanPatch, Renderings, View};
//! use primitives::DocumentId;
//!
//! let mut doc = Automerge::new();
//! let author = Author { name: "cfo".to_owned(), now: 1_790_000_000_000 };
//! let id = DocumentId::from_random([7; 16]);
//! run(&mut doc, &Edit::Create { id, plan: PlanPatch::default(), positions: Vec::new() }, &author)?;
//! let position = NewPosition::new("p1", "Data engineer").with(BUDGET, Budget::Int(30));
//! run(&mut doc, &Edit::Add(position), &author)?;
//! assert_eq!(View::new(&doc, Renderings::default()).rows().count(), 1);
//! # Ok::<(), plan::EditError>(())
//! ```
#![deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]

pub mod amount;
mod batch;
mod budget;
mod bulk;
pub mod change;
mod condition;
pub mod content;
pub mod cost;
pub mod csv;
mod department_budgets;
pub mod diff;
pub mod document_id;
pub mod edit;
mod extra;
pub mod fields;
pub mod formula_guard;
mod group_names;
pub mod history;
mod json_decoder;
mod json_encoder;
mod list_cursor;
mod month;
mod new_content;
mod new_position;
mod operation_count;
pub mod past;
pub mod pick;
mod plan_patch;
pub mod position;
mod position_id;
mod position_patch;
pub mod problems;
mod root_map;
mod row_filter;
pub mod scenarios;
pub mod shared_map;
mod snapshot;
mod successor;
pub mod view;

pub use amount::{AmountError, Marks, Scale, amount_of_json, is_blank_amount, parse_amount};
pub use batch::{Batch, Extras, NewRow, RowChange};
pub use budget::{Budget, BudgetError, MAX_BUDGET};
pub use bulk::{NewPlan, add_in_portions, count_positions};
pub use change::{Author, Done, EditError};
pub use condition::Condition;
pub use content::{ContentError, content};
pub use department_budgets::DepartmentBudgetsPatch;
pub use diff::{Diff, diff};
pub use edit::{Edit, without_noise};
pub use extra::Extra;
pub use fields::{FIELDS, FieldDefinition, FieldId, FieldKind, FieldMap, FieldValue};
pub use list_cursor::{InvalidListCursor, ListCursor};
pub use month::{MONTHS_PER_YEAR, Month};
pub use new_content::NewContent;
pub use new_position::{LastEdit, NewPosition};
pub use past::{Past, SharedCopy};
pub use plan_patch::PlanPatch;
pub use position::{DEFAULT_UNIT, Plan, Position};
pub use position_id::{InvalidPositionId, MAX_ID, check_position_id};
pub use position_patch::PositionPatch;
pub use row_filter::RowFilter;
pub use scenarios::{ScenarioEdit, ScenarioEntry, ScenarioMap, ScenarioState};
pub use successor::{LeftOut, Successor, successor};
pub use view::{Form, PlanEvent, Renderings, Row, RowEvent, SharedView, View, ViewChange, read_view, snapshot};
