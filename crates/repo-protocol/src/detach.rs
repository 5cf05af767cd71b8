//! Parts of a frame that outlive it.
//!
//! A slice of [`Bytes`] keeps the whole allocation alive: 100 bytes that wait in a queue would hold the 16 MiB frame in which
//! they came, which no count of queued bytes sees.

use bytes::Bytes;

/// Parts up to this size are always copied, since frames as small share one read buffer with others: in bytes.
const SMALL: usize = 1 << 10;

/// A part of a frame, to be kept after the frame was dealt with. A part that is most of its frame shares the frame's memory;
/// a smaller one is copied. So the result holds at most twice its own length, or a copy.
#[must_use]
pub fn detach(frame: &Bytes, part: &[u8]) -> Bytes {
    if part.len() <= SMALL || part.len() < frame.len() / 2 {
        Bytes::copy_from_slice(part)
    } else {
        frame.slice_ref(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_part_lets_go_of_its_frame() {
        let frame = Bytes::from(vec![7; 1 << 20]);
        let part = detach(&frame, &frame[..100]);
        assert_eq!(part, [7; 100].as_slice());
        assert!(frame.try_into_mut().is_ok(), "nothing else holds the frame");
    }

    #[test]
    fn most_of_a_frame_is_shared() {
        let frame = Bytes::from(vec![7; 1 << 20]);
        let part = detach(&frame, &frame[100..]);
        assert!(frame.as_ptr_range().contains(&part.as_ptr()));
    }
}
