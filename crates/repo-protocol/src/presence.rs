//! Content of ephemeral presence messages in the format of automerge-repo's `Presence` (2.5.6).

use super::encode::Writer;

/// Marks people on legacy clients.
const SURFACE: &str = "legacy";

/// Announces all people that are present. Does not replace other presence state of the sender.
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

/// Announces that the sender has left, and withdraws its presence state.
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
    fn snapshot_names_people_and_their_surface() {
        let expected = [
            &b"\xa1\x6a__presence\xa2\x64type\x68snapshot\x65state\xa1\x66people\x82"[..],
            b"\xa2\x64name\x63CFO\x67surface\x66legacy",
            b"\xa2\x64name\x65J\xc3\xb6rg\x67surface\x66legacy",
        ];
        assert_eq!(snapshot(["CFO", "Jörg"].into_iter()), expected.concat());
        assert!(snapshot(std::iter::repeat_n("x", 24)).windows(9).any(|part| part == b"people\x98\x18\xa2"));
    }

    #[test]
    fn goodbye_has_no_state() {
        assert_eq!(goodbye(), b"\xa1\x6a__presence\xa1\x64type\x67goodbye");
    }
}
