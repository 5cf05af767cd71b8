//! The SQL store on real databases: PostgreSQL and MariaDB servers that the tests start, and SQLite.

#![allow(async_fn_in_trait, reason = "tests")]

mod beside;
mod concurrency;
mod conformance;
mod damage;
mod documents;
mod hints;
mod lost_answers;
mod opening;
mod place;
#[path = "../../../../tests/support/ports.rs"]
mod ports;
mod proxy;
mod servers;

/// Runs cases on an engine.
macro_rules! suite {
    ($engine:ident, $place:ty: $($module:ident::{$($case:ident),* $(,)?}),* $(,)?) => {
        mod $engine {
            use super::*;
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$module::$case::<$place>().await;
                }
            )*)*
        }
    };
}

macro_rules! all_cases {
    ($($engine:ident, $place:ty;)*) => {$(
        suite! { $engine, $place:
            documents::{
                unknown_document_is_none, appends_come_back_in_order, documents_do_not_mix,
                empty_append_changes_nothing, large_batches_come_back, lengths_separate_snapshot_and_log,
                compaction_keeps_every_change, foreign_snapshot_is_refused, full_copy_recovers_document,
                closed_document_opens_again, peers_are_remembered, access_records_have_versions,
                log_of_access_records_is_an_empty_document, access_change_makes_appends_behind, removed_document_stays_removed, working_store_is_healthy,
            },
            conformance::{guarantees_of_a_store_hold},
            concurrency::{
                writer_that_has_not_read_is_behind, writers_on_one_document_lose_nothing,
                compaction_runs_beside_appends, access_changes_and_appends_run_beside_each_other,
                positions_tell_which_documents_moved, nodes_that_open_together_migrate_once,
                other_nodes_hear_of_an_append, dropped_append_does_no_harm,
            },
            beside::{
                accounts_are_compared_and_set, revocations_reach_other_nodes, attempts_are_counted_across_nodes,
            },
            damage::{
                damaged_rows_are_named, damaged_snapshot_is_named, lost_rows_make_nodes_reload,
                lost_controls_are_all_read_again,
                schema_of_a_later_version_is_refused, tables_of_another_program_are_refused,
            },
        }
    )*};
}

all_cases! {
    postgres, place::PostgresPlace;
    mariadb, place::MySqlPlace;
    sqlite, place::SqlitePlace;
}
