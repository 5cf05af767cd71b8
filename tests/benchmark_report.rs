//! The report of the load generator, page and charts, from fixed results.

#[path = "../benches/load/report/mod.rs"]
mod report;
#[path = "../benches/load/results.rs"]
#[expect(dead_code, reason = "only the load generator writes results")]
mod results;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use results::{Measurement, Results};
use tempfile::TempDir;

const RESULTS: &str = include_str!("fixtures/benchmark/results.json");

fn fixture() -> Results {
    serde_json::from_str(RESULTS).expect("results")
}

/// All files of the report of these results, by name.
fn written(results: &Results) -> BTreeMap<String, String> {
    let docs = TempDir::new().expect("a folder");
    report::write(results, docs.path()).expect("written");
    files(&docs)
}

fn files(docs: &TempDir) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for folder in [docs.path().to_owned(), docs.path().join("benchmarks")] {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_file() {
                let text = fs::read_to_string(entry.path()).expect("text");
                files.insert(entry.file_name().into_string().expect("a name"), text);
            }
        }
    }
    files
}

fn page(results: &Results) -> String {
    written(results).remove("benchmarks.md").expect("a page")
}

/// The cells of the table row that starts with `start`.
fn row<'a>(page: &'a str, start: &str) -> Vec<&'a str> {
    let line = page.lines().find(|line| line.starts_with(&format!("| {start}"))).expect(start);
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

fn change(results: &mut Results, server: &str, case: &str, change: impl Fn(&mut Measurement)) {
    let found = results.measurements.iter_mut().find(|found| found.server == server && found.case == case);
    change(found.expect(case));
}

const THOUSAND: &str = "1,000 viewers, 20 edits/s, small document";

#[test]
fn report_is_deterministic() {
    let (once, again) = (written(&fixture()), written(&fixture()));
    assert_eq!(once, again);
    let names: Vec<&str> = once.keys().map(String::as_str).collect();
    assert_eq!(names, ["benchmarks.md", "cpu.svg", "flat-out.svg", "history.svg", "latency.svg"]);
}

#[test]
fn targets_show_measurement_and_verdict() {
    let page = page(&fixture());
    assert_eq!(row(&page, "1,000 viewers, 1 writer")[2..], ["p99 13.2 ms; CPU 14.6 µs; over the floor 1.37 ×", "yes"]);
    assert_eq!(row(&page, "5,000 viewers, 1 writer")[2..], ["converged; p99 64.3 ms", "yes"]);
    assert_eq!(row(&page, "100 viewers, 4 writers")[2..], ["4,200 edits/s; converged", "yes"]);
    assert_eq!(
        row(&page, "the same against")[2..],
        ["sync-server ≈ 44.2 ×; automerge-repo ≈ 32.3 ×; samod ≈ 10.2 ×", "yes"]
    );
    let prices = row(&page, "100 viewers, 1 writer at 20/s, against");
    let by_message = "sync-server 45.9 ×; automerge-repo 47.0 ×; samod 12.0 ×";
    let by_edit = "per delivered edit: sync-server 21.8 ×; automerge-repo 20.4 ×; samod 12.0 ×";
    assert_eq!(prices[2..], [&format!("{by_message}; {by_edit}"), "yes"]);
    let history = row(&page, "history of 1,000");
    assert_eq!(history[2..], ["≈ 1.10 ×", "yes"]);
    assert_eq!(
        row(&page, "JSON export")[2..],
        ["after an edit 6.40 ms; unchanged 0.04 ms; a health check 0.03 ms", "no"]
    );
}

#[test]
fn target_without_measurement_is_marked() {
    let page = page(&fixture());
    assert_eq!(row(&page, "1,000 documents, 400")[2..], ["not measured", "–"]);
    assert_eq!(row(&page, "RSS: idle server")[2..], ["idle 9.80 MiB; connection 20.8 KiB; document not measured", "–"]);
}

#[test]
fn committed_report_has_every_target() {
    let mut nothing = fixture();
    nothing.measurements.clear();
    let rendered = page(&nothing);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
    let shown = fs::read_to_string(path).expect("docs/benchmarks.md");
    let targets: Vec<&str> = rendered.lines().filter_map(|line| line.strip_suffix("not measured | – |")).collect();
    assert_eq!(targets.len(), 25);
    for target in targets {
        assert!(shown.contains(target), "docs/benchmarks.md lacks this target: run `make bench`\n{target}");
    }
}

#[test]
fn diverged_clients_cannot_meet_a_target() {
    let mut results = fixture();
    change(&mut results, "happierwork", THOUSAND, |measurement| {
        measurement.figures.insert("converged".to_owned(), 0.0);
    });
    let page = page(&results);
    assert_eq!(row(&page, "1,000 viewers, 1 writer")[2..], ["did not converge", "no"]);
    assert_eq!(row(&page, "100 of 1,000 viewers stop")[3], "no");
}

#[test]
fn target_for_a_faster_disk_is_undecided() {
    let page = page(&fixture());
    assert_eq!(row(&page, "one sequential writer")[2..], ["1,210 edits/s; `fdatasync` 610 µs", "–"]);
}

fn spread(server: &str, figures: &[(&str, f64)]) -> Measurement {
    Measurement {
        scenario: "cluster".to_owned(),
        server: server.to_owned(),
        case: "1,000 viewers at all servers, 20 edits/s at one".to_owned(),
        viewers: Some(1_000),
        figures: figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect(),
        note: None,
    }
}

#[test]
fn cluster_targets_are_those_of_three_servers() {
    let mut results = fixture();
    let one = [("same_server_p99_ms", 20.0), ("append_p99_ms", 9.0), ("converged", 1.0)];
    let three = [("other_servers_p99_ms", 16.0), ("append_p99_ms", 14.0), ("other_servers_p99_beyond_append_ms", 2.0)];
    results
        .measurements
        .extend([spread("1 on PostgreSQL", &one), spread("3 on PostgreSQL", &[&one[..1], &one[2..], &three].concat())]);
    let files = written(&results);
    let met = row(&files["benchmarks.md"], "3 servers on PostgreSQL, 1,000 viewers");
    assert_eq!(met[2..], ["p99 16.0 ms; append p99 14.0 ms; beyond it 2.00 ms; converged", "yes"]);
    // Two servers with a bar for viewers at the same server, one with another bar, and the legend.
    assert_eq!(files["cluster.svg"].matches("class=\"mark").count(), 2 + 1 + 2);
}

#[test]
fn growth_of_a_large_plan_is_drawn_and_bounded() {
    let mut results = fixture();
    for (case, times) in [("5,000 positions", 0.25), ("20,000 positions", 1.0), ("100,000 positions", 6.0)] {
        let names = ["import", "open_to_sync", "open_to_export", "join", "edit", "export", "history", "scenario"];
        results.measurements.push(Measurement {
            scenario: "large-plan".to_owned(),
            server: "happierwork".to_owned(),
            case: case.to_owned(),
            viewers: None,
            figures: names.map(|name| (format!("{name}_ms"), 100.0 * times)).into(),
            note: None,
        });
    }
    let files = written(&results);
    let chart = &files["large-plan.svg"];
    assert_eq!(chart.matches("<path class=\"line").count(), 8);
    assert!(["s0", "s3", "s6"].iter().all(|colour| chart.contains(&format!("\"line {colour}\""))), "{chart}");
    let row_of = |files: &BTreeMap<String, String>| row(&files["benchmarks.md"], "20,000 → 100,000")[3].to_owned();
    assert_eq!(row_of(&files), "yes");
    // 25 times the time for 5 times the positions.
    change(&mut results, "happierwork", "100,000 positions", |measurement| {
        measurement.figures.insert("history_ms".to_owned(), 2_500.0);
    });
    assert_eq!(row_of(&written(&results)), "no");
}

#[test]
fn diverged_servers_are_excluded_from_comparison() {
    let mut results = fixture();
    change(&mut results, "samod", THOUSAND, |measurement| {
        measurement.figures.insert("converged".to_owned(), 0.0);
    });
    let page = page(&results);
    let row = row(&page, "1,000 viewers, 1 writer at 20/s, against");
    assert!(row[2].contains("automerge-repo 47.0 ×; samod (it did not converge);"), "{row:?}");
    assert_eq!(row[3], "–");
}

#[test]
fn ratios_are_computed_within_runs_first() {
    let mut results = fixture();
    change(&mut results, "happierwork", THOUSAND, |measurement| {
        measurement.figures.insert("cpu_to_floor".to_owned(), 3.0);
    });
    assert!(row(&page(&results), "1,000 viewers, 1 writer")[2].ends_with("over the floor 3.00 ×"));
    change(&mut results, "happierwork", THOUSAND, |measurement| {
        measurement.figures.remove("cpu_to_floor");
        measurement.figures.insert("cpu_us_per_delivered_edit".to_owned(), 21.63);
    });
    assert!(row(&page(&results), "1,000 viewers, 1 writer")[2].ends_with("over the floor ≈ 2.00 ×"));
}

#[test]
fn tables_have_a_row_per_case_and_server() {
    let page = page(&fixture());
    let ours = row(&page, "10 viewers, 20 edits/s");
    assert_eq!(ours[1], "happierwork");
    let failed = page.lines().find(|line| line.contains("| sync-server **did not converge** (")).expect("a row");
    let number = failed.split(['(', ')']).nth(1).expect("a note");
    assert!(page.contains(&format!("\n{number}. failed in 3 of 3 runs: 812 of 5000 viewers have joined")), "{page}");
    // The report generates this note; the results contain none.
    assert!(page.contains(". the load generator used"));
    assert!(page.contains("| samod **did not converge**, 51.8 % delivered |"), "the share that was delivered");
    assert!(page.contains("| RSS | per connection | RSS before |"), "figures that only this scenario has");
}

#[test]
fn chart_without_figures_is_removed() {
    let mut results = fixture();
    let docs = TempDir::new().expect("a folder");
    report::write(&results, docs.path()).expect("written");
    results.measurements.retain(|measurement| measurement.scenario != "history");
    report::write(&results, docs.path()).expect("written");
    let files = files(&docs);
    assert!(!files.contains_key("history.svg") && files.contains_key("cpu.svg"));
    assert!(!files["benchmarks.md"].contains("history.svg"));
    results.measurements.clear();
    report::write(&results, docs.path()).expect("a report without measurements");
}

#[test]
fn charts_are_small_and_complete() {
    let files = written(&fixture());
    for (name, svg) in files.iter().filter(|(name, _)| name.ends_with(".svg")) {
        assert!(svg.len() < 12_000, "{name} is {} bytes long", svg.len());
        assert!(svg.contains("prefers-color-scheme:dark"), "{name}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    }
    let lines = |name: &str| files[name].matches("<path class=\"line").count();
    assert_eq!((lines("cpu.svg"), lines("latency.svg"), lines("history.svg")), (5, 5, 2));
    // Five servers with three sizes each, minus one that did not converge, plus the legend.
    assert_eq!(files["flat-out.svg"].matches("class=\"mark").count(), 5 * 3 - 1 + 5);
}
