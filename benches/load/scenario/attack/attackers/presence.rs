//! Legacy presence: the server sends all names to all clients whenever one changes.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use super::Gang;
use super::line::{Line, text};
use crate::Fallible;

/// Longest relayed name of a clicked element.
const ELEMENT: usize = 1_000;
/// Number of messages of one socket, and the interval between them.
const TIMES: usize = 1_000;
const EVERY: Duration = Duration::from_millis(5);

/// Logs in, logs out and clicks at the highest accepted rate, without reading.
pub async fn flicker(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let mut line = Line::open_deaf(&gang, &gang.legacy).await?;
    let login = text(&format!(r#"["login","{}"]"#, "m".repeat(ELEMENT)));
    let logout = text(r#"{"action":"logout"}"#);
    let click = text(&format!(r#"["tracking","{}"]"#, "m".repeat(ELEMENT)));
    for number in 0..TIMES {
        line.send(match number % 3 {
            0 => &login,
            1 => &click,
            _ => &logout,
        })
        .await?;
        sleep(EVERY).await;
    }
    Ok(())
}
