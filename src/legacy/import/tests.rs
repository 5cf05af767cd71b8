use plan::Marks;

use super::*;
use crate::legacy::format_date;

const LAKH: Scale<'static> = Scale { marks: Marks::POINT, currency: Some("INR"), unit: 1e5, bare: 1e5 };
const NOW: i64 = 1_800_000_000_000;
const SEED: &[u8] = include_bytes!("../../../tests/fixtures/legacy/positions.json");
const ODD: &[u8] = include_bytes!("../../../tests/fixtures/legacy/positions-odd.json");

fn run(json: impl AsRef<[u8]>) -> Result<Vec<ImportedRow>, ImportError> {
    let mut made = 0;
    import(json.as_ref(), &LAKH, NOW, &mut || {
        made += 1;
        format!("new-{made}")
    })
}

/// A file of one valid row, with one of its keys replaced. An empty replacement removes the key.
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

fn error_of(json: impl AsRef<[u8]>) -> String {
    run(json).unwrap_err().to_string()
}

/// The valid rows of a file, and the JSON of the invalid ones.
fn split(json: &[u8]) -> (Vec<ImportedRow>, Vec<&str>) {
    let mut made = 0;
    let mut new_id = || {
        made += 1;
        format!("new-{made}")
    };
    let rows = read_rows(json, &LAKH, NOW, &mut new_id).expect("a list");
    (rows.valid, rows.invalid)
}

#[test]
fn shipped_rows_are_imported_in_order() {
    let rows = run(SEED).expect("only valid rows");
    assert_eq!(rows.len(), 60);
    assert!(rows.windows(2).all(|pair| pair[0].created_at_ms > pair[1].created_at_ms));
    assert!(rows.iter().all(|row| row.created_at_ms <= row.updated_at_ms && row.created_at_ms <= NOW));
    let file: Vec<Map<String, Value>> = serde_json::from_slice(SEED).expect("JSON");
    for (row, source) in rows.iter().zip(&file) {
        assert_eq!(row.id, source["id"]);
        assert_eq!(row.designation, source["designation"]);
        let Some(Budget::Int(budget)) = row.budget else { panic!("{row:?}") };
        assert_eq!(budget.to_string(), source["budget"].to_string().trim_matches('"'));
        assert_eq!(row.updated_by, source["lastUpdated"][0]);
        let when = source["lastUpdated"][1].as_str().expect("text").replace("am", "AM").replace("pm", "PM");
        assert_eq!(format_date(row.updated_at_ms).replace(" 0", " "), when.replace(" 0", " "));
    }
}

#[test]
fn damaged_rows_are_reported_with_line_and_field() {
    let expected = r#"3 of 6 rows cannot be imported as is:
  line 14 (row 3): "designation" holds a stray quote, bracket or backslash: "[\"qa"
  line 36 (row 5): "designation" begins or ends with white space: " \"UI"; "department" begins or ends with white space: " \"Engineering"; "budget": the budget " \"50000" is not a number; "location" begins or ends with white space: " \"Ahmedabad"
  line 47 (row 6): "department" begins or ends with white space: " Senior"; "budget": the budget "Engineering" is not a number"#;
    assert_eq!(error_of(ODD), expected);
}

#[test]
fn valid_rows_are_separated_from_damaged_ones() {
    let (valid, invalid) = split(ODD);
    let fields = |row: &ImportedRow| (row.designation.clone(), row.department.clone(), row.budget);
    let expected = [("Dev", 13), ("Ui", 11), ("qa", 11)];
    let expected =
        expected.map(|(name, budget)| (name.to_owned(), "engineering".to_owned(), Some(Budget::Int(budget))));
    assert_eq!(valid.iter().map(fields).collect::<Vec<_>>(), expected);
    assert!(valid.windows(2).all(|pair| pair[0].created_at_ms > pair[1].created_at_ms));
    // Unchanged, so that a user can correct and import them.
    let file: Vec<Value> = serde_json::from_slice(ODD).expect("JSON");
    let invalid: Vec<Value> = invalid.iter().map(|row| serde_json::from_str(row).expect("JSON")).collect();
    assert_eq!(invalid, [file[2].clone(), file[4].clone(), file[5].clone()]);
}

#[test]
fn long_reports_list_twenty_rows_and_count_the_others() {
    let rows = vec![r#"{"designation": "UI"}"#; 5_000].join(",\n");
    let report = error_of(format!("[{rows}]"));
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines.len(), 22);
    assert_eq!(lines[1], "  line 1 (row 1): \"department\" is missing; \"location\" is missing");
    assert_eq!(lines[21], "  and 4980 more");
    let keys: Vec<String> = (0..1_000).map(|key| format!("\"{key}\": \"{}\"", "x".repeat(100))).collect();
    let wide = error_of(format!("[{{{}}}]", keys.join(",")));
    assert!(wide.ends_with("; and 993 more problems") && wide.len() < 1_000, "{wide}");
}

#[test]
fn one_damaged_row_stops_the_import() {
    let text = std::str::from_utf8(SEED).expect("UTF-8").replacen("\"budget\": 35,", "\"budget\": \"lots\",", 1);
    let line = 1 + text[..text.find("lots").expect("there")].matches('\n').count() - 4;
    match run(&text) {
        Err(ImportError::Rows(report)) => {
            assert_eq!((report.total, report.rows.len()), (60, 1));
            assert_eq!((report.rows[0].line, report.rows[0].row), (line, 7));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn missing_ids_and_dates_are_generated() {
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
        assert_eq!(run(with("budget", value)).expect("fine")[0].budget, Some(budget));
    }
}

#[test]
fn absent_budgets_are_unknown_and_not_zero() {
    for value in ["", "null", r#""""#, r#"" ""#, r#""-""#, "\"\u{200b}\""] {
        assert_eq!(run(with("budget", value)).expect("fine")[0].budget, None, "{value:?}");
    }
    assert_eq!(run(with("budget", "0")).expect("fine")[0].budget, Some(Budget::Int(0)));
}

#[test]
fn repeated_keys_are_reported() {
    let row = |more: &str| with("location", &format!("\"Pune\", {more}"));
    assert!(
        error_of(row(r#""budget": 6"#))
            .ends_with("line 1 (row 1): it cannot be read: the key \"budget\" appears twice")
    );
    assert!(error_of(row(r#""lastUpdated": {"a": 1, "a": 2}"#)).contains("appears twice"));
}

#[test]
fn every_problem_names_its_field() {
    for (key, value, reason) in [
        ("id", r#""""#, r#""id" is empty"#),
        (
            "id",
            r#""..""#,
            r#""id" ".." must not be . or .. (or their encoded forms, such as %2e), which URLs do not keep"#,
        ),
        ("id", r#""a/b""#, r#""id" "a/b" must not hold / or \, which separate the segments of a URL"#),
        ("id", r#""a\nb""#, r#""id" "a\nb" must not hold control characters"#),
        ("designation", "\"\u{200b}\u{feff}\"", r#""designation" is empty"#),
        (
            "lastUpdated",
            r#"["a\nb", "Nov 22, 2026 02:21 PM"]"#,
            r#""lastUpdated": the name "a\nb" must not hold control characters"#,
        ),
        (
            "lastUpdated",
            r#"["a\u0007", "now"]"#,
            r#""lastUpdated": the name "a\u{7}" must not hold control characters; "lastUpdated": "now" is not a date like "Nov 22, 2026 02:21 PM""#,
        ),
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
        ("budget", "-5", r#""budget": the budget cannot be negative"#),
        ("location", "{}", r#""location" must be text, but it is an object"#),
        ("location", r#""Pune]""#, r#""location" holds a stray quote, bracket or backslash: "Pune]""#),
        ("lastUpdated", "null", r#""lastUpdated" must be a list of a name and a date, but it is null"#),
        ("lastUpdated", r#"["Admin"]"#, r#""lastUpdated" must be a list of a name and a date, but it is another list"#),
        ("lastUpdated", r#"["Admin", "now"]"#, r#""lastUpdated": "now" is not a date like "Nov 22, 2026 02:21 PM""#),
        ("salary", "5", r#""salary" is unknown, and its value would be lost"#),
    ] {
        let expected = format!("1 of 1 row cannot be imported as is:\n  line 1 (row 1): {reason}");
        assert_eq!(error_of(with(key, value)), expected);
    }
    let long = error_of(with("lastUpdated", &format!(r#"["{}", "Nov 22, 2026 02:21 PM"]"#, "x".repeat(201))));
    assert!(long.ends_with("… must not be longer than 200 characters") && long.len() < 200, "{long}");
    let long = |letter: &str, count: usize| format!("\"{}\"", letter.repeat(count));
    assert!(error_of(with("location", &long("é", 1_001))).ends_with("\"location\" is longer than 1000 characters"));
    assert!(run(with("location", &long("👩", 1_000))).is_ok());
    assert!(error_of(with("budget", "1e999")).contains("it cannot be read: number out of range"));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(error_of(with("designation", &deep)).contains("it cannot be read: recursion limit exceeded"));
}

#[test]
fn texts_that_only_look_damaged_are_valid() {
    for designation in ["[A] UI [B]", "24\\\" monitor", "\\\"Chief\\\" of Staff", "O'Brien", "R&D (EU)", "C\\\\C++"] {
        assert!(run(with("designation", &format!("\"{designation}\""))).is_ok(), "{designation}");
    }
    for department in ["Finance", "", " ", "Engineering", "engineering", "hr"] {
        assert!(run(with("department", &format!("\"{department}\""))).is_ok(), "{department}");
    }
}

#[test]
fn other_values_and_repeated_ids_are_reported() {
    let row = |id: &str| with("id", &format!("\"{id}\"")).trim_matches(['[', ']']).to_owned();
    let file = format!("\n[\n{},\n5, \"x\",\n{},\n\n{}\n]", row("a"), row("b"), row("a"));
    let expected = "3 of 5 rows cannot be imported as is:
  line 4 (row 2): it must be an object, but it is a number
  line 4 (row 3): it must be an object, but it is text
  line 7 (row 5): \"id\" \"a\" is also that of line 3";
    assert_eq!(error_of(file.replace('\n', "\r\n")), expected);
}

#[test]
fn file_must_be_a_json_array() {
    assert_eq!(run("[]"), Ok(vec![]));
    assert_eq!(run("\u{feff}[]\n"), Ok(vec![]));
    assert_eq!(error_of(""), "the file is not JSON: EOF while parsing a value at line 1, column 0");
    assert_eq!(error_of("[\n  {\"id\": }\n]"), "the file is not JSON: expected value at line 2, column 10");
    assert_eq!(error_of("[] x"), "the file is not JSON: trailing characters at line 1, column 4");
    assert_eq!(
        error_of("\n {}"),
        "the file must hold a JSON list of positions, but at line 2, column 2 begins an object"
    );
    assert_eq!(error_of(b"[\n\n\"\xff\"]"), "the file is not UTF-8 text (line 3 is the first that is not)");
}
