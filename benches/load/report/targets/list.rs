//! The targets. Scenarios, cases and figures have the names that the scenarios use.

use super::Bound::{Any, AtLeast, AtMost, Below, BelowMade, Premise};
use super::Source::{Figure, Growth, Of, Over, Under};
use super::{Bound, Cases, Goal, Part, Source, Target};
use crate::report::memory_bound;
use crate::report::number::Unit;
use crate::report::number::Unit::{Agreement, EditsPerSecond, KiB, MiB, Micros, Millis, Plain, Seconds, Times};

const fn cases(scenario: &'static str, say: &'static [&'static str]) -> Cases {
    Cases { scenario, say }
}

const fn part(label: &'static str, source: Source, unit: Unit, bound: Bound) -> Part {
    Part { label, source, unit, bound }
}

const HUNDRED: Cases = cases("fan-out", &["100 viewers", "20 edits/s", "small document"]);
const THOUSAND: Cases = cases("fan-out", &["1,000 viewers", "20 edits/s", "small document"]);
const FIVE_THOUSAND: Cases = cases("fan-out", &["5,000 viewers", "5 edits/s"]);
const FLAT_OUT: Cases = cases("fan-out", &["100 viewers", "4 writers flat out", "small document"]);
const DOCUMENTS: Cases = cases("documents", &["1,000 documents", "400 edits/s"]);
const SHORT_HISTORY: Cases = cases("history", &["1,000 changes"]);
const LONG_HISTORY: Cases = cases("history", &["100,000 changes"]);
const JOIN: Cases = cases("cold-join", &["5,000 positions and 5,000 edits"]);
const OFFLINE: Cases = cases("reconnect", &["10 clients with 500 offline edits each"]);
const COME_BACK: Cases = cases("join-storm", &["1,000 clients", "say what they had"]);
const COME_NEW: Cases = cases("join-storm", &["1,000 clients", "have nothing"]);
const SEQUENTIAL: Cases = cases("sequential", &["1 writer"]);
const EXPORT: Cases = cases("export", &["5,000 positions", "right after an edit"]);
const LARGE: Cases = cases("large-plan", &["20,000 positions"]);
const LARGEST: Cases = cases("large-plan", &["100,000 positions"]);
const CONNECTIONS: Cases = cases("memory", &["1,000 idle connections"]);
const OPEN: Cases = cases("memory", &["1,000 open small documents"]);
const COLD_START: Cases = cases("cold-start", &["100,000 changes"]);
const STALLED: Cases = cases("stalled", &["1,000 viewers", "100 do not read for 30 s"]);

const REVOCATION: Cases = cases("revocation", &["150 viewers and 50 legacy sockets"]);
const ATTACK: Cases = cases("attack", &["50 viewers", "attacked for 60 s"]);
const HOSTILE_USER: Cases = cases("hostile-user", &["all attacks", "for 60 s"]);

const SPREAD: Cases = cases("cluster", &["1,000 viewers at all servers", "20 edits/s"]);
const CONTENDED: Cases = cases("cluster", &["4 writers flat out on one document"]);
const SHARED_DOCUMENTS: Cases = cases("cluster", &["1,000 documents", "400 edits/s"]);
const KILLED: Cases = cases("cluster", &["one of 3 servers is killed", "300 viewers"]);

/// Names of figures.
const CPU: &str = "cpu_us_per_delivered_edit";
const MESSAGE_CPU: &str = "cpu_us_per_message";

const fn by_message(server: &'static str, cases: &'static Cases) -> Part {
    part(server, Under { figure: MESSAGE_CPU, server, cases }, Times, AtLeast(10.0))
}

const fn by_edit(label: &'static str, server: &'static str, cases: &'static Cases) -> Part {
    part(label, Under { figure: CPU, server, cases }, Times, Any)
}

/// How a figure grows from 20,000 to 100,000 positions.
const fn grows(label: &'static str, figure: &'static str) -> Part {
    part(label, Growth { from: (&LARGE, figure), to: (&LARGEST, figure) }, Times, AtMost(7.5))
}

/// A figure of three servers on one database.
const fn shared(label: &'static str, cases: &'static Cases, figure: &'static str, unit: Unit, bound: Bound) -> Part {
    part(label, Of { server: "3 on PostgreSQL", cases, figure }, unit, bound)
}

/// The target is a price per message, but late servers put several edits into one message.
const fn savings(cases: &'static Cases) -> [Part; 6] {
    [
        by_message("sync-server", cases),
        by_message("automerge-repo", cases),
        by_message("samod", cases),
        by_edit("per delivered edit: sync-server", "sync-server", cases),
        by_edit("automerge-repo", "automerge-repo", cases),
        by_edit("samod", "samod", cases),
    ]
}

const fn over(server: &'static str) -> Part {
    part(server, Over { figure: "edits_per_s", server, cases: &FLAT_OUT }, Times, AtLeast(5.0))
}

const fn target(what: &'static str, goal: &'static str, parts: &'static [Part]) -> Target {
    Target { what, goal: Goal::Words(goal), parts }
}

/// Connections of the unauthenticated attackers and of the fifty honest clients.
const STRANGERS: u64 = 5_350;

fn strangers_goal() -> String {
    format!("their p99 ≤ 3 × its quiet value, none dropped; server RSS < {}", memory_bound::words(STRANGERS))
}

fn strangers_mib() -> f64 {
    memory_bound::upper_bound_mib(STRANGERS)
}

/// All targets.
pub const ALL: &[Target] = &[
    target(
        "1,000 viewers, 1 writer at 20/s: p99; server CPU per delivered edit",
        "≤ 50 ms; ≤ 25 µs and ≤ 1.5 × floor",
        &[
            part("p99", Figure(&THOUSAND, "p99_ms"), Millis, AtMost(50.0)),
            part("CPU", Figure(&THOUSAND, CPU), Micros, AtMost(25.0)),
            part("over the floor", Over { figure: CPU, server: "floor", cases: &THOUSAND }, Times, AtMost(1.5)),
        ],
    ),
    target(
        "5,000 viewers, 1 writer at 5/s",
        "all converge, p99 ≤ 250 ms",
        &[
            part("", Figure(&FIVE_THOUSAND, "converged"), Agreement, AtLeast(1.0)),
            part("p99", Figure(&FIVE_THOUSAND, "p99_ms"), Millis, AtMost(250.0)),
        ],
    ),
    target(
        "100 viewers, 4 writers flat out",
        "≥ 1,000 edits/s, converged",
        &[
            part("", Figure(&FLAT_OUT, "edits_per_s"), EditsPerSecond, AtLeast(1_000.0)),
            part("", Figure(&FLAT_OUT, "converged"), Agreement, AtLeast(1.0)),
        ],
    ),
    target(
        "the same against the Node servers and samod",
        "≥ 5 × the edits/s",
        &[over("sync-server"), over("automerge-repo"), over("samod")],
    ),
    target(
        "100 viewers, 1 writer at 20/s, against the Node servers and samod",
        "≥ 10 × less CPU per delivered message",
        &savings(&HUNDRED),
    ),
    target(
        "1,000 viewers, 1 writer at 20/s, against the Node servers and samod",
        "≥ 10 × less CPU per delivered message",
        &savings(&THOUSAND),
    ),
    target(
        "1,000 documents, 400 edits/s",
        "p99 ≤ 25 ms; ≤ 200 µs CPU per edit",
        &[
            part("p99", Figure(&DOCUMENTS, "p99_ms"), Millis, AtMost(25.0)),
            part("CPU", Figure(&DOCUMENTS, "cpu_us_per_edit"), Micros, AtMost(200.0)),
        ],
    ),
    target(
        "history of 1,000 → 100,000 changes",
        "cost per delivery grows < 1.2 ×",
        &[part("", Growth { from: (&SHORT_HISTORY, CPU), to: (&LONG_HISTORY, CPU) }, Times, Below(1.2))],
    ),
    target(
        "cold join of 5,000 positions + 5,000 edits, after the first",
        "≤ 1 ms server CPU",
        &[part("", Figure(&JOIN, "cpu_ms_per_join"), Millis, AtMost(1.0))],
    ),
    target(
        "10 clients back with 500 offline edits each, all agree",
        "≤ 0.5 s, server CPU ≤ 0.2 s",
        &[
            part("", Figure(&OFFLINE, "all_agree_s"), Seconds, AtMost(0.5)),
            part("CPU", Figure(&OFFLINE, "server_cpu_s"), Seconds, AtMost(0.2)),
        ],
    ),
    target(
        "1,000 clients reconnect at once after a restart",
        "all in sync ≤ 3 s",
        &[
            part("", Figure(&COME_BACK, "all_in_sync_s"), Seconds, AtMost(3.0)),
            part("if they have nothing", Figure(&COME_NEW, "all_in_sync_s"), Seconds, AtMost(3.0)),
        ],
    ),
    target(
        "one sequential writer",
        "≥ 1,500 acknowledged (fsynced) edits/s where `fdatasync` takes 0.25 ms",
        &[
            part("", Figure(&SEQUENTIAL, "edits_per_s"), EditsPerSecond, AtLeast(1_500.0)),
            part("`fdatasync`", Figure(&SEQUENTIAL, "fdatasync_us"), Micros, Premise(250.0)),
        ],
    ),
    target(
        "JSON export of 5,000 positions (identity encoding) right after one edit / unchanged",
        "≤ 5 ms / ≤ 0.1 ms (304)",
        &[
            part("after an edit", Figure(&EXPORT, "p50_ms"), Millis, AtMost(5.0)),
            part("unchanged", Figure(&EXPORT, "unchanged_304_p50_ms"), Millis, AtMost(0.1)),
            part("a health check", Figure(&EXPORT, "health_check_p50_ms"), Millis, Any),
        ],
    ),
    target(
        "100,000 positions: import and its peak memory; open to the first copy, and to the first export; the first page of the \
         history, and its extra memory",
        "≤ 5 s, ≤ 600 MiB; ≤ 2.5 s, ≤ 5 s; ≤ 1 s, ≤ 200 MiB",
        &[
            part("import", Figure(&LARGEST, "import_ms"), Millis, AtMost(5_000.0)),
            part("peak", Figure(&LARGEST, "import_peak_mib"), MiB, AtMost(600.0)),
            part("first copy", Figure(&LARGEST, "open_to_sync_ms"), Millis, AtMost(2_500.0)),
            part("first export", Figure(&LARGEST, "open_to_export_ms"), Millis, AtMost(5_000.0)),
            part("history", Figure(&LARGEST, "history_ms"), Millis, AtMost(1_000.0)),
            part("extra", Figure(&LARGEST, "history_extra_mib"), MiB, AtMost(200.0)),
        ],
    ),
    target(
        "20,000 → 100,000 positions",
        "nothing grows with the square: ≤ 7.5 ×",
        &[
            grows("import", "import_ms"),
            grows("first copy", "open_to_sync_ms"),
            grows("first export", "open_to_export_ms"),
            grows("join", "join_ms"),
            grows("edit", "edit_ms"),
            grows("export", "export_ms"),
            grows("history", "history_ms"),
            grows("scenario", "scenario_ms"),
        ],
    ),
    target(
        "RSS: idle server / per idle connection / per open small document",
        "< 15 MiB / ≤ 24 KiB / ≤ 100 KiB",
        &[
            part("idle", Figure(&CONNECTIONS, "rss_before_mib"), MiB, Below(15.0)),
            part("connection", Figure(&CONNECTIONS, "kib_per_connection"), KiB, AtMost(24.0)),
            part("document", Figure(&OPEN, "kib_per_document"), KiB, AtMost(100.0)),
        ],
    ),
    target(
        "cold start with a 100,000-change document",
        "serving within 1 s",
        &[
            part("ready", Figure(&COLD_START, "ready_ms"), Millis, AtMost(1_000.0)),
            part("first answer", Figure(&COLD_START, "first_view_ms"), Millis, AtMost(1_000.0)),
        ],
    ),
    target(
        "100 of 1,000 viewers stop reading for 30 s",
        "the others' p99 unchanged within noise (≤ 1.25 ×); server RSS grows < 10 MiB; the 100 converge after",
        &[
            // Typical difference of a p99 between runs.
            part(
                "p99",
                Growth { from: (&STALLED, "p99_before_ms"), to: (&STALLED, "p99_during_ms") },
                Times,
                AtMost(1.25),
            ),
            part("RSS grows", Figure(&STALLED, "rss_growth_mib"), MiB, Below(10.0)),
            part("", Figure(&STALLED, "converged"), Agreement, AtLeast(1.0)),
        ],
    ),
    target(
        "a key is retired, an account is disabled, 50 connections each, beside 100 viewers and a writer",
        "closed ≤ 1 s after the command was given; the others have every edit",
        &[
            part("key", Figure(&REVOCATION, "retired_key_all_closed_ms"), Millis, AtMost(1_000.0)),
            part("account", Figure(&REVOCATION, "disabled_user_all_closed_ms"), Millis, AtMost(1_000.0)),
            part("", Figure(&REVOCATION, "converged"), Agreement, AtLeast(1.0)),
        ],
    ),
    target(
        "3 servers on PostgreSQL, 1,000 viewers, 20 edits/s: p99 to viewers at the other servers",
        "≤ 20 ms, and ≤ 3 ms beyond the p99 of the server's appends",
        &[
            shared("p99", &SPREAD, "other_servers_p99_ms", Millis, AtMost(20.0)),
            shared("append p99", &SPREAD, "append_p99_ms", Millis, Any),
            shared("beyond it", &SPREAD, "other_servers_p99_beyond_append_ms", Millis, AtMost(3.0)),
            shared("", &SPREAD, "converged", Agreement, AtLeast(1.0)),
        ],
    ),
    target(
        "4 writers flat out on one document at 3 servers on PostgreSQL",
        "≥ 500 edits/s",
        &[
            shared("", &CONTENDED, "edits_per_s", EditsPerSecond, AtLeast(500.0)),
            shared("tries per append", &CONTENDED, "tries_per_append", Plain, Any),
            shared("", &CONTENDED, "converged", Agreement, AtLeast(1.0)),
        ],
    ),
    target(
        "1,000 documents, 400 edits/s at 3 servers: CPU of PostgreSQL per edit",
        "≤ 250 µs",
        &[
            shared("", &SHARED_DOCUMENTS, "database_cpu_us_per_edit", Micros, AtMost(250.0)),
            shared("", &SHARED_DOCUMENTS, "converged", Agreement, AtLeast(1.0)),
        ],
    ),
    target(
        "one of 3 servers on PostgreSQL is killed under load",
        "its clients in sync at the others ≤ 3 s; no acknowledged edit lost",
        &[
            shared("", &KILLED, "all_in_sync_s", Seconds, AtMost(3.0)),
            shared("lost", &KILLED, "acknowledged_edits_lost", Plain, AtMost(0.0)),
            shared("", &KILLED, "converged", Agreement, AtLeast(1.0)),
        ],
    ),
    Target {
        what: "60 s of garbage, bombs, join floods, oversized frames, half-open sockets and 5,000 connections of which 1,000 stall, \
               beside 50 honest clients",
        goal: Goal::Made(strangers_goal),
        parts: &[
            part("p99", Figure(&ATTACK, "p99_attacked_to_quiet"), Times, AtMost(3.0)),
            part("peak RSS", Figure(&ATTACK, "peak_rss_mib"), MiB, BelowMade(strangers_mib)),
            part("", Figure(&ATTACK, "converged"), Agreement, AtLeast(1.0)),
        ],
    },
    target(
        "60 s of everything that one user can do with 40 viewer and 10 editor connections, beside 50 honest clients of another",
        "their p99 ≤ 3 × its quiet value; no client dropped, no request refused, every document writable; RSS below its bound; \
         `SIGTERM` under attack: exit code 0 within 10 s (`--grace`); ready again, and the list of documents answered, ≤ 2 s",
        &[
            part("p99", Figure(&HOSTILE_USER, "p99_attacked_to_quiet"), Times, AtMost(3.0)),
            part("dropped", Figure(&HOSTILE_USER, "dropped_clients"), Plain, AtMost(0.0)),
            part("refused", Figure(&HOSTILE_USER, "refused_requests"), Plain, AtMost(0.0)),
            part("unwritable", Figure(&HOSTILE_USER, "unwritable_documents"), Plain, AtMost(0.0)),
            part("peak RSS", Figure(&HOSTILE_USER, "peak_rss_mib"), MiB, Any),
            part("of its bound", Figure(&HOSTILE_USER, "peak_rss_to_bound"), Times, Below(1.0)),
            part("exit code", Figure(&HOSTILE_USER, "exit_code"), Plain, AtMost(0.0)),
            part("after", Figure(&HOSTILE_USER, "stopped_in_s"), Seconds, AtMost(10.0)),
            part("ready again", Figure(&HOSTILE_USER, "ready_again_s"), Seconds, AtMost(2.0)),
            part("list", Figure(&HOSTILE_USER, "first_list_s"), Seconds, AtMost(2.0)),
            part("", Figure(&HOSTILE_USER, "converged"), Agreement, AtLeast(1.0)),
        ],
    ),
];
