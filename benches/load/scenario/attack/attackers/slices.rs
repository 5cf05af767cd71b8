//! Small messages in large frames. If a server stores a message as a slice of its frame, it keeps the whole frame in
//! memory.

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

/// Size of an unknown key in a frame.
const LARGE: usize = 15 << 20;
/// Number of such frames that one connection sends without a pause.
const FRAMES: usize = 16;
/// Largest size of an ephemeral message, and the number of them that follow the large frames.
const EPHEMERAL: usize = 60 << 10;
const EPHEMERALS: usize = 400;
const EVERY: Duration = Duration::from_millis(5);
/// How long a connection stays open.
const STAY: Duration = Duration::from_secs(5);
const DEAF: Duration = Duration::from_secs(30);

/// Sends sync messages of a viewer to three documents: its own idle one, where the messages remain; one that others
/// edit; and one that does not exist.
pub async fn pin(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let (owner_name, name, quiet) = (new_name(), new_name(), new_document());
    let mut owner = Line::join(&gang, &gang.editor_sync, &owner_name).await?;
    let change = empty_change(&rand::random::<[u8; 16]>(), 1, 1, &[]);
    owner.send(&sync(&owner_name, &quiet, &message(vec![change.hash], vec![change.bytes]))?).await?;
    let mut line = Line::join(&gang, &gang.viewer_sync, &name).await?;
    for number in 0..FRAMES {
        // All messages differ: a server may share the state of senders with equal messages.
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

/// Ephemeral messages: half of the connections send them, and the other half does not read.
pub async fn shout(gang: Rc<Gang>, number: usize) -> Fallible<()> {
    if number.is_multiple_of(2) { speak(&gang).await } else { turn_away(&gang).await }
}

/// Sends ephemeral messages to all viewers of a document, in large frames first.
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

/// Opens a document and never reads.
async fn turn_away(gang: &Gang) -> Fallible<()> {
    let name = new_name();
    let mut line = Line::open_deaf(gang, &gang.viewer_sync).await?;
    line.send(&binary(&join(&name)?)).await?;
    line.send(&ask(&name, &gang.watched, &from_nothing()?)?).await?;
    line.stay(DEAF).await;
    Ok(())
}
