//! The text of the page. It is valid for any figures.

use std::fmt::Write;

use super::charts::Chart;
use super::{servers, tables, targets};
use crate::results::Results;

const INTRODUCTION: &str = "\
# Benchmarks

A load generator starts each server as a process of its own, in a folder of its own, and drives it over loopback. Writers hold
Automerge documents and speak the real protocol; so do viewers, but for holding a document: they look at what arrives and answer
as a peer who has it would. CPU is what the server's process used, kernel included.

```sh
make bench          # everything; writes this page
make bench-quick    # a part, each case once; writes target/bench/benchmarks.md
```

`cargo bench --bench load -- --list` lists the scenarios, and `--only NAME` runs one. `--only attacks` carries out each attack of the
hostile user alone, and `--attacks NAME,NAME` only those; their figures are then in `target/bench/`. `HAPPIERWORK_BIN=PROGRAM` measures
that program instead of one that is built for it.

";

const READING: &str = "\
Latency is from the moment at which a writer makes an edit to the arrival, at a viewer, of a message that holds it. A
delivered edit is one edit at one viewer. A message may hold several, and holds more when a server is late: then it costs
more, and an edit less. `÷` columns are how many times another server's CPU per delivered edit it is. Servers are measured
in turns and compared within a turn; then the median of these ratios is taken. (≈ is the ratio of the medians.) Clients run
on the same machine and take CPU from the servers: notes say where they used more than the server did.

";

const CLUSTER: &str = "\
A PostgreSQL server for each case, with its default settings, runs on the same machine, and so do all servers and clients. \"Same
server\" is the one where edits are made, \"other servers\" the others. \"Append p99\" is from the buckets of the metric
`happierwork_append_seconds`, and is as coarse as they are. \"Database CPU\" is that of all processes of PostgreSQL, or of Redis.
The clients of a server that is killed connect to the others at once, with what they have; its writer stays away until the database
was read, so that it cannot bring back what was lost. Hocuspocus is measured only where it can be measured fairly: its clients speak
Yjs' protocol, in which viewers do not answer, and its servers store nothing.

";

const BUILDS: &str = "
The floor and samod are part of the load generator's program, which is built by `[profile.bench]` of `Cargo.toml`; this server is
built as it is shipped.

";

/// The page.
pub fn render(results: &Results, charts: &[&Chart]) -> String {
    let mut page = String::from(INTRODUCTION);
    conditions(&mut page, results);
    page.push_str("## Targets\n\n");
    page.push_str(&targets::table(results));
    if !charts.is_empty() {
        page.push_str("\n## Charts\n\nCases that did not converge are left out.\n");
        for chart in charts {
            let _ = write!(page, "\n![{}](benchmarks/{})\n", chart.title, chart.file);
        }
    }
    if !results.measurements.is_empty() {
        page.push_str("\n## Figures\n\n");
        page.push_str(READING);
    }
    for scenario in tables::scenarios(results) {
        let _ = write!(page, "### {scenario}\n\n");
        if scenario == "cluster" {
            page.push_str(CLUSTER);
        }
        let _ = writeln!(page, "{}", tables::table(results, scenario));
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// Time, machine and versions of the run.
fn conditions(page: &mut String, results: &Results) {
    if results.measurements.is_empty() {
        page.push_str("Nothing has been measured yet.\n\n");
        return;
    }
    page.push_str("## This run\n\n| | |\n|---|---|\n");
    let runs = match results.runs {
        1 => "each case once".to_owned(),
        runs => format!("each case up to {runs} times; figures are medians"),
    };
    let form = if results.quick { "the quick form: " } else { "" };
    let _ = writeln!(page, "| began | {} |\n| machine | {} |\n| runs | {form}{runs} |", results.date, results.machine);
    for (name, version) in &results.versions {
        let _ = writeln!(page, "| {name} | {version} |");
    }
    page.push_str("\nThe servers:\n\n");
    for server in servers::of(results) {
        let about = servers::about(server).unwrap_or("another server");
        let _ = writeln!(page, "- **{server}**: {about}.");
    }
    page.push_str(BUILDS);
}
