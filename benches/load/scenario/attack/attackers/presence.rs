//! Legacy presence: everybody is told everybody's name, whenever one changes.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use super::Gang;
use super::line::{Line, text};
use crate::Fallible;

/// The longest that is shown of what somebody clicked at.
const ELEMENT: usize = 1_000;
/// What one socket says, and what is between two.
const TIMES: usize = 1_000;
const EVERY: Duration = Duration::from_millis(5);

/// Comes, goes and clicks as fast as it may, and does not read.
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
