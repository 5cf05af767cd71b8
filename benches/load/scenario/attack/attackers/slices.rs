//! Small messages in large frames. If a message is a part of its frame, then whatever keeps the message keeps the frame.

use std::rc::Rc;
use std::time::Duration;

use automerge::ChangeHash;
use tokio::time::sleep;

use super::line::{Line, ask, binary, sync, with_unknown_key};
use super::{Gang, new_document, new_name};
use crate::Fallible;
use crate::client::answers::from_nothing;
use crate::client::envelope::join;
use crate::scenario::attack::forge::{empty_change, message};

/// What one key takes that nobody knows.
const LARGE: usize = 15 << 20;
/// Frames of that size that one connection sends as fast as it can.
const FRAMES: usize = 16;
/// An ephemeral message of the largest size; and how many are sent after the large frames.
const EPHEMERAL: usize = 60 << 10;
const EPHEMERALS: usize = 400;
const EVERY: Duration = Duration::from_millis(5);
/// How long a connection stays.
const STAY: Duration = Duration::from_secs(5);
const DEAF: Duration = Duration::from_secs(30);

/// Sends sync messages of a viewer: to a document of its own in which nothing else happens, so that all stays there; to one
/// that others edit; and to one that does not exist.
pub async fn pin(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let (owner_name, name, quiet) = (new_name(), new_name(), new_document());
    let mut owner = Line::join(&gang, &gang.editor_sync, &owner_name).await?;
    let change = empty_change(&rand::random::<[u8; 16]>(), 1, 1, &[]);
    owner.send(&sync(&owner_name, &quiet, &message(vec![change.hash], vec![change.bytes]))?).await?;
    let mut line = Line::join(&gang, &gang.viewer_sync, &name).await?;
    for number in 0..FRAMES {
        // No two say the same: what a message makes of its sender's state may be kept for others who send the same.
        let hello = message(vec![ChangeHash(rand::random()), ChangeHash(rand::random())], Vec::new());
        let frame = match number {
            0 => with_unknown_key("sync", &name, &gang.watched, &hello, LARGE)?,
            1 => with_unknown_key("request", &name, &new_document(), &hello, LARGE)?,
            _ => with_unknown_key("sync", &name, &quiet, &hello, LARGE)?,
        };
        line.send(&frame).await?;
        line.send_zeros(LARGE).await?;
    }
    line.stay(STAY).await;
    Ok(())
}

/// Ephemeral messages: half of the connections send them, and half do not read.
pub async fn shout(gang: Rc<Gang>, number: usize) -> Fallible<()> {
    if number.is_multiple_of(2) { speak(&gang).await } else { turn_away(&gang).await }
}

/// Sends ephemeral messages to everybody who looks at a document, in large frames first.
async fn speak(gang: &Gang) -> Fallible<()> {
    let name = new_name();
    let mut line = Line::join(gang, &gang.viewer_sync, &name).await?;
    line.send(&ask(&name, &gang.watched, &from_nothing()?)?).await?;
    let data = vec![0; EPHEMERAL];
    for number in 0..FRAMES + EPHEMERALS {
        let unknown = if number < FRAMES { LARGE } else { 1 };
        line.send(&with_unknown_key("ephemeral", &name, &gang.watched, &data, unknown)?).await?;
        line.send_zeros(unknown).await?;
        sleep(EVERY).await;
    }
    Ok(())
}

/// Looks at a document and never reads.
async fn turn_away(gang: &Gang) -> Fallible<()> {
    let name = new_name();
    let mut line = Line::open_deaf(gang, &gang.viewer_sync).await?;
    line.send(&binary(&join(&name)?)).await?;
    line.send(&ask(&name, &gang.watched, &from_nothing()?)?).await?;
    line.stay(DEAF).await;
    Ok(())
}
