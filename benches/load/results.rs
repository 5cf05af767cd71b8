//! What a run measured, as it is written to `target/bench/results.json` and read by the report.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// All that one run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// Processor, cores, memory and kernel, in one line.
    pub machine: String,
    /// What was measured: server name -> version.
    pub versions: BTreeMap<String, String>,
    /// When the run began (RFC 3339, UTC).
    pub date: String,
    /// The short form of the run: smaller cases, each once.
    pub quick: bool,
    /// How often each case was run; figures are of the median run.
    pub runs: u32,
    /// In the order in which they were taken.
    pub measurements: Vec<Measurement>,
}

/// One case of one scenario with one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    /// For example `fan-out`.
    pub scenario: String,
    /// For example `happierwork` or `floor`.
    pub server: String,
    /// For people, for example `1,000 viewers, 20 edits/s, small document`.
    pub case: String,
    /// How many watch, where that is what the case varies.
    pub viewers: Option<u32>,
    /// Names carry their unit: `p50_ms`, `cpu_us_per_delivered_edit`, `converged` (0 or 1).
    pub figures: BTreeMap<String, f64>,
    /// What a reader must know to read the figures rightly.
    pub note: Option<String>,
}

impl Results {
    /// Writes the results as JSON, and makes the folder if it is not there.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        std::fs::write(path, json)
    }
}
