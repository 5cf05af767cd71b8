//! Entry point of the program; see [`happierwork::cli`].

use std::process::ExitCode;

use happierwork::cli::config::Cli;
use tikv_jemallocator::Jemalloc;

/// Retains less memory than the system allocator in a long-running server: docs/adr/0037-use-jemalloc.md has measurements.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    happierwork::cli::run(Cli::read())
}
