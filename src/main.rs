//! The command line, and nothing else: see [`happierwork::command`].

use std::process::ExitCode;

use happierwork::config::Cli;
use tikv_jemallocator::Jemalloc;

/// A server frees memory in another order than it allocates it. docs/adr/0037-use-jemalloc.md compares how much memory each
/// allocator retains.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    happierwork::command::run(Cli::read())
}
