//! `import`, `export` and `check`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::support::process::{FIXTURES, Running, folder, imported, names, run, serve};

fn export(state: &Path, format: &str) -> String {
    let ended = run(&["export", "--format", format, "--state", state.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    ended.out
}

#[test]
fn import_keeps_the_order_of_positions() {
    let folder = folder();
    let source = format!("{FIXTURES}/positions.json");
    let state = folder.path().join("plan.automerge");
    let ended = run(&["import", &source, "--state", state.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.contains("60 positions imported"), "{}", ended.out);
    assert!(ended.out.contains("now holds 60"), "{}", ended.out);
    assert!(ended.out.contains("automerge:"), "{}", ended.out);

    let recorded: Vec<Value> = serde_json::from_str(&fs::read_to_string(source).unwrap()).unwrap();
    let exported: Vec<Value> = serde_json::from_str(&export(&state, "json")).unwrap();
    assert_eq!(exported.len(), 60);
    for (recorded, exported) in recorded.iter().zip(&exported) {
        for field in ["id", "designation", "department", "location"] {
            assert_eq!(recorded[field], exported[field], "{field} of {exported}");
        }
        let budget = recorded["budget"].as_f64().or_else(|| recorded["budget"].as_str()?.parse().ok());
        assert_eq!(exported["budget"].as_f64(), budget, "{exported}");
        assert_eq!(exported["updatedBy"], recorded["lastUpdated"][0], "{exported}");
    }
    let csv = export(&state, "csv");
    assert_eq!(csv.lines().count(), 61, "{csv}");
    assert_eq!(csv.lines().next().map(|line| line.trim_start_matches('\u{feff}').starts_with("id,")), Some(true));
}

#[test]
fn export_reports_omitted_values() {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ObjType, ROOT};

    let folder = folder();
    let state = folder.path().join("plan.automerge");
    let mut doc = AutoCommit::new();
    let positions = doc.put_object(ROOT, "positions", ObjType::Map).unwrap();
    let row = doc.put_object(&positions, "a", ObjType::Map).unwrap();
    doc.put(&row, "headcount", 3).unwrap();
    doc.put(&row, "budget", "twelve").unwrap();
    fs::write(&state, doc.save()).unwrap();
    let csv = export(&state, "csv");
    assert!(csv.contains(",headcount") && csv.contains("twelve"), "{csv}");
    assert!(run(&["export", "--format", "csv", "--state", state.to_str().unwrap()]).err.is_empty());
    doc.put(ROOT, "scenario", "freeze").unwrap();
    fs::write(&state, doc.save()).unwrap();
    for format in ["csv", "json"] {
        let ended = run(&["export", "--format", format, "--state", state.to_str().unwrap()]);
        assert!(ended.code == Some(0) && ended.err.contains("does not hold: 1"), "{format}: {}", ended.err);
    }
}

#[test]
fn invalid_rows_are_reported_and_nothing_is_imported() {
    let folder = folder();
    let source = format!("{FIXTURES}/positions-odd.json");
    let fresh = folder.path().join("fresh.automerge");
    let existing = imported(folder.path());
    let before = fs::read(&existing).unwrap();
    for state in [&fresh, &existing] {
        let ended = run(&["import", &source, "--state", state.to_str().unwrap()]);
        assert_eq!(ended.code, Some(1));
        let rows: Vec<&str> = ended.err.lines().filter(|line| line.trim_start().starts_with("line ")).collect();
        assert_eq!(rows.len(), 3, "{}", ended.err);
        assert!(ended.err.contains("Nothing was imported") && ended.err.contains("--skip-odd"), "{}", ended.err);
        // Every report names the line on which its row begins.
        let text = fs::read_to_string(&source).unwrap();
        for row in rows {
            let line: usize = row.trim_start()[5..].split(' ').next().unwrap().parse().unwrap();
            assert_eq!(text.lines().nth(line - 1).map(str::trim), Some("{"), "{row}");
        }
    }
    assert!(!fresh.exists());
    assert_eq!(fs::read(&existing).unwrap(), before);
}

#[test]
fn skip_odd_imports_valid_rows_and_keeps_the_others() {
    let folder = folder();
    let source = folder.path().join("data.json");
    fs::copy(format!("{FIXTURES}/positions-odd.json"), &source).unwrap();
    let recorded: Vec<Value> = serde_json::from_str(&fs::read_to_string(&source).unwrap()).unwrap();
    fs::write(folder.path().join("data.skipped.json"), "mine").unwrap();
    let import = |source: &Path, state: &str| {
        let state = folder.path().join(state);
        run(&["import", source.to_str().unwrap(), "--state", state.to_str().unwrap(), "--skip-odd"])
    };
    let ended = import(&source, "plan.automerge");
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.contains("3 positions imported") && ended.out.contains("line 14 (row 3)"), "{}", ended.out);
    assert!(ended.out.contains("data.skipped-2.json"), "{}", ended.out);

    let exported: Vec<Value> = serde_json::from_str(&export(&folder.path().join("plan.automerge"), "json")).unwrap();
    let designations: Vec<&Value> = exported.iter().map(|row| &row["designation"]).collect();
    assert_eq!(designations, ["Dev", "Ui", "qa"]);
    assert_eq!(fs::read_to_string(folder.path().join("data.skipped.json")).unwrap(), "mine");
    let skipped = folder.path().join("data.skipped-2.json");
    let rows: Vec<Value> = serde_json::from_str(&fs::read_to_string(&skipped).unwrap()).unwrap();
    assert_eq!(rows, [recorded[2].clone(), recorded[4].clone(), recorded[5].clone()]);

    // The skipped rows contain no valid row, so a second import creates nothing.
    let again = import(&skipped, "other.automerge");
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("no valid row is left"), "{}", again.err);
    let made = |name: &str| folder.path().join(name).exists();
    assert!(!made("other.automerge") && !made("data.skipped-2.skipped.json") && !made("data.skipped-3.json"));
}

#[test]
fn missing_budget_stays_missing_after_import() {
    let folder = folder();
    let (source, state) = (folder.path().join("data.json"), folder.path().join("state.automerge"));
    let row = |more: &str| format!(r#"{{"designation": "Cook", "department": "", "location": ""{more}}}"#);
    fs::write(&source, format!("[{}, {}]", row(""), row(r#", "budget": null"#))).unwrap();
    let ended = run(&["import", source.to_str().unwrap(), "--state", state.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.contains("2 of them without a budget"), "{}", ended.out);
    let rows: Vec<Value> = serde_json::from_str(&export(&state, "json")).unwrap();
    assert!(rows.iter().all(|row| row["budget"].is_null()), "{rows:?}");
}

#[test]
fn import_into_existing_document_is_atomic() {
    let folder = folder();
    let state = imported(folder.path());
    let more = folder.path().join("more.json");
    let row = r#"{"designation": "Cook", "department": "Other", "budget": "1,200", "location": "Pune",
                  "lastUpdated": ["Jane", "Nov 22, 2026 02:21 PM"]}"#;
    fs::write(&more, format!("[{row}]")).unwrap();
    let ended = run(&["import", more.to_str().unwrap(), "--state", state.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.contains("1 positions imported") && ended.out.contains("now holds 61"), "{}", ended.out);
    let before = fs::read(&state).unwrap();
    // The 60 positions exist already, so nothing of that file is imported.
    let again = run(&["import", &format!("{FIXTURES}/positions.json"), "--state", state.to_str().unwrap()]);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("Nothing was imported"), "{}", again.err);
    assert_eq!(fs::read(&state).unwrap(), before);
    let rows: Vec<Value> = serde_json::from_str(&export(&state, "json")).unwrap();
    assert_eq!(rows.len(), 61);
    assert!(rows.iter().any(|row| row["designation"] == "Cook" && row["budget"] == 1_200));
}

/// Writes a file with more rows than one change of an import has, whose ids begin with `prefix`.
fn many_rows(file: &Path, prefix: &str) -> usize {
    const ROWS: usize = 3_000;
    let row = |row: usize| {
        format!(
            r#"{{"id": "{prefix}{row}", "designation": "Engineer {row}", "department": "Product", "budget": {row},
                "location": "Pune", "lastUpdated": ["Jane", "Nov 22, 2026 02:21 PM"]}}"#
        )
    };
    fs::write(file, format!("[{}]", (0..ROWS).map(row).collect::<Vec<_>>().join(","))).unwrap();
    ROWS
}

#[test]
fn import_of_many_rows_makes_several_changes() {
    let folder = folder();
    let (source, state) = (folder.path().join("data.json"), folder.path().join("plan.automerge"));
    let import = || run(&["import", source.to_str().unwrap(), "--state", state.to_str().unwrap()]);
    let mut rows = 0;
    // Into a new document, then into an existing one.
    for prefix in ["a", "b"] {
        let added = many_rows(&source, prefix);
        rows += added;
        let ended = import();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.out.contains(&format!("{added} positions imported")), "{}", ended.out);
        assert!(ended.out.contains(&format!("now holds {rows}\n")), "{}", ended.out);
        assert_eq!(ended.err, "", "progress is for terminals");
        let checked = run(&["check", state.to_str().unwrap()]);
        assert_eq!(checked.code, Some(0), "{}", checked.out);
        let exported: Vec<Value> = serde_json::from_str(&export(&state, "json")).unwrap();
        assert_eq!(exported.len(), rows);
        let of_this_import = exported.iter().filter(|row| row["id"].as_str().unwrap().starts_with(prefix));
        assert!(of_this_import.enumerate().all(|(index, row)| row["id"] == format!("{prefix}{index}")), "the order");
    }
    let document = automerge::Automerge::load(&fs::read(&state).unwrap()).unwrap();
    let messages: Vec<String> =
        document.get_changes_meta(&[]).iter().map(|change| change.message.as_deref().unwrap().to_owned()).collect();
    assert!(messages.iter().any(|message| message.ends_with("(3000 of 3000)")), "{messages:?}");
    // Of a file whose last row exists already, nothing is imported.
    let before = fs::read(&state).unwrap();
    let text =
        fs::read_to_string(&source).unwrap().replace("\"id\": \"b", "\"id\": \"c").replace("\"c2999\"", "\"b2999\"");
    fs::write(&source, text).unwrap();
    let ended = import();
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("b2999") && ended.err.contains("Nothing was imported"), "{}", ended.err);
    assert_eq!(fs::read(&state).unwrap(), before);
}

#[test]
fn import_of_missing_or_invalid_file_fails() {
    let folder = folder();
    let (source, state) = (folder.path().join("data.json"), folder.path().join("state.automerge"));
    let import = || run(&["import", source.to_str().unwrap(), "--state", state.to_str().unwrap()]);
    let ended = import();
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains(source.to_str().unwrap()), "{}", ended.err);
    for content in ["", "[{]", "{}", "[1]"] {
        fs::write(&source, content).unwrap();
        let ended = import();
        assert_eq!(ended.code, Some(1), "{content}");
        assert!(ended.err.contains("line 1"), "{content}: {}", ended.err);
    }
    assert_eq!(names(folder.path()), ["data.json"]);
}

#[test]
fn export_works_while_a_server_runs() {
    let folder = folder();
    let state = imported(folder.path());
    let (server, _) = Running::server(serve(&state, &[]));
    let before = names(folder.path());
    assert_eq!(serde_json::from_str::<Vec<Value>>(&export(&state, "json")).unwrap().len(), 60);
    let table = folder.path().join("table.csv");
    let ended = run(&["export", "--format", "csv", "--state", state.to_str().unwrap(), "-o", table.to_str().unwrap()]);
    assert_eq!((ended.code, &*ended.out), (Some(0), ""), "{}", ended.err);
    assert_eq!(fs::read_to_string(&table).unwrap().lines().count(), 61);
    fs::remove_file(&table).unwrap();
    assert_eq!(names(folder.path()), before, "nothing is left behind");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn export_of_a_foreign_file_fails() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    let export = || run(&["export", "--state", state.to_str().unwrap()]);
    let ended = export();
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("--state"), "{}", ended.err);
    fs::write(&state, "no document").unwrap();
    let ended = export();
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("not an Automerge document"), "{}", ended.err);
    assert!(ended.out.is_empty());
}

#[test]
fn check_reports_damage_and_changes_nothing() {
    let folder = folder();
    let state = imported(folder.path());
    let _ = fs::remove_file(folder.path().join("state.automerge.lock"));
    let whole = fs::read(&state).unwrap();
    let check = || run(&["check", state.to_str().unwrap()]);
    let ended = check();
    assert_eq!(ended.code, Some(0), "{}", ended.out);

    let appended = [&whole[..], &whole[..50]].concat();
    let mut damaged = [&whole[..], &whole].concat();
    damaged[60] ^= 1;
    for (content, word) in [(&appended, "50 bytes"), (&damaged, "backup"), (&b"no document".to_vec(), "right file")] {
        fs::write(&state, content).unwrap();
        let ended = check();
        assert_eq!(ended.code, Some(3), "{}", ended.out);
        assert!(ended.out.contains(word), "{word:?} is not in {}", ended.out);
        assert_eq!(&fs::read(&state).unwrap(), content);
        assert_eq!(names(folder.path()), ["state.automerge"]);
    }
    fs::remove_file(&state).unwrap();
    let ended = check();
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains(state.to_str().unwrap()), "{}", ended.err);
}
