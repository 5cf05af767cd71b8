//! Backups that the server makes regularly.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auth::AccountStore;
use backup::{
    BackupError, BackupLocation, BackupOptions, BackupReport, BackupTarget, Contents, OpenedStore, Retention,
    SavedBackup, SavedError, StorageError, StoreKind, TargetError, back_up, running_backups,
};
use primitives::DocumentId;
use runtime::clock::now;
use runtime::hub::Hub;
use store::sql::Database;
use store::{FileMode, Store};
use tokio::time::{Instant, sleep};

/// Pause after a failed backup, unless the interval is shorter.
const RETRY: Duration = Duration::from_secs(300);

/// Longest additional wait of one of several servers before a backup that is due for all of them.
const MAX_TURN: Duration = Duration::from_secs(60);
/// How long a server waits for the backup of another one. A mark may be left of an interrupted backup.
const MAX_OTHER: Duration = Duration::from_secs(900);
/// How often it then looks whether that backup is finished.
const LOOK: Duration = Duration::from_secs(10);

/// When and where to make backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSchedule {
    /// The place of the backups.
    pub location: BackupLocation,
    /// Time from the beginning of one backup to that of the next.
    pub every: Duration,
    /// Which earlier backups to keep.
    pub retention: Retention,
}

/// The documents to back up.
pub(super) enum BackupSource {
    /// In the files that this server uses.
    Files { state: PathBuf, documents: PathBuf },
    /// In the database that this server uses.
    Database { database: Arc<dyn Database>, default: DocumentId, location: String },
}

/// The backups of a server.
pub(super) struct Backups {
    target: Arc<BackupTarget>,
    every: Duration,
    retention: Retention,
    source: BackupSource,
    accounts: Option<AccountStore>,
}

/// Why a backup failed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Opens the place of the backups.
///
/// # Errors
/// When the environment is not valid for it.
pub(super) fn open_target(schedule: &BackupSchedule, mode: FileMode) -> Result<Arc<BackupTarget>, TargetError> {
    BackupTarget::open(&schedule.location, mode).map(Arc::new)
}

impl Backups {
    pub(super) fn new(
        schedule: &BackupSchedule,
        target: Arc<BackupTarget>,
        source: BackupSource,
        accounts: Option<AccountStore>,
    ) -> Self {
        Self { target, every: schedule.every, retention: schedule.retention, source, accounts }
    }

    /// Makes backups for ever. Servers that share a database and a target make one in each interval, together.
    pub(super) async fn run(self, hub: Hub) {
        let mut last: Option<Instant> = None;
        let mut others = OtherServers::default();
        loop {
            let since_own = last.map_or(Duration::MAX, |last| last.elapsed());
            match self.wait(&hub, since_own, &mut others).await {
                Ok(wait) if wait > Duration::ZERO => {
                    sleep(wait).await;
                    // Another server may have made one meanwhile.
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    self.failed(&hub, &error);
                    sleep(RETRY.min(self.every)).await;
                    continue;
                }
            }
            let (begun, begun_at) = (Instant::now(), now());
            match self.back_up().await {
                Ok(report) => {
                    last = Some(begun);
                    hub.metrics().backup_duration.set(begun.elapsed().as_secs_f64());
                    self.finished(&hub, &report, begun_at);
                }
                Err(error) => {
                    self.failed(&hub, &error);
                    sleep(RETRY.min(self.every)).await;
                }
            }
        }
    }

    /// How long to wait until it is to be decided again whether to make a backup; zero if one is to be made now.
    async fn wait(&self, hub: &Hub, since_own: Duration, others: &mut OtherServers) -> Result<Duration, SavedError> {
        let remaining = self.every.saturating_sub(self.age_of_last(hub).await?.min(since_own));
        if remaining > Duration::ZERO || matches!(self.source, BackupSource::Files { .. }) {
            (others.turn, others.is_waiting) = (None, false);
            return Ok(remaining);
        }
        // It is due for all servers at the same time.
        let turn = *others
            .turn
            .get_or_insert_with(|| Instant::now() + MAX_TURN.min(self.every / 10).mul_f64(rand::random::<f64>()));
        let wait = turn.saturating_duration_since(Instant::now());
        if wait > Duration::ZERO {
            return Ok(wait);
        }
        let marks = running_backups(&self.target).await?;
        if !others.are_at_it(marks, MAX_OTHER.min(self.every)) {
            return Ok(Duration::ZERO);
        }
        if !std::mem::replace(&mut others.is_waiting, true) {
            tracing::info!(location = %self.target.location(), "waiting for the backup of another server");
        }
        Ok(LOOK.min(self.every / 10).max(Duration::from_millis(100)))
    }

    /// The age of the last backup; the longest duration if there is none.
    async fn age_of_last(&self, hub: &Hub) -> Result<Duration, SavedError> {
        let last = match SavedBackup::open(Arc::clone(&self.target), None).await {
            Ok(last) => last,
            Err(SavedError::None(_)) => return Ok(Duration::MAX),
            Err(error @ SavedError::Target(_)) => return Err(error),
            // A damaged manifest must not keep the server from making a new backup.
            Err(error) => {
                tracing::error!(%error, "the last backup cannot be used");
                return Ok(Duration::MAX);
            }
        };
        let begun_at = last.name().begun_at();
        // Its name was made when the clock was wrong, if it is in the future. As a metric, it would hide that later backups fail.
        let Ok(age) = u64::try_from(now().saturating_sub(begun_at)) else { return Ok(Duration::MAX) };
        if last.manifest().outdated().next().is_none() {
            // A timestamp fits a float exactly.
            hub.metrics().last_backup.set(begun_at as f64);
        }
        Ok(Duration::from_secs(age))
    }

    async fn back_up(&self) -> Result<BackupReport, Failed> {
        let source = match &self.source {
            BackupSource::Files { state, documents } => {
                let (state, documents) = (state.clone(), documents.clone());
                offload::run_blocking(move || Contents::open_files_in_use(&state, &documents)).await?
            }
            // Not closed afterwards: it is the server's.
            BackupSource::Database { database, default, location } => Contents::Store(OpenedStore {
                store: Arc::clone(database) as Arc<dyn Store>,
                default: Some(default.clone()),
                location: location.clone(),
                kind: StoreKind::Database(Arc::clone(database)),
            }),
        };
        let options = BackupOptions { retention: self.retention, is_full: false };
        Ok(back_up(&source, self.accounts.as_ref(), &self.target, options).await?)
    }

    /// `begun_at`: when it began, in seconds since 1970. Its name is later if the clock was set back since the last backup.
    fn finished(&self, hub: &Hub, report: &BackupReport, begun_at: i64) {
        let BackupReport { name, documents, len, stored, failed, removed, .. } = report;
        for (document, reason) in failed {
            tracing::error!(%document, reason, "a document was not backed up; the backup holds it as the last one did");
        }
        match removed {
            None => hub.metrics().backup_failures.increment(1),
            Some(removed) => {
                hub.metrics().last_backup.set(begun_at as f64);
                match removed {
                    Err(error) => tracing::error!(%error, "earlier backups were not removed"),
                    Ok(removed) if removed.backups.is_empty() => {}
                    Ok(removed) => tracing::info!(count = removed.backups.len(), "removed earlier backups"),
                }
            }
        }
        tracing::info!(location = %self.target.location(), %name, documents, len, stored, "made a backup");
    }

    fn failed(&self, hub: &Hub, error: &dyn std::fmt::Display) {
        hub.metrics().backup_failures.increment(1);
        tracing::error!(location = %self.target.location(), %error, "the backup failed; earlier backups are not changed");
    }
}

/// What a server knows of the others that use the same database and the same place for backups.
#[derive(Default)]
struct OtherServers {
    /// When this server makes the backup that is due, unless another one is faster.
    turn: Option<Instant>,
    /// Whether it waits for another one, which is logged once.
    is_waiting: bool,
    /// The marks of running backups, and when each was seen first.
    marks: HashMap<String, Instant>,
}

impl OtherServers {
    /// Whether another server makes a backup. A mark that stays for longer than `limit` is taken for that of an interrupted one.
    fn are_at_it(&mut self, marks: Vec<String>, limit: Duration) -> bool {
        self.marks.retain(|mark, _| marks.contains(mark));
        let now = Instant::now();
        let seen = marks.into_iter().map(|mark| *self.marks.entry(mark).or_insert(now));
        seen.filter(|seen| now.duration_since(*seen) < limit).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn marks_of_interrupted_backups_are_not_waited_for_again() {
        let (mut others, limit) = (OtherServers::default(), Duration::from_secs(100));
        let marks = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(!others.are_at_it(marks(&[]), limit));
        assert!(others.are_at_it(marks(&["a"]), limit));
        sleep(limit).await;
        assert!(!others.are_at_it(marks(&["a"]), limit), "it is left of an interrupted backup");
        assert!(others.are_at_it(marks(&["a", "b"]), limit));
        assert!(!others.are_at_it(marks(&["a"]), limit));
    }
}
