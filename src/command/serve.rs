//! `serve`: the server as a process.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use store::disk::RealDisk;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::{OutputError, note, print, print_bytes};
use super::{FAILED, fail, logging};
use crate::config::{LogFormat, ServeArgs};
use crate::server::{Limits, Started, Tls, start_on, within_open_files};

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
        Ok(open_files) => share(&mut options.limits, open_files),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised; it bounds how many may connect");
        }
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format!("the server could not be started: {error}")),
    };
    let (open, state, format) = (args.open, args.state.clone(), args.log_format);
    let disk = Arc::new(RealDisk::with_mode(args.file_mode));
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
        match start_on(disk, options).await {
            Err(error) => failed(error, format),
            Ok(started) => {
                if let Err(error) = announce(&started, &state, open, format) {
                    // It serves all the same: its clients do not read what it prints.
                    tracing::warn!(%error, addresses = ?started.addresses, "where the server listens could not be printed");
                }
                tokio::spawn(reload(hangups, started.server.tls().cloned()));
                if started.server.run(shutdown).await {
                    ExitCode::SUCCESS
                } else {
                    failed("it did not end in time: see the log", format)
                }
            }
        }
    });
    // Whatever still waits for a disk that hangs is not waited for.
    runtime.shutdown_background();
    code
}

/// Says why the server does not run, in the format of the log, and gives the exit code.
fn failed(error: impl std::fmt::Display, format: LogFormat) -> ExitCode {
    if format == LogFormat::Text {
        return fail(error);
    }
    // Not by the log: `--log` may leave it out.
    let (timestamp, message) = (jiff::Timestamp::now().to_string(), error.to_string());
    let line = serde_json::json!({
        "timestamp": timestamp, "level": "ERROR", "target": "happierwork", "message": message
    });
    note(line);
    ExitCode::from(FAILED)
}

/// Divides the open files that the system allows between connections and documents.
fn share(limits: &mut Limits, open_files: u64) {
    let wanted = limits.connections;
    let (connections, store) = within_open_files(wanted, open_files);
    (limits.connections, limits.open_files) = (connections, store);
    if connections < wanted {
        tracing::warn!(
            open_files,
            "--max-connections is {wanted}, but this system allows {open_files} open files: {connections} may connect; \
             raise the limit of open files (ulimit -n) for more"
        );
    }
}

/// Prints where the server is and what it serves, on standard output: the log goes to standard error. `--log-format json`
/// makes it one JSON object on one line.
fn announce(started: &Started, state: &Path, open: bool, format: LogFormat) -> Result<(), OutputError> {
    let path = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    match format {
        LogFormat::Text => print_bytes(as_text(started, &path, open).as_bytes()),
        LogFormat::Json => print(as_json(started, &path, open)),
    }
}

fn as_text(started: &Started, path: &Path, open: bool) -> String {
    let made = if started.created { "new, " } else { "" };
    let mut lines = vec![
        format!("document  {} ({made}{} positions)", path.display(), started.positions),
        format!("url       {}", started.document.url()),
    ];
    for (http, sync) in addresses(started) {
        lines.push(format!("listening {http}  ({sync})"));
    }
    if let Some(repair) = &started.repaired {
        let kept = repair.kept.display();
        lines.push(format!("repaired  {} bytes of a torn write were cut off and kept in {kept}", repair.torn.len));
    }
    if open {
        lines.push("OPEN      everybody who can reach these addresses may read and change everything".to_owned());
    }
    lines.join("\n") + "\n"
}

fn as_json(started: &Started, path: &Path, open: bool) -> serde_json::Value {
    let listening: Vec<_> =
        addresses(started).map(|(http, sync)| serde_json::json!({ "http": http, "sync": sync })).collect();
    let repaired = started
        .repaired
        .as_ref()
        .map(|repair| serde_json::json!({ "bytes": repair.torn.len, "kept": repair.kept.display().to_string() }));
    serde_json::json!({
        "event": "started",
        "document": path.display().to_string(),
        "url": started.document.url(),
        "new": started.created,
        "positions": started.positions,
        "listening": listening,
        "repaired": repaired,
        "open": open,
    })
}

/// Of each address, where the page is and where clients sync.
fn addresses(started: &Started) -> impl Iterator<Item = (String, String)> + '_ {
    let (http, ws) = if started.server.tls().is_some() { ("https", "wss") } else { ("http", "ws") };
    started.addresses.iter().map(move |address| (format!("{http}://{address}/"), format!("{ws}://{address}/sync")))
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
