//! `serve`: runs the server as a process, with signals, log and startup message.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::Arc;

use runtime::clock::now;
use store::disk::RealDisk;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::{OutputError, note, print, print_bytes};
use super::traces::TraceExport;
use super::{FAILED, fail, logging};
use crate::cli::config::{LogFormat, ServeArgs};
use crate::server::{Limits, Started, Tls, start_on, within_open_files};

/// A certificate with fewer days left is warned of.
const EXPIRY_WARNING_DAYS: i64 = 14;

/// Runs the server until SIGTERM or SIGINT. Exit code 0: it stopped within the grace period, and everything is stored.
pub(super) fn run(args: &ServeArgs) -> ExitCode {
    let mut options = match args.options() {
        Ok(options) => options,
        Err(error) => return failed(error, args.log_format),
    };
    let traces = match args.otlp_endpoint.as_deref().map(TraceExport::start).transpose() {
        Ok(traces) => traces,
        Err(error) => return failed(error, args.log_format),
    };
    let rate_limit = match logging::start(args, traces.as_ref()) {
        Ok(rate_limit) => rate_limit,
        Err(error) => return failed(error, args.log_format),
    };
    // Every connection is an open file, and many systems allow a process 1,024 by default.
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(open_files) => share(&mut options.limits, open_files),
        Err(error) => {
            tracing::warn!(%error, "could not raise the open file limit, which bounds the number of connections");
        }
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(format!("the server could not be started: {error}"), args.log_format),
    };
    let (open, location, format) = (args.open, options.location(), args.log_format);
    let disk = Arc::new(RealDisk::with_mode(args.file_mode));
    let code = runtime.block_on(async move {
        tokio::spawn(rate_limit.report_dropped());
        let shutdown = match shutdown_signal() {
            Ok(shutdown) => shutdown,
            Err(error) => return failed(format!("cannot install a signal handler: {error}"), format),
        };
        let hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(error) => return failed(format!("cannot install a signal handler: {error}"), format),
        };
        match start_on(disk, options).await {
            Err(error) => failed(error, format),
            Ok(started) => {
                tracing::info!(version = env!("CARGO_PKG_VERSION"), addresses = ?started.addresses, "started");
                warn_of_expiry(started.server.tls());
                if let Err(error) = announce(&started, &location, open, format) {
                    // The server runs anyway: clients do not need the message.
                    tracing::warn!(%error, addresses = ?started.addresses, "could not print the startup message");
                }
                tokio::spawn(reload(hangups, started.server.tls().cloned()));
                if started.server.run(shutdown).await {
                    ExitCode::SUCCESS
                } else {
                    failed("the server did not stop within the grace period; see the log", format)
                }
            }
        }
    });
    // Does not wait for threads that are blocked on a hanging disk.
    runtime.shutdown_background();
    if let Some(traces) = traces {
        traces.stop();
    }
    code
}

/// Prints an error in the format of the log and returns the exit code.
fn failed(error: impl std::fmt::Display, format: LogFormat) -> ExitCode {
    if format == LogFormat::Text {
        return fail(error);
    }
    // Does not go through the log, since `--log` may filter it out.
    let (timestamp, message) = (jiff::Timestamp::now().to_string(), error.to_string());
    let line = serde_json::json!({
        "timestamp": timestamp, "level": "ERROR", "target": "happierwork", "message": message
    });
    note(line);
    ExitCode::from(FAILED)
}

/// Divides the open files that the system allows between connections and the store.
fn share(limits: &mut Limits, open_files: u64) {
    let wanted = limits.connections;
    let (connections, store) = within_open_files(wanted, open_files);
    (limits.connections, limits.open_files) = (connections, store);
    if connections < wanted {
        tracing::warn!(
            open_files,
            "--max-connections is {wanted}, but the system allows {open_files} open files: limited to {connections} \
             connections; raise the open file limit (ulimit -n) for more"
        );
    }
}

/// Prints the startup message to standard output: document, URL and addresses. With `--log-format json` it is one JSON
/// object on one line.
fn announce(started: &Started, location: &str, open: bool, format: LogFormat) -> Result<(), OutputError> {
    match format {
        LogFormat::Text => print_bytes(as_text(started, location, open).as_bytes()),
        LogFormat::Json => print(as_json(started, location, open)),
    }
}

fn as_text(started: &Started, location: &str, open: bool) -> String {
    let made = if started.created { "new, " } else { "" };
    let mut lines = vec![
        format!("document  {} ({made}{} positions)", location, started.positions),
        format!("url       {}", started.document.url()),
    ];
    for (http, sync) in addresses(started) {
        lines.push(format!("listening {http}  ({sync})"));
    }
    if let Some(repair) = &started.repaired {
        let kept = repair.saved_to.display();
        lines.push(format!("repaired  truncated {} bytes of a torn write, kept in {kept}", repair.torn_tail.len));
    }
    if let Some(link) = setup_link(started) {
        lines.push(format!("setup     {link}  (creates the first account)"));
    }
    if open {
        lines
            .push("OPEN      no authentication: anyone who can reach these addresses can change everything".to_owned());
    }
    lines.join("\n") + "\n"
}

fn as_json(started: &Started, location: &str, open: bool) -> serde_json::Value {
    let listening: Vec<_> =
        addresses(started).map(|(http, sync)| serde_json::json!({ "http": http, "sync": sync })).collect();
    let repaired = started.repaired.as_ref().map(
        |repair| serde_json::json!({ "bytes": repair.torn_tail.len, "kept": repair.saved_to.display().to_string() }),
    );
    serde_json::json!({
        "event": "started",
        "version": env!("CARGO_PKG_VERSION"),
        "document": location,
        "url": started.document.url(),
        "new": started.created,
        "positions": started.positions,
        "listening": listening,
        "repaired": repaired,
        "open": open,
        "setup": setup_link(started),
    })
}

/// The link that creates the first account, at an address of this machine; `None` if there is one, or if accounts are not kept in
/// a folder.
fn setup_link(started: &Started) -> Option<String> {
    let code = started.server.setup_code()?;
    let mut address = *started.addresses.first()?;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    let scheme = if started.server.tls().is_some() { "https" } else { "http" };
    Some(format!("{scheme}://{address}/#setup={code}"))
}

/// Returns the HTTP URL and the sync URL of each address.
fn addresses(started: &Started) -> impl Iterator<Item = (String, String)> + '_ {
    let (http, ws) = if started.server.tls().is_some() { ("https", "wss") } else { ("http", "ws") };
    started.addresses.iter().map(move |address| (format!("{http}://{address}/"), format!("{ws}://{address}/sync")))
}

/// Warns of a certificate that has expired, or expires soon.
fn warn_of_expiry(tls: Option<&Tls>) {
    let Some(expires) = tls.and_then(Tls::expires) else { return };
    let left = i64::try_from(expires).unwrap_or(i64::MAX).saturating_sub(now());
    let days = left / 86_400;
    if left <= 0 {
        tracing::warn!("the certificate has expired: clients refuse it. Replace the files, and send SIGHUP");
    } else if days < EXPIRY_WARNING_DAYS {
        tracing::warn!(days, "the certificate expires soon. Replace the files, and send SIGHUP");
    }
}

/// Reloads the TLS certificate on SIGHUP. Also runs without TLS: an unhandled SIGHUP would end the process.
async fn reload(mut hangups: Signal, tls: Option<Tls>) {
    while hangups.recv().await.is_some() {
        match &tls {
            None => tracing::info!("SIGHUP: nothing to reload (--tls-cert was not given)"),
            Some(tls) => match tls.reload().await {
                Ok(()) => {
                    tracing::info!("SIGHUP: certificate reloaded; new connections use it");
                    warn_of_expiry(Some(tls));
                }
                Err(error) => tracing::error!(%error, "SIGHUP: certificate not reloaded; the old one stays in use"),
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
