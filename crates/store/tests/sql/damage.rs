//! Rows that were changed without the store, and foreign databases.

use store::conformance::{TestEditor, id};
use store::sql::{ChainDamage, DatabaseError, DatabaseOpenError, SCHEMA_VERSION};
use store::{After, Appended, Batch, Position};

use crate::documents::{append, bytes};
use crate::place::Place;

pub async fn damaged_rows_are_named<P: Place>() {
    for (sql, damage) in [
        ("DELETE FROM batch WHERE seq = 2", ChainDamage::Gap { missing: 2, next: 3 }),
        ("UPDATE batch SET authors = chunks WHERE seq = 2", ChainDamage::Tip(2)),
        ("UPDATE batch SET kind = 9 WHERE seq = 2", ChainDamage::UnknownKind { seq: 2, kind: 9 }),
        (
            "UPDATE batch SET tip = (SELECT t FROM (SELECT tip AS t FROM batch WHERE seq = 1) x) WHERE seq = 2",
            ChainDamage::Tip(2),
        ),
    ] {
        let place = P::new().await;
        let (store, mut author, mut at) = (place.open().await, TestEditor::new(), Position::START);
        let healthy = TestEditor::new().edit();
        append(&store, 2, Position::START, &healthy).await;
        for _ in 0..3 {
            (at, _) = append(&store, 1, at, &author.edit()).await;
        }
        let rows = sql.replace("WHERE", &format!("WHERE document = '{}' AND", id(1)));
        place.sql(&rows).await;
        let store = place.open().await;
        match store.load(&id(1)).await {
            Err(DatabaseError::Damaged { damage: found, .. }) => assert_eq!(found, damage, "{sql}"),
            other => panic!("{sql}: {other:?}"),
        }
        assert_eq!(store.health().unavailable.len(), 1);
        let error = store.after(&id(1), Position::START).await;
        assert!(matches!(error, Err(DatabaseError::Damaged { .. })), "{sql}: {error:?}");
        assert!(store.raw(&id(1)).await.expect("reads").is_some(), "the remaining content can be saved");
        assert_eq!(bytes(&store, 2).await, Some(healthy), "others serve");
    }
}

pub async fn damaged_snapshot_is_named<P: Place>() {
    let place = P::new().await;
    let (store, mut author) = (place.open().await, TestEditor::new());
    let (at, _) = append(&store, 1, Position::START, &author.edit()).await;
    store.compact(&id(1), at, author.save()).await.expect("compacts");
    place.sql("UPDATE snapshot SET bytes = sha256").await;
    let store = place.open().await;
    let error = store.load(&id(1)).await;
    assert!(matches!(error, Err(DatabaseError::Damaged { damage: ChainDamage::Snapshot(1), .. })), "{error:?}");
    assert!(error.expect_err("damaged").to_string().contains("backup"));
}

pub async fn lost_rows_make_nodes_reload<P: Place>() {
    let place = P::new().await;
    let (store, mut author) = (place.open().await, TestEditor::new());
    let (first, _) = append(&store, 1, Position::START, &author.edit()).await;
    let (second, _) = append(&store, 1, first, &author.edit()).await;
    // A failover to an asynchronous standby loses the last rows.
    place.sql("DELETE FROM batch WHERE seq = 2").await;
    let batch = Batch::changes(author.edit(), Vec::new());
    assert_eq!(store.append(&id(1), second, batch).await.expect("answers"), Appended::Behind);
    assert_eq!(store.after(&id(1), second).await.expect("reads"), After::Reload);
    // The node still has the changes, and stores them again.
    let (at, _) = store.recover(&id(1), author.save()).await.expect("recovers");
    assert_eq!(at.seq, 2);
    assert_eq!(TestEditor::count_edits(&bytes(&place.open().await, 1).await.expect("stored")), 3);
}

pub async fn lost_controls_are_all_read_again<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    for (version, record) in ["one", "two", "three"].into_iter().enumerate() {
        store.change_access(&id(1), version as u64, record.into()).await.expect("stores");
    }
    assert_eq!(store.control_since(3).await.expect("reads"), (3, Vec::new()));
    place.sql("DELETE FROM control WHERE revision > 1").await;
    let (revision, controls) = store.control_since(3).await.expect("reads");
    assert_eq!((revision, controls.len()), (1, 1));
    place.sql("DELETE FROM control").await;
    assert_eq!(store.control_since(1).await.expect("reads"), (0, Vec::new()));
}

pub async fn schema_of_a_later_version_is_refused<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    append(&store, 1, Position::START, &TestEditor::new().edit()).await;
    let set = |version: u64, oldest: u64| {
        format!(
            "UPDATE meta SET value = '{version}' WHERE name = 'schema version'; \
             UPDATE meta SET value = '{oldest}' WHERE name LIKE 'oldest%'"
        )
    };
    let later = SCHEMA_VERSION + 1;
    for statement in set(later, later).split("; ") {
        place.sql(statement).await;
    }
    match place.try_open().await.err() {
        Some(DatabaseOpenError::SchemaNewer { found, known }) => assert_eq!((found, known), (later, SCHEMA_VERSION)),
        other => panic!("{other:?}"),
    }
    for statement in set(later, SCHEMA_VERSION).split("; ") {
        place.sql(statement).await;
    }
    assert!(bytes(&place.open().await, 1).await.is_some(), "a later version that we can use");
}

pub async fn tables_of_another_program_are_refused<P: Place>() {
    let place = P::new().await;
    // The engine's own file must exist first.
    place.sql("CREATE TABLE document (something INTEGER)").await;
    match place.try_open().await.err() {
        Some(error @ DatabaseOpenError::ForeignTables { .. }) => assert!(error.to_string().contains("`document`")),
        other => panic!("{other:?}"),
    }
}
