//! Small changes and documents that inflate.

use arbitrary::Arbitrary;
use automerge::legacy::{Key, ObjectId, Op, OpType};
use automerge::{Automerge, Change, ScalarValue};

use super::mutations::mutated;
use super::structure::{Made, message, structured};
use super::sync_messages::receive_all;

/// Bits of the longest value: 4 MiB.
const BITS: u32 = 22;
/// Maximum number of changes in a message.
const MOST_CHANGES: usize = 4;

/// Values that repeat one byte.
#[derive(Debug, Arbitrary)]
struct Inflating {
    values: Vec<Value>,
    form: Form,
    /// Changed bytes of the chunks, whose checksums are corrected.
    mutations: Vec<[u8; 4]>,
}

#[derive(Debug, Arbitrary)]
struct Value {
    place: Place,
    /// As a power of two.
    length: u8,
    byte: u8,
}

/// The place of a long value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Place {
    Bytes,
    Text,
    Key,
    Message,
}

/// The encoding of the changes.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Form {
    /// Uncompressed.
    Plain,
    /// Each of them deflated.
    Compressed,
    /// As a whole document, of which every column is deflated.
    Document,
}

/// A document applies or refuses inflating changes.
pub fn inflating_columns(bytes: &[u8]) {
    let Some(input) = structured::<Inflating>(bytes) else { return };
    let mut made = Made::default();
    let changes = input.values.iter().take(MOST_CHANGES).filter_map(|value| {
        let long = "m".repeat(1 << (u32::from(value.length) % (BITS + 1)));
        let message = (value.place == Place::Message).then(|| long.clone());
        made.next(0, &[], vec![operation(value, &long)], message)
    });
    let mut changes: Vec<Change> = changes.collect();
    let heads = changes.last().map(Change::hash).into_iter().collect();
    let chunks: Vec<Vec<u8>> = match input.form {
        Form::Plain => changes.iter().map(|change| change.raw_bytes().to_vec()).collect(),
        Form::Compressed => changes.iter_mut().map(|change| change.bytes().into_owned()).collect(),
        Form::Document => {
            let mut doc = Automerge::new();
            match doc.apply_changes(changes) {
                Ok(()) => vec![doc.save()],
                Err(_) => return,
            }
        }
    };
    let chunks = chunks.iter().map(|chunk| mutated(chunk, input.mutations.as_flattened())).collect();
    receive_all(&[message(heads, chunks)]);
}

fn operation(value: &Value, long: &str) -> Op {
    let action = match value.place {
        Place::Bytes => ScalarValue::Bytes(vec![value.byte; long.len()]),
        Place::Text => ScalarValue::Str(long.into()),
        Place::Key | Place::Message => ScalarValue::Uint(value.byte.into()),
    };
    let key = if value.place == Place::Key { long } else { "k" };
    Op {
        action: OpType::Put(action),
        obj: ObjectId::Root,
        key: Key::Map(key.into()),
        pred: Vec::new().into(),
        insert: false,
    }
}
