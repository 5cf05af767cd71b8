//! The command line, and nothing else: see [`happierwork::command`].

use std::process::ExitCode;

use happierwork::config::Cli;
use tikv_jemallocator::Jemalloc;

/// A server that opens and closes documents frees what it took in another order: see docs/decisions.md for how much of
/// that each allocator keeps.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    happierwork::command::run(Cli::read())
}
