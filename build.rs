//! Builds the dashboard with npm, and generates the table of its files that `src/server/dashboard/embedded.rs` embeds.
//! Without Node.js the table is empty, and the server explains at `/` how to get the page.
//!
//! `HAPPIERWORK_DASHBOARD=none` builds without the page; with `HAPPIERWORK_DASHBOARD=required` a missing page fails the
//! build.
#![allow(clippy::print_stdout, reason = "a build script speaks to cargo over stdout")]

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, io};

const VARIABLE: &str = "HAPPIERWORK_DASHBOARD";
/// The oldest Node.js that Vite supports.
const NODE: (u32, u32) = (20, 19);
/// The folder of the embedded files, below `OUT_DIR`.
const EMBEDDED: &str = "embedded";
/// Lines of a failed command's output that the error contains. The cause is usually at the start or at the end.
const FIRST_LINES: usize = 6;
const LAST_LINES: usize = 20;
/// The page's sources. Only existing paths are named to cargo: a missing one would cause a rebuild every time.
const SOURCES: [&str; 7] =
    ["src", "public", "index.html", "vite.config.ts", "package.json", "package-lock.json", "tsconfig.json"];

/// Whether the build requires the page.
enum Wanted {
    None,
    IfPossible,
    Required,
}

/// Why the page was not built.
enum Missing {
    /// Node.js or npm is missing or too old.
    Node(String),
    /// The build of the page failed.
    Failed(String),
}

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(required("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(required("OUT_DIR")?);
    let dashboard = root.join("dashboard");
    let compress = root.join("build/compress.mjs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    for source in SOURCES.map(|name| dashboard.join(name)).iter().chain([&root.join("build.rs"), &compress]) {
        if source.exists() {
            println!("cargo::rerun-if-changed={}", source.display());
        }
    }
    let wanted = match env::var(VARIABLE).as_deref() {
        Err(env::VarError::NotPresent) | Ok("") => Wanted::IfPossible,
        Ok("none") => Wanted::None,
        Ok("required") => Wanted::Required,
        Ok(other) => return Err(format!("{VARIABLE} is none, required, or not set, and not {other:?}").into()),
        Err(error) => return Err(format!("{VARIABLE}: {error}").into()),
    };
    let built = match wanted {
        Wanted::None => Ok(String::new()),
        Wanted::IfPossible | Wanted::Required => build(&dashboard, &compress, &out),
    };
    let table = match (built, wanted) {
        (Ok(table), _) => table,
        (Err(Missing::Node(reason) | Missing::Failed(reason)), Wanted::Required) => {
            return Err(format!("there is no dashboard ({VARIABLE}=required): {reason}").into());
        }
        (Err(Missing::Node(reason)), _) => {
            // Node.js may be installed elsewhere in the meantime.
            println!("cargo::rerun-if-env-changed=PATH");
            warn(&format!("the server is built without its dashboard: {reason}"));
            String::new()
        }
        (Err(Missing::Failed(reason)), _) => {
            warn(&format!("THE SERVER IS BUILT WITHOUT ITS DASHBOARD: {reason}"));
            warn(&format!("to try again: {VARIABLE}=required cargo build"));
            String::new()
        }
    };
    fs::write(out.join("dashboard.rs"), format!("[\n{table}]\n"))?;
    Ok(())
}

fn required(variable: &str) -> Result<std::ffi::OsString, String> {
    env::var_os(variable).ok_or_else(|| format!("{variable} is not set: this is run by cargo"))
}

/// Cargo takes one line per warning.
fn warn(text: &str) {
    for line in text.lines() {
        println!("cargo::warning={line}");
    }
}

/// Builds the page. Returns the rows of the table.
fn build(dashboard: &Path, compress: &Path, out: &Path) -> Result<String, Missing> {
    find_node()?;
    let built = out.join("dashboard");
    let failed = |error: io::Error| Missing::Failed(format!("{}: {error}", dashboard.display()));
    // Builds with other target folders share node_modules: one build at a time.
    let lock = File::open(dashboard.join("package-lock.json")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if !is_installed(dashboard).map_err(failed)? {
        run("npm", [OsStr::new("ci"), OsStr::new("--include=dev")], dashboard)?;
    }
    let vite = ["run", "build", "--", "--emptyOutDir", "--outDir"].map(OsStr::new);
    run("npm", vite.into_iter().chain([built.as_os_str()]), dashboard)?;
    drop(lock);
    let embedded = out.join(EMBEDDED);
    let lines = run("node", [compress.as_os_str(), built.as_os_str(), embedded.as_os_str()], dashboard)?;
    let rows: Option<String> = lines.lines().map(row).collect();
    rows.ok_or_else(|| Missing::Failed(format!("{} wrote something else than its table", compress.display())))
}

fn find_node() -> Result<(), Missing> {
    let (wanted, minor) = NODE;
    let install = format!("install Node.js {wanted}.{minor} or later, with npm");
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let found = version("node").ok_or_else(|| Missing::Node(format!("there is no node ({install})")))?;
    let mut numbers = found.trim_start_matches('v').split('.').map_while(|number| number.parse::<u32>().ok());
    if numbers.next().zip(numbers.next()).is_none_or(|found| found < NODE) {
        return Err(Missing::Node(format!("node is {found} ({install})")));
    }
    version("npm").map(drop).ok_or_else(|| Missing::Node(format!("there is no npm ({install})")))
}

/// Whether npm has installed the packages of the lock file. npm writes `.package-lock.json` when it has.
fn is_installed(dashboard: &Path) -> io::Result<bool> {
    let named = fs::metadata(dashboard.join("package-lock.json"))?.modified()?;
    match fs::metadata(dashboard.join("node_modules/.package-lock.json")) {
        Ok(note) => Ok(note.modified()? >= named),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Runs a command to its end. Returns its standard output.
fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>, folder: &Path) -> Result<String, Missing> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("NO_COLOR", "1").env_remove("FORCE_COLOR");
    // Cargo sets these; npm packages give them other meanings.
    for variable in ["DEBUG", "HOST", "TARGET", "PROFILE"] {
        command.env_remove(variable);
    }
    let output = command.output().map_err(|error| Missing::Failed(format!("{program}: {error}")))?;
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(written);
    }
    let written = without_colours(&written);
    let errors = without_colours(&String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<&str> = written.lines().chain(errors.lines()).filter(|line| !line.trim().is_empty()).collect();
    if lines.len() > FIRST_LINES + LAST_LINES {
        lines.splice(FIRST_LINES..lines.len() - LAST_LINES, ["…"]);
    }
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    Err(Missing::Failed(format!("{program} {} failed ({}):\n{}", arguments.join(" "), output.status, lines.join("\n"))))
}

/// Removes colour codes: some of Vite's packages ignore NO_COLOR.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once('m').map_or(part, |(_, behind)| behind));
    std::iter::once(first).chain(rest).collect()
}

/// A row of the table, from a line of `compress.mjs`.
fn row(line: &str) -> Option<String> {
    let mut parts = line.split('\t');
    let mut next = || parts.next();
    let (path, media, tag, length, number, kind) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let length: usize = length.parse().ok()?;
    let file = |name: String| format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{EMBEDDED}/{name}\"))");
    let content = match kind {
        "compressed" => format!(
            "super::Content::Compressed {{ brotli: {}, gzip: {}, length: {length} }}",
            file(format!("{number}.br")),
            file(format!("{number}.gz"))
        ),
        "plain" => format!("super::Content::Plain({})", file(number.to_owned())),
        _ => return None,
    };
    let mut row = String::new();
    let tag = format!("W/\"{tag}\"");
    writeln!(row, "Asset {{ path: {path:?}, media: {media:?}, tag: {tag:?}, content: {content} }},").ok()?;
    Some(row)
}
