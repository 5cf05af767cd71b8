//! Finds the boundaries of WebSocket frames in a stream of bytes (RFC 6455, section 5.2). It reads lengths only; tungstenite
//! validates the frames.

/// Length of the longest frame header: two bytes, eight of length, four of the mask.
const MAX_HEAD: usize = 14;

/// The position in a stream of frames.
#[derive(Debug, Default)]
pub struct FrameTracker {
    head: [u8; MAX_HEAD],
    filled: usize,
    /// Remaining bytes of the payload. Valid once the header is complete.
    left: u64,
}

impl FrameTracker {
    /// Whether the next byte begins a frame.
    #[must_use]
    pub fn is_at_boundary(&self) -> bool {
        self.filled == 0
    }

    /// Number of following bytes that certainly belong to the current or next frame: at least 1.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        let head = self.head_length();
        if self.filled < head { (head - self.filled) as u64 } else { self.left }
    }

    /// Advances over these bytes.
    pub fn advance(&mut self, mut bytes: &[u8]) {
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

    /// Length of the header, as far as its bytes are known.
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

    fn frame(length: usize, mask: bool) -> Vec<u8> {
        let head = FrameHeader { mask: mask.then_some([1, 2, 3, 4]), ..FrameHeader::default() };
        let mut bytes = Vec::new();
        head.format(length as u64, &mut bytes).unwrap();
        bytes.resize(bytes.len() + length, 0xff);
        bytes
    }

    proptest! {
        #[test]
        fn frame_boundaries_are_found(
            lengths in vec((prop_oneof![0_usize..300, 65_530_usize..65_545], any::<bool>()), 1..6),
        ) {
            let mut frames = FrameTracker::default();
            for (length, mask) in lengths {
                let bytes = frame(length, mask);
                let mut at = 0;
                while at < bytes.len() {
                    prop_assert_eq!(frames.is_at_boundary(), at == 0);
                    let left = usize::try_from(frames.remaining()).unwrap();
                    prop_assert!((1..=bytes.len() - at).contains(&left));
                    frames.advance(&bytes[at..at + left]);
                    at += left;
                }
                prop_assert!(frames.is_at_boundary());
            }
        }

        #[test]
        fn chunk_size_does_not_matter(
            lengths in vec((0_usize..300, any::<bool>()), 1..6),
            piece in 1_usize..400,
        ) {
            let all: Vec<u8> = lengths.into_iter().flat_map(|(length, mask)| frame(length, mask)).collect();
            let mut frames = FrameTracker::default();
            for bytes in all.chunks(piece) {
                frames.advance(bytes);
            }
            prop_assert!(frames.is_at_boundary());
            frames.advance(&all[..1]);
            prop_assert!(!frames.is_at_boundary());
        }
    }
}
