//! Results of a run, as written to `target/bench/results.json` and read by the report.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// All measurements of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// Processor, cores, memory and kernel, in one line.
    pub machine: String,
    /// Measured versions: server name -> version.
    pub versions: BTreeMap<String, String>,
    /// Start of the run (RFC 3339, UTC).
    pub date: String,
    /// Whether this was the short form of a run: smaller cases, each measured once.
    pub quick: bool,
    /// How many times each case was measured. Figures are those of the median run.
    pub runs: u32,
    /// Measurements in chronological order.
    pub measurements: Vec<Measurement>,
}

/// One case of one scenario with one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    /// Name of the scenario, for example `fan-out`.
    pub scenario: String,
    /// Name of the server, for example `happierwork` or `floor`.
    pub server: String,
    /// Description of the case, for example `1,000 viewers, 20 edits/s, small document`.
    pub case: String,
    /// Number of viewers, if the case varies it.
    pub viewers: Option<u32>,
    /// Figures by name. Names contain the unit: `p50_ms`, `cpu_us_per_delivered_edit`, `converged` (0 or 1).
    pub figures: BTreeMap<String, f64>,
    /// Notes for interpreting the figures.
    pub note: Option<String>,
}

impl Results {
    /// Writes the results as JSON, and creates the folder if necessary.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        std::fs::write(path, json)
    }
}
