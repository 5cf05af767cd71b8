//! An observer of rows, like a legacy client: its events must add up to the rows of the view.

use std::collections::BTreeMap;

use plan::{Form, RowEvent, View, ViewChange};
use runtime::hub::{Outgoing, Text};

/// Rows by their ids, rendered.
pub type Rows = BTreeMap<String, String>;

/// Renders changes as one line per row.
pub fn tell(change: &ViewChange) -> Vec<Text> {
    let line = |event: &RowEvent| match event {
        RowEvent::Deleted(id) => format!("- {id}"),
        RowEvent::Added(row) | RowEvent::Edited(row) | RowEvent::Extended(row) => {
            format!("+ {} {}", row.position.id, String::from_utf8_lossy(row.form(Form::Json)))
        }
    };
    change.rows.iter().map(|event| Text::from(line(event))).collect()
}

/// All rows of a view.
pub fn of(view: &View) -> Rows {
    let rows = view
        .rows()
        .map(|row| (row.position.id.to_string(), String::from_utf8_lossy(row.form(Form::Json)).into_owned()));
    rows.collect()
}

/// Applies an event.
pub fn follow(rows: &mut Rows, outgoing: &Outgoing) {
    let Outgoing::Texts(texts) = outgoing else { return };
    for text in texts.iter() {
        let line = std::str::from_utf8(text.bytes()).expect("text");
        match line.split_once(' ') {
            Some(("-", id)) => {
                rows.remove(id);
            }
            Some(("+", row)) => {
                let (id, json) = row.split_once(' ').expect("an id and a row");
                rows.insert(id.to_owned(), json.to_owned());
            }
            _ => panic!("{line}"),
        }
    }
}
