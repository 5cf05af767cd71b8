//! Controls the attackers' process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::attackers::Brief;
use crate::Fallible;

/// Longest time that the attackers may take to prepare.
const PREPARATION: Duration = Duration::from_secs(150);
/// Longest time that they may take to stop after a round.
const PATIENCE: Duration = Duration::from_secs(30);

/// A separate process with a low priority: real attackers do not take processor time from the attacked machine.
/// Killed when dropped.
pub struct Attackers {
    child: Child,
    orders: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Attackers {
    /// Starts the process, and waits until it is ready.
    pub async fn start(brief: &Brief) -> Fallible<Self> {
        let mut child = Command::new("nice")
            .args(["-n", "15"])
            .arg(std::env::current_exe()?)
            .arg("hostile")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or("no standard input")?;
        let said = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let (say, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        let mut attackers = Self { child, orders, lines };
        attackers.tell(&serde_json::to_string(brief)?)?;
        let ready = timeout(PREPARATION, attackers.lines.recv()).await?;
        if ready.as_deref() == Some("ready") { Ok(attackers) } else { Err("the attackers gave up".into()) }
    }

    /// Starts a round.
    pub fn attack(&mut self, seconds: u32) -> Fallible<()> {
        self.tell(&format!("attack {seconds}"))
    }

    /// Waits until a round of this number of seconds has ended. Returns how many times each attack was started.
    pub async fn done(&mut self, seconds: u32) -> Fallible<Vec<(String, f64)>> {
        let mut counts = Vec::new();
        let over = async {
            while let Some(line) = self.lines.recv().await {
                match line.split_once(' ') {
                    Some((name, count)) => counts.push((name.to_owned(), count.parse()?)),
                    None if line == "done" => return Ok(()),
                    None => {}
                }
            }
            Fallible::Err("the attackers gave up".into())
        };
        timeout(Duration::from_secs(seconds.into()) + PATIENCE, over).await??;
        Ok(counts)
    }

    fn tell(&mut self, line: &str) -> Fallible<()> {
        writeln!(self.orders, "{line}")?;
        Ok(self.orders.flush()?)
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
