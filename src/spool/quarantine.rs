//! Damaged bytes are set aside, not thrown away: a person may still read a message out of them.
//!
//! One file, `quarantine`: for each place a line with segment, position and length, then the bytes, then a line feed.

use super::fs::FileSystem;
use super::segment::Name;
use std::io;
use std::path::Path;

/// Name of the file.
pub const NAME: &str = "quarantine";

/// Largest size of the file; what is damaged beyond it is counted only. A disk that damages more is not helped by
/// being written to.
pub const MAX_BYTES: u64 = 16 << 20;

/// Appends damaged places. A failure changes nothing else: setting aside is a service, not a promise.
pub fn set_aside(fs: &dyn FileSystem, dir: &Path, damaged: &[(Name, u64, Vec<u8>)]) -> io::Result<()> {
    if damaged.is_empty() {
        return Ok(());
    }
    let path = dir.join(NAME);
    let file = match fs.open(&path, true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs.create(&path)?,
        opened => opened?,
    };
    let mut at = file.size()?;
    for (name, position, bytes) in damaged {
        let mut entry = format!("{name} {position} {}\n", bytes.len()).into_bytes();
        entry.extend_from_slice(bytes);
        entry.push(b'\n');
        if at + entry.len() as u64 > MAX_BYTES {
            break;
        }
        file.write_all_at(&entry, at)?;
        at += entry.len() as u64;
    }
    file.sync_data()
}
