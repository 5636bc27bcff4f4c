//! The installation directory and its file system.

use super::{Context, Outcome};
use crate::error::{Code, Error, Result};
use crate::state::Mode;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Room in bytes beside the reserve without which setup stops: some minutes of a busy network's events, and the logs.
pub const LEAST_ROOM_BYTES: u64 = 256 << 20;

/// Files of one spool directory that are counted; more cannot be there, since segments have a size and the spool a
/// bound.
const MAX_SPOOL_FILES: usize = 1 << 20;

pub(super) fn checks(context: &Context<'_>) -> Vec<(&'static str, Outcome)> {
    let writable = writable(context.dir);
    let owner = match &writable {
        Ok(_) => owner(context.dir, context.uid),
        Err(_) => Outcome::Skipped("the directory cannot be used as it is".to_owned()),
    };
    let spool = &context.settings.spool;
    let room = match rustix::fs::statvfs(context.dir) {
        Ok(fs) => {
            let free = fs.f_bavail.saturating_mul(fs.f_frsize);
            disk_space(free, spooled(context.dir), spool.reserve_bytes, spool.max_bytes)
        }
        Err(error) => {
            let what = format!("the free space of {} cannot be read", context.dir.display());
            Outcome::Failed(Error::new(Code::DirUnusable, what).caused_by(error))
        }
    };
    vec![("directory", writable.into()), ("directory owner", owner), ("disk space", room)]
}

/// Really makes a file in DIR, writes to it and removes it: rights, quotas, read-only and full file systems all show.
pub fn writable(dir: &Path) -> Result<String> {
    let path = dir.join(format!(".soc-connector-check.{}", std::process::id()));
    let attempt = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let written = file.write_all(b"x").and_then(|()| file.sync_all());
        let removed = fs::remove_file(&path);
        written.and(removed)
    };
    attempt().map(|()| format!("{} can be written.", dir.display())).map_err(|error| {
        Error::new(Code::DirUnusable, format!("no file can be made in {}", dir.display())).caused_by(error)
    })
}

/// Whether DIR is the user's own, and nobody else can put files there. What setup makes is the user's that runs it,
/// while the container runs as DIR's owner: with two different ones (`sudo ./soc-connector.sh setup`) it could not read
/// its settings or write its spool. Who else may write is only a warning: the manual says "should".
pub fn owner(dir: &Path, uid: u32) -> Outcome {
    let shown = dir.display();
    let metadata = match fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) => {
            let what = format!("{shown} cannot be looked at");
            return Outcome::Failed(Error::new(Code::DirUnusable, what).caused_by(error));
        }
    };
    let exposed = |what: String| Error::new(Code::DirExposed, what);
    if metadata.uid() != uid {
        let owner = metadata.uid();
        return Outcome::Failed(exposed(format!(
            "{shown} belongs to user {owner}, setup runs as user {uid}; run `chown {uid} {shown}`"
        )));
    }
    // With the sticky bit others can still add a second certificate, or replace what is missing.
    if metadata.mode() & 0o002 != 0 {
        return Outcome::Warning(exposed(format!(
            "every user can write into {shown}; run `chmod o-w {shown}`"
        )));
    }
    Outcome::Ok(format!("{shown} is this user's own."))
}

/// Whether the spool has room. What it holds already counts as room: those bytes are its own.
///
/// Fails below the reserve and [`LEAST_ROOM_BYTES`]; warns where the spool cannot grow to its bound.
pub fn disk_space(free_bytes: u64, spooled_bytes: u64, reserve_bytes: u64, max_bytes: u64) -> Outcome {
    let room = free_bytes.saturating_add(spooled_bytes);
    let mib = |bytes: u64| bytes >> 20;
    let small = |needed: u64, for_what: &str| {
        let what = format!(
            "{} MiB of disk space can be used, {} MiB are needed for {for_what}",
            mib(room),
            mib(needed)
        );
        Error::new(Code::DiskSmall, what)
    };
    let least = reserve_bytes.saturating_add(LEAST_ROOM_BYTES.min(max_bytes));
    if room < least {
        return Outcome::Failed(small(least, "the reserve and the least of a spool"));
    }
    let whole = reserve_bytes.saturating_add(max_bytes);
    if room < whole {
        return Outcome::Warning(small(whole, "the reserve and a full spool"));
    }
    Outcome::Ok(format!("{} MiB of disk space can be used.", mib(room)))
}

/// Bytes in both spools; what cannot be read counts as nothing.
fn spooled(dir: &Path) -> u64 {
    [Mode::Stage, Mode::Production]
        .into_iter()
        .filter_map(|mode| fs::read_dir(dir.join("spool").join(mode.name())).ok())
        .flat_map(|entries| entries.take(MAX_SPOOL_FILES))
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|metadata| metadata.blocks().saturating_mul(512))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn code(outcome: &Outcome) -> (&'static str, Option<Code>) {
        match outcome {
            Outcome::Ok(_) => ("ok", None),
            Outcome::Warning(error) => ("warning", Some(error.code())),
            Outcome::Failed(error) => ("failed", Some(error.code())),
            Outcome::Skipped(_) => ("skipped", None),
        }
    }

    #[test]
    fn a_directory_is_tried_with_a_real_file_that_is_gone_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        assert!(writable(dir.path()).is_ok());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let error = writable(&dir.path().join("missing")).unwrap_err();
        assert_eq!(error.code(), Code::DirUnusable);
        // A file system that takes no file from anyone, root included.
        assert_eq!(writable(Path::new("/proc")).unwrap_err().code(), Code::DirUnusable);
    }

    #[test]
    fn a_directory_that_is_not_the_users_own_is_told_with_the_command() {
        let dir = tempfile::tempdir().unwrap();
        let uid = fs::metadata(dir.path()).unwrap().uid();
        assert_eq!(code(&owner(dir.path(), uid)), ("ok", None));
        let other = owner(dir.path(), uid + 1);
        assert_eq!(code(&other), ("failed", Some(Code::DirExposed)));
        let Outcome::Failed(error) = other else { unreachable!() };
        assert!(error.what().contains(&format!("chown {} {}", uid + 1, dir.path().display())), "{error}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let open = owner(dir.path(), uid);
        assert_eq!(code(&open), ("warning", Some(Code::DirExposed)));
        let Outcome::Warning(error) = open else { unreachable!() };
        assert!(error.what().contains("chmod o-w"), "{error}");
    }

    #[test]
    fn disk_space_counts_what_the_spool_holds_already() {
        const MIB: u64 = 1 << 20;
        let (reserve, max) = (512 * MIB, 8192 * MIB);
        for (free, spooled, expected) in [
            (8704 * MIB, 0, ("ok", None)),
            (8704 * MIB - 1, 0, ("warning", Some(Code::DiskSmall))),
            (704 * MIB, 8000 * MIB, ("ok", None)),
            (768 * MIB, 0, ("warning", Some(Code::DiskSmall))),
            (768 * MIB - 1, 0, ("failed", Some(Code::DiskSmall))),
            (0, 768 * MIB, ("warning", Some(Code::DiskSmall))),
            (0, 0, ("failed", Some(Code::DiskSmall))),
            (u64::MAX, u64::MAX, ("ok", None)),
        ] {
            assert_eq!(code(&disk_space(free, spooled, reserve, max)), expected, "{free} {spooled}");
        }
        assert_eq!(code(&disk_space(80 * MIB, 0, 16 * MIB, 64 * MIB)).0, "ok", "a small spool needs little");
    }

    #[test]
    fn both_spools_count() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(spooled(dir.path()), 0);
        for mode in ["stage", "production"] {
            fs::create_dir_all(dir.path().join("spool").join(mode)).unwrap();
            fs::write(dir.path().join("spool").join(mode).join("segment"), vec![1; 8192]).unwrap();
        }
        assert!(spooled(dir.path()) >= 2 * 8192);
    }
}
