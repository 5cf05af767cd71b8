use super::*;
use crate::format::{Marks, format_when};

const LAKH: Scale<'static> = Scale { marks: Marks::POINT, currency: Some("INR"), unit: 1e5, bare: 1e5 };
const NOW: i64 = 1_800_000_000_000;
const SEED: &[u8] = include_bytes!("../../tests/fixtures/legacy/positions.json");
const ODD: &[u8] = include_bytes!("../../tests/fixtures/legacy/positions-odd.json");

fn run(json: impl AsRef<[u8]>) -> Result<Vec<ImportedRow>, ImportError> {
    let mut made = 0;
    import(json.as_ref(), &LAKH, NOW, &mut || {
        made += 1;
        format!("new-{made}")
    })
}

/// A file of one good row, with one of its keys replaced; an empty replacement takes the key out.
fn with(key: &str, value: &str) -> String {
    let good = [
        ("id", r#""a1""#),
        ("designation", r#""UI""#),
        ("department", r#""HR""#),
        ("budget", "5"),
        ("location", r#""Pune""#),
        ("lastUpdated", r#"["jane doe", "Nov 22, 2026 02:21 PM"]"#),
    ];
    let known = good.iter().any(|(known, _)| *known == key);
    let pairs: Vec<String> = good
        .into_iter()
        .map(|(name, good)| (name, if name == key { value } else { good }))
        .chain((!known).then_some((key, value)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    format!("[{{{}}}]", pairs.join(", "))
}

fn told(json: impl AsRef<[u8]>) -> String {
    run(json).unwrap_err().to_string()
}

#[test]
fn the_shipped_rows_are_imported_in_order() {
    let rows = run(SEED).expect("no odd rows");
    assert_eq!(rows.len(), 60);
    assert!(rows.windows(2).all(|pair| pair[0].created_at_ms > pair[1].created_at_ms));
    assert!(rows.iter().all(|row| row.created_at_ms <= row.updated_at_ms && row.created_at_ms <= NOW));
    let file: Vec<Map<String, Value>> = serde_json::from_slice(SEED).expect("JSON");
    for (row, source) in rows.iter().zip(&file) {
        assert_eq!(row.id, source["id"]);
        assert_eq!(row.designation, source["designation"]);
        assert_eq!(row.budget.to_string(), source["budget"].to_string().trim_matches('"'));
        assert!(matches!(row.budget, Budget::Int(_)));
        assert_eq!(row.updated_by, source["lastUpdated"][0]);
        let when = source["lastUpdated"][1].as_str().expect("text").replace("am", "AM").replace("pm", "PM");
        assert_eq!(format_when(row.updated_at_ms).replace(" 0", " "), when.replace(" 0", " "));
    }
}

#[test]
fn every_row_of_the_odd_file_is_reported_and_nothing_imported() {
    let expected = r#"6 of 6 rows cannot be imported as is, so nothing was imported:
  line 2 (row 1): it has neither "id" nor "lastUpdated"; "department" is "engineering": did you mean "Engineering"?
  line 8 (row 2): it has neither "id" nor "lastUpdated"; "department" is "engineering": did you mean "Engineering"?
  line 14 (row 3): "designation" holds a stray quote, bracket or backslash: "[\"qa"; "department" is "engineering": did you mean "Engineering"?
  line 25 (row 4): "department" is "engineering": did you mean "Engineering"?
  line 36 (row 5): "designation" begins or ends with white space: " \"UI"; "department" begins or ends with white space: " \"Engineering"; "budget": the budget " \"50000" is not a number; "location" begins or ends with white space: " \"Ahmedabad"
  line 47 (row 6): "department" begins or ends with white space: " Senior"; "budget": the budget "Engineering" is not a number"#;
    assert_eq!(told(ODD), expected);
}

#[test]
fn one_odd_row_among_good_ones_stops_the_import() {
    let text = std::str::from_utf8(SEED).expect("UTF-8").replacen("\"budget\": 35,", "\"budget\": \"lots\",", 1);
    let line = 1 + text[..text.find("lots").expect("there")].matches('\n').count() - 4;
    match run(&text) {
        Err(ImportError::OddRows(odd)) => {
            assert_eq!((odd.total, odd.rows.len()), (60, 1));
            assert_eq!((odd.rows[0].line, odd.rows[0].row), (line, 7));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_row_lacks_is_made() {
    let row = run(with("id", "")).expect("fine").remove(0);
    assert_eq!((&*row.id, &*row.updated_by), ("new-1", "jane doe"));
    let row = run(with("lastUpdated", "")).expect("fine").remove(0);
    assert_eq!((&*row.id, &*row.updated_by, row.updated_at_ms, row.created_at_ms), ("a1", "Admin", NOW, NOW));
    let row = run(with("lastUpdated", r#"["", "Jun 4, 2022 11:33 am"]"#)).expect("fine").remove(0);
    assert_eq!((&*row.updated_by, row.updated_at_ms), ("Admin", 1_654_342_380_000));
}

#[test]
fn budgets_become_numbers() {
    for (value, budget) in [
        ("5", Budget::Int(5)),
        ("12.5", Budget::Float(12.5)),
        (r#""11""#, Budget::Int(11)),
        (r#""50,000""#, Budget::Int(50_000)),
        (r#""₹ 1,00,000""#, Budget::Int(100_000)),
    ] {
        assert_eq!(run(with("budget", value)).expect("fine")[0].budget, budget);
    }
}

#[test]
fn every_oddity_is_named() {
    for (key, value, reason) in [
        ("id", r#""""#, r#""id" is empty"#),
        ("id", "7", r#""id" must be text, but it is a number"#),
        ("designation", "", r#""designation" is missing"#),
        ("designation", r#""""#, r#""designation" is empty"#),
        ("designation", "null", r#""designation" must be text, but it is null"#),
        ("designation", r#""UI ""#, r#""designation" begins or ends with white space: "UI ""#),
        (
            "designation",
            r#""say \\\"hi\\""#,
            r#""designation" holds a stray quote, bracket or backslash: "say \\\"hi\\""#,
        ),
        ("department", "[]", r#""department" must be text, but it is a list"#),
        ("department", r#""hr""#, r#""department" is "hr": did you mean "HR"?"#),
        ("budget", "", r#""budget" is missing"#),
        ("budget", "null", r#""budget": the budget must be a number, but it is null"#),
        ("budget", r#""""#, r#""budget": the budget is empty"#),
        ("budget", "-5", r#""budget": the budget cannot be negative"#),
        ("location", "{}", r#""location" must be text, but it is an object"#),
        ("location", r#""Pune]""#, r#""location" holds a stray quote, bracket or backslash: "Pune]""#),
        ("lastUpdated", "null", r#""lastUpdated" must be a list of a name and a date, but it is null"#),
        ("lastUpdated", r#"["Admin"]"#, r#""lastUpdated" must be a list of a name and a date, but it is another list"#),
        ("lastUpdated", r#"["Admin", "now"]"#, r#""lastUpdated": "now" is not a date like "Nov 22, 2026 02:21 PM""#),
        ("salary", "5", r#""salary" is not known, and its value would be lost"#),
    ] {
        let expected =
            format!("1 of 1 row cannot be imported as is, so nothing was imported:\n  line 1 (row 1): {reason}");
        assert_eq!(told(with(key, value)), expected);
    }
    assert!(told(with("budget", "1e999")).contains("it cannot be read: number out of range"));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(told(with("designation", &deep)).contains("it cannot be read: recursion limit exceeded"));
}

#[test]
fn texts_that_only_look_odd_are_fine() {
    for designation in ["[A] UI [B]", "24\\\" monitor", "\\\"Chief\\\" of Staff", "O'Brien", "R&D (EU)", "C\\\\C++"] {
        assert!(run(with("designation", &format!("\"{designation}\""))).is_ok(), "{designation}");
    }
    for department in ["Finance", "", "Engineering"] {
        assert!(run(with("department", &format!("\"{department}\""))).is_ok(), "{department}");
    }
}

#[test]
fn rows_that_are_none_and_ids_of_two_rows() {
    let row = |id: &str| with("id", &format!("\"{id}\"")).trim_matches(['[', ']']).to_owned();
    let file = format!("\n[\n{},\n5, \"x\",\n{},\n\n{}\n]", row("a"), row("b"), row("a"));
    let expected = "3 of 5 rows cannot be imported as is, so nothing was imported:
  line 4 (row 2): it must be an object, but it is a number
  line 4 (row 3): it must be an object, but it is text
  line 7 (row 5): \"id\" \"a\" is that of line 3 too";
    assert_eq!(told(file.replace('\n', "\r\n")), expected);
}

#[test]
fn what_is_no_list_of_rows() {
    assert_eq!(run("[]"), Ok(vec![]));
    assert_eq!(run("\u{feff}[]\n"), Ok(vec![]));
    assert_eq!(told(""), "the file is not JSON: EOF while parsing a value at line 1, column 0");
    assert_eq!(told("[\n  {\"id\": }\n]"), "the file is not JSON: expected value at line 2, column 10");
    assert_eq!(told("[] x"), "the file is not JSON: trailing characters at line 1, column 4");
    assert_eq!(told("\n {}"), "the file must hold a JSON list of positions, but at line 2, column 2 begins an object");
    assert_eq!(told(b"[\n\n\"\xff\"]"), "the file is not UTF-8 text (line 3 is the first that is not)");
}
