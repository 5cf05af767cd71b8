//! Which backups and files are no longer needed. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::BackupName;
use crate::manifest::{Manifest, split_path};

/// How long backups are kept. A backup stays as long as any of the rules keeps it; without a rule, for ever. The newest one always
/// stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Keep this many of the newest backups.
    pub keep_last: Option<usize>,
    /// Keep backups that are at most this many days old.
    pub keep_days: Option<u32>,
}

impl Retention {
    /// The backups that no rule keeps at `now`, in seconds since 1970.
    #[must_use]
    pub fn expired(&self, backups: &BTreeSet<BackupName>, now: i64) -> Vec<BackupName> {
        if *self == Self::default() {
            return Vec::new();
        }
        let keep_last = self.keep_last.unwrap_or(0).max(1);
        let oldest = self.keep_days.map(|days| now.saturating_sub(i64::from(days) * 86_400));
        let older = backups.iter().rev().skip(keep_last);
        let is_expired = |name: &&BackupName| oldest.is_none_or(|oldest| name.begun_at() < oldest);
        older.filter(is_expired).cloned().collect()
    }
}

/// The manifests to read before files are removed: those of kept backups that build on none that is kept.
///
/// A backup reuses only parts that are in the manifest of the one it builds on. So the manifests of these backups name all parts of
/// removed backups that are in use.
pub(crate) fn roots<'a>(
    kept: &'a BTreeSet<BackupName>,
    bases: &'a BTreeMap<BackupName, BackupName>,
) -> impl Iterator<Item = &'a BackupName> {
    kept.iter().filter(|name| bases.get(*name).is_none_or(|base| !kept.contains(base)))
}

/// The files that no kept backup needs: those of other backups, except for the parts that `roots` name. Files that belong to no
/// backup are left alone.
pub(crate) fn unused<'a>(
    files: impl Iterator<Item = &'a str>,
    kept: &BTreeSet<BackupName>,
    roots: &[Manifest],
) -> Vec<&'a str> {
    let used: HashSet<&str> = roots.iter().flat_map(Manifest::pieces).map(|piece| piece.path.as_str()).collect();
    let is_unused =
        |path: &&str| split_path(path).is_some_and(|(backup, _)| !kept.contains(&backup)) && !used.contains(*path);
    files.filter(is_unused).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn name(day: i64) -> BackupName {
        BackupName::new(day * DAY * 1_000, 7)
    }

    fn days(retention: Retention, now: i64) -> Vec<i64> {
        let backups: BTreeSet<_> = (1..=10).map(name).collect();
        let mut days: Vec<i64> =
            retention.expired(&backups, now * DAY).iter().map(|name| name.begun_at() / DAY).collect();
        days.sort_unstable();
        days
    }

    #[test]
    fn a_backup_stays_while_any_rule_keeps_it() {
        let rules = |keep_last, keep_days| Retention { keep_last, keep_days };
        assert!(days(rules(None, None), 100).is_empty());
        assert_eq!(days(rules(Some(8), None), 10), [1, 2]);
        assert_eq!(days(rules(None, Some(7)), 10), [1, 2]);
        assert_eq!(days(rules(Some(9), Some(3)), 10), [1]);
        assert_eq!(days(rules(Some(1), Some(3)), 10), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn the_newest_backup_always_stays() {
        let rules = Retention { keep_last: Some(0), keep_days: Some(0) };
        assert_eq!(days(rules, 1_000), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(rules.expired(&BTreeSet::new(), 1_000), []);
    }

    #[test]
    fn backups_that_build_on_kept_ones_need_not_be_read() {
        let kept: BTreeSet<_> = (3..=6).map(name).collect();
        // 4 and 5 were made at the same time, on 3 and on 2.
        let bases = BTreeMap::from([(name(3), name(2)), (name(4), name(3)), (name(5), name(2)), (name(6), name(5))]);
        assert_eq!(roots(&kept, &bases).collect::<Vec<_>>(), [&name(3), &name(5)]);
        let without_base = BTreeMap::new();
        assert_eq!(roots(&kept, &without_base).count(), 4);
    }
}
