//! What rootless Podman needs of the machine: ranges of subordinate users and groups, and the programs that map them.
//!
//! Without them Podman starts, loads images, and refuses the container at the last moment. Format of the files:
//! `subuid(5)`; the programs are `newuidmap(1)` and `newgidmap(1)`.

use super::connect::on_path;
use crate::error::{Code, Error, Result};

/// What Podman needs at least for `keep-id`: one identity beside the user's own. The usual range is 65536.
const LEAST: u64 = 1;

/// E309 where this user cannot have rootless containers, with the command that changes it.
pub fn check(user: &str, uid: u32) -> Result<()> {
    // Ranges may come from a directory service, and then the files say nothing.
    let elsewhere = std::fs::read_to_string("/etc/nsswitch.conf").is_ok_and(|text| ranges_elsewhere(&text));
    for file in ["/etc/subuid", "/etc/subgid"] {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if !elsewhere && !has_range(&text, user, uid) {
            return Err(Error::new(
                Code::RootlessUnprepared,
                format!(
                    "{user} has no range in {file}; as root: `usermod --add-subuids 100000-165535 --add-subgids \
                     100000-165535 {user}` (a range that no other line of the file has)"
                ),
            ));
        }
    }
    for program in ["newuidmap", "newgidmap"] {
        if !on_path(program) {
            return Err(Error::new(
                Code::RootlessUnprepared,
                format!("the program `{program}` is not installed (Debian's package is `uidmap`)"),
            ));
        }
    }
    Ok(())
}

fn ranges_elsewhere(nsswitch: &str) -> bool {
    nsswitch
        .lines()
        .filter_map(|line| line.split('#').next()?.trim().strip_prefix("subid:"))
        .any(|sources| sources.split_whitespace().any(|source| source != "files"))
}

fn has_range(text: &str, user: &str, uid: u32) -> bool {
    let uid = uid.to_string();
    text.lines().any(|line| {
        let mut parts = line.trim().split(':');
        let owner = parts.next();
        let numbers: Vec<Option<u64>> = parts.map(|part| part.trim().parse().ok()).collect();
        (owner == Some(user) || owner == Some(&uid))
            && matches!(numbers[..], [Some(_), Some(count)] if count >= LEAST)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_counts_by_name_and_by_number() {
        let text = "# comment\nroot:100000:65536\nsoc:165536:65536\n1002:231072:65536\nempty:1:0\nodd:x:y\n";
        for (user, uid, wanted) in [
            ("soc", 1001, true),
            ("other", 1002, true),
            ("so", 1003, false),
            ("soc2", 1004, false),
            ("empty", 1005, false),
            ("odd", 1006, false),
        ] {
            assert_eq!(has_range(text, user, uid), wanted, "{user}");
        }
    }

    #[test]
    fn a_directory_service_may_know_ranges() {
        for (text, wanted) in [
            ("passwd: files\nsubid: sss\n", true),
            ("subid:   files sss # both", true),
            ("subid: files", false),
            ("# subid: sss", false),
            ("", false),
        ] {
            assert_eq!(ranges_elsewhere(text), wanted, "{text}");
        }
    }
}
