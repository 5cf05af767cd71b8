//! The load generator: drives the real server, and others for comparison, with real protocol clients over loopback.
//!
//! ```sh
//! cargo bench --bench load -- --list
//! cargo bench --bench load -- --quick --only fan-out --server happierwork,floor
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`scenario`] | the measured scenarios, one file each |
//! | [`client`] | writers, viewers, and their sockets |
//! | [`kind`], [`server`] | the servers, and running them as child processes |
//! | [`floor`] | the baseline server that only relays bytes |
//! | [`contenders`] | other document servers |
//! | [`postgres`] | the database that servers share |
//! | [`plan`] | the documents |
//! | [`measure`] | processor time, memory, latencies |
//! | [`run`], [`figures`], [`results`] | the results |
//! | [`report`] | the page and its charts |

mod client;
mod contenders;
mod figures;
mod floor;
mod kind;
mod measure;
mod plan;
#[path = "../../tests/support/ports.rs"]
mod ports;
mod postgres;
mod report;
mod results;
mod run;
mod scenario;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use primitives::DocumentId;

use crate::kind::Kind;
use crate::results::Results;
use crate::run::Run;
use crate::server::Workplace;

/// A result whose error is a message for the user.
pub type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Number of files of the largest case: its sockets, and some others.
const FILES: u64 = 12_000;
/// How many times each case is measured by default.
const RUNS: u32 = 3;

/// Measures the server, and others beside it.
#[derive(Debug, Parser)]
#[command(name = "load", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Server>,
    #[command(flatten)]
    options: Options,
}

/// Parts of this program that run as separate processes.
#[derive(Debug, Subcommand)]
enum Server {
    /// The baseline server that only relays bytes.
    #[command(hide = true)]
    Floor { port: u16 },
    /// samod's server.
    #[command(hide = true, name = contenders::SAMOD)]
    Samod { port: u16, folder: PathBuf },
    /// The unauthenticated attackers.
    #[command(hide = true)]
    Attack { port: u16, document: DocumentId, seconds: u64 },
    /// The hostile user. Reads commands from standard input.
    #[command(hide = true)]
    Hostile,
}

#[derive(Debug, Args)]
struct Options {
    /// A subset, each case once; under two minutes
    #[arg(long)]
    quick: bool,
    /// Only these scenarios
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these servers
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    server: Vec<String>,
    /// Only these attacks of the hostile user
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    attacks: Vec<String>,
    /// How long the soak takes
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    minutes: u32,
    /// How often each case is measured [default: 3; 1 with --quick]
    #[arg(long, value_name = "N")]
    runs: Option<u32>,
    /// Write no report
    #[arg(long)]
    no_report: bool,
    /// List the scenarios
    #[arg(long)]
    list: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let Cli { command, options } = Cli::parse();
    let result = match command {
        Some(Server::Floor { port }) => floor::serve(port),
        Some(Server::Samod { port, folder }) => samod(port, folder),
        Some(Server::Attack { port, document, seconds }) => {
            allow_files().and_then(|()| scenario::attack::strangers::attack(port, document, seconds))
        }
        Some(Server::Hostile) => allow_files().and_then(|()| scenario::attack::attackers::obey()),
        None if options.list => {
            list();
            Ok(())
        }
        None => run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn samod(port: u16, folder: PathBuf) -> Fallible<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    Ok(runtime.block_on(contenders::samod::serve((std::net::Ipv4Addr::LOCALHOST, port).into(), folder))?)
}

#[expect(clippy::print_stdout, reason = "the user asked for this output")]
fn list() {
    for scenario in scenario::ALL {
        println!("{:12} {}", scenario.name, scenario.about);
    }
}

fn run(options: &Options) -> Fallible<()> {
    for name in &options.only {
        if !scenario::ALL.iter().any(|scenario| scenario.name == name) {
            return Err(format!("there is no scenario {name}; --list shows them").into());
        }
    }
    for name in &options.server {
        if !kinds().any(|kind| kind.name() == name) {
            let names: Vec<&str> = kinds().map(Kind::name).collect();
            return Err(format!("there is no server {name}; there are {}", names.join(", ")).into());
        }
    }
    for name in &options.attacks {
        if !scenario::attack::attackers::ALL.iter().any(|attack| attack.name == name) {
            let names: Vec<&str> = scenario::attack::attackers::ALL.iter().map(|attack| attack.name).collect();
            return Err(format!("there is no attack {name}; there are {}", names.join(", ")).into());
        }
    }
    client::answers::check()?;
    allow_files()?;
    let target = target();
    let binary = binary(&target)?;
    let runs = options.runs.unwrap_or(if options.quick { 1 } else { RUNS });
    let date = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let place = Workplace::new(binary, &target.join("bench"))?;
    let mut run = Run::new(place, options.quick, runs, options.minutes, options.server.clone())?;
    run.attacks.clone_from(&options.attacks);
    let mut failed = Vec::new();
    for scenario in scenario::ALL {
        if (options.only.is_empty() && !scenario.only_if_named) || options.only.iter().any(|name| name == scenario.name)
        {
            eprintln!("--- {}: {}", scenario.name, scenario.about);
            let begun = Instant::now();
            if let Err(error) = (scenario.run)(&mut run) {
                eprintln!("{}: {error}", scenario.name);
                failed.push(scenario.name);
            }
            eprintln!("({:.0} s)", begun.elapsed().as_secs_f32());
        }
    }
    let results = Results {
        machine: measure::machine(),
        versions: versions(),
        date,
        quick: options.quick,
        runs,
        measurements: run.measurements,
    };
    let path = target.join("bench/results.json");
    results.write(&path)?;
    eprintln!("written: {}", path.display());
    if !options.no_report {
        let folder = report_folder(options, &target);
        report::write(&results, &folder)?;
        eprintln!("written: {}", folder.join("benchmarks.md").display());
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("these scenarios failed: {}", failed.join(", ")).into()) }
}

/// The repository contains only reports of full runs.
fn report_folder(options: &Options, target: &Path) -> PathBuf {
    if options.quick || !options.only.is_empty() || !options.server.is_empty() || !options.attacks.is_empty() {
        return target.join("bench");
    }
    docs()
}

/// Folder of the published report.
fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Cargo's target folder: this program is in `<target>/release/deps`.
fn target() -> PathBuf {
    let here = std::env::current_exe().ok();
    let found = here.as_deref().and_then(|path| path.ancestors().nth(3)).map(Path::to_owned);
    found.unwrap_or_else(|| PathBuf::from("target"))
}

/// The server under test: `HAPPIERWORK_BIN`, or a build with the release settings.
///
/// `cargo bench` also builds the server, with the settings of the load generator, in the place of the release build.
/// So it is built again here, which is quick if nothing has changed, and copied to another place.
fn binary(target: &Path) -> Fallible<PathBuf> {
    if let Some(path) = std::env::var_os("HAPPIERWORK_BIN") {
        return Ok(std::path::absolute(path)?);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--quiet", "--bin", "happierwork"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if !built.success() {
        return Err("the server could not be built".into());
    }
    let kept = target.join("bench/happierwork");
    std::fs::create_dir_all(target.join("bench"))?;
    // Removed first: a running program cannot be overwritten.
    let _ = std::fs::remove_file(&kept);
    std::fs::copy(target.join("release/happierwork"), &kept)?;
    Ok(kept)
}

/// Every connection is an open file here, and another one in the server.
fn allow_files() -> Fallible<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < FILES {
        setrlimit(Resource::RLIMIT_NOFILE, FILES.min(hard), hard)?;
    }
    Ok(())
}

fn versions() -> BTreeMap<String, String> {
    kinds().map(|kind| (kind.name().to_owned(), kind.version())).collect()
}

/// All kinds of servers, each once.
fn kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().chain(Kind::SHARING.into_iter().filter(|kind| !Kind::ALL.contains(kind)))
}
