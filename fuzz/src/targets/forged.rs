//! Well-formed changes with invalid content: operations on missing objects, sequence numbers with gaps, dependencies in
//! any order, repeated operations.

use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Automerge, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue, sync};

use super::plan::FILES;
use super::sync_messages::receive;

/// Maximum number of changes in a message.
const MOST_CHANGES: usize = 8;
/// Maximum number of operations in a change.
const MOST_OPERATIONS: u8 = 8;

/// The input bytes are a recipe for the changes. Missing bytes count as zero.
struct Recipe<'a>(&'a [u8]);

impl Recipe<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()].clone()
    }

    /// A mostly small number, sometimes one near the end of the range.
    fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=239 => u64::from(small),
            240..=243 => u64::from(self.byte()) << 24,
            244..=247 => u64::from(u32::MAX) - u64::from(self.byte()),
            248..=251 => (1 << 53) + u64::from(self.byte()),
            _ => u64::MAX - u64::from(self.byte()),
        }
    }
}

/// A message with changes that no library would make.
pub fn forged_changes(bytes: &[u8]) {
    let mut recipe = Recipe(bytes);
    let plan = Automerge::load(&FILES[0]).expect("a valid document");
    let mut changes: Vec<Change> = Vec::new();
    while !recipe.0.is_empty() && changes.len() < MOST_CHANGES {
        let known: Vec<ChangeHash> = plan.get_heads().into_iter().chain(changes.iter().map(Change::hash)).collect();
        let Some(change) = change(&mut recipe, &plan, &known) else { continue };
        changes.push(change);
    }
    if recipe.byte() % 2 == 1 {
        changes.reverse();
    }
    let message = sync::Message {
        heads: changes.last().map(Change::hash).into_iter().collect(),
        need: Vec::new(),
        have: Vec::new(),
        changes: changes.iter().map(|change| change.raw_bytes().to_vec()).collect::<Vec<_>>().into(),
        flags: None,
        version: sync::MessageVersion::V1,
    };
    receive(&message.encode());
}

fn change(recipe: &mut Recipe<'_>, plan: &Automerge, known: &[ChangeHash]) -> Option<Change> {
    let mut deps: Vec<ChangeHash> = (0..recipe.byte() % 3)
        .map(|_| if recipe.byte() % 8 == 7 { ChangeHash([recipe.byte(); 32]) } else { recipe.pick(known) })
        .collect();
    deps.sort_unstable();
    deps.dedup();
    let operations: Vec<Op> = (0..recipe.byte() % MOST_OPERATIONS).map(|_| operation(recipe)).collect();
    let after = plan.get_changes(&[]).iter().map(Change::max_op).max().unwrap_or(0);
    let start = if recipe.byte().is_multiple_of(4) { recipe.number() } else { after + 1 + recipe.number() % 16 };
    let expanded = ExpandedChange {
        operations,
        actor_id: recipe.pick(&actors()),
        hash: None,
        seq: recipe.number().max(1),
        start_op: NonZeroU64::new(start)?,
        time: recipe.number().cast_signed(),
        message: (recipe.byte() % 4 == 1).then(|| "a message".to_owned()),
        deps,
        extra_bytes: if recipe.byte() % 8 == 1 { vec![recipe.byte()] } else { Vec::new() },
        author: None,
    };
    // The library cannot encode every change. Such changes cannot be sent by it either.
    std::panic::catch_unwind(|| Change::from(expanded)).ok()
}

/// Actors of the plan, and other ones.
fn actors() -> [ActorId; 3] {
    [ActorId::from([2_u8; 16]), ActorId::from([66_u8; 16]), ActorId::from([0_u8; 1])]
}

fn op_id(recipe: &mut Recipe<'_>) -> OpId {
    OpId(recipe.number(), recipe.pick(&actors()))
}

fn operation(recipe: &mut Recipe<'_>) -> Op {
    let action = match recipe.byte() % 7 {
        0 => OpType::Make(recipe.pick(&[ObjType::Map, ObjType::List, ObjType::Text, ObjType::Table])),
        1 => OpType::Delete,
        2 => OpType::Increment(recipe.number().cast_signed()),
        3 => OpType::Put(ScalarValue::counter(recipe.number().cast_signed())),
        4 => OpType::Put(ScalarValue::Str("a text".into())),
        5 => OpType::Put(ScalarValue::F64(f64::from_bits(recipe.number()))),
        _ => OpType::Put(ScalarValue::Int(recipe.number().cast_signed())),
    };
    let obj = if recipe.byte().is_multiple_of(2) { ObjectId::Root } else { ObjectId::Id(op_id(recipe)) };
    let key = match recipe.byte() % 4 {
        0 => Key::Seq(ElementId::Head),
        1 => Key::Seq(ElementId::Id(op_id(recipe))),
        _ => Key::Map(recipe.pick(&["positions", "p1", "designation", "budget", "documentId", ""]).into()),
    };
    let mut pred: Vec<OpId> = (0..recipe.byte() % 3).map(|_| op_id(recipe)).collect();
    pred.sort_unstable();
    Op { action, obj, key, pred: pred.into_iter().collect::<Vec<_>>().into(), insert: recipe.byte() % 4 == 1 }
}
