//! Looks at many bytes at once and says with one bit for each where certain ones stand.
//!
//! [`memchr`] is the tool for finding a byte far away. Words, fields and values of a header are short: there its start is
//! most of the cost, and what is needed of a message is known after one look at all of its bytes.
//!
//! On x86-64 this is SSE2, which each such processor has: nothing is chosen at run time. Elsewhere eight bytes are
//! looked at in a `u64`.

/// Bytes that have one bit each in a `u64`.
pub const BLOCK_BYTES: usize = 64;

/// Bytes that are looked at together.
const LANE_BYTES: usize = 16;

/// What is known about the bytes of a block: the lowest bit speaks of the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// A JSON string has them only escaped: quotes, backslashes, control characters.
    pub escaped: u64,
    /// Not ASCII.
    pub high: u64,
}

/// Looks at one block.
pub fn marks(block: &[u8; BLOCK_BYTES]) -> Marks {
    let (lanes, _) = block.as_chunks::<LANE_BYTES>();
    let mut found = Marks { escaped: 0, high: 0 };
    for (index, lane) in lanes.iter().enumerate() {
        let lane = Lane::new(lane);
        let shift = index * LANE_BYTES;
        found.escaped |= u64::from(lane.is_escaped()) << shift;
        found.high |= u64::from(lane.is_high()) << shift;
    }
    found
}

/// Which bytes of a block are among those that are looked for.
pub fn places<const N: usize>(bytes: [u8; N], block: &[u8; BLOCK_BYTES]) -> u64 {
    let (lanes, _) = block.as_chunks::<LANE_BYTES>();
    lanes.iter().enumerate().fold(0, |places, (index, lane)| {
        let lane = Lane::new(lane);
        let found = bytes.iter().fold(0, |found, &byte| found | lane.is(byte));
        places | u64::from(found) << (index * LANE_BYTES)
    })
}

/// Which bytes of a block are not PRINTUSASCII (RFC 5424 section 6).
pub fn unprintable(block: &[u8; BLOCK_BYTES]) -> u64 {
    let (lanes, _) = block.as_chunks::<LANE_BYTES>();
    lanes.iter().enumerate().fold(0, |places, (index, lane)| {
        places | u64::from(Lane::new(lane).is_unprintable()) << (index * LANE_BYTES)
    })
}

/// Looks at all blocks of `text`; behind its end there is nothing that has a mark.
pub fn for_each(text: &[u8], mut take: impl FnMut(Marks)) {
    let (blocks, rest) = text.as_chunks::<BLOCK_BYTES>();
    for block in blocks {
        take(marks(block));
    }
    if rest.is_empty() {
        return;
    }
    if let Some(last) = text.last_chunk::<BLOCK_BYTES>() {
        // The last bytes with some that were seen before, instead of a copy of those behind the blocks.
        let seen = BLOCK_BYTES - rest.len();
        let Marks { escaped, high } = marks(last);
        take(Marks { escaped: escaped >> seen, high: high >> seen });
    } else {
        let mut last = [b' '; BLOCK_BYTES];
        last[..rest.len()].copy_from_slice(rest);
        take(marks(&last));
    }
}

/// How many bytes at the start stand in a JSON string as they are.
pub fn plain_run(text: &[u8]) -> usize {
    let (lanes, rest) = text.as_chunks::<LANE_BYTES>();
    for (index, lane) in lanes.iter().enumerate() {
        let found = Lane::new(lane).is_escaped();
        if found != 0 {
            return index * LANE_BYTES + found.trailing_zeros() as usize;
        }
    }
    let before = lanes.len() * LANE_BYTES;
    before + rest.iter().position(|&byte| is_escaped(byte)).unwrap_or(rest.len())
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Where the first of the bytes stands that are looked for, or the length of `text`.
pub fn find<const N: usize>(bytes: [u8; N], text: &[u8]) -> usize {
    let (lanes, rest) = text.as_chunks::<LANE_BYTES>();
    for (index, lane) in lanes.iter().enumerate() {
        let lane = Lane::new(lane);
        let found = bytes.iter().fold(0, |found, &byte| found | lane.is(byte));
        if found != 0 {
            return index * LANE_BYTES + found.trailing_zeros() as usize;
        }
    }
    let before = lanes.len() * LANE_BYTES;
    before + rest.iter().position(|byte| bytes.contains(byte)).unwrap_or(rest.len())
}

#[cfg(target_feature = "sse2")]
use sse2::Lane;
#[cfg(not(target_feature = "sse2"))]
use words::Lane;

#[cfg(target_feature = "sse2")]
mod sse2 {
    #![allow(
        unsafe_code,
        reason = "Rust calls an instruction of a processor's extension unsafe also where the whole program is compiled for it"
    )]

    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };

    /// Sixteen bytes.
    #[derive(Clone, Copy)]
    pub struct Lane(__m128i);

    impl Lane {
        pub fn new(bytes: &[u8; 16]) -> Self {
            let all = u128::from_le_bytes(*bytes);
            // SAFETY: the module is compiled for processors with SSE2 only; no pointer is involved.
            Self(unsafe { _mm_set_epi64x((all >> 64) as i64, all as i64) })
        }

        pub fn is(self, byte: u8) -> u16 {
            bits(self.equal(byte))
        }

        pub fn is_high(self) -> u16 {
            bits(self.0)
        }

        pub fn is_escaped(self) -> u16 {
            let quotes = (self.equal(b'"'), self.equal(b'\\'));
            // There is no comparison without a sign; what the minimum leaves as it is, is not larger.
            // SAFETY: as in `new`.
            bits(unsafe {
                let control = _mm_cmpeq_epi8(_mm_min_epu8(self.0, _mm_set1_epi8(0x1f)), self.0);
                _mm_or_si128(control, _mm_or_si128(quotes.0, quotes.1))
            })
        }

        pub fn is_unprintable(self) -> u16 {
            let delete = self.equal(0x7f);
            // SAFETY: as in `new`.
            bits(unsafe {
                let blank = _mm_cmpeq_epi8(_mm_min_epu8(self.0, _mm_set1_epi8(b' '.cast_signed())), self.0);
                _mm_or_si128(self.0, _mm_or_si128(blank, delete))
            })
        }

        fn equal(self, byte: u8) -> __m128i {
            // SAFETY: as in `new`.
            unsafe { _mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte.cast_signed())) }
        }
    }

    fn bits(lane: __m128i) -> u16 {
        // SAFETY: as in `Lane::new`.
        (unsafe { _mm_movemask_epi8(lane) }).cast_unsigned() as u16
    }
}

#[cfg(any(test, not(target_feature = "sse2")))]
mod words {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;

    /// Sixteen bytes.
    #[derive(Clone, Copy)]
    pub struct Lane([u64; 2]);

    impl Lane {
        pub fn new(bytes: &[u8; 16]) -> Self {
            let all = u128::from_le_bytes(*bytes);
            Self([all as u64, (all >> 64) as u64])
        }

        pub fn is(self, byte: u8) -> u16 {
            self.bits(|word| zeros(word ^ (ONES * u64::from(byte))))
        }

        pub fn is_high(self) -> u16 {
            self.bits(|word| word & HIGHS)
        }

        pub fn is_escaped(self) -> u16 {
            self.bits(|word| {
                let control = zeros(word & (ONES * 0xe0));
                let quote = zeros(word ^ (ONES * u64::from(b'"')));
                control | quote | zeros(word ^ (ONES * u64::from(b'\\')))
            })
        }

        pub fn is_unprintable(self) -> u16 {
            self.bits(|word| {
                let blank = zeros(word & (ONES * 0xe0)) | zeros(word ^ (ONES * u64::from(b' ')));
                (word & HIGHS) | blank | zeros(word ^ (ONES * 0x7f))
            })
        }

        fn bits(self, look: impl Fn(u64) -> u64) -> u16 {
            let [low, high] = self.0.map(|word| gather(look(word)));
            u16::from(low) | u16::from(high) << 8
        }
    }

    /// The highest bit of each byte that is zero; no byte borrows from its neighbour.
    fn zeros(word: u64) -> u64 {
        !(((word & !HIGHS) + !HIGHS) | word) & HIGHS
    }

    /// The highest bits of the bytes side by side: the factor moves each to a place of its own in the highest byte.
    fn gather(highs: u64) -> u8 {
        ((highs >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(block: &[u8], is_one: impl Fn(u8) -> bool) -> u64 {
        block.iter().enumerate().fold(0, |bits, (at, &byte)| bits | u64::from(is_one(byte)) << at)
    }

    /// Bytes of which every second is one of those that are looked for or a neighbour of one.
    fn bytes(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
        let byte =
            prop_oneof![any::<u8>(), prop::sample::select(&b"\x00\x1f\x20!\"#[\\]\x7f\x80\xa2\xff"[..])];
        prop::collection::vec(byte, len)
    }

    proptest! {
        #[test]
        fn every_byte_has_its_bit(block in bytes(BLOCK_BYTES)) {
            let expected = Marks { escaped: bits(&block, is_escaped), high: bits(&block, |byte| byte >= 0x80) };
            let block = block.as_slice().try_into().unwrap();
            prop_assert_eq!(marks(block), expected);
            prop_assert_eq!(unprintable(block), bits(block, |byte| !byte.is_ascii_graphic()));
            prop_assert_eq!(places([b'"', b']'], block), bits(block, |byte| byte == b'"' || byte == b']'));
        }

        #[test]
        fn every_byte_of_a_text_has_its_bit(text in bytes(0..200)) {
            let mut found = Vec::new();
            for_each(&text, |marks| found.push((marks.escaped, marks.high)));
            let expected = text.chunks(BLOCK_BYTES).map(|block| (bits(block, is_escaped), bits(block, |byte| byte >= 0x80)));
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
            prop_assert_eq!(plain_run(&text), text.iter().position(|&byte| is_escaped(byte)).unwrap_or(text.len()));
        }

        #[test]
        fn every_machine_sees_the_same(lane in bytes(LANE_BYTES), byte: u8) {
            let lane_of_words = words::Lane::new(lane.as_slice().try_into().unwrap());
            let low = |bits: u64| u16::try_from(bits).unwrap();
            prop_assert_eq!(lane_of_words.is(byte), low(bits(&lane, |other| other == byte)));
            prop_assert_eq!(lane_of_words.is_high(), low(bits(&lane, |other| other >= 0x80)));
            prop_assert_eq!(lane_of_words.is_unprintable(), low(bits(&lane, |other| !other.is_ascii_graphic())));
            prop_assert_eq!(lane_of_words.is_escaped(), low(bits(&lane, is_escaped)));
        }

        #[test]
        fn the_first_of_several_bytes_is_found(text in bytes(0..70)) {
            let expected = text.iter().position(|&byte| byte == b'"' || byte == b']').unwrap_or(text.len());
            prop_assert_eq!(find([b'"', b']'], &text), expected);
        }
    }
}
