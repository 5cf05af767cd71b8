//! Backups that the server makes regularly.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auth::AccountStore;
use backup::{
    BackupError, BackupLocation, BackupOptions, BackupReport, BackupTarget, Contents, OpenedStore, Retention,
    SavedBackup, SavedError, StorageError, StoreKind, TargetError, back_up,
};
use primitives::DocumentId;
use runtime::clock::now;
use runtime::hub::Hub;
use store::sql::Database;
use store::{FileMode, Store};
use tokio::time::{Instant, sleep};

/// Pause after a failed backup, unless the interval is shorter.
const RETRY: Duration = Duration::from_secs(300);

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
        loop {
            let since_own = last.map_or(Duration::MAX, |last| last.elapsed());
            match self.age_of_last(&hub).await {
                Ok(age) => {
                    let remaining = self.every.saturating_sub(age.min(since_own));
                    if remaining > Duration::ZERO {
                        sleep(remaining).await;
                        // Another server may have made one meanwhile.
                        continue;
                    }
                }
                Err(error) => {
                    self.failed(&hub, &error);
                    sleep(RETRY.min(self.every)).await;
                    continue;
                }
            }
            let begun = Instant::now();
            match self.back_up().await {
                Ok(report) => {
                    last = Some(begun);
                    hub.metrics().backup_duration.set(begun.elapsed().as_secs_f64());
                    self.finished(&hub, &report);
                }
                Err(error) => {
                    self.failed(&hub, &error);
                    sleep(RETRY.min(self.every)).await;
                }
            }
        }
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
        if last.manifest().outdated().next().is_none() {
            // A timestamp fits a float exactly.
            hub.metrics().last_backup.set(begun_at as f64);
        }
        // Made when the clock was wrong, if it is in the future.
        Ok(u64::try_from(now().saturating_sub(begun_at)).map_or(Duration::MAX, Duration::from_secs))
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

    fn finished(&self, hub: &Hub, report: &BackupReport) {
        let BackupReport { name, documents, len, stored, failed, removed, .. } = report;
        for (document, reason) in failed {
            tracing::error!(%document, reason, "a document was not backed up; the backup holds it as the last one did");
        }
        match removed {
            None => hub.metrics().backup_failures.increment(1),
            Some(removed) => {
                hub.metrics().last_backup.set(name.begun_at() as f64);
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
