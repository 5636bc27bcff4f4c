//! Keys of members and pairs, however they are written.

/// The longest key that a rule knows, and more.
const MAX_BYTES: usize = 24;

/// A key in small letters without its separators: `deviceName`, `device_name`, `Device-Name` and `device.name` are one.
/// Longer keys are cut, which no rule's name reaches.
pub struct Key {
    folded: [u8; MAX_BYTES],
    len: usize,
}

impl Key {
    /// A key of several parts, the outermost first.
    pub fn new(parts: &[&[u8]]) -> Self {
        let is_separator = |byte: u8| matches!(byte, b'_' | b'-' | b'.' | b' ');
        let bytes = parts.iter().flat_map(|part| part.iter()).filter(|&&byte| !is_separator(byte));
        let mut key = Self { folded: [0; MAX_BYTES], len: 0 };
        for (place, byte) in key.folded.iter_mut().zip(bytes) {
            *place = byte.to_ascii_lowercase();
            key.len += 1;
        }
        key
    }

    /// What is compared.
    pub fn folded(&self) -> &[u8] {
        &self.folded[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_separators_do_not_count() {
        for parts in [&[&b"deviceName"[..]][..], &[b"device_name"], &[b"Device-Name"], &[b"device", b"name"]]
        {
            assert_eq!(Key::new(parts).folded(), b"devicename");
        }
    }

    #[test]
    fn long_keys_are_cut() {
        assert_eq!(Key::new(&[&[b'a'; 99]]).folded(), [b'a'; MAX_BYTES]);
    }
}
