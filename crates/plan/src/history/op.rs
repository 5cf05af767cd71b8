//! [`Op`]: an operation as the index reads it, from a change or from the document.

use automerge::legacy::{self, ElementId, ObjectId, OpId, OpType};
use automerge::{ObjType, ScalarValue};
use automerge_chunks::operations::Scalar;

use super::ledger::Operation;

/// An operation of a change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Op<'a> {
    pub counter: u32,
    /// `None` for the root.
    pub object: Option<Operation>,
    pub key: Key<'a>,
    pub action: Action<'a>,
    /// Its predecessors.
    pub before: &'a [Operation],
}

/// The place of an operation in its object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key<'a> {
    Map(&'a str),
    /// The start of a list or text.
    Head,
    /// An element. `None` for one of an unknown actor.
    Element(Option<Operation>),
}

/// What an operation does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action<'a> {
    Delete,
    Make(ObjType),
    Put(Scalar<'a>),
    /// Inserts a text. A run of operations, of which each inserts after the one before, counts as one.
    Type {
        text: &'a str,
        operations: u32,
    },
    Increment,
    Mark,
}

impl<'a> Op<'a> {
    /// An operation of a decoded change. `operation` finds the number of an actor. `None` if an id is unknown.
    pub(super) fn of(
        counter: u64,
        op: &'a legacy::Op,
        before: &'a [Operation],
        operation: impl Fn(&OpId) -> Option<Operation>,
    ) -> Option<Self> {
        let object = match &op.obj {
            ObjectId::Root => None,
            ObjectId::Id(id) => Some(operation(id)?),
        };
        let key = match &op.key {
            legacy::Key::Map(key) => Key::Map(key),
            legacy::Key::Seq(ElementId::Head) => Key::Head,
            legacy::Key::Seq(ElementId::Id(id)) => Key::Element(operation(id)),
        };
        let action = match &op.action {
            OpType::Delete => Action::Delete,
            OpType::Make(kind) => Action::Make(*kind),
            OpType::Put(ScalarValue::Str(text)) if op.insert && !matches!(key, Key::Map(_)) => {
                Action::Type { text, operations: 1 }
            }
            OpType::Put(value) => Action::Put(scalar(value)),
            OpType::Increment(_) => Action::Increment,
            OpType::MarkBegin(_) | OpType::MarkEnd(_) => Action::Mark,
        };
        Some(Self { counter: u32::try_from(counter).ok()?, object, key, action, before })
    }

    /// Number of operations that this one stands for.
    pub(super) fn operations(&self) -> u32 {
        match self.action {
            Action::Type { operations, .. } => operations,
            _ => 1,
        }
    }
}

fn scalar(value: &ScalarValue) -> Scalar<'_> {
    match value {
        ScalarValue::Null => Scalar::Null,
        ScalarValue::Boolean(flag) => Scalar::Boolean(*flag),
        ScalarValue::Uint(number) => Scalar::Uint(*number),
        ScalarValue::Int(number) => Scalar::Int(*number),
        ScalarValue::F64(number) => Scalar::Float(*number),
        ScalarValue::Str(text) => Scalar::Text(text),
        ScalarValue::Bytes(_) => Scalar::Bytes,
        ScalarValue::Counter(_) => Scalar::Counter,
        ScalarValue::Timestamp(ms) => Scalar::Timestamp(*ms),
        ScalarValue::Unknown { .. } => Scalar::Unknown,
    }
}
