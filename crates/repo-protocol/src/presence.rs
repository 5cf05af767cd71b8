//! The content of an ephemeral message as automerge-repo's `Presence` (2.5.6) reads it.

use super::encode::Writer;

/// What the names of people on legacy clients are marked with.
const SURFACE: &str = "legacy";

/// These people are here. (The rest of what the sender has said of itself stays.)
#[must_use]
pub fn snapshot<'a>(people: impl ExactSizeIterator<Item = &'a str>) -> Vec<u8> {
    let mut out = Writer::presence(2);
    out.pair("type", "snapshot");
    out.text("state");
    out.map(1);
    out.text("people");
    out.array(people.len());
    for name in people {
        out.map(2);
        out.pair("name", name);
        out.pair("surface", SURFACE);
    }
    out.into_bytes()
}

/// The sender is not here any more, and what it has said of itself does not hold.
#[must_use]
pub fn goodbye() -> Vec<u8> {
    let mut out = Writer::presence(1);
    out.pair("type", "goodbye");
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_names_people_and_how_they_are_here() {
        let expected = [
            &b"\xa1\x6a__presence\xa2\x64type\x68snapshot\x65state\xa1\x66people\x82"[..],
            b"\xa2\x64name\x63CFO\x67surface\x66legacy",
            b"\xa2\x64name\x65J\xc3\xb6rg\x67surface\x66legacy",
        ];
        assert_eq!(snapshot(["CFO", "Jörg"].into_iter()), expected.concat());
        assert!(snapshot(std::iter::repeat_n("x", 24)).windows(9).any(|part| part == b"people\x98\x18\xa2"));
    }

    #[test]
    fn a_goodbye_says_nothing_else() {
        assert_eq!(goodbye(), b"\xa1\x6a__presence\xa1\x64type\x67goodbye");
    }
}
