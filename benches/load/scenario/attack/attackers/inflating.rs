//! A viewer's changes, which the server drops, but which inflate to a thousand times their size before.

use std::rc::Rc;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{Automerge, ROOT, ScalarValue};
use tokio::time::sleep;

use super::line::{Line, sync};
use super::{Gang, new_name};
use crate::Fallible;
use crate::scenario::attack::forge::message;

/// Just below the server's limit on inflated changes.
const INFLATED: usize = 60 << 20;
/// Number of messages of one connection, and the interval between them.
const MESSAGES: usize = 40;
const EVERY: Duration = Duration::from_millis(100);

/// A message with one change of about 60 KB.
pub fn change() -> Fallible<Vec<u8>> {
    let mut doc = Automerge::new();
    let mut transaction = doc.transaction();
    transaction.put(ROOT, "k", ScalarValue::Bytes(vec![0; INFLATED]))?;
    transaction.commit();
    let heads = doc.get_heads();
    let mut changes = doc.get_changes(&[]);
    let change = changes.first_mut().ok_or("there is no change")?.bytes().into_owned();
    Ok(message(heads, vec![change]))
}

/// Sends the message repeatedly.
pub async fn inflate(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let name = new_name();
    let mut line = Line::join(&gang, &gang.viewer_sync, &name).await?;
    let frame = sync(&name, &gang.watched, &gang.arsenal.inflating)?;
    for _ in 0..MESSAGES {
        if line.is_over() {
            return Err("closed".into());
        }
        line.send(&frame).await?;
        sleep(EVERY).await;
    }
    Ok(())
}
