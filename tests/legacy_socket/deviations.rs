//! Intended deviations from the original: for each scenario, the proposal of docs/legacy.md that requires it, and the
//! frames that are sent instead.
//!
//! Two are not listed, because they are everywhere: P-6 (no news of newcomers), and P-4 (one more key).

/// A scenario in which other frames are expected than were recorded.
pub struct Deviation {
    pub scenario: &'static str,
    pub proposals: &'static str,
    /// The number of acts of clients (frames, closings, and openings of `late` or on other paths) that are as recorded,
    /// with all frames received before the last of them.
    pub from: usize,
    /// The frames that follow instead of the rest.
    pub then: &'static [&'static str],
}

const INVALID: &[&str] = &[r#"sender < {"error": "Invalid JSON data"}"#];
const GREETED: &[&str] = &[r#"sender < {"type": "login_update", "login_update": true, "logged_in_users": {}}"#];

/// A scenario whose first frame gets another answer.
const fn answer(scenario: &'static str, proposals: &'static str, then: &'static [&'static str]) -> Deviation {
    Deviation { scenario, proposals, from: 1, then }
}

/// The frames that all clients receive after an `add`.
macro_rules! added {
    ($designation:literal, $department:literal, $budget:literal, $location:literal) => {
        &[
            r#"sender < {"status": "Data processed"}"#,
            concat!("sender < ", entry!($designation, $department, $budget, $location)),
            r#"sender < {"status": "Data added successfully", "elementID": null, "loginData": null}"#,
            concat!("observer < ", entry!($designation, $department, $budget, $location)),
            r#"observer < {"status": "Data added successfully", "elementID": null, "loginData": null}"#,
        ]
    };
}

macro_rules! entry {
    ($designation:literal, $department:literal, $budget:literal, $location:literal) => {
        concat!(
            r#"{"status": "Data added successfully", "entry": {"id": "__ID1__", "lastUpdated": ["Admin", "__TIME__"], "#,
            r#""designation": "#,
            $designation,
            r#", "department": "#,
            $department,
            r#", "budget": "#,
            $budget,
            r#", "location": "#,
            $location,
            "}}"
        )
    };
}

/// The frames to the sender of a refused request.
macro_rules! refused {
    ($reason:literal) => {
        &[concat!(r#"sender < {"error": ""#, $reason, r#""}"#), r#"sender < {"status": "Data processed"}"#]
    };
}

#[rustfmt::skip]
pub const DEVIATIONS: &[Deviation] = &[
    // Connecting: the old live URL and the path without a slash work.
    answer("connect_path_root", "P-17", GREETED),
    answer("connect_path_without_slash", "P-17", GREETED),

    // The inner text is JSON and parsed as such: fields keep commas, quotes and white space.
    answer("add_readme_raw_array", "P-1", added!(r#""UI""#, r#""Engineering""#, r#""50000""#, r#""Ahmedabad""#)),
    answer("add_double_encoded_spaced", "P-1", added!(r#""UI""#, r#""Engineering""#, r#""50000""#, r#""Ahmedabad""#)),
    answer("add_comma_in_designation", "P-1", added!(r#""Engineer, Senior""#, r#""Engineering""#, r#""50000""#, r#""Ahmedabad""#)),
    answer("add_comma_in_location", "P-1", added!(r#""UI""#, r#""Engineering""#, r#""50000""#, r#""Ahmedabad, India""#)),
    answer("add_comma_in_budget", "P-1 P-7", added!(r#""UI""#, r#""Engineering""#, r#""50000""#, r#""Ahmedabad""#)),
    answer("add_quotes_in_field", "P-1", added!(r#""the \"best\" dev""#, r#""Engineering""#, r#""50000""#, r#""say \"hi\"""#)),
    answer("add_apostrophes", "P-1", added!(r#""'UI'""#, r#""Other""#, r#""50000""#, r#""Ahmedabad'""#)),
    // A department that the client does not know is sent as Other.
    answer("add_backslash_newline", "P-1", added!(r#""a\\b""#, r#""Other""#, r#""50000""#, r#""tab\there""#)),
    answer("delete_raw_array", "P-1", &[
        r#"sender < {"status": "Data deleted successfully"}"#,
        r#"sender < {"status": "Data processed"}"#,
        r#"sender < {"status": "Data deleted successfully", "deleted_id": "0be30cc0d3f126"}"#,
        r#"observer < {"status": "Data deleted successfully", "deleted_id": "0be30cc0d3f126"}"#,
    ]),
    answer("tracking_raw_array", "P-1", &[
        r#"sender < {"status": "Data processed"}"#,
        r#"sender < {"status": "tracking successfully", "elementID": "createPositionBtn", "loginData": null}"#,
        r#"observer < {"status": "tracking successfully", "elementID": "createPositionBtn", "loginData": null}"#,
    ]),
    answer("json_object_raw", "P-1", &[r#"sender < {"status": "Data processed"}"#]),

    // Unreadable frames are answered, and the connection stays open.
    answer("malformed_json", "P-2", INVALID),
    answer("empty_frame", "P-2", INVALID),
    answer("binary_frame", "P-2", INVALID),
    answer("binary_frame_empty", "P-2", INVALID),
    answer("json_null", "P-2", INVALID),
    answer("json_number", "P-2", INVALID),
    answer("json_true", "P-2", INVALID),
    answer("json_string_empty", "P-2", INVALID),
    answer("json_string_no_comma", "P-2", INVALID),
    answer("json_array_empty_double", "P-2", INVALID),
    answer("delete_without_id", "P-2", INVALID),
    answer("tracking_without_id", "P-2", INVALID),
    answer("frame_after_kill", "P-2", &[
        r#"sender < {"error": "Invalid JSON data"}"#,
        r#"sender > "[\"tracking\",\"a1\"]""#,
        r#"sender < {"status": "Data processed"}"#,
        r#"sender < {"status": "tracking successfully", "elementID": "a1", "loginData": null}"#,
        r#"observer < {"status": "tracking successfully", "elementID": "a1", "loginData": null}"#,
        r#"observer > "[\"tracking\",\"b1\"]""#,
        r#"observer < {"status": "Data processed"}"#,
        r#"observer < {"status": "tracking successfully", "elementID": "b1", "loginData": null}"#,
        r#"sender < {"status": "tracking successfully", "elementID": "b1", "loginData": null}"#,
    ]),
    answer("add_too_few_fields", "P-2", refused!(
        "Failed to add data: designation, department, budget and location are needed, in this order, but there are 2 fields")),
    answer("add_too_few_fields_4", "P-2", refused!(
        "Failed to add data: designation, department, budget and location are needed, in this order, but there are 3 fields")),
    answer("add_empty_fields", "P-1 P-2", refused!("Failed to add data: the designation is empty")),
    answer("add_null_and_bool", "P-1 P-2", refused!("Failed to add data: the designation must be text")),
    answer("add_text_budget", "P-7", refused!(r#"Failed to add data: the budget \"lots\" is not a number"#)),

    // A failed write: the recorded order of frames, and a reason without paths and internals.
    answer("add_data_file_missing", "P-2 P-18", refused!(
        "Failed to add data: the server cannot write at the moment; the change was not stored")),
    answer("add_data_file_corrupt", "P-2 P-18", refused!(
        "Failed to add data: the server cannot write at the moment; the change was not stored")),
    answer("add_data_file_empty", "P-2 P-18", refused!(
        "Failed to add data: the server cannot write at the moment; the change was not stored")),
    // The client has removed the row from its own table already, so it gets the row back.
    answer("delete_data_file_corrupt", "P-2 P-18", &[
        r#"sender < {"error": "Failed to delete data: the server cannot write at the moment; the change was not stored"}"#,
        r#"sender < {"status": "Data processed"}"#,
        r#"sender < {"status": "Data added successfully", "entry": {"id": "0be30cc0d3f126"}}"#,
        r#"sender < {"status": "Data added successfully", "elementID": null, "loginData": null}"#,
    ]),

    // A closed socket has left.
    Deviation { scenario: "login_then_disconnect", proposals: "P-5", from: 2, then: &[
        r#"observer < {"type": "login_update", "login_update": true, "logged_in_users": {}}"#,
        "late opens",
        r#"late < {"type": "login_update", "login_update": true, "logged_in_users": {}}"#,
    ]},
    Deviation { scenario: "logout_object", proposals: "P-5", from: 2, then: &[
        r#"sender < {"status": "Data processed"}"#,
        r#"sender < {"type": "login_update", "login_update": true, "logged_in_users": {}}"#,
        r#"observer < {"type": "login_update", "login_update": true, "logged_in_users": {}}"#,
    ]},
];
