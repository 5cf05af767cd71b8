//! A map at the root of a document whose entries are shown one by one: the budgets of departments, the scenarios, and the columns.

use std::collections::BTreeMap;

use automerge::ObjId;
use serde_json::Value as Json;

use super::extra::{MAX_ROOT_BYTES, distinct};
use super::json_encoder::Encoder;
use super::snapshot::Snapshot;

/// The content of the map.
pub(super) struct RootMap {
    /// The entries. Other programs may have written any value.
    pub values: BTreeMap<String, Json>,
    /// The values of entries that lost against a concurrent write.
    pub conflicts: BTreeMap<String, Vec<Json>>,
    /// Number of values that are not shown.
    pub omitted: usize,
}

/// Reads the map.
pub(super) fn read(now: Snapshot<'_>, map: &ObjId) -> RootMap {
    let mut encoder = Encoder::new(now, MAX_ROOT_BYTES);
    let mut reading = RootMap { values: BTreeMap::new(), conflicts: BTreeMap::new(), omitted: 0 };
    for item in now.entries(map) {
        let key = item.key.to_string();
        let found = if item.conflict {
            now.all(map, &*item.key)
        } else {
            let id = item.id();
            vec![(item.value.into(), id)]
        };
        let mut values: Vec<Json> =
            found.iter().filter_map(|(value, object)| encoder.member(&key, value, object)).collect();
        let Some(winner) = values.pop() else { continue };
        let losing = distinct(values, Some(&winner));
        if !losing.is_empty() {
            reading.conflicts.insert(key.clone(), losing);
        }
        reading.values.insert(key, winner);
    }
    reading.omitted = encoder.omitted();
    reading
}
