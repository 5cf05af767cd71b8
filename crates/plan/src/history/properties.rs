//! Properties of histories of random concurrent changes, which arrive in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::legacy::OpType;
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjId, ObjType, ROOT, ReadDoc, Value};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::tests::{ALL, add, commit, map, plan, text};
use super::*;
use crate::Position;
use crate::fields::FieldId;
use crate::past::SharedCopy;
use crate::view::{Renderings, View, snapshot};

const NO_FORMS: Renderings = Renderings { json: |_, _| {}, additional: |_, _| {}, csv: |_, _| {} };

fn row(doc: &AutoCommit, id: &str) -> Option<ObjId> {
    let (value, row) = doc.get(map(doc)?, id).unwrap()?;
    value.is_object().then_some(row)
}

/// A document with its history, updated change by change.
struct Server {
    doc: Automerge,
    history: History,
}

impl Server {
    fn new(from: &mut AutoCommit) -> Self {
        let doc = Automerge::load(&from.save()).unwrap();
        let history = History::of(&doc).unwrap();
        Self { doc, history }
    }

    fn take(&mut self, from: &mut AutoCommit) {
        let unknown = |change: &Change| self.doc.get_change_by_hash(&change.hash()).is_none();
        let mut changes: Vec<Change> = from.get_changes(&[]).into_iter().filter(unknown).collect();
        self.doc.apply_changes(changes.clone()).unwrap();
        // In the order of a batch.
        changes.sort_by_key(|change| (change.start_op(), change.hash()));
        self.history.add(&self.doc, &changes).unwrap();
        assert_eq!(self.history.heads(), self.doc.get_heads());
    }

    /// All entries, in pages of this size.
    fn pages(&self, query: &Query, limit: usize) -> Vec<Entry> {
        let (mut entries, mut before) = (Vec::new(), query.before);
        loop {
            let query = Query { before, limit, ..query.clone() };
            let page = self.history.page(&self.doc, &query).unwrap();
            assert!(page.entries.len() <= limit && (page.next.is_none() || !page.entries.is_empty()));
            entries.extend(page.entries);
            before = page.next;
            if before.is_none() {
                return entries;
            }
        }
    }
}

fn as_text(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| format!("{entry:?}")).collect()
}

type Rows = BTreeMap<Arc<str>, Position>;

fn rows_at(doc: &Automerge, heads: &[ChangeHash]) -> Rows {
    snapshot(&View::new(&doc.fork_at(heads).unwrap(), NO_FORMS))
}

/// Whether two positions with this id were created concurrently.
fn is_two(doc: &Automerge, heads: &[ChangeHash], id: &str) -> bool {
    let maps = doc.get_all_at(ROOT, "positions", heads).unwrap();
    maps.iter().flat_map(|(_, map)| doc.get_all_at(map, id, heads).unwrap()).count() > 1
}

/// The values of an editable field, the winner first.
fn values(position: Option<&Position>, field: FieldId) -> Vec<Json> {
    let Some(position) = position else { return vec![Json::Null] };
    let losing = position.conflicts.get(field.key()).cloned().unwrap_or_default();
    [position.fields[field].clone().unwrap_or(Json::Null)].into_iter().chain(losing).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, u8, u8, i64),
    Text(usize, u8, u8, String),
    Splice(usize, u8, String),
    Row(usize, u8),
    Delete(usize, u8),
    DeleteField(usize, u8, u8),
    Map(usize),
    Total(usize, i64),
    Nest(usize, u8, i64),
    Commit(usize, i64),
    Merge(usize, usize),
    Send(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (who, id, field) = (0..3usize, 0..3u8, 0..7u8);
    let step = prop_oneof![
        4 => (who.clone(), id.clone(), field.clone(), 0..9i64).prop_map(|(w, i, f, v)| Step::Put(w, i, f, v)),
        3 => (who.clone(), id.clone(), field.clone(), "[a-c]{0,3}").prop_map(|(w, i, f, v)| Step::Text(w, i, f, v)),
        2 => (who.clone(), id.clone(), "[x-z]{1,2}").prop_map(|(w, i, v)| Step::Splice(w, i, v)),
        3 => (who.clone(), id.clone()).prop_map(|(w, i)| Step::Row(w, i)),
        2 => (who.clone(), id.clone()).prop_map(|(w, i)| Step::Delete(w, i)),
        1 => (who.clone(), id, field).prop_map(|(w, i, f)| Step::DeleteField(w, i, f)),
        1 => who.clone().prop_map(Step::Map),
        1 => (who.clone(), 0..9i64).prop_map(|(w, v)| Step::Total(w, v)),
        3 => (who.clone(), 0..3u8, 0..9i64).prop_map(|(w, i, v)| Step::Nest(w, i, v)),
        6 => (who.clone(), 0..50i64).prop_map(|(w, t)| Step::Commit(w, t)),
        3 => (who.clone(), who.clone()).prop_map(|(a, b)| Step::Merge(a, b)),
        3 => who.prop_map(Step::Send),
    ];
    proptest::collection::vec(step, 1..50)
}

/// The list inside of a map in a field beyond the schema. Created if it does not exist.
fn nest(doc: &mut AutoCommit, id: &str, value: i64) {
    let Some(row) = row(doc, id) else { return };
    let Some((Value::Object(ObjType::Map), team)) = doc.get(&row, "team").unwrap() else {
        let team = doc.put_object(&row, "team", ObjType::Map).unwrap();
        doc.put_object(&team, "list", ObjType::List).unwrap();
        return;
    };
    let (_, list) = doc.get(&team, "list").unwrap().unwrap();
    match value {
        0 => doc.put(&row, "team", "none").unwrap(),
        1..4 => doc.put(&team, "lead", value).unwrap(),
        _ => doc.insert(&list, 0, value).unwrap(),
    }
}

const KEYS: [&str; 7] = ["designation", "department", "budget", "location", "createdAt", "updatedAt", "updatedBy"];

fn run(steps: Vec<Step>) -> Server {
    let mut doc = plan();
    add(&mut doc, "row 0", "first");
    commit(&mut doc, 2, "");
    let mut people: Vec<AutoCommit> = (1..4u8).map(|actor| doc.fork().with_actor(ActorId::from([actor]))).collect();
    let mut server = Server::new(&mut doc);
    for step in steps {
        let find = |doc: &AutoCommit, id: u8| row(doc, &format!("row {id}"));
        match step {
            Step::Put(who, id, field, value) => {
                if let Some(row) = find(&people[who], id) {
                    people[who].put(&row, KEYS[usize::from(field)], value).unwrap();
                }
            }
            Step::Text(who, id, field, value) => {
                if let Some(row) = find(&people[who], id) {
                    text(&mut people[who], &row, KEYS[usize::from(field)], &value);
                }
            }
            Step::Splice(who, id, value) => {
                if let Some(row) = find(&people[who], id)
                    && let Ok(Some((Value::Object(ObjType::Text), text))) = people[who].get(&row, "designation")
                {
                    people[who].splice_text(&text, 0, 0, &value).unwrap();
                }
            }
            Step::Row(who, id) => {
                if map(&people[who]).is_some() {
                    add(&mut people[who], &format!("row {id}"), "new");
                }
            }
            Step::Delete(who, id) => {
                if let Some(map) = map(&people[who]) {
                    people[who].delete(&map, format!("row {id}")).unwrap();
                }
            }
            Step::DeleteField(who, id, field) => {
                if let Some(row) = find(&people[who], id) {
                    people[who].delete(&row, KEYS[usize::from(field)]).unwrap();
                }
            }
            Step::Map(who) => {
                people[who].put_object(ROOT, "positions", ObjType::Map).unwrap();
            }
            Step::Nest(who, id, value) => nest(&mut people[who], &format!("row {id}"), value),
            Step::Total(who, value) => people[who].put(ROOT, "totalBudget", value).unwrap(),
            Step::Commit(who, time) => commit(&mut people[who], time, "said"),
            Step::Merge(one, two) => {
                if one != two {
                    let mut other = people[two].fork();
                    people[one].merge(&mut other).unwrap();
                }
            }
            Step::Send(who) => server.take(&mut people[who]),
        }
    }
    for person in &mut people {
        server.take(person);
    }
    server
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Three peers make random concurrent changes, which arrive in any order.
    #[test]
    fn every_change_and_difference_is_recorded_once(steps in steps(), limit in 1usize..6) {
        let server = run(steps);
        let entries = server.pages(&ALL, MAX_ENTRIES);
        prop_assert_eq!(as_text(&server.pages(&ALL, limit)), as_text(&entries), "pages add up");
        let afresh = History::of(&server.doc).unwrap().page(&server.doc, &ALL).unwrap();
        prop_assert_eq!(as_text(&afresh.entries), as_text(&entries), "equal to a new history");
        prop_assert_eq!(entries.first().map(|entry| entry.heads.clone()), Some(Some(server.doc.get_heads())));

        let all: BTreeSet<ChangeHash> = server.doc.get_changes(&[]).iter().map(Change::hash).collect();
        let recorded: BTreeSet<ChangeHash> = entries.iter().map(|entry| entry.hash).collect();
        prop_assert_eq!((entries.len(), &recorded), (all.len(), &all), "each once");

        let mut copy = SharedCopy::default();
        let mut below: BTreeSet<ChangeHash> = BTreeSet::new();
        for entry in entries.iter().rev() {
            let change = server.doc.get_change_by_hash(&entry.hash).unwrap();
            prop_assert!(change.deps().iter().all(|dep| below.contains(dep)), "causal");
            below.insert(entry.hash);

            let heads = entry.heads.clone().unwrap();
            let past = copy.at(&server.doc, heads.clone()).unwrap();
            let positions: Rows = past.positions().into_iter().map(|row| (Arc::clone(&row.id), row)).collect();
            prop_assert_eq!(&positions, &rows_at(&server.doc, &heads));
            let fork = server.doc.fork_at(&heads).unwrap();
            prop_assert_eq!(fork.get_heads(), heads);
            prop_assert_eq!(fork.get_changes(&[]).len(), below.len(), "with all its ancestors");

            let (before, after) = (rows_at(&server.doc, change.deps()), rows_at(&server.doc, &[entry.hash]));
            let has = |rows: &[super::Row], id: &Arc<str>| rows.iter().any(|row| row.position == *id);
            for id in before.keys().chain(after.keys()) {
                match (before.get(id), after.get(id)) {
                    (None, _) => prop_assert!(has(&entry.added, id) || has(&entry.restored, id), "{id} was added: {entry:?}"),
                    (_, None) => prop_assert!(has(&entry.deleted, id), "{id} was deleted: {entry:?}"),
                    // Of two positions with one id, one was added or deleted.
                    _ if has(&entry.deleted, id) || has(&entry.added, id) || has(&entry.restored, id) => {}
                    (was, is) => for field in FieldId::all() {
                        let set = entry.fields.iter().find(|set| {
                            &*set.field == field.key() && set.row.as_ref().is_some_and(|row| row.position == *id)
                        });
                        if values(was, field)[0] != values(is, field)[0] {
                            prop_assert!(set.is_some(), "{id}.{field}: {:?} {:?} {entry:?}", was, is);
                        }
                        if let (Some(was), Some(is)) = (was, is)
                            && !is_two(&server.doc, change.deps(), id)
                            && !is_two(&server.doc, &[entry.hash], id)
                        {
                            let team = |row: &Position| row.extra.as_ref().and_then(|extra| extra.fields.get("team").cloned());
                            let recorded = entry.fields.iter().find(|set| {
                                &*set.field == "team" && set.row.as_ref().is_some_and(|row| row.position == *id)
                            });
                            prop_assert_eq!(recorded.is_some() || team(was) == team(is), true, "{}: {:?}", id, entry);
                            if let Some(recorded) = recorded {
                                prop_assert_eq!(&recorded.new, &team(is).unwrap_or(Json::Null), "{}: {:?}", id, entry);
                                prop_assert_eq!(&recorded.old, &team(was).unwrap_or(Json::Null), "{}: {:?}", id, entry);
                            }
                        }
                        if let Some(set) = set {
                            let (was, is) = (values(was, field), values(is, field));
                            prop_assert!(was.contains(&set.old) || set.old.is_null(), "{id}.{field}: {was:?} {set:?}");
                            // Of two positions with one id, the winner may show a field of the other.
                            let shows_another = || set.new.is_null() && is_two(&server.doc, &[entry.hash], id);
                            prop_assert!(is.contains(&set.new) || shows_another(), "{id}.{field}: {is:?} {set:?}");
                            if was.len() > 1 && !is_two(&server.doc, change.deps(), id) && !is_two(&server.doc, &[entry.hash], id) {
                                // A text that is edited in place keeps the values that conflict with it.
                                let resolved = if is.len() > 1 { &[][..] } else { &was[..] };
                                prop_assert_eq!(set.settled.first(), resolved.first(), "{}.{}: {:?}", id, field, set);
                                prop_assert!(set.settled.iter().all(|value| was.contains(value)), "{was:?} {set:?}");
                                prop_assert_eq!(set.settled.len(), resolved.len(), "{:?} {:?}", was, set);
                            }
                        }
                    },
                }
            }
        }
    }

    #[test]
    fn filter_returns_only_matching_writes(steps in steps(), limit in 1usize..6) {
        let server = run(steps);
        let entries = server.pages(&ALL, MAX_ENTRIES);
        for position in [None, Some("row 0"), Some("row 1"), Some("row 2")] {
            for field in [None, Some("designation"), Some("budget"), Some("totalBudget")] {
                if position.is_none() && field.is_none() || position.is_some_and(|id| server.history.seen(id).is_none()) {
                    continue;
                }
                let query = Query { position: position.map(str::to_owned), field: field.map(str::to_owned), ..ALL };
                let of_it = |row: &super::Row| position.is_none_or(|id| &*row.position == id);
                let expected: Vec<String> = entries.iter().filter_map(|entry| {
                    let set = |set: &&FieldChange| {
                        field.is_none_or(|field| &*set.field == field)
                            && match &set.row { Some(row) => of_it(row), None => position.is_none() }
                    };
                    let fields: Vec<&FieldChange> = entry.fields.iter().filter(set).collect();
                    let rows = |rows: &[super::Row]| -> Vec<super::Row> {
                        rows.iter().filter(|row| field.is_none() && of_it(row)).cloned().collect()
                    };
                    let (added, deleted) = (rows(&entry.added), rows(&entry.deleted));
                    let restored = rows(&entry.restored);
                    let any = !fields.is_empty() || !added.is_empty() || !restored.is_empty() || !deleted.is_empty();
                    any.then(|| format!("{:?}", (entry.hash, &entry.heads, added, restored, deleted, fields)))
                }).collect();
                let shown = |entry: &Entry| {
                    let Entry { hash, heads, added, restored, deleted, fields, .. } = entry;
                    let fields: Vec<&FieldChange> = fields.iter().collect();
                    // A position that was replaced by an equal one has changed, but none of its fields.
                    let any = !fields.is_empty() || !added.is_empty() || !restored.is_empty() || !deleted.is_empty();
                    let rows = (added.clone(), restored.clone(), deleted.clone());
                    any.then(|| format!("{:?}", (*hash, heads, rows.0, rows.1, rows.2, fields)))
                };
                let found: Vec<String> = server.pages(&query, limit).iter().filter_map(shown).collect();
                prop_assert_eq!(found, expected, "{:?}", query);
            }
        }
    }

    /// For positions that are not created again, and texts that are written whole.
    #[test]
    fn last_listed_value_is_the_current_one(
        steps in proptest::collection::vec((0..3usize, 0..5u8, 0..4u8, 0..4usize, 0..9i64), 1..60)
    ) {
        let mut doc = plan();
        let mut people: Vec<AutoCommit> =
            (1..4u8).map(|actor| doc.fork().with_actor(ActorId::from([actor]))).collect();
        let mut made = 0;
        for (who, action, id, field, value) in steps {
            let target = row(&people[who], &format!("row {id}"));
            match (action, target) {
                (0, _) => {
                    add(&mut people[who], &format!("row {made}"), "new");
                    made += 1;
                }
                (1, Some(_)) if value == 0 => {
                    let map = map(&people[who]).unwrap();
                    people[who].delete(&map, format!("row {id}")).unwrap();
                }
                (1 | 2, Some(row)) => people[who].put(&row, KEYS[field], value).unwrap(),
                (3, Some(row)) => {
                    text(&mut people[who], &row, KEYS[field], &value.to_string());
                }
                _ => {
                    let mut other = people[(who + 1) % 3].fork();
                    people[who].merge(&mut other).unwrap();
                }
            }
            commit(&mut people[who], value, "");
        }
        let mut server = Server::new(&mut doc);
        for person in &mut people {
            server.take(person);
        }
        let mut last: BTreeMap<(Arc<str>, Arc<str>), Option<Json>> = BTreeMap::new();
        for entry in server.pages(&ALL, MAX_ENTRIES).into_iter().rev() {
            let change = server.doc.get_change_by_hash(&entry.hash).unwrap();
            // Writing the winner of a conflict again only deletes the other values. If another peer has overwritten the
            // winner concurrently, that value remains.
            let is_deletion = change.decode().operations.iter().all(|op| op.action == OpType::Delete);
            for set in entry.fields {
                last.insert((set.row.unwrap().position, set.field), (!is_deletion).then_some(set.new));
            }
        }
        for (id, position) in rows_at(&server.doc, &server.doc.get_heads()) {
            for field in FieldId::all() {
                let stands = values(Some(&position), field);
                let Some(set) = last.get(&(Arc::clone(&id), Arc::from(field.key()))).unwrap_or(&Some(Json::Null)) else { continue };
                prop_assert!(stands.contains(set), "{id}.{field}: {set} {stands:?}");
            }
        }
    }
}
