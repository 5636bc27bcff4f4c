//! Writes JSON strings (RFC 8259 section 7) into a buffer that is used again.
//!
//! Most bytes need no escape: runs of them are found many bytes at a time and copied whole.

use super::block;
use std::ops::Range;

/// What [`copy`] copies without a call.
const SHORT_BYTES: usize = 32;

/// Appends `text`, which is UTF-8, as the inside of a string.
pub fn escape_utf8(out: &mut Vec<u8>, mut text: &[u8]) {
    loop {
        let run = block::plain_run(text);
        out.extend_from_slice(&text[..run]);
        let Some(&byte) = text.get(run) else { return };
        write_escape(out, byte);
        text = &text[run + 1..];
    }
}

/// Which bytes of a text need an escape, found once for all of its parts: in an event nearly every byte of a message stands
/// twice or more.
#[derive(Debug, Default)]
pub struct Escapes {
    /// One bit for each byte, the lowest first. Kept for its memory: an eighth of the longest message.
    bits: Vec<u64>,
    is_ascii: bool,
}

impl Escapes {
    /// Looks at all of `text`.
    pub fn find(&mut self, text: &[u8]) {
        self.bits.clear();
        self.bits.reserve(text.len().div_ceil(block::BLOCK_BYTES));
        let mut high = 0;
        block::for_each(text, |marks| {
            self.bits.push(marks.escaped);
            high |= marks.high;
        });
        self.is_ascii = high == 0;
    }

    /// Whether the text has nothing but ASCII.
    pub fn is_ascii(&self) -> bool {
        self.is_ascii
    }

    /// How many bytes at the start of the text that was looked at need none.
    pub fn plain_bytes(&self, text: &[u8]) -> usize {
        self.first_from(0).min(text.len())
    }

    /// Appends a part of the text that was looked at, which is UTF-8, as the inside of a string.
    pub fn write(&self, out: &mut Vec<u8>, text: &[u8], part: Range<usize>) {
        let mut at = part.start;
        loop {
            let end = self.first_from(at).min(part.end);
            copy(out, text, at..end);
            if end == part.end {
                return;
            }
            write_escape(out, text[end]);
            at = end + 1;
        }
    }

    /// Where the first byte stands from `at` on that needs an escape; beyond the text where there is none.
    fn first_from(&self, at: usize) -> usize {
        let mut index = at / block::BLOCK_BYTES;
        let Some(first) = self.bits.get(index) else { return usize::MAX };
        let mut bits = first & u64::MAX << (at % block::BLOCK_BYTES);
        while bits == 0 {
            index += 1;
            let Some(next) = self.bits.get(index) else { return usize::MAX };
            bits = *next;
        }
        index * block::BLOCK_BYTES + bits.trailing_zeros() as usize
    }
}

/// Appends a part of `text` as it is. A short one with some bytes more, which are taken back: a copy of a length that
/// is known is an instruction or two, of another one a call.
#[inline]
pub fn copy(out: &mut Vec<u8>, text: &[u8], part: Range<usize>) {
    let len = part.len();
    if len <= SHORT_BYTES
        && let Some(chunk) = text[part.start..].first_chunk::<SHORT_BYTES>()
    {
        out.extend_from_slice(chunk);
        out.truncate(out.len() - (SHORT_BYTES - len));
    } else {
        out.extend_from_slice(&text[part]);
    }
}

/// Appends bytes as the inside of a string; each sequence that is not UTF-8 becomes U+FFFD.
pub fn escape_lossy(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        escape_utf8(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

#[inline]
fn write_escape(out: &mut Vec<u8>, byte: u8) {
    match SHORT_ESCAPES[usize::from(byte)] {
        0 => write_long_escape(out, byte),
        short => out.extend_from_slice(&[b'\\', short]),
    }
}

/// What stands behind the backslash, where that is one letter.
const SHORT_ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[0x08] = b'b';
    table[0x0c] = b'f';
    table
};

#[cold]
fn write_long_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let [high, low] = [byte >> 4, byte & 15].map(|half| HEX[usize::from(half)]);
    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
}

/// Appends `number` in decimal.
pub fn write_number(out: &mut Vec<u8>, number: u64) {
    const GROUP: u64 = 100_000_000;
    let (high, low) = (number / GROUP, number % GROUP);
    if high == 0 {
        write_leading(out, low);
        return;
    }
    let (highest, high) = (high / GROUP, high % GROUP);
    if highest == 0 {
        write_leading(out, high);
    } else {
        write_leading(out, highest);
        out.extend_from_slice(&eight_digits(high).to_le_bytes());
    }
    out.extend_from_slice(&eight_digits(low).to_le_bytes());
}

/// Appends a number below 10^8 without zeros before it.
fn write_leading(out: &mut Vec<u8>, number: u64) {
    let digits = eight_digits(number);
    let zeros = ((digits ^ ZEROS).trailing_zeros() / 8).min(7);
    out.extend_from_slice(&(digits >> (8 * zeros)).to_le_bytes());
    out.truncate(out.len() - zeros as usize);
}

/// Eight times `0`.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// A number below 10^8 in eight digits, the first one in the lowest byte. In a register: bytes that are written one by
/// one and read together make a processor wait until they have reached its cache.
fn eight_digits(number: u64) -> u64 {
    /// Divides numbers that stand side by side in one word, each below `divisor` squared.
    fn split(word: u64, divisor: u64, reciprocal: u64, shift: u32, mask: u64) -> (u64, u64) {
        let quotients = ((word * reciprocal) >> shift) & mask;
        (quotients, word - quotients * divisor)
    }
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // 10486 / 2^20 is 1 / 100 for numbers below 10,000, and 103 / 2^10 is 1 / 10 for those below 100.
    let (hundreds, units) = split(fours, 100, 10_486, 20, 0x7f_0000_007f);
    let (tens, units) = split(hundreds | (units << 16), 10, 103, 10, 0x000f_000f_000f_000f);
    ZEROS | tens | (units << 8)
}

/// A number below 100 in two digits.
pub fn two_digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10, b'0' + number % 10]
}

/// Appends `bytes` in Base64 (RFC 4648 section 4) with padding, without quotes.
pub fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4 {
            out.push(if index <= group.len() {
                ALPHABET[(bits >> (18 - 6 * index) & 63) as usize]
            } else {
                b'='
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    fn read_back(inside: &[u8]) -> String {
        serde_json::from_slice(&[b"\"", inside, b"\""].concat()).unwrap()
    }

    #[test]
    fn base64_of_the_rfc_4648_vectors() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(written(|out| write_base64(out, plain.as_bytes())), coded.as_bytes());
        }
    }

    #[test]
    fn numbers_of_every_length_are_decimal() {
        let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
        let around = powers.flat_map(|power| [power - 1, power, power + 1]);
        for number in (0..20_000).chain(around).chain([12_345_678, 100_000_001, u64::MAX - 1, u64::MAX]) {
            assert_eq!(written(|out| write_number(out, number)), number.to_string().into_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_string_reads_back_the_same(text in "(?s).{0,80}") {
            let inside = written(|out| escape_utf8(out, text.as_bytes()));
            prop_assert_eq!(&read_back(&inside), &text);
            prop_assert_eq!(inside, written(|out| escape_lossy(out, text.as_bytes())));
        }

        #[test]
        fn a_part_of_a_text_is_written_like_a_text(text in "([a-zé]{0,40}[\"\\\\\n]?){0,6}", from in 0..200_usize, to in 0..200_usize) {
            let mut escapes = Escapes::default();
            escapes.find(b"\"\xff of another text");
            escapes.find(text.as_bytes());
            prop_assert_eq!(escapes.is_ascii(), text.is_ascii());
            let (from, to) = (from.min(to).min(text.len()), to.max(from).min(text.len()));
            prop_assert_eq!(
                written(|out| escapes.write(out, text.as_bytes(), from..to)),
                written(|out| escape_utf8(out, &text.as_bytes()[from..to]))
            );
        }

        #[test]
        fn bytes_read_back_with_replacements(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let inside = written(|out| escape_lossy(out, &bytes));
            prop_assert_eq!(read_back(&inside), String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn a_number_is_decimal(number: u64, shift in 0..64_u32) {
            let number = number >> shift;
            prop_assert_eq!(written(|out| write_number(out, number)), number.to_string().into_bytes());
        }
    }
}
