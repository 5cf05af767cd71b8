//! Starts and stops the tasks of webhooks as their file changes.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use offload::run_blocking;
use primitives::DocumentId;
use runtime::hub::Hub;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::Sender;
use super::definition::Webhook;
use super::delivery::Delivery;
use super::folder::WebhookFolder;

/// Interval at which the file is checked for changes.
const INTERVAL: Duration = Duration::from_millis(500);

/// The webhooks of a server.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// Their files.
    pub folder: WebhookFolder,
    /// Sends messages.
    pub sender: Sender,
}

/// A running task; stopped when dropped.
struct Task {
    webhook: Webhook,
    _task: JoinSet<()>,
}

impl Webhooks {
    /// The webhooks in these files.
    #[must_use]
    pub fn new(folder: WebhookFolder) -> Self {
        Self { folder, sender: Sender::default() }
    }

    /// Runs the tasks of all webhooks. Never returns.
    pub async fn run(self, hub: Hub, default_document: DocumentId) {
        let mut tasks: HashMap<String, Task> = HashMap::new();
        let (mut seen, mut logged) = (None, None);
        loop {
            let (file, folder) = (self.folder.webhooks_file(), self.folder.clone());
            let found = run_blocking(move || identity(&file)).await;
            if found != seen {
                seen = found;
                match run_blocking(move || folder.webhooks()).await {
                    Ok(webhooks) => {
                        logged = None;
                        self.update(&mut tasks, webhooks, &hub, &default_document);
                    }
                    Err(error) => {
                        let error = error.to_string();
                        if logged.as_ref() != Some(&error) {
                            tracing::error!(error, "webhooks could not be read; the previous ones stay in use");
                        }
                        logged = Some(error);
                    }
                }
            }
            sleep(INTERVAL).await;
        }
    }

    fn update(&self, tasks: &mut HashMap<String, Task>, webhooks: Vec<Webhook>, hub: &Hub, default: &DocumentId) {
        tasks.retain(|id, task| webhooks.iter().any(|webhook| webhook.id == *id && *webhook == task.webhook));
        for webhook in webhooks {
            tasks.entry(webhook.id.clone()).or_insert_with(|| {
                let (folder, sender) = (self.folder.clone(), self.sender.clone());
                let delivery = Delivery::new(hub.clone(), default.clone(), folder, webhook.clone(), sender);
                let mut task = JoinSet::new();
                task.spawn(delivery.run());
                Task { webhook, _task: task }
            });
        }
    }
}

/// Identifies the content of a file without reading it.
fn identity(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
}
