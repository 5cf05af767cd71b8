//! Slices that outlive their frame.
//!
//! A slice of [`Bytes`] keeps the whole allocation alive: 100 queued bytes could hold a 16 MiB frame, which a count of
//! queued bytes would miss.

use bytes::Bytes;

/// Slices up to this size in bytes are always copied: small frames share a read buffer with others.
const SMALL: usize = 1 << 10;

/// Returns a part of a frame for keeping after the frame is processed. Shares the frame's memory if the part is most of
/// it, and copies otherwise, so it holds at most twice its length.
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
    fn small_part_is_copied() {
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
