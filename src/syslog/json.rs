//! Writes JSON strings (RFC 8259 section 7) into a buffer that is used again.
//!
//! Most bytes need no escape: runs of them are found many bytes at a time and copied whole.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
/// Two vectors of the oldest x86-64.
const BLOCK_BYTES: usize = 32;

/// Appends `text`, which is UTF-8, as the inside of a string.
pub fn escape_utf8(out: &mut Vec<u8>, mut text: &[u8]) {
    loop {
        let run = plain_run(text);
        out.extend_from_slice(&text[..run]);
        let Some(&byte) = text.get(run) else { return };
        write_escape(out, byte);
        text = &text[run + 1..];
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

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[allow(clippy::needless_bitwise_bool)] // without short cuts there is nothing to jump over in vector code: see `plain_run`
fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// How many bytes at the start need no escape.
pub fn plain_run(text: &[u8]) -> usize {
    // Whole blocks without looking where in them, which the compiler does with vector instructions.
    let (blocks, _) = text.as_chunks::<BLOCK_BYTES>();
    let is_plain = |block: &[u8; BLOCK_BYTES]| {
        block.iter().fold(0, |found, &byte| found | u8::from(needs_escape(byte))) == 0
    };
    let plain = blocks.iter().take_while(|block| is_plain(block)).count() * BLOCK_BYTES;
    plain + plain_run_of_words(&text[plain..])
}

fn plain_run_of_words(text: &[u8]) -> usize {
    let (chunks, rest) = text.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = control
            | zero_bytes(word ^ (ONES * u64::from(b'"')))
            | zero_bytes(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            // The lowest mark is exact; a borrow can only mark bytes above it.
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let start = chunks.len() * 8;
    start + rest.iter().position(|&byte| needs_escape(byte)).unwrap_or(rest.len())
}

/// Appends `number` in decimal.
pub fn write_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
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
    fn the_first_byte_to_escape_is_found_wherever_it_stands() {
        for byte in 0..=255 {
            for at in 0..100 {
                let mut text = [b'x'; 100];
                text[at] = byte;
                let expected = if needs_escape(byte) { at } else { text.len() };
                assert_eq!(plain_run(&text), expected, "{byte} at {at}");
            }
        }
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

    proptest! {
        #[test]
        fn a_string_reads_back_the_same(text in "(?s).{0,80}") {
            let inside = written(|out| escape_utf8(out, text.as_bytes()));
            prop_assert_eq!(&read_back(&inside), &text);
            prop_assert_eq!(inside, written(|out| escape_lossy(out, text.as_bytes())));
        }

        #[test]
        fn bytes_read_back_with_replacements(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let inside = written(|out| escape_lossy(out, &bytes));
            prop_assert_eq!(read_back(&inside), String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn a_number_is_decimal(number: u64) {
            prop_assert_eq!(written(|out| write_number(out, number)), number.to_string().into_bytes());
        }
    }
}
