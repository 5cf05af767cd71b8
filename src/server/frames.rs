//! Where WebSocket frames begin and end, in bytes that go by (RFC 6455, section 5.2). Only lengths are looked at: whether
//! a frame is a good one is for tungstenite to say.

/// The longest head: two bytes, eight of length, four of the mask.
const MAX_HEAD: usize = 14;

/// How far the frame has come that is going by.
#[derive(Debug, Default)]
pub struct Frames {
    head: [u8; MAX_HEAD],
    filled: usize,
    /// Bytes of content that are still to come. Counts only once the head is whole.
    left: u64,
}

impl Frames {
    /// Whether the next byte begins a frame.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.filled == 0
    }

    /// Bytes that are surely within the frame that goes by, or is to begin: at least 1.
    #[must_use]
    pub fn left(&self) -> u64 {
        let head = self.head_length();
        if self.filled < head { (head - self.filled) as u64 } else { self.left }
    }

    /// These went by.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let head = self.head_length();
            if self.filled < head {
                let count = bytes.len().min(head - self.filled);
                self.head[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
                self.filled += count;
                bytes = &bytes[count..];
                if self.filled < self.head_length() {
                    continue;
                }
                self.left = self.content_length();
            } else {
                let count = usize::try_from(self.left).map_or(bytes.len(), |left| bytes.len().min(left));
                self.left -= count as u64;
                bytes = &bytes[count..];
            }
            if self.left == 0 {
                self.filled = 0;
            }
        }
    }

    /// Of the head, as far as it is known.
    fn head_length(&self) -> usize {
        if self.filled < 2 {
            return 2;
        }
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + mask
    }

    fn content_length(&self) -> u64 {
        match self.head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
            127 => self.head[2..10].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
            length => u64::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

    use super::*;

    fn written(length: usize, mask: bool) -> Vec<u8> {
        let head = FrameHeader { mask: mask.then_some([1, 2, 3, 4]), ..FrameHeader::default() };
        let mut bytes = Vec::new();
        head.format(length as u64, &mut bytes).unwrap();
        bytes.resize(bytes.len() + length, 0xff);
        bytes
    }

    proptest! {
        #[test]
        fn a_frame_ends_where_the_writer_of_it_says(
            lengths in vec((prop_oneof![0_usize..300, 65_530_usize..65_545], any::<bool>()), 1..6),
        ) {
            let mut frames = Frames::default();
            for (length, mask) in lengths {
                let bytes = written(length, mask);
                let mut at = 0;
                while at < bytes.len() {
                    prop_assert_eq!(frames.is_between(), at == 0);
                    let left = usize::try_from(frames.left()).unwrap();
                    prop_assert!((1..=bytes.len() - at).contains(&left));
                    frames.pass(&bytes[at..at + left]);
                    at += left;
                }
                prop_assert!(frames.is_between());
            }
        }

        #[test]
        fn in_whatever_pieces_it_comes(
            lengths in vec((0_usize..300, any::<bool>()), 1..6),
            piece in 1_usize..400,
        ) {
            let all: Vec<u8> = lengths.into_iter().flat_map(|(length, mask)| written(length, mask)).collect();
            let mut frames = Frames::default();
            for bytes in all.chunks(piece) {
                frames.pass(bytes);
            }
            prop_assert!(frames.is_between());
            frames.pass(&all[..1]);
            prop_assert!(!frames.is_between());
        }
    }
}
