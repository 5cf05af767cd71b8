//! Presence of legacy users across the servers of a cluster. Each server sends its names when they change, and repeats them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use runtime::hub::{Hub, Text};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};

use super::presence::{Announcement, PresenceBoard};

/// Interval at which a server repeats its names.
const REPEAT: Duration = Duration::from_secs(5);
/// Names of a server are hidden after this time without a message from it.
const SILENCE: Duration = Duration::from_secs(16);
/// Bytes of names in one message. Users beyond that are shown at their own server alone.
const MAX_NAME_BYTES: usize = 4_000;

/// A message between servers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Message {
    /// All names at a server.
    Names { server: String, names: BTreeSet<String> },
    /// A frame for all sockets.
    Mark(String),
}

/// Exchanges presence with other servers. Ends when the hub stops.
pub(super) async fn follow(board: Arc<PresenceBoard>, hub: Hub) {
    let Some(mut announcements) = board.announcements() else { return };
    let server = format!("{:016x}", rand::random::<u64>());
    let mut messages = hub.surface_messages();
    let mut heard: HashMap<String, Instant> = HashMap::new();
    let mut ticks = tokio::time::interval(REPEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let changed = tokio::select! {
            announcement = announcements.recv() => match announcement {
                Some(Announcement::Names) => {
                    tell(&hub, &own_names(&board, &server));
                    false
                }
                Some(Announcement::Mark(text)) => {
                    if let Ok(mark) = String::from_utf8(text.bytes().to_vec()) {
                        tell(&hub, &Message::Mark(mark));
                    }
                    false
                }
                None => return,
            },
            message = messages.recv() => match message {
                Ok(message) => hear(&message, &board, &mut heard),
                // Names are repeated, and marks may be lost.
                Err(RecvError::Lagged(_)) => false,
                Err(RecvError::Closed) => return,
            },
            _ = ticks.tick() => {
                if !board.own_names().is_empty() {
                    tell(&hub, &own_names(&board, &server));
                }
                forget_silent(&board, &mut heard)
            }
        };
        if changed {
            hub.set_legacy_presence(board.names()).await;
        }
    }
}

fn tell(hub: &Hub, message: &Message) {
    // Writing text to a vector cannot fail.
    hub.tell_surfaces(&serde_json::to_vec(message).unwrap_or_default());
}

fn own_names(board: &PresenceBoard, server: &str) -> Message {
    let mut bytes = 0;
    let fits = |name: &String| {
        bytes += name.len() + 3;
        bytes <= MAX_NAME_BYTES
    };
    Message::Names { server: server.to_owned(), names: board.own_names().into_iter().take_while(fits).collect() }
}

/// Takes a message of another server. Returns whether names have changed.
fn hear(message: &[u8], board: &PresenceBoard, heard: &mut HashMap<String, Instant>) -> bool {
    match serde_json::from_slice(message) {
        Ok(Message::Names { server, names }) => {
            heard.insert(server.clone(), Instant::now());
            board.set_names_elsewhere(&server, names)
        }
        Ok(Message::Mark(mark)) => {
            board.show_mark(&Text::from(mark));
            false
        }
        Err(error) => {
            tracing::debug!(%error, "a message about presence at another server cannot be read");
            false
        }
    }
}

/// Drops the names of servers that have fallen silent. Returns whether there were any.
fn forget_silent(board: &PresenceBoard, heard: &mut HashMap<String, Instant>) -> bool {
    let silent = heard.extract_if(|_, last| last.elapsed() >= SILENCE);
    silent.fold(false, |changed, (server, _)| board.set_names_elsewhere(&server, BTreeSet::new()) || changed)
}
