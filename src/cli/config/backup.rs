//! Flags of `backup` and `restore`, and of the server's backups.

use std::path::PathBuf;
use std::time::Duration;

use backup::{BackupLocation, BackupName, Retention, StoreLocation};
use clap::{ArgMatches, Args};
use store::FileMode;

use super::data_dir::has_default_auth;
use super::duration::seconds;
use super::storage::StorageArgs;
use crate::server::BackupSchedule;

/// Longest interval between backups, in seconds.
const MAX_INTERVAL: i64 = 366 * 86_400;

/// Flags of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Place of the backups: a folder, or s3://BUCKET/PREFIX with endpoint and credentials in the environment (AWS_ENDPOINT,
    /// AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)
    #[arg(value_name = "DIR|S3-URL", env = "HAPPIERWORK_BACKUP")]
    pub target: BackupLocation,
    /// The documents.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Folder of keys and accounts: the server's --auth. Its accounts are backed up, its keys are not
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_AUTH")]
    pub auth: Option<PathBuf>,
    /// Keep this many of the newest backups, and remove older ones
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_BACKUP_KEEP_LAST",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_last: Option<u32>,
    /// Keep backups for this many days, and remove older ones. With --keep-last, those stay as well
    #[arg(long, value_name = "DAYS", env = "HAPPIERWORK_BACKUP_KEEP_DAYS",
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub keep_days: Option<u32>,
    /// Store everything again, also what earlier backups hold
    #[arg(long)]
    pub full: bool,
    /// Print the report as JSON (docs/operations.md)
    #[arg(long)]
    pub json: bool,
    /// Permissions of new files, in octal, as for the server
    #[arg(long, value_name = "MODE", env = "HAPPIERWORK_FILE_MODE", default_value_t = FileMode::PRIVATE)]
    pub file_mode: FileMode,
}

impl BackupArgs {
    /// Decides between database and files. The folder of accounts in `--data-dir` counts if it exists.
    pub(super) fn resolve(&mut self, matches: &ArgMatches) -> Result<(), String> {
        if has_default_auth(matches) {
            self.auth = self.auth.take().filter(|folder| folder.exists());
        }
        self.storage.resolve(matches)
    }

    /// Which backups to keep.
    #[must_use]
    pub fn retention(&self) -> Retention {
        retention(self.keep_last, self.keep_days)
    }
}

/// Flags of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Place of the backups: a folder, or s3://BUCKET/PREFIX
    #[arg(value_name = "DIR|S3-URL", env = "HAPPIERWORK_BACKUP")]
    pub from: BackupLocation,
    /// Store to restore: postgres://…, mysql://…, sqlite:FILE, files:STATE,DOCUMENTS (file of the default document and folder of
    /// all others), or files:DIR for state.automerge and documents in DIR; created if missing
    #[arg(long, value_name = "STORE", env = "HAPPIERWORK_RESTORE_TO", hide_env_values = true,
          required_unless_present_any = ["list", "dry_run"])]
    pub to: Option<StoreLocation>,
    /// Name of the backup [default: the newest]
    #[arg(long, value_name = "NAME")]
    pub backup: Option<BackupName>,
    /// Folder of keys and accounts that gets the accounts, unless a database does
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_AUTH")]
    pub auth: Option<PathBuf>,
    /// Only list the backups
    #[arg(long, conflicts_with_all = ["to", "backup", "dry_run", "merge", "skip_damaged"])]
    pub list: bool,
    /// Only check the whole backup, and print what would change in --to
    #[arg(long)]
    pub dry_run: bool,
    /// Restore into a store that holds documents: changes of both are kept, and so are the access records and accounts that are
    /// there
    #[arg(long)]
    pub merge: bool,
    /// Print the list or the report as JSON (docs/operations.md)
    #[arg(long)]
    pub json: bool,
    /// Restore the intact documents, although others are damaged in the backup
    #[arg(long)]
    pub skip_damaged: bool,
    /// Permissions of new files, in octal, as for the server
    #[arg(long, value_name = "MODE", env = "HAPPIERWORK_FILE_MODE", default_value_t = FileMode::PRIVATE)]
    pub file_mode: FileMode,
}

/// Flags of the server's own backups.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Backups")]
pub struct BackupScheduleArgs {
    /// Back up all documents and accounts regularly: to a folder, or to s3://BUCKET/PREFIX (docs/backup.md)
    #[arg(long, value_name = "DIR|S3-URL", env = "HAPPIERWORK_BACKUP")]
    pub backup: Option<BackupLocation>,
    /// Interval of backups, such as 30m, 1h or 1d
    #[arg(long, value_name = "TIME", env = "HAPPIERWORK_BACKUP_EVERY", default_value = "1h", value_parser = interval)]
    pub backup_every: Duration,
    /// Keep this many of the newest backups, and remove older ones
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_BACKUP_KEEP_LAST", requires = "backup",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub backup_keep_last: Option<u32>,
    /// Keep backups for this many days, and remove older ones. With --backup-keep-last, those stay as well
    #[arg(long, value_name = "DAYS", env = "HAPPIERWORK_BACKUP_KEEP_DAYS", requires = "backup",
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub backup_keep_days: Option<u32>,
}

impl BackupScheduleArgs {
    /// The schedule. `None` if the server makes no backups.
    #[must_use]
    pub fn schedule(&self) -> Option<BackupSchedule> {
        Some(BackupSchedule {
            location: self.backup.clone()?,
            every: self.backup_every,
            retention: retention(self.backup_keep_last, self.backup_keep_days),
        })
    }
}

fn retention(keep_last: Option<u32>, keep_days: Option<u32>) -> Retention {
    Retention { keep_last: keep_last.map(|count| usize::try_from(count).unwrap_or(usize::MAX)), keep_days }
}

/// Parses the interval of backups.
fn interval(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        seconds @ 1..=MAX_INTERVAL => Ok(Duration::from_secs(seconds.unsigned_abs())),
        _ => Err("the interval of backups is 1s to 366d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::config::Cli;

    #[test]
    fn schedule_needs_a_place() {
        let schedule = |flags: &[&str]| {
            Cli::try_parse_from([&["happierwork"], flags].concat()).map(|cli| cli.serve.backup.schedule())
        };
        assert_eq!(schedule(&[]).unwrap(), None);
        let hourly = schedule(&["--backup", "/srv/backup"]).unwrap().unwrap();
        assert_eq!((hourly.every, hourly.retention), (Duration::from_secs(3_600), Retention::default()));
        let flags = ["--backup", "s3://plans/hq", "--backup-every", "1d", "--backup-keep-last", "7"];
        let daily = schedule(&flags).unwrap().unwrap();
        assert_eq!((daily.every, daily.retention.keep_last), (Duration::from_secs(86_400), Some(7)));
        assert!(schedule(&["--backup-keep-days", "7"]).is_err());
        for interval in ["0s", "-1h", "never", "400d"] {
            assert!(schedule(&["--backup", "/srv/backup", "--backup-every", interval]).is_err(), "{interval}");
        }
    }

    #[test]
    fn restore_names_a_target_or_writes_nothing() {
        let parse =
            |flags: &[&str]| Cli::try_parse_from([&["happierwork", "restore", "/srv/backup"], flags].concat()).is_ok();
        assert!(parse(&["--to", "files:/srv/plan"]) && parse(&["--list"]) && parse(&["--dry-run"]));
        assert!(!parse(&[]) && !parse(&["--list", "--dry-run"]) && !parse(&["--dry-run", "--backup", "newest"]));
    }
}
