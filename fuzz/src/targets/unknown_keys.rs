//! Frames of automerge-repo with unknown keys.

use arbitrary::Arbitrary;
use bytes::Bytes;
use minicbor::Encoder;
use minicbor::encode::Error;

use super::structure::{Count, structured};

/// Maximum depth of nested values.
const DEEPEST: u8 = 20;

/// A frame: its own keys, with unknown ones in between.
#[derive(Debug, Arbitrary)]
struct Frame<'a> {
    kind: Kind,
    data: &'a [u8],
    /// Whether the map has a definite length.
    counted: bool,
    unknown: Vec<Unknown<'a>>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Kind {
    Sync,
    Request,
    Ephemeral,
    RemoteSubscriptionChange,
    Leave,
    Unheard,
}

/// An unknown key.
#[derive(Debug, Arbitrary)]
struct Unknown<'a> {
    /// Position among the frame's own keys.
    at: u8,
    key: Key<'a>,
    value: Value<'a>,
}

#[derive(Debug, Arbitrary)]
enum Key<'a> {
    Text(&'a str),
    Long(Count),
    Number(u64),
}

#[derive(Debug, Arbitrary)]
enum Value<'a> {
    Number(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// This number of zero bytes.
    Long(Count),
    /// This number of nested lists.
    Nested(u8),
    /// A list of this number of integers.
    Wide(Count),
    /// Bytes in this number of parts.
    Parts(u8),
}

/// Unknown keys do not change the meaning of a frame, or it is refused.
pub fn unknown_keys(bytes: &[u8]) {
    let Some(frame) = structured::<Frame<'_>>(bytes) else { return };
    let (Ok(plain), Ok(padded)) = (frame.encode(&[]), frame.encode(&frame.unknown)) else { return };
    let plain = repo_protocol::decode(&Bytes::from(plain));
    if let Ok(padded) = repo_protocol::decode(&Bytes::from(padded)) {
        let plain = plain.expect("a frame that is refused without unknown keys is refused with them");
        assert_eq!(format!("{plain:?}"), format!("{padded:?}"));
    }
}

type Out = Encoder<Vec<u8>>;
type Written = Result<(), Error<std::convert::Infallible>>;

impl Frame<'_> {
    fn encode(&self, unknown: &[Unknown<'_>]) -> Result<Vec<u8>, Error<std::convert::Infallible>> {
        let (name, own): (&str, &[&str]) = match self.kind {
            Kind::Sync => ("sync", &["type", "senderId", "targetId", "documentId", "data"]),
            Kind::Request => ("request", &["type", "senderId", "targetId", "documentId", "data"]),
            Kind::Ephemeral => {
                ("ephemeral", &["type", "senderId", "targetId", "documentId", "data", "count", "sessionId"])
            }
            Kind::RemoteSubscriptionChange => ("remote-subscription-change", &["type", "senderId", "targetId"]),
            Kind::Leave => ("leave", &["type", "senderId"]),
            Kind::Unheard => ("unheard-of", &["type", "senderId"]),
        };
        let unknown: Vec<&Unknown<'_>> = unknown.iter().filter(|unknown| !unknown.is_own()).collect();
        let mut out = Encoder::new(Vec::new());
        if self.counted {
            out.map((own.len() + unknown.len()) as u64)?;
        } else {
            out.begin_map()?;
        }
        for (place, key) in own.iter().enumerate() {
            let here = |unknown: &&&Unknown<'_>| usize::from(unknown.at) % own.len() == place;
            for unknown in unknown.iter().filter(here) {
                unknown.encode(&mut out)?;
            }
            out.str(key)?;
            match *key {
                "type" => out.str(name)?,
                "documentId" => out.str("4NMNnkMhL8jXrdJ9jamS58PAVdXu")?,
                "data" => out.bytes(self.data)?,
                "count" => out.u8(1)?,
                _ => out.str("somebody")?,
            };
        }
        if !self.counted {
            out.end()?;
        }
        Ok(out.into_writer())
    }
}

impl Unknown<'_> {
    /// Whether some frame has this key, so that it would have a meaning.
    fn is_own(&self) -> bool {
        const OWN: [&str; 17] = [
            "type",
            "senderId",
            "targetId",
            "documentId",
            "data",
            "count",
            "sessionId",
            "peerMetadata",
            "add",
            "remove",
            "newHeads",
            "message",
            "supportedProtocolVersions",
            "selectedProtocolVersion",
            "storageId",
            "isEphemeral",
            "heads",
        ];
        matches!(self.key, Key::Text(key) if OWN.contains(&key))
    }

    fn encode(&self, out: &mut Out) -> Written {
        match self.key {
            Key::Text(key) => out.str(key)?,
            Key::Long(Count(length)) => out.str(&"k".repeat(length + 32))?,
            Key::Number(number) => out.u64(number)?,
        };
        match self.value {
            Value::Number(number) => out.i64(number)?,
            Value::Text(text) => out.str(text)?,
            Value::Bytes(bytes) => out.bytes(bytes)?,
            Value::Long(Count(length)) => out.bytes(&vec![0; length << 4])?,
            Value::Nested(depth) => {
                for _ in 0..depth % DEEPEST {
                    out.array(1)?;
                }
                out.null()?
            }
            Value::Wide(Count(width)) => {
                out.array(width as u64)?;
                for number in 0..width {
                    out.u64(number as u64)?;
                }
                out
            }
            Value::Parts(parts) => {
                out.begin_bytes()?;
                for part in 0..parts {
                    out.bytes(&[part])?;
                }
                out.end()?
            }
        };
        Ok(())
    }
}
