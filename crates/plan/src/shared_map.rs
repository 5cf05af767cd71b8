//! Maps at the root of a document that several people may create at the same time, each without knowing of the other.
//!
//! Two assignments of a new map are a conflict, and the entries of one of them disappear. A shared map is therefore created by
//! one fixed change with the same bytes everywhere, so that everybody creates the same object. Its actor is the first 16 bytes of
//! the SHA-256 of `happierwork/shared-map/<key>`, the sequence number 1, the time 0; it has no message and no dependency, and one
//! operation. The page has the same changes; both are tested with `tests/fixtures/shared-maps.json`.

use automerge::transaction::{Transactable, Transaction};
use automerge::{Automerge, AutomergeError, Change, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, Value};

use super::position::DEPARTMENT_BUDGETS;

/// A root key whose map is created by a fixed change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedMap {
    /// The root key.
    pub key: &'static str,
    /// The bytes of the change. They are stored, not encoded, so that another version of Automerge cannot alter them.
    change: &'static [u8],
}

/// The amount that each department may spend.
pub const DEPARTMENT_BUDGETS_MAP: SharedMap = SharedMap {
    key: DEPARTMENT_BUDGETS,
    change: &bytes::<70>(
        "856f4a8372c8cf6c013c0010c0306b0a0d36653d9c235cbae901a4d4010100000005151334014202560270027f116465706172746d656e744275\
         6467657473017f007f007f00",
    ),
};

/// The scenarios of a plan.
pub const SCENARIOS_MAP: SharedMap = SharedMap {
    key: "scenarios",
    change: &bytes::<62>(
        "856f4a830b98041d0134001002ae9338f89fb864b2de922bbfb4677d010100000005150b34014202560270027f097363656e6172696f73017f00\
         7f007f00",
    ),
};

/// Columns that the people of a plan have added.
pub const COLUMNS_MAP: SharedMap = SharedMap {
    key: "columns",
    change: &bytes::<60>(
        "856f4a8319672c62013200106a696d474b90f1c197b3b42a630a3237010100000005150934014202560270027f07636f6c756d6e73017f007f00\
         7f00",
    ),
};

/// Views that people have saved under a name.
pub const VIEWS_MAP: SharedMap = SharedMap {
    key: "views",
    change: &bytes::<58>(
        "856f4a83b5a1b55f01300010840c6d2fb04186d3bf8f32828778fd77010100000005150734014202560270027f057669657773017f007f007f00",
    ),
};

/// Earlier versions of the plan that people have named.
pub const VERSIONS_MAP: SharedMap = SharedMap {
    key: "versions",
    change: &bytes::<61>(
        "856f4a837cad8d0e01330010257eb1702707d04610c4d6975bb14d9e010100000005150a34014202560270027f0876657273696f6e73017f007f\
         007f00",
    ),
};

/// All shared maps.
pub const SHARED_MAPS: [SharedMap; 5] = [DEPARTMENT_BUDGETS_MAP, SCENARIOS_MAP, COLUMNS_MAP, VIEWS_MAP, VERSIONS_MAP];

/// Where the actor is in the bytes of a change: after the header of the chunk (magic number, checksum, type and length), the number
/// of dependencies, and its own length.
const ACTOR_START: usize = 12;
const ACTOR_LENGTH: usize = 16;

impl SharedMap {
    /// The shared map whose change has this actor.
    #[must_use]
    pub fn of_actor(actor: &[u8]) -> Option<Self> {
        SHARED_MAPS.into_iter().find(|map| map.actor() == actor)
    }

    /// The bytes of the change that creates the map.
    #[must_use]
    pub fn change_bytes(self) -> &'static [u8] {
        self.change
    }

    /// Whether a change is the one that creates the map.
    #[must_use]
    pub fn is_created_by(self, change: &Change) -> bool {
        change.raw_bytes() == self.change
    }

    /// The hash of the change that creates the map.
    pub(super) fn hash(self) -> Option<ChangeHash> {
        Change::from_bytes(self.change.to_vec()).ok().map(|change| change.hash())
    }

    fn actor(self) -> &'static [u8] {
        &self.change[ACTOR_START..ACTOR_START + ACTOR_LENGTH]
    }

    /// Applies the change that creates the map, unless the document has a value at its key. A map that was made by other means is
    /// used as it is. Call [`SharedMap::open`] in the transaction that follows.
    ///
    /// # Errors
    /// When the Automerge library fails, for example because another change has the actor.
    pub fn prepare(self, doc: &mut Automerge) -> Result<(), AutomergeError> {
        if doc.get(ROOT, self.key)?.is_some() {
            return Ok(());
        }
        // The tests read all of these changes, so this cannot fail.
        let change = Change::from_bytes(self.change.to_vec()).map_err(|_| AutomergeError::Fail)?;
        doc.apply_changes([change])
    }

    /// The map. Creates it if somebody has deleted it: its fixed change is in the document then, and has no effect any more.
    /// `None` if the value at its key is not a map.
    ///
    /// # Errors
    /// When the Automerge library fails.
    pub fn open(self, tx: &mut Transaction<'_>) -> Result<Option<ObjId>, AutomergeError> {
        match tx.get(ROOT, self.key)? {
            None => tx.put_object(ROOT, self.key, ObjType::Map).map(Some),
            Some((Value::Object(ObjType::Map), map)) => Ok(Some(map)),
            Some(_) => Ok(None),
        }
    }
}

/// Decodes hexadecimal bytes at compile time; a wrong length or digit fails the build.
const fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    const fn digit(letter: u8) -> u8 {
        match letter {
            b'0'..=b'9' => letter - b'0',
            b'a'..=b'f' => letter - b'a' + 10,
            _ => panic!("not a hexadecimal digit"),
        }
    }
    let hex = hex.as_bytes();
    assert!(hex.len() == 2 * N, "not the number of bytes");
    let mut out = [0; N];
    let mut index = 0;
    while index < N {
        out[index] = digit(hex[2 * index]) << 4 | digit(hex[2 * index + 1]);
        index += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use automerge::transaction::CommitOptions;
    use automerge::{ActorId, AutoCommit};
    use sha2::{Digest, Sha256};

    use super::*;

    /// Hexadecimal bytes by key, which the tests of the page read as well.
    const FIXTURE: &str = include_str!("../../../tests/fixtures/shared-maps.json");

    fn actor(key: &str) -> ActorId {
        ActorId::from(&Sha256::digest(format!("happierwork/shared-map/{key}"))[..ACTOR_LENGTH])
    }

    #[test]
    fn changes_equal_those_of_the_page() {
        let fixture: BTreeMap<String, String> = serde_json::from_str(FIXTURE).unwrap();
        let hex = |map: SharedMap| map.change.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(fixture, SHARED_MAPS.map(|map| (map.key.to_owned(), hex(map))).into());
    }

    #[test]
    fn changes_are_what_automerge_encodes() {
        for map in SHARED_MAPS {
            let mut doc = AutoCommit::new().with_actor(actor(map.key));
            doc.put_object(ROOT, map.key, ObjType::Map).unwrap();
            doc.commit_with(CommitOptions::default().with_time(0));
            let change = doc.get_last_local_change().unwrap();
            assert!(map.is_created_by(&change), "{}: {:02x?}", map.key, change.raw_bytes());
            assert_eq!((change.seq(), change.timestamp(), change.deps(), change.message()), (1, 0, &[][..], None));
            assert_eq!(SharedMap::of_actor(change.actor_id().to_bytes()), Some(map));
        }
        assert_eq!(SharedMap::of_actor(actor("another").to_bytes()), None);
    }

    /// Writes an entry as an edit does.
    fn write(doc: &mut Automerge, entry: &str, value: i64) {
        DEPARTMENT_BUDGETS_MAP.prepare(doc).unwrap();
        let mut tx = doc.transaction();
        let map = DEPARTMENT_BUDGETS_MAP.open(&mut tx).unwrap().unwrap();
        tx.put(map, entry, value).unwrap();
        tx.commit();
    }

    fn entries(doc: &Automerge) -> Vec<String> {
        assert_eq!(doc.get_all(ROOT, DEPARTMENT_BUDGETS).unwrap().len(), 1, "no conflict");
        let (_, map) = doc.get(ROOT, DEPARTMENT_BUDGETS).unwrap().unwrap();
        doc.keys(map).collect()
    }

    #[test]
    fn map_created_twice_offline_keeps_all_entries() {
        let mut one = Automerge::new();
        let mut tx = one.transaction();
        tx.put(ROOT, "name", "Growth").unwrap();
        tx.commit();
        let mut other = one.fork();
        write(&mut one, "HR", 1);
        write(&mut other, "Sales", 2);
        one.merge(&mut other).unwrap();
        assert_eq!(entries(&one), ["HR", "Sales"]);
        let loaded = Automerge::load(&one.save()).unwrap();
        assert_eq!(entries(&loaded), ["HR", "Sales"]);
    }

    #[test]
    fn deleted_map_is_created_again() {
        let mut doc = Automerge::new();
        write(&mut doc, "HR", 1);
        let mut tx = doc.transaction();
        tx.delete(ROOT, DEPARTMENT_BUDGETS).unwrap();
        tx.commit();
        write(&mut doc, "Sales", 2);
        assert_eq!(entries(&doc), ["Sales"]);
    }

    #[test]
    fn map_made_by_other_means_is_used() {
        let mut doc = Automerge::new();
        let mut tx = doc.transaction();
        let map = tx.put_object(ROOT, DEPARTMENT_BUDGETS, ObjType::Map).unwrap();
        tx.put(map, "HR", 1).unwrap();
        tx.commit();
        write(&mut doc, "Sales", 2);
        assert_eq!(entries(&doc), ["HR", "Sales"]);
        assert_eq!(doc.get_changes(&[]).len(), 2, "the fixed change was not applied");
    }

    #[test]
    fn other_values_are_left_alone() {
        let mut doc = Automerge::new();
        let mut tx = doc.transaction();
        tx.put(ROOT, DEPARTMENT_BUDGETS, "none").unwrap();
        tx.commit();
        DEPARTMENT_BUDGETS_MAP.prepare(&mut doc).unwrap();
        assert_eq!(DEPARTMENT_BUDGETS_MAP.open(&mut doc.transaction()).unwrap(), None);
    }
}
