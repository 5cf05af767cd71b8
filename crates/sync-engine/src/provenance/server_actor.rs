//! The actors under which a process writes.

use automerge::ActorId;

/// The first bytes of an actor that the library derives.
const DERIVED: [u8; 4] = [0x13, 0xb2, 0x23, 0x09];

/// Whether a process that writes under the actor `own` writes, or may come to write, under `actor`. For a change at earlier heads the
/// library derives an actor: these bytes, a number in LEB128, and the bytes of `own`.
#[must_use]
pub fn is_written_as(actor: &ActorId, own: &ActorId) -> bool {
    actor == own || base_of(actor).is_some_and(|base| base == own.to_bytes())
}

/// The bytes of the actor that an actor is derived from.
fn base_of(actor: &ActorId) -> Option<&[u8]> {
    let rest = actor.to_bytes().strip_prefix(&DERIVED)?;
    let number = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
    rest.get(number..)
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{Automerge, PatchLog, ROOT};

    use super::*;

    #[test]
    fn actors_of_changes_at_earlier_heads_are_recognized() {
        let own = ActorId::from([3u8; 16]);
        let mut doc = Automerge::new().with_actor(own.clone());
        let mut tx = doc.transaction();
        tx.put(ROOT, "value", 0).unwrap();
        tx.commit();
        let base = doc.get_heads();
        for value in 1..4 {
            let mut tx = doc.transaction_at(PatchLog::inactive(), &base).unwrap();
            tx.put(ROOT, "value", value).unwrap();
            tx.commit();
        }
        let changes = doc.get_changes(&[]);
        let derived = changes.iter().filter(|change| *change.actor_id() != own).count();
        assert!(derived > 0, "the library derives actors");
        assert!(changes.iter().all(|change| is_written_as(change.actor_id(), &own)));
        for other in [ActorId::from([4u8; 16]), ActorId::from([3u8; 17]), ActorId::from([3u8; 15])] {
            assert!(!is_written_as(&other, &own));
            assert!(changes.iter().all(|change| !is_written_as(change.actor_id(), &other)), "{other}");
        }
    }
}
