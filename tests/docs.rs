//! Checks the README and docs/ against the program.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use happierwork::server::PeerOptions;
use support::TestServer;
use tempfile::TempDir;

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// The pages of `docs/adr/`: the records and their index.
fn decision_records() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/adr");
    let entries = fs::read_dir(folder).expect("docs/adr").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| format!("docs/adr/{}", name.to_str().expect("UTF-8"))).collect();
    names.sort();
    names
}

/// A folder with a copy of the repository's demo document.
fn demo() -> Arc<TempDir> {
    let folder = TempDir::new().expect("a folder");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("state.automerge");
    fs::copy(demo, folder.path().join("state.automerge")).expect("the demo document");
    Arc::new(folder)
}

/// The pages of `docs/`, without those in its folders.
fn documentation() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let entries = fs::read_dir(folder).expect("docs").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().expect("UTF-8")).collect();
    names.retain(|name| name.ends_with(".md"));
    names.sort();
    names.into_iter().map(|name| format!("docs/{name}")).collect()
}

fn happierwork(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_happierwork")).args(arguments).output().expect("runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn readme_matches_the_demo_document() {
    let readme = page("README.md");
    let server = TestServer::start_in(demo(), |_| {}).await;
    assert_eq!(server.positions().await.len(), 60);
    assert!(readme.contains("(60 positions)"));
    assert!(readme.contains(&server.document.url()), "the demo's URL is {}", server.document.url());
}

#[test]
fn readme_csv_lines_are_real() {
    let folder = demo();
    let state = folder.path().join("state.automerge");
    let csv = happierwork(&["export", "--format", "csv", "--state", state.to_str().expect("a path")]);
    let readme = page("README.md");
    for line in csv.lines().skip(1).take(2) {
        assert!(readme.contains(line), "the README lacks the line {line:?}");
    }
}

#[test]
fn flags_in_the_docs_exist() {
    let help = happierwork(&["--help"]);
    let commands = [
        &["import"][..],
        &["check"],
        &["backup"],
        &["restore"],
        &["migrate"],
        &["key", "new"],
        &["token"],
        &["user", "add"],
        &["user", "set"],
        &["webhook", "add"],
    ];
    let of_commands: String =
        commands.iter().map(|command| happierwork(&[command, &["--help"][..]].concat())).collect();
    let pages = [
        "README.md",
        "docs/operations.md",
        "docs/backup.md",
        "docs/cluster.md",
        "docs/configuration.md",
        "docs/peering.md",
        "docs/start-operator.md",
        "docs/sync.md",
        "docs/security.md",
        "docs/webhooks.md",
    ]
    .map(str::to_owned);
    for name in pages.into_iter().chain(decision_records()) {
        for word in page(&name).split(|c: char| c.is_whitespace() || "`(),|".contains(c)) {
            let known_elsewhere = ["--build", "--release", "--example", "--cacert", "--path"].contains(&word);
            let is_flag =
                word.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
            if is_flag && !known_elsewhere {
                let word = word.trim_end_matches(['.', ':', ';']);
                assert!(help.contains(word) || of_commands.contains(word), "{name} names {word}, which does not exist");
            }
        }
    }
    for variable in
        ["STATE", "DOCUMENTS", "LISTEN", "OPEN", "ALLOW_ORIGIN", "MAX_MESSAGE", "IDLE_AFTER", "GRACE", "LOG", "AUTH"]
    {
        assert!(help.contains(&format!("HAPPIERWORK_{variable}")), "{variable}");
    }
}

#[tokio::test]
async fn metrics_in_the_docs_exist() {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    let server = TestServer::start_in(folder, |options| {
        // A server that does not answer has metrics, too.
        options.peers = vec![PeerOptions::new("ws://127.0.0.1:9/sync")];
    })
    .await;
    let _peer = server.legacy().await;
    server.http("GET", "/healthz", &[]).await;
    server.app.hub.metrics().record_unknown_message("sparkle");
    let rendered = server.app.hub.metrics().render();
    let pages = [
        "docs/operations.md",
        "docs/backup.md",
        "docs/peering.md",
        "docs/webhooks.md",
        "monitoring/alerts.yml",
        "monitoring/grafana.json",
    ];
    let text: String = pages.iter().map(|name| page(name)).collect();
    let names = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let mut checked = 0;
    for name in names.filter(|name| name.starts_with("happierwork_")) {
        let name = name.trim_end_matches("_bucket");
        assert!(rendered.contains(name), "the documentation names {name}, which is not among:\n{rendered}");
        checked += 1;
    }
    assert!(checked >= 5);
}

#[test]
fn backup_commands_in_the_docs_work() {
    let folder = demo();
    let backups = folder.path().join("backups of the demo");
    let page = page("docs/backup.md");
    let commands = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    // A server runs until it is stopped.
    for commands in commands.filter(|commands| !commands.contains("--backup-every")) {
        let program = Path::new(env!("CARGO_BIN_EXE_happierwork")).parent().expect("a folder").to_owned();
        let path = std::env::join_paths(
            std::iter::once(program).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        );
        let script = commands.replace("/srv/backup", &format!("'{}'", backups.display()));
        let output = Command::new("sh")
            .args(["-e", "-c", &script])
            .current_dir(folder.path())
            .env("PATH", path.expect("paths"))
            .output()
            .expect("runs");
        assert!(output.status.success(), "{commands}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let demo = fs::read(folder.path().join("state.automerge")).expect("the demo document");
    for restored in [folder.path().join("restored/state.automerge"), backups.join("restored.automerge")] {
        assert_eq!(fs::read(&restored).expect("restored"), demo, "{}", restored.display());
    }
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| match path {
            path if path.is_dir() => sources(&path),
            path if path.extension().is_some_and(|it| it == "rs") => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

/// The texts between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[tokio::test]
async fn resource_bounds_name_existing_flags_metrics_and_tests() {
    let server = TestServer::start().await;
    let _peer = server.legacy().await;
    let rendered = server.app.hub.metrics().render();
    let help = happierwork(&["--help"]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = ["src", "crates", "tests"].iter().flat_map(|folder| sources(&root.join(folder))).collect();
    let security = page("docs/security.md");
    let section = security.split("## Resource bounds").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| resource"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let resources: std::collections::BTreeSet<_> = rows.iter().map(|row| row[0]).collect();
    let all = ["CPU", "descriptors", "disk", "locks", "log lines", "memory", "queue places"];
    assert!(resources.into_iter().eq(all), "resources without a row, or unknown ones");
    for row in rows {
        let [_, spent_by, bound, per, hears, metric, test] = row[..] else { panic!("seven cells: {row:?}") };
        assert!(!bound.is_empty() && !per.is_empty() && !hears.is_empty(), "{spent_by}");
        for flag in quoted(bound).filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "{spent_by}: {flag} does not exist");
        }
        for name in quoted(metric) {
            let is_there = if name.starts_with("happierwork_") {
                rendered.contains(name)
            } else {
                rendered.contains(&format!("happierwork_refusals_total{{reason=\"{name}\"}}"))
            };
            assert!(is_there, "{spent_by}: the metric {name} does not exist");
        }
        let name = quoted(test).next().unwrap_or_else(|| panic!("{spent_by}: no test"));
        let (file, function) = name.split_once("::").expect("file::function");
        let declared = format!("fn {function}(");
        let is_there = files.iter().any(|path| {
            path.file_name().is_some_and(|it| it == file)
                && fs::read_to_string(path).is_ok_and(|it| it.contains(&declared))
        });
        assert!(is_there, "{spent_by}: the test {name} does not exist");
    }
}

/// Whether a page has a heading with this anchor.
fn has_heading(page: &str, anchor: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchors = headings.map(|heading| {
        let letters = heading.to_lowercase();
        let kept = letters.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect::<String>()
    });
    anchors.into_iter().any(|found| found == anchor)
}

#[test]
fn decision_records_are_numbered_complete_and_indexed() {
    let index = page("docs/adr/README.md");
    let records: Vec<_> = decision_records().into_iter().filter(|name| !name.ends_with("/README.md")).collect();
    assert!(!records.is_empty());
    for (number, name) in (1..).zip(&records) {
        let file = name.strip_prefix("docs/adr/").expect("a record");
        assert!(file.starts_with(&format!("{number:04}-")), "{name} should have the number {number:04}");
        let text = page(name);
        let title = text.lines().next().and_then(|line| line.strip_prefix(&format!("# {number}. ")));
        let title = title.unwrap_or_else(|| panic!("{name} should begin with `# {number}. ` and its title"));
        assert!(index.contains(&format!("| [{number:04}]({file}) | {title} | ")), "the index lacks {name}");
        for part in ["Status: ", "## Context", "## Decision", "## Consequences"] {
            assert!(text.lines().any(|line| line.starts_with(part)), "{name} lacks {part:?}");
        }
    }
}

#[test]
fn links_between_pages_resolve() {
    let pages = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "examples/README.md"].map(str::to_owned);
    for name in pages.into_iter().chain(documentation()).chain(decision_records()) {
        let folder = name.rfind('/').map_or("", |slash| &name[..=slash]);
        let text = page(&name);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !target.starts_with("http") {
                let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
                let path = match file {
                    "" => name.clone(),
                    file => format!("{folder}{file}"),
                };
                assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path).exists(), "{name} links to {target}");
                assert!(anchor.is_empty() || has_heading(&page(&path), anchor), "{name} links to {target}");
            }
        }
    }
}

#[test]
fn table_of_contents_lists_every_page_once() {
    let contents = page("docs/SUMMARY.md");
    let mut listed: Vec<_> = contents
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|target| target.strip_prefix("../").map_or_else(|| format!("docs/{target}"), str::to_owned))
        .collect();
    listed.sort();
    let others =
        ["CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md", "examples/README.md", "docs/adr/README.md"];
    let mut pages: Vec<_> = others.map(str::to_owned).into_iter().chain(documentation()).collect();
    pages.retain(|name| name != "docs/SUMMARY.md");
    pages.sort();
    assert_eq!(listed, pages);
}
