//! The report: writes `docs/benchmarks.md` and its charts from the results of a run. The same results yield the same
//! files.
//!
//! | module | holds |
//! |---|---|
//! | [`page`] | the text of the page |
//! | [`targets`] | the targets and the measured results |
//! | [`memory_bound`] | upper bound of the server's memory |
//! | [`tables`] | all figures, scenario by scenario |
//! | [`charts`] | the charts |
//! | [`servers`] | order of the servers, and notes about them |
//! | [`figures`] | finds figures, and computes ratios between servers |
//! | [`number`] | formats numbers for readers |

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

/// Writes `benchmarks.md`, and the charts in `benchmarks/`, into this folder. Removes charts without measurements,
/// which would be those of an earlier run.
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
