//! The successor of a document: its current content in a new document, without its history.
//!
//! The successor has all root keys and positions, with dates, editors and unknown fields, and the values that lost against concurrent
//! writes. Scenarios and named versions stay behind: they refer to the history. The two documents name each other at their roots.
//!
//! Values are written as trees, one call for each ([`bulk`](super::bulk) tells why). What trees cannot hold is written afterwards:
//! marks and blocks of texts, and losing values. A key has losing values again when all its values are written at the same heads, the
//! winner last.

use std::collections::{BTreeSet, HashMap};

use automerge::hydrate::{Map, Value as Tree};
use automerge::iter::Span;
use automerge::marks::UpdateSpansConfig;
use automerge::transaction::{Transactable, Transaction};
use automerge::{
    ActorId, Automerge, AutomergeError, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, TextEncoding, Value,
};
use primitives::DocumentId;

use super::change::{Author, EditError, commit, commit_at, put_text};
use super::content::MAX_CONTENT_DEPTH;
use super::position::{DOCUMENT_ID, POSITIONS, PREDECESSOR, SUCCESSOR, position_maps};
use super::shared_map::{SCENARIOS_MAP, SHARED_MAPS, SharedMap, VERSIONS_MAP};
use super::snapshot::Snapshot;

/// Operations of the values that one change writes, as of an import.
const OPERATIONS: usize = if cfg!(test) { 100 } else { 100_000 };
/// Root keys that are not copied.
const NOT_COPIED: [&str; 5] = [DOCUMENT_ID, PREDECESSOR, SUCCESSOR, SCENARIOS_MAP.key, VERSIONS_MAP.key];

/// The successor of a document.
pub struct Successor {
    /// The document.
    pub document: Automerge,
    /// What it lacks of the current content.
    pub left_out: LeftOut,
}

/// Content that a successor lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Entries of scenarios.
    pub scenarios: usize,
    /// Named versions.
    pub versions: usize,
    /// Other values: those nested deeper than 100 levels; inside of a value that is one of several, losing values and formatting.
    pub values: usize,
}

/// Makes the successor of a document. `id` is the id of the successor, `predecessor` that of the document, and `actor` one that was never
/// used.
///
/// # Errors
/// When the Automerge library fails.
pub fn successor(
    doc: &Automerge,
    id: &DocumentId,
    predecessor: &DocumentId,
    actor: ActorId,
    author: &Author,
) -> Result<Successor, EditError> {
    let now = Snapshot::now(doc);
    let mut reader = Reader {
        now,
        encoding: doc.text_encoding(),
        path: Vec::new(),
        formatted: Vec::new(),
        contested: Vec::new(),
        omitted: 0,
    };
    let mut new = Automerge::new().with_actor(actor);
    write_root(&mut new, &mut reader, id, predecessor, author)?;
    for map in SHARED_MAPS.into_iter().filter(|map| !NOT_COPIED.contains(&map.key)) {
        write_shared_map(&mut new, &mut reader, map, author)?;
    }
    write_positions(&mut new, &mut reader, doc, author)?;
    let Reader { formatted, contested, omitted, .. } = reader;
    write_formatted_texts(&mut new, formatted, author)?;
    write_losing_values(&mut new, &contested, author)?;
    let entries = |map: SharedMap| now.map(&ROOT, map.key).map_or(0, |map| now.keys(&map).len());
    let left_out = LeftOut { scenarios: entries(SCENARIOS_MAP), versions: entries(VERSIONS_MAP), values: omitted };
    Ok(Successor { document: new, left_out })
}

/// Reads values as trees.
struct Reader<'a> {
    now: Snapshot<'a>,
    encoding: TextEncoding,
    /// The place of the value that is being read; empty inside of a value that is one of several.
    path: Vec<Prop>,
    /// Texts with marks or blocks, each with its place.
    formatted: Vec<(Vec<Prop>, Vec<Span>)>,
    /// All values of keys with losing values, the winner last, each with its place.
    contested: Vec<(Vec<Prop>, Vec<Tree>)>,
    /// Values that are not copied.
    omitted: usize,
}

impl Reader<'_> {
    /// The values of one key, the winner last, as one tree. `None` if there is none, or it is nested too deep. Several values are
    /// written later, over an empty map: the library ignores the write of a value that is there already.
    fn values(&mut self, values: &[(Value<'_>, ObjId)], depth: usize) -> Option<Tree> {
        let [losing @ .., (winner, object)] = values else { return None };
        if losing.is_empty() {
            return self.value(winner, object, depth);
        }
        if self.path.is_empty() {
            self.omitted += losing.len();
            return self.value(winner, object, depth);
        }
        let path = std::mem::take(&mut self.path);
        let trees: Vec<Tree> = values.iter().filter_map(|(value, object)| self.value(value, object, depth)).collect();
        self.path.clone_from(&path);
        if trees.is_empty() {
            return None;
        }
        self.contested.push((path, trees));
        Some(Tree::map())
    }

    fn value(&mut self, value: &Value<'_>, object: &ObjId, depth: usize) -> Option<Tree> {
        Some(match value {
            Value::Scalar(scalar) => Tree::Scalar(match scalar.as_ref() {
                // A counter that was incremented is written as one that starts with its value.
                ScalarValue::Counter(counter) => ScalarValue::counter(counter.into()),
                scalar => scalar.clone(),
            }),
            Value::Object(ObjType::Text) => self.text(object, depth),
            Value::Object(_) if depth == 0 => {
                self.omitted += 1;
                return None;
            }
            Value::Object(ObjType::Map | ObjType::Table) => self.map(object, depth - 1),
            Value::Object(ObjType::List) => self.list(object, depth - 1),
        })
    }

    fn text(&mut self, object: &ObjId, depth: usize) -> Tree {
        let is_plain = |span: &Span| match span {
            Span::Text { marks, .. } => marks.as_ref().is_none_or(|marks| marks.num_marks() == 0),
            Span::Block(_) => false,
        };
        let is_plain = self.now.spans(object, depth).is_some_and(|mut spans| spans.all(|span| is_plain(&span)));
        if !is_plain
            && !self.path.is_empty()
            && let Some(spans) = self.now.spans(object, depth)
        {
            self.formatted.push((self.path.clone(), spans.collect()));
            return Tree::text(self.encoding, "");
        }
        self.omitted += usize::from(!is_plain);
        Tree::text(self.encoding, &self.now.text(object))
    }

    fn map(&mut self, object: &ObjId, depth: usize) -> Tree {
        let mut entries = HashMap::new();
        for item in self.now.entries(object) {
            let key = item.key.to_string();
            let values = if item.conflict {
                self.now.all(object, key.as_str())
            } else {
                let id = item.id();
                vec![(item.value.into(), id)]
            };
            if let Some(tree) = self.at(Prop::Map(key.clone()), &values, depth) {
                entries.insert(key, tree);
            }
        }
        Tree::Map(Map::from(entries))
    }

    fn list(&mut self, object: &ObjId, depth: usize) -> Tree {
        let mut items = Vec::new();
        for item in self.now.items(object) {
            let index = item.index;
            let values = if item.conflict {
                self.now.all(object, index)
            } else {
                let id = item.id();
                vec![(item.value.into(), id)]
            };
            // The others keep their places.
            items.push(self.at(Prop::Seq(index), &values, depth).unwrap_or(Tree::Scalar(ScalarValue::Null)));
        }
        Tree::from(items)
    }

    /// Reads the values of a key or index of the object that is being read.
    fn at(&mut self, prop: Prop, values: &[(Value<'_>, ObjId)], depth: usize) -> Option<Tree> {
        let knows_place = !self.path.is_empty();
        if knows_place {
            self.path.push(prop);
        }
        let tree = self.values(values, depth);
        if knows_place {
            self.path.pop();
        }
        tree
    }

    /// Reads the values of a key of a map at this place.
    fn at_place(&mut self, place: &[&str], values: &[(Value<'_>, ObjId)]) -> Option<Tree> {
        self.path = place.iter().map(|key| Prop::Map((*key).to_owned())).collect();
        let tree = self.values(values, MAX_CONTENT_DEPTH + 1 - place.len());
        self.path.clear();
        tree
    }
}

/// Number of operations that write a tree.
fn operations(tree: &Tree) -> usize {
    match tree {
        Tree::Scalar(_) => 1,
        Tree::Text(text) => 1 + text.to_string().len(),
        Tree::Map(map) => 1 + map.iter().map(|(_, entry)| operations(&entry.value)).sum::<usize>(),
        Tree::List(list) => 1 + list.iter().map(|item| operations(&item.value)).sum::<usize>(),
    }
}

fn write(tx: &mut Transaction<'_>, object: &ObjId, prop: Prop, tree: &Tree) -> Result<(), AutomergeError> {
    match tree {
        Tree::Scalar(scalar) => tx.put(object, prop, scalar.clone()),
        tree => tx.batch_create_object(object, prop, tree, false).map(drop),
    }
}

/// Writes the root keys apart from the positions and the shared maps.
fn write_root(
    new: &mut Automerge,
    reader: &mut Reader<'_>,
    id: &DocumentId,
    predecessor: &DocumentId,
    author: &Author,
) -> Result<(), EditError> {
    let now = reader.now;
    let mut entries = Vec::new();
    for key in now.keys(&ROOT) {
        let is_copied_later = key == POSITIONS || SHARED_MAPS.iter().any(|map| map.key == key);
        let is_map = now.map(&ROOT, &key).is_some();
        if NOT_COPIED.contains(&key.as_str()) || (is_copied_later && is_map) {
            continue;
        }
        if let Some(tree) = reader.at_place(&[&key], &now.all(&ROOT, key.as_str())) {
            entries.push((key, tree));
        }
    }
    commit(new, author, format!("{}: successor of {}", author.name, predecessor.url()), |tx| {
        put_text(tx, &ROOT, DOCUMENT_ID, id.as_str())?;
        put_text(tx, &ROOT, PREDECESSOR, &predecessor.url())?;
        entries.iter().try_for_each(|(key, tree)| write(tx, &ROOT, key.as_str().into(), tree))
    })?;
    Ok(())
}

/// Writes the entries of a shared map.
fn write_shared_map(
    new: &mut Automerge,
    reader: &mut Reader<'_>,
    map: SharedMap,
    author: &Author,
) -> Result<(), EditError> {
    let Some(object) = reader.now.map(&ROOT, map.key) else { return Ok(()) };
    reader.omitted += reader.now.all(&ROOT, map.key).len() - 1;
    map.prepare(new)?;
    let mut entries = Vec::new();
    for key in reader.now.keys(&object) {
        let values = reader.now.all(&object, key.as_str());
        if let Some(tree) = reader.at_place(&[map.key, &key], &values) {
            entries.push((key, tree));
        }
    }
    commit(new, author, format!("{}: {}", author.name, map.key), |tx| {
        let Some(target) = map.open(tx)? else { return Ok(()) };
        entries.iter().try_for_each(|(key, tree)| write(tx, &target, key.as_str().into(), tree))
    })?;
    Ok(())
}

/// Writes the positions, in changes of bounded size.
fn write_positions(
    new: &mut Automerge,
    reader: &mut Reader<'_>,
    doc: &Automerge,
    author: &Author,
) -> Result<(), EditError> {
    let maps = position_maps(doc);
    if maps.is_empty() {
        return Ok(());
    }
    reader.omitted += reader.now.all(&ROOT, POSITIONS).len() - maps.len();
    let mut target = ROOT;
    commit(new, author, format!("{}: positions", author.name), |tx| {
        target = tx.put_object(ROOT, POSITIONS, ObjType::Map)?;
        Ok(())
    })?;
    let ids: BTreeSet<String> = maps.iter().flat_map(|map| doc.keys(map)).collect();
    let (total, mut done) = (ids.len(), 0);
    let mut ids = ids.into_iter().peekable();
    while ids.peek().is_some() {
        let (mut portion, mut size) = (Vec::new(), 0);
        while size < OPERATIONS
            && let Some(id) = ids.next()
        {
            done += 1;
            let values: Vec<_> = maps.iter().flat_map(|map| reader.now.all(map, id.as_str())).collect();
            if let Some(tree) = reader.at_place(&[POSITIONS, &id], &values) {
                size += operations(&tree);
                portion.push((id, tree));
            }
        }
        commit(new, author, format!("{}: positions ({done} of {total})", author.name), |tx| {
            portion.iter().try_for_each(|(id, tree)| write(tx, &target, id.as_str().into(), tree))
        })?;
    }
    Ok(())
}

/// The object at a place.
fn object_at(tx: &Transaction<'_>, path: &[Prop]) -> Result<Option<ObjId>, AutomergeError> {
    let mut object = ROOT;
    for prop in path {
        match tx.get(&object, prop.clone())? {
            Some((Value::Object(_), child)) => object = child,
            _ => return Ok(None),
        }
    }
    Ok(Some(object))
}

fn write_formatted_texts(
    new: &mut Automerge,
    formatted: Vec<(Vec<Prop>, Vec<Span>)>,
    author: &Author,
) -> Result<(), EditError> {
    if formatted.is_empty() {
        return Ok(());
    }
    commit(new, author, format!("{}: formatted texts", author.name), |tx| {
        formatted.into_iter().try_for_each(|(path, spans)| match object_at(tx, &path)? {
            Some(text) => tx.update_spans(text, UpdateSpansConfig::default(), spans),
            None => Ok(()),
        })
    })?;
    Ok(())
}

fn write_losing_values(
    new: &mut Automerge,
    contested: &[(Vec<Prop>, Vec<Tree>)],
    author: &Author,
) -> Result<(), EditError> {
    let base = new.get_heads();
    let most = contested.iter().map(|(_, values)| values.len()).max().unwrap_or_default();
    for round in 0..most {
        // The winner is written in the last round, whose operations have the highest ids.
        let mut due = contested
            .iter()
            .filter_map(|(path, values)| Some((path, values.get((round + values.len()).checked_sub(most)?)?)));
        let message = format!("{}: concurrent values ({} of {most})", author.name, round + 1);
        commit_at(new, &base, author, message, |tx| {
            due.try_for_each(|(path, tree)| {
                let Some((last, parents)) = path.split_last() else { return Ok(()) };
                match object_at(tx, parents)? {
                    Some(object) => write(tx, &object, last.clone(), tree),
                    None => Ok(()),
                }
            })
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
