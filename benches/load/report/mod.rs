//! The report: `docs/benchmarks.md` and its charts, from the results of a run. The same results make the same files.
//!
//! | module | holds |
//! |---|---|
//! | [`page`] | the page from top to bottom |
//! | [`targets`] | what was aimed at, and what came of it |
//! | [`memory_bound`] | what the server may take of memory |
//! | [`tables`] | all figures, scenario by scenario |
//! | [`charts`] | what is drawn |
//! | [`servers`] | the servers' order, and what a reader must know of them |
//! | [`figures`] | finding figures, and the ratios between servers |
//! | [`number`] | numbers for people |

pub mod charts;
mod figures;
pub mod memory_bound;
pub mod number;
mod page;
mod servers;
mod tables;
mod targets;

use std::path::Path;
use std::{fs, io};

use crate::results::Results;

/// Writes `benchmarks.md`, and the charts in `benchmarks/`, into this folder. A chart of which nothing was measured is
/// removed: it would be of another run.
pub fn write(results: &Results, docs: &Path) -> io::Result<()> {
    let folder = docs.join("benchmarks");
    fs::create_dir_all(&folder)?;
    let mut drawn = Vec::new();
    for chart in charts::ALL {
        let path = folder.join(chart.file);
        match (chart.draw)(results) {
            Some(svg) => {
                fs::write(path, svg)?;
                drawn.push(chart);
            }
            None if path.exists() => fs::remove_file(path)?,
            None => {}
        }
    }
    fs::write(docs.join("benchmarks.md"), page::render(results, &drawn))
}
