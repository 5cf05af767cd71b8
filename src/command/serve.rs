//! `serve`: the server as a process.

use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{fail, logging};
use crate::config::ServeArgs;
use crate::server::{Started, Tls, start, within_open_files};

/// Runs the server until it is told to stop. 0: it stopped in time; everything is written.
pub(super) fn run(args: &ServeArgs) -> ExitCode {
    let mut options = match args.options() {
        Ok(options) => options,
        Err(error) => return fail(error),
    };
    let lines = match logging::start(args) {
        Ok(lines) => lines,
        Err(error) => return fail(error),
    };
    // Every connection is an open file, and many systems allow a process 1,024 unless it asks for more.
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(open_files) => options.limits.connections = connections(options.limits.connections, open_files),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised; it bounds how many may connect");
        }
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format!("the server could not be started: {error}")),
    };
    let (open, state) = (args.open, args.state.clone());
    let code = runtime.block_on(async move {
        tokio::spawn(lines.tell());
        let shutdown = match shutdown_signal() {
            Ok(shutdown) => shutdown,
            Err(error) => return fail(format!("signals cannot be listened for: {error}")),
        };
        let hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(error) => return fail(format!("signals cannot be listened for: {error}")),
        };
        match start(options).await {
            Err(error) => fail(error),
            Ok(started) => {
                announce(&started, &state, open);
                tokio::spawn(reload(hangups, started.server.tls().cloned()));
                if started.server.run(shutdown).await {
                    ExitCode::SUCCESS
                } else {
                    fail("it did not end in time: see the log")
                }
            }
        }
    });
    // Whatever still waits for a disk that hangs is not waited for.
    runtime.shutdown_background();
    code
}

/// How many may connect, as far as the system allows.
fn connections(wanted: usize, open_files: u64) -> usize {
    let connections = within_open_files(wanted, open_files);
    if connections < wanted {
        tracing::warn!(
            open_files,
            "--max-connections is {wanted}, but this system allows {open_files} open files: {connections} may connect; \
             raise the limit of open files (ulimit -n) for more"
        );
    }
    connections
}

/// What a person who starts the server wants to know, and nothing else: the log goes to standard error.
#[expect(clippy::print_stdout, reason = "this is the program's output")]
fn announce(started: &Started, state: &std::path::Path, open: bool) {
    let path = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    let made = if started.created { "new, " } else { "" };
    println!("document  {} ({made}{} positions)", path.display(), started.positions);
    println!("url       {}", started.document.url());
    let (http, ws) = if started.server.tls().is_some() { ("https", "wss") } else { ("http", "ws") };
    for address in &started.addresses {
        println!("listening {http}://{address}/  ({ws}://{address}/sync)");
    }
    if let Some(repair) = &started.repaired {
        println!(
            "repaired  {} bytes of a torn write were cut off and kept in {}",
            repair.torn.len,
            repair.kept.display()
        );
    }
    if open {
        println!("OPEN      everybody who can reach these addresses may read and change everything");
    }
}

/// Reads the certificate again whenever somebody says that it is another. A server without one goes on as well: the
/// signal would end it.
async fn reload(mut hangups: Signal, tls: Option<Tls>) {
    while hangups.recv().await.is_some() {
        match &tls {
            None => tracing::info!("SIGHUP: there is nothing to read again (no --tls-cert was given)"),
            Some(tls) => match tls.reload().await {
                Ok(()) => tracing::info!("SIGHUP: new connections are shown the certificate that is there now"),
                Err(error) => tracing::error!(%error, "SIGHUP: the certificate stays as it was"),
            },
        }
    }
}

fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
