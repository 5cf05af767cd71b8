//! Checks the structure of the workspace: dependencies between crates, pure crates, file lengths, and imports between folders.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The crates of the workspace that each crate may depend on. A new dependency is an architectural decision.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("primitives", &[]),
    ("automerge-chunks", &[]),
    ("limits", &[]),
    ("offload", &[]),
    ("repo-protocol", &["primitives"]),
    ("plan", &["automerge-chunks", "primitives"]),
    ("sync-engine", &["automerge-chunks", "primitives"]),
    ("store", &["automerge-chunks", "offload", "primitives"]),
    ("auth", &["limits", "offload", "primitives", "store"]),
    ("runtime", &["auth", "automerge-chunks", "limits", "offload", "plan", "primitives", "store", "sync-engine"]),
    ("backup", &["auth", "automerge-chunks", "offload", "primitives", "runtime", "store"]),
    ("dialer", &["limits", "offload"]),
    ("client", &["dialer", "offload", "plan", "primitives", "repo-protocol", "runtime", "store", "sync-engine"]),
];

/// Crates without clock, disk, socket, task or randomness.
const PURE: [&str; 5] = ["automerge-chunks", "plan", "primitives", "repo-protocol", "sync-engine"];

/// Largest accepted number of lines of a file.
const MAX_LINES: usize = 500;
/// Longer files, and why they are not split.
const LONGER: [(&str, &str); 4] = [
    ("benches/core.rs", "one benchmark for each cost of the core"),
    ("crates/runtime/src/document/hostile_tests.rs", "a list of attacks"),
    ("tests/access/rights.rs", "the access matrix"),
    ("tests/api/history.rs", "one endpoint"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The dependency names in a section of a manifest.
fn dependencies(manifest: &str, section: &str) -> BTreeSet<String> {
    let text = manifest.split(&format!("[{section}]\n")).nth(1).unwrap_or_default();
    let lines = text.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty());
    names.filter(|name| !name.starts_with('#')).map(str::to_owned).collect()
}

fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let folders = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    folders
        .filter(|path| path.join("Cargo.toml").exists())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, dependencies(&fs::read_to_string(path.join("Cargo.toml")).unwrap(), "dependencies"))
        })
        .collect()
}

#[test]
fn crates_use_only_those_below_them() {
    let crates = crates();
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        MAY_USE.iter().map(|(name, uses)| (*name, uses.iter().copied().collect())).collect();
    assert_eq!(crates.keys().map(String::as_str).collect::<Vec<_>>(), allowed.keys().copied().collect::<Vec<_>>());
    for (name, uses) in &crates {
        let used: BTreeSet<&str> = uses.iter().map(String::as_str).filter(|it| crates.contains_key(*it)).collect();
        let more: Vec<_> = used.difference(&allowed[name.as_str()]).collect();
        assert!(more.is_empty(), "{name} must not depend on {more:?}");
    }
}

#[test]
fn pure_crates_have_no_runtime_and_deny_impure_calls() {
    let crates = crates();
    for name in PURE {
        for impure in ["tokio", "tokio-util", "rand", "tracing", "futures-util"] {
            assert!(!crates[name].contains(impure), "{name} depends on {impure}");
        }
        let lib = fs::read_to_string(root().join(format!("crates/{name}/src/lib.rs"))).unwrap();
        assert!(lib.contains("#![deny(clippy::disallowed_methods, clippy::disallowed_types"), "{name}");
    }
}

#[test]
fn dependencies_are_used() {
    let folders = crates().into_iter().map(|(name, uses)| (root().join("crates").join(name).join("src"), uses));
    let own = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let application = (root().join("src"), dependencies(&own, "dependencies"));
    for (folder, uses) in folders.chain([application]) {
        let text: String = sources(&folder).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        for name in uses {
            let module = name.replace('-', "_");
            assert!(text.contains(&format!("{module}::")), "{}: {name} is not used", folder.display());
        }
    }
}

#[test]
fn files_are_short() {
    for folder in ["src", "crates", "tests", "benches"] {
        for path in sources(&root().join(folder)) {
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap();
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            let is_listed = LONGER.iter().any(|(longer, _)| *longer == relative);
            assert!(lines <= MAX_LINES || is_listed, "{relative} has {lines} lines; {MAX_LINES} are accepted");
            assert!(lines > MAX_LINES || !is_listed, "{relative} has {lines} lines: remove it from the list");
        }
    }
}

/// The module path of a file. For `mod.rs`, `lib.rs` and `main.rs`, that of the folder.
fn module_path(relative: &Path) -> Vec<String> {
    let folder = relative.parent().unwrap();
    let mut path: Vec<String> = folder.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    let stem = relative.file_stem().unwrap().to_str().unwrap();
    if stem != "mod" && stem != "lib" && stem != "main" {
        path.push(format!("{stem}.rs"));
    }
    path
}

/// For each folder of a crate, the folders that it imports from.
fn imports(src: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let files = sources(src);
    let folders: BTreeSet<Vec<String>> = files
        .iter()
        .map(|path| path.parent().unwrap().strip_prefix(src).unwrap())
        .map(|folder| folder.iter().map(|part| part.to_str().unwrap().to_owned()).collect())
        .collect();
    // The deepest folder on a module path.
    let folder_of = |modules: &[&str]| -> Vec<String> {
        let mut folder = Vec::new();
        for module in modules {
            folder.push((*module).to_owned());
            if !folders.contains(&folder) {
                folder.pop();
                break;
            }
        }
        folder
    };
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in &files {
        let relative = path.strip_prefix(src).unwrap();
        if relative.to_str().unwrap().contains("test") {
            continue;
        }
        let file_module = module_path(relative);
        let modules: Vec<&str> = file_module.iter().map(|part| part.trim_end_matches(".rs")).collect();
        let from = folder_of(&modules);
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in text.split("use crate::").skip(1) {
            let used: Vec<&str> = line.split(['{', ';', ' ', '\n']).next().unwrap().split("::").collect();
            let to = folder_of(&used);
            let is_family = from.starts_with(&to) || to.starts_with(&from);
            if !is_family {
                graph.entry(from.join("::")).or_default().insert(to.join("::"));
            }
        }
    }
    graph
}

#[test]
fn folders_do_not_import_each_other_in_cycles() {
    let crates = crates().into_keys().map(|name| root().join("crates").join(name).join("src"));
    for src in crates.chain([root().join("src")]) {
        let graph = imports(&src);
        for start in graph.keys() {
            let (mut seen, mut next) = (BTreeSet::new(), vec![start.clone()]);
            while let Some(folder) = next.pop() {
                for to in graph.get(&folder).into_iter().flatten() {
                    assert!(to != start, "{}: {start} and {folder} import each other", src.display());
                    if seen.insert(to.clone()) {
                        next.push(to.clone());
                    }
                }
            }
        }
    }
}
