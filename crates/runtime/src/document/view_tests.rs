//! Views that are built from a copy, while the document changes.

use plan::snapshot;

use super::tests::{NO_FORMS, author, load, plan, position};
use super::*;

fn edit(document: &mut Document, edit: plan::Edit) {
    let mut applied =
        document.engine.apply(vec![Item::Edit { edit: AuthoredEdit { edit, author: author() }, by: None }]);
    assert!(matches!(applied.outcomes[..], [Outcome::Edited(Ok(_))]), "{applied:?}");
    document.publish(&mut applied, |_| true);
}

#[test]
fn view_of_a_copy_is_brought_up_to_date() {
    let (mut document, _) = plan();
    let of_copy = View::new(&document.copy(), NO_FORMS);
    edit(&mut document, plan::Edit::AddAll(vec![position("q"), position("r")]));
    edit(&mut document, plan::Edit::Delete { id: "p".to_owned() });
    let view = document.set_view(of_copy).unwrap();
    let expected = View::new(document.engine.automerge(), NO_FORMS);
    assert_eq!(snapshot(&plan::read_view(&view)), snapshot(&expected));
    assert_eq!(plan::read_view(&view).heads(), document.engine.heads());
    // From now on it follows the document.
    edit(&mut document, plan::Edit::Add(position("s")));
    assert!(plan::read_view(&view).get("s").is_some());
    assert!(Arc::ptr_eq(&view, document.existing_view().unwrap()));
}

#[test]
fn view_of_another_document_is_refused() {
    let (mut document, _) = plan();
    edit(&mut document, plan::Edit::Add(position("q")));
    let newer = View::new(&document.copy(), NO_FORMS);
    let mut other = load(&[]);
    assert!(other.set_view(newer).is_none());
    assert!(other.existing_view().is_none());
}
