//! Reads the operations of a document chunk one by one, without the library: it only reproduces whole changes, which takes some
//! 200 bytes for each operation.
//!
//! The layout is that of automerge 0.12, as in [`cost`](super::cost). The columns of operations:
//!
//! | number | content | encoding |
//! |---|---|---|
//! | 0 | object | actor, counter; null for the root |
//! | 1 | key | actor and counter of an element, or a text |
//! | 2 | id | actor, counter |
//! | 3 | whether it inserts an element | boolean |
//! | 4 | action | number |
//! | 5 | value | length and type, then bytes |
//! | 8 | successors | group of actors and counters |
//!
//! Operations are sorted by object, then by key or element, then by id. Deletions are not among them: a deletion is a successor
//! without an operation.
//!
//! Only for chunks that the library has saved: a forged one may claim any number of operations.

use super::chunk::{self, ChunkKind};
use super::reader::Reader;

/// The id of an operation, and of the object or element that it creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The operation number.
    pub counter: u32,
    /// Index of the actor in [`Operations::actors`].
    pub actor: u32,
}

/// The place of an operation in its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// A key of a map.
    Map(&'a str),
    /// The start of a list or text.
    Head,
    /// An element of a list or text. An insertion comes after it.
    Element(Id),
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Creates a map.
    MakeMap,
    /// Creates a list.
    MakeList,
    /// Creates a text.
    MakeText,
    /// Creates a table.
    MakeTable,
    /// Sets a value.
    Put,
    /// Increments a counter.
    Increment,
    /// Begins or ends a mark.
    Mark,
}

/// A value: its type, and where its bytes are in [`Operations::values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredValue {
    /// Number of the type.
    pub kind: u8,
    /// Offset of the first byte.
    pub start: usize,
    /// Number of bytes.
    pub len: usize,
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// Null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An unsigned number.
    Uint(u64),
    /// A signed number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes,
    /// The start of a counter.
    Counter,
    /// Milliseconds since 1970.
    Timestamp(i64),
    /// A value of a type that this version does not know.
    Unknown,
}

/// The type of texts in [`StoredValue::kind`].
pub const TEXT: u8 = 6;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation<'a> {
    /// Its id.
    pub id: Id,
    /// The object; `None` for the root.
    pub object: Option<Id>,
    /// The place in the object.
    pub key: Key<'a>,
    /// Whether it inserts an element.
    pub insert: bool,
    /// What it does.
    pub action: Action,
    /// The value, which is null for actions without one.
    pub value: StoredValue,
}

/// The chunk is not a document that this module can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the columns of the document are malformed")]
pub struct Malformed;

/// The operations of a document.
#[derive(Debug)]
pub struct Operations<'a> {
    actors: Vec<&'a [u8]>,
    object_actor: Runs<'a, u64>,
    object_counter: Runs<'a, u64>,
    key_actor: Runs<'a, u64>,
    key_counter: Deltas<'a>,
    key_text: Runs<'a, &'a str>,
    id_actor: Runs<'a, u64>,
    id_counter: Deltas<'a>,
    insert: Booleans<'a>,
    action: Runs<'a, u64>,
    value_kind: Runs<'a, u64>,
    values: &'a [u8],
    /// Bytes of the values so far.
    value_end: usize,
    successor_count: Runs<'a, u64>,
    successor_actor: Runs<'a, u64>,
    successor_counter: Deltas<'a>,
    successors: Vec<Id>,
}

impl<'a> Operations<'a> {
    /// Reads a document chunk whose columns are not deflated.
    ///
    /// # Errors
    /// When the chunk is of another kind, or its header is malformed.
    pub fn of(chunk: &'a [u8]) -> Result<Self, Malformed> {
        Self::parse(chunk).ok_or(Malformed)
    }

    fn parse(chunk: &'a [u8]) -> Option<Self> {
        let (ChunkKind::Document, body) = chunk::body(chunk)? else { return None };
        let mut rest = Reader::new(body);
        let mut actors = Vec::new();
        for _ in 0..rest.unsigned()? {
            actors.push(rest.length_prefixed()?);
        }
        let heads = rest.unsigned()?;
        rest.take(heads.checked_mul(32)?)?;
        let changes = headers(&mut rest)?;
        let operations = headers(&mut rest)?;
        for (_, length) in changes {
            rest.take(length)?;
        }
        let mut columns = Vec::with_capacity(operations.len());
        for (number, length) in operations {
            columns.push((number, rest.take(length)?));
        }
        // A missing column holds nulls.
        let column = |wanted| columns.iter().find(|(number, _)| *number == wanted).map_or(&[][..], |(_, bytes)| *bytes);
        if columns.iter().any(|(number, _)| number & DEFLATED != 0) {
            return None;
        }
        Some(Self {
            actors,
            object_actor: Runs::new(column(1)),
            object_counter: Runs::new(column(2)),
            key_actor: Runs::new(column((1 << 4) | 1)),
            key_counter: Deltas::new(column((1 << 4) | 3)),
            key_text: Runs::new(column((1 << 4) | 5)),
            id_actor: Runs::new(column((2 << 4) | 1)),
            id_counter: Deltas::new(column((2 << 4) | 3)),
            insert: Booleans::new(column((3 << 4) | 4)),
            action: Runs::new(column((4 << 4) | 2)),
            value_kind: Runs::new(column((5 << 4) | 6)),
            values: column((5 << 4) | 7),
            value_end: 0,
            successor_count: Runs::new(column(8 << 4)),
            successor_actor: Runs::new(column((8 << 4) | 1)),
            successor_counter: Deltas::new(column((8 << 4) | 3)),
            successors: Vec::new(),
        })
    }

    /// The ids of the actors.
    #[must_use]
    pub fn actors(&self) -> &[&'a [u8]] {
        &self.actors
    }

    /// The bytes of all values.
    #[must_use]
    pub fn values(&self) -> &'a [u8] {
        self.values
    }

    /// The next operation; `None` at the end.
    ///
    /// # Errors
    /// When the columns are malformed.
    pub fn read(&mut self) -> Result<Option<Operation<'a>>, Malformed> {
        if self.action.is_at_end() {
            return Ok(None);
        }
        self.operation().map(Some).ok_or(Malformed)
    }

    /// The successors of the operation that was read last: operations that replace or increment it, or delete it.
    #[must_use]
    pub fn successors(&self) -> &[Id] {
        &self.successors
    }

    fn operation(&mut self) -> Option<Operation<'a>> {
        let action = match self.action.next()?? {
            0 => Action::MakeMap,
            1 => Action::Put,
            2 => Action::MakeList,
            4 => Action::MakeText,
            5 => Action::Increment,
            6 => Action::MakeTable,
            7 => Action::Mark,
            _ => return None,
        };
        let actors = self.actors.len();
        let id = self::id(self.id_counter.next()??, self.id_actor.next()??, actors)?;
        let object = match (self.object_counter.next()?, self.object_actor.next()?) {
            (None, None) => None,
            (counter, actor) => Some(self::id(i64::try_from(counter?).ok()?, actor?, actors)?),
        };
        let key = match (self.key_text.next()?, self.key_counter.next()?, self.key_actor.next()?) {
            (Some(text), None, None) => Key::Map(text),
            (None, Some(0), None) => Key::Head,
            (None, Some(counter), Some(actor)) => Key::Element(self::id(counter, actor, actors)?),
            _ => return None,
        };
        let insert = self.insert.next()?;
        // Four bits of the type, then the length.
        let kind = self.value_kind.next()?.unwrap_or(0);
        let len = usize::try_from(kind >> 4).ok()?;
        let value = StoredValue { kind: (kind & 15) as u8, start: self.value_end, len };
        self.value_end = self.value_end.checked_add(len).filter(|end| *end <= self.values.len())?;
        self.successors.clear();
        for _ in 0..self.successor_count.next()?.unwrap_or(0) {
            let successor = self::id(self.successor_counter.next()??, self.successor_actor.next()??, actors)?;
            self.successors.push(successor);
        }
        Some(Operation { id, object, key, insert, action, value })
    }
}

/// An id of one of this many actors.
fn id(counter: i64, actor: u64, actors: usize) -> Option<Id> {
    let actor = u32::try_from(actor).ok().filter(|actor| (*actor as usize) < actors)?;
    Some(Id { counter: u32::try_from(counter).ok()?, actor })
}

impl<'a> Scalar<'a> {
    /// Reads a value of this type from its bytes. `None` if they are malformed.
    #[must_use]
    pub fn read(kind: u8, bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        Some(match kind {
            0 => Self::Null,
            1 => Self::Boolean(false),
            2 => Self::Boolean(true),
            3 => Self::Uint(rest.unsigned()?),
            4 => Self::Int(rest.signed()?),
            5 => Self::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            TEXT => Self::Text(std::str::from_utf8(bytes).ok()?),
            7 => Self::Bytes,
            8 => Self::Counter,
            9 => Self::Timestamp(rest.signed()?),
            _ => Self::Unknown,
        })
    }
}

/// Bit of a column's number: its bytes are deflated.
const DEFLATED: u64 = 8;

/// The numbers and lengths of columns.
fn headers(rest: &mut Reader<'_>) -> Option<Vec<(u64, u64)>> {
    let mut headers = Vec::with_capacity(16);
    for _ in 0..rest.unsigned()? {
        headers.push((rest.unsigned()?, rest.unsigned()?));
    }
    Some(headers)
}

/// A value in a column.
trait Decode<'a>: Copy {
    fn decode(rest: &mut Reader<'a>) -> Option<Self>;
}

impl Decode<'_> for u64 {
    fn decode(rest: &mut Reader<'_>) -> Option<Self> {
        rest.unsigned()
    }
}

impl Decode<'_> for i64 {
    fn decode(rest: &mut Reader<'_>) -> Option<Self> {
        rest.signed()
    }
}

impl<'a> Decode<'a> for &'a str {
    fn decode(rest: &mut Reader<'a>) -> Option<Self> {
        std::str::from_utf8(rest.length_prefixed()?).ok()
    }
}

/// The kind of the current run of a column.
#[derive(Debug, Clone, Copy)]
enum Run<T> {
    Nulls,
    Repeated(T),
    Literal,
}

/// A run-length encoded column. A run is a positive count and one repeated value, a negative count and as many values, or a zero
/// and a count of nulls. After its end a column holds nulls.
#[derive(Debug)]
struct Runs<'a, T> {
    rest: Reader<'a>,
    run: Run<T>,
    /// Rows that are left of the run.
    left: u64,
}

impl<'a, T: Decode<'a>> Runs<'a, T> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { rest: Reader::new(bytes), run: Run::Nulls, left: 0 }
    }

    fn is_at_end(&self) -> bool {
        self.left == 0 && self.rest.is_empty()
    }

    /// The value in the next row; the inner `None` for null, the outer one if the column is malformed.
    fn next(&mut self) -> Option<Option<T>> {
        while self.left == 0 {
            if self.rest.is_empty() {
                return Some(None);
            }
            let head = self.rest.signed()?;
            (self.run, self.left) = match head {
                0 => (Run::Nulls, self.rest.unsigned()?),
                1.. => (Run::Repeated(T::decode(&mut self.rest)?), head.unsigned_abs()),
                _ => (Run::Literal, head.unsigned_abs()),
            };
        }
        self.left -= 1;
        Some(match self.run {
            Run::Nulls => None,
            Run::Repeated(value) => Some(value),
            Run::Literal => Some(T::decode(&mut self.rest)?),
        })
    }
}

/// A column of differences between its values. Nulls do not count.
#[derive(Debug)]
struct Deltas<'a> {
    differences: Runs<'a, i64>,
    sum: i64,
}

impl<'a> Deltas<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { differences: Runs::new(bytes), sum: 0 }
    }

    fn next(&mut self) -> Option<Option<i64>> {
        Some(match self.differences.next()? {
            None => None,
            Some(difference) => {
                self.sum = self.sum.checked_add(difference)?;
                Some(self.sum)
            }
        })
    }
}

/// A column of alternating counts of false and true.
#[derive(Debug)]
struct Booleans<'a> {
    rest: Reader<'a>,
    value: bool,
    left: u64,
}

impl<'a> Booleans<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        // The first count is that of false.
        Self { rest: Reader::new(bytes), value: true, left: 0 }
    }

    fn next(&mut self) -> Option<bool> {
        while self.left == 0 {
            if self.rest.is_empty() {
                return Some(false);
            }
            self.left = self.rest.unsigned()?;
            self.value = !self.value;
        }
        self.left -= 1;
        Some(self.value)
    }
}

#[cfg(test)]
mod tests;
