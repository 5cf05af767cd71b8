//! The difference between a document in the source and in the target. Pure.

use std::collections::HashSet;

use automerge::ChangeHash;

use crate::{Content, DocumentCopy, DocumentFailure};

/// An access record with the same meaning as none.
const NO_RIGHTS: &[u8] = b"{}";

/// What a copy does with data of the target that the source does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuses the document.
    Refuse,
    /// Refuses the document, but replaces its access record.
    ReplaceAccess,
    /// Keeps it, also a differing access record, and adds the changes and author lines of the source.
    Keep,
}

/// The parts that the target lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// The access record to store, and the version that it replaces.
    pub access: Option<(u64, Vec<u8>)>,
    /// Author lines.
    pub authors: Vec<u8>,
    /// Whole chunks.
    pub chunks: Vec<u8>,
    /// Number of changes in `chunks`.
    pub changes: usize,
}

impl Difference {
    /// Whether the target contains everything that the source contains.
    pub fn is_empty(&self) -> bool {
        self.access.is_none() && self.authors.is_empty() && self.chunks.is_empty()
    }

    /// Compares a document in both stores.
    ///
    /// # Errors
    /// When the target contains anything that the source does not, unless it is kept.
    pub fn between(source: &DocumentCopy, target: &DocumentCopy, existing: Existing) -> Result<Self, DocumentFailure> {
        let (chunks, changes) = missing_changes(source.content.as_ref(), target.content.as_ref(), existing)?;
        Ok(Self {
            access: missing_access(source, target, existing)?,
            authors: missing_lines(&source.authors, &target.authors, existing)?,
            chunks,
            changes,
        })
    }
}

/// The hashes of all changes of a document.
fn hashes(content: &Content) -> HashSet<ChangeHash> {
    content.document.get_changes_meta(&[]).iter().map(|change| change.hash).collect()
}

fn missing_changes(
    source: Option<&Content>,
    target: Option<&Content>,
    existing: Existing,
) -> Result<(Vec<u8>, usize), DocumentFailure> {
    let (source, target) = match (source, target) {
        (None, None) => return Ok((Vec::new(), 0)),
        (None, Some(_)) if existing == Existing::Keep => return Ok((Vec::new(), 0)),
        (None, Some(_)) => return Err(DocumentFailure::RemovedInSource),
        (Some(source), None) => return Ok((source.bytes.clone(), hashes(source).len())),
        (Some(source), Some(target)) => (source, target),
    };
    let (of_source, of_target) = (hashes(source), hashes(target));
    let foreign = of_target.difference(&of_source).count();
    if foreign > 0 && existing != Existing::Keep {
        return Err(DocumentFailure::OtherContent(foreign));
    }
    // The source knows only those heads of the target that it holds itself.
    let mut known = target.document.get_heads();
    known.retain(|head| of_source.contains(head));
    let (mut chunks, mut changes) = (Vec::new(), 0);
    for mut change in source.document.get_changes(&known) {
        if !of_target.contains(&change.hash()) {
            chunks.extend_from_slice(&change.bytes());
            changes += 1;
        }
    }
    Ok((chunks, changes))
}

fn missing_access(
    source: &DocumentCopy,
    target: &DocumentCopy,
    existing: Existing,
) -> Result<Option<(u64, Vec<u8>)>, DocumentFailure> {
    let record = source.access.as_ref().map_or(NO_RIGHTS, |stored| &stored.record);
    match &target.access {
        None if source.access.is_none() => Ok(None),
        None => Ok(Some((0, record.to_vec()))),
        Some(target) if target.record == record => Ok(None),
        Some(target) => match existing {
            Existing::ReplaceAccess => Ok(Some((target.version, record.to_vec()))),
            Existing::Keep => Ok(None),
            Existing::Refuse => Err(DocumentFailure::OtherAccess),
        },
    }
}

/// The lines of the source that the target lacks, in their order.
fn missing_lines(source: &[u8], target: &[u8], existing: Existing) -> Result<Vec<u8>, DocumentFailure> {
    let lines = |bytes: &[u8]| bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (of_source, of_target) = (lines(source), lines(target));
    let (known, there): (HashSet<_>, HashSet<_>) = (of_source.iter().collect(), of_target.iter().collect());
    if existing != Existing::Keep && !there.is_subset(&known) {
        return Err(DocumentFailure::OtherAuthors);
    }
    Ok(of_source.iter().filter(|line| !there.contains(line)).flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT};
    use primitives::DocumentId;
    use store::StoredAccess;

    use super::*;

    fn content(bytes: Vec<u8>) -> Content {
        Content { document: automerge::Automerge::load(&bytes).expect("loads"), bytes }
    }

    /// A document, and the same one after another change.
    fn two() -> (Vec<u8>, Vec<u8>) {
        let mut document = AutoCommit::new();
        document.put(ROOT, "a", 1).expect("put");
        let before = document.save();
        document.put(ROOT, "b", 2).expect("put");
        (before, document.save())
    }

    fn of_content(bytes: &[u8]) -> DocumentCopy {
        DocumentCopy { content: Some(content(bytes.to_vec())), ..DocumentCopy::default() }
    }

    fn of_access(version: u64, record: &str) -> DocumentCopy {
        let access = StoredAccess { document: DocumentId::from_random([1; 16]), version, record: record.into() };
        DocumentCopy { access: Some(access), ..DocumentCopy::default() }
    }

    fn of_authors(authors: &str) -> DocumentCopy {
        DocumentCopy { authors: authors.into(), ..DocumentCopy::default() }
    }

    fn between(source: &DocumentCopy, target: &DocumentCopy) -> Result<Difference, DocumentFailure> {
        Difference::between(source, target, Existing::Refuse)
    }

    #[test]
    fn absent_document_is_missing_with_its_very_bytes() {
        let (_, after) = two();
        let difference = between(&of_content(&after), &DocumentCopy::default()).expect("can be moved");
        assert_eq!((difference.chunks, difference.changes), (after.clone(), 2));
        assert!(between(&of_content(&after), &of_content(&after)).expect("equal").is_empty());
    }

    #[test]
    fn earlier_copy_lacks_the_later_changes() {
        let (before, after) = two();
        let difference = between(&of_content(&after), &of_content(&before)).expect("can be moved");
        assert_eq!(difference.changes, 1);
        let joined = content([before, difference.chunks].concat());
        assert_eq!(hashes(&joined), hashes(&content(after)));
    }

    #[test]
    fn content_that_the_source_lacks_is_refused() {
        let (before, after) = two();
        let refused = between(&of_content(&before), &of_content(&after)).expect_err("later");
        assert!(matches!(refused, DocumentFailure::OtherContent(1)), "{refused}");
        let refused = between(&DocumentCopy::default(), &of_content(&after)).expect_err("removed");
        assert!(matches!(refused, DocumentFailure::RemovedInSource), "{refused}");
    }

    #[test]
    fn access_record_is_replaced_only_on_request() {
        let (source, target) = (of_access(7, "{}"), of_access(3, "other"));
        assert_eq!(between(&source, &DocumentCopy::default()).expect("new").access, Some((0, b"{}".to_vec())));
        assert_eq!(between(&source, &of_access(3, "{}")).expect("equal").access, None);
        assert!(matches!(between(&source, &target), Err(DocumentFailure::OtherAccess)));
        let replaced = Difference::between(&source, &target, Existing::ReplaceAccess).expect("replaces");
        assert_eq!(replaced.access, Some((3, b"{}".to_vec())));
    }

    #[test]
    fn author_lines_are_added_in_order() {
        let difference = between(&of_authors("a\nb\nc\n"), &of_authors("b\n")).expect("can be moved");
        assert_eq!(difference.authors, b"a\nc\n");
        assert!(matches!(between(&of_authors("a\n"), &of_authors("b\n")), Err(DocumentFailure::OtherAuthors)));
    }
    #[test]
    fn kept_target_gets_the_changes_that_it_lacks() {
        let mut document = AutoCommit::new();
        document.put(ROOT, "a", 1).expect("put");
        let mut other = document.fork();
        document.put(ROOT, "b", 2).expect("put");
        other.put(ROOT, "c", 3).expect("put");
        let (source, target) = (of_content(&document.save()), of_content(&other.save()));
        assert!(matches!(between(&source, &target), Err(DocumentFailure::OtherContent(1))));
        let difference = Difference::between(&source, &target, Existing::Keep).expect("kept");
        assert_eq!(difference.changes, 1);
        let joined = content([other.save(), difference.chunks].concat());
        assert_eq!(hashes(&joined).len(), 3);
        let again = Difference::between(&source, &DocumentCopy { content: Some(joined), ..target }, Existing::Keep);
        assert!(again.expect("kept").is_empty());
    }

    #[test]
    fn kept_target_keeps_its_access_record_and_authors() {
        let keep = |source: &DocumentCopy, target: &DocumentCopy| {
            Difference::between(source, target, Existing::Keep).expect("kept")
        };
        assert_eq!(keep(&of_access(7, "{}"), &of_access(3, "other")).access, None);
        assert_eq!(keep(&of_authors("a\nb\n"), &of_authors("c\na\n")).authors, b"b\n");
        let (_, after) = two();
        assert!(keep(&DocumentCopy::default(), &of_content(&after)).is_empty());
    }
}
