//! The export as an Excel workbook, as another program reads it.
use std::io::Cursor;

use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT};
use calamine::{Data, Reader, Xlsx};
use serde_json::json;

use crate::support::{Answer, PlainPeer, TestServer};

const EXPORT: &str = "/api/documents/default/export.xlsx";
const POSITIONS: &str = "/api/documents/default/positions";

/// The rows of the sheet, without empty cells at their ends.
fn rows(answer: &Answer) -> Vec<Vec<Data>> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(answer.body.to_vec())).unwrap();
    assert_eq!(book.sheet_names(), ["Positions"]);
    let range = book.worksheet_range("Positions").unwrap();
    range.rows().map(<[Data]>::to_vec).collect()
}

fn text(cell: &Data) -> String {
    match cell {
        Data::DateTime(time) => {
            let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
            format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        }
        cell => cell.to_string(),
    }
}

#[tokio::test]
async fn numbers_dates_and_texts_keep_their_types() {
    let server = TestServer::start().await;
    let body = json!({
        "id": "007", "designation": "=1+1", "department": "R & D", "budget": 12.5, "location": "42", "status": "approved",
        "start": "2027-06",
    });
    let made = server.send("POST", POSITIONS, &body).await.expect(201);
    let answer = server.get(EXPORT).await;
    let rows = rows(&answer);
    assert_eq!(
        rows[0].iter().map(text).collect::<Vec<_>>(),
        [
            "id",
            "designation",
            "department",
            "budget",
            "location",
            "updatedBy",
            "updatedAt",
            "createdAt",
            "status",
            "start",
            "end"
        ]
    );
    let row = &rows[1];
    for (column, expected) in [(0, "007"), (1, "=1+1"), (2, "R & D"), (4, "42"), (5, "api"), (8, "approved")] {
        assert_eq!(row[column], Data::String(expected.to_owned()), "{column}");
    }
    assert_eq!(row[3], Data::Float(12.5));
    assert_eq!((text(&row[9]), &row[10]), ("2027-06-01 00:00:00".to_owned(), &Data::Empty));
    let created = made["createdAt"].as_str().unwrap().replace('T', " ");
    assert!(matches!(row[7], Data::DateTime(_)) && created.starts_with(&text(&row[7])), "{row:?} {created}");
    assert_eq!(answer.header("happierwork-omitted"), "0");
    assert!(answer.header("content-disposition").contains(".xlsx"), "{answer:?}");
    assert!(answer.header("etag").starts_with("W/"));
}

#[tokio::test]
async fn workbook_has_the_rows_of_the_csv_export() {
    let server = TestServer::start().await;
    server.import(include_bytes!("../fixtures/legacy/positions.json")).await;
    let csv = server.get("/api/documents/default/export.csv").await;
    let mut reader = csv::Reader::from_reader(csv.text().trim_start_matches('\u{feff}').as_bytes());
    let ids: Vec<String> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
    let rows = rows(&server.get(EXPORT).await);
    assert_eq!(rows[1..].iter().map(|row| text(&row[0])).collect::<Vec<_>>(), ids);
    assert!(ids.len() > 50 && rows[1..].iter().all(|row| matches!(row[3], Data::Float(_))), "{}", ids.len());
}

#[tokio::test]
async fn columns_and_unknown_fields_are_shown_and_omissions_counted() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.add("cook", "Cook", "Kitchen", 5);
    let columns = peer.doc.put_object(ROOT, "columns", ObjType::Map).unwrap();
    for (key, title, kind) in
        [("colgrade", "Grade", "text"), ("colsince", "Since", "date"), ("coltwin", "Grade", "number")]
    {
        let column = peer.doc.put_object(&columns, key, ObjType::Map).unwrap();
        peer.put_text(&column, "title", title);
        peer.put_text(&column, "type", kind);
    }
    let row = peer.row("cook").unwrap();
    peer.put_text(&row, "colgrade", "A");
    peer.put_text(&row, "colsince", "2027-06-15");
    peer.doc.put(&row, "coltwin", 7).unwrap();
    peer.doc.put(&row, "remote", true).unwrap();
    peer.doc.put(&row, "ratio", f64::NAN).unwrap();
    peer.doc.put(&row, "serial", 9_007_199_254_740_993_u64).unwrap();
    peer.put_text(&row, "notes", &"x".repeat(40_000));
    peer.until_acknowledged().await;

    let answer = server.get(EXPORT).await;
    let rows = rows(&answer);
    let heads: Vec<String> = rows[0][11..].iter().map(text).collect();
    assert_eq!(
        heads,
        ["Grade", "Since", "coltwin", "notes", "ratio", "remote", "serial"],
        "a title that is taken is the key"
    );
    let row = &rows[1][11..];
    assert_eq!((text(&row[0]), text(&row[1])), ("A".to_owned(), "2027-06-15 00:00:00".to_owned()));
    assert_eq!((&row[2], &row[4], &row[5]), (&Data::Float(7.0), &Data::Empty, &Data::Bool(true)));
    assert_eq!(text(&row[3]), "x".repeat(32_767));
    assert_eq!(row[6], Data::String("9007199254740993".to_owned()), "a cell with a number would round it");
    assert_eq!(answer.header("happierwork-omitted"), "2", "the ratio, and the end of the notes");
}
