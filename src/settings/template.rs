//! The settings file as setup writes it the first time: every setting with what it is, what is allowed and its
//! default. Lines that begin with `#` and a name show a setting that keeps its default, as in sshd's or Podman's
//! files: so a later release can better a default, and what people have decided stands out.

use super::Settings;
use super::keys::SECTIONS;
use super::schema::{Kind, quoted};
use std::fmt::Write;
use std::sync::LazyLock;

/// The file with every default; `conf/soc-connector.toml` in the source tree is the same text.
pub static TEMPLATE: LazyLock<String> = LazyLock::new(|| render(&Settings::default()));

const HEAD: &str = "\
# Settings of the SOC-Connector.
#
# Setup wrote this file. Edit it as you like: setup changes only the values that its options name, and keeps
# everything else as it is. Changes take effect with the next `setup`, which also checks them.
#
# A line such as `#syslog_port = 1514` shows a default. To change it, remove the `#` and change the value.
";

const SOURCES: &str = "\
# The time zone and the charset of single senders or networks, for timestamps that name no zone and for
# messages that are not UTF-8; the longest prefix wins.
# One such table for each, as many as are needed.
# Allowed: network: an address, or the first address of a network and its prefix length.
#          time_zone: a name of the tz database, such as \"UTC\" or \"Europe/Berlin\".
#          charset: a label of the WHATWG Encoding Standard, such as \"windows-1252\" or \"shift_jis\".
#          One of the last two may be missing.
# Default: none
";

const SOURCE_EXAMPLE: &str = "\
#[[normaliser.source]]
#network = \"10.1.0.0/16\"
#time_zone = \"Europe/Berlin\"
#charset = \"windows-1252\"
";

/// The commented file with these settings. It reads back to them; numbers whose unit in the file is coarser than the
/// type's are rounded down to it.
pub fn render(settings: &Settings) -> String {
    let defaults = Settings::default();
    let mut file = HEAD.to_owned();
    for section in SECTIONS {
        file.push('\n');
        comment(&mut file, section.about);
        writeln!(file, "[{}]", section.name).expect("a String takes everything");
        for key in section.keys {
            file.push('\n');
            comment(&mut file, key.about);
            comment(&mut file, &wrapped(&format!("Allowed: {}", key.kind.allowed())));
            let value = key.kind.show(settings);
            let default = key.kind.show(&defaults);
            if let Kind::Text { unset, .. } = &key.kind
                && default.is_none()
            {
                comment(&mut file, &format!("Default: {unset}"));
            } else if let Some(default) = &default {
                // A list of several lines that keeps its default stands right below; once is enough.
                if !default.contains('\n') || value.as_ref() != Some(default) {
                    let line = default.split_whitespace().collect::<Vec<_>>().join(" ");
                    comment(&mut file, &wrapped(&format!("Default: {}", line.replace(", ]", " ]"))));
                }
            }
            let shown = match (&value, &key.kind) {
                (Some(value), _) => value.clone(),
                (None, Kind::Text { example, .. }) => quoted(example),
                (None, _) => unreachable!("only texts can be unset"),
            };
            let active = value.is_some() && value != default;
            for line in format!("{} = {shown}", key.name).lines() {
                file.push_str(if active { "" } else { "#" });
                file.push_str(line);
                file.push('\n');
            }
        }
        if section.name == "normaliser" {
            file.push('\n');
            file.push_str(SOURCES);
            if settings.normaliser.sources.is_empty() {
                file.push_str(SOURCE_EXAMPLE);
            }
            for source in &settings.normaliser.sources {
                write!(
                    file,
                    "[[normaliser.source]]\nnetwork = {}\n",
                    quoted(&format!("{}/{}", source.network, source.prefix_bits)),
                )
                .expect("a String takes everything");
                let charset = source.charset.map(|charset| charset.name().to_ascii_lowercase());
                for (key, value) in [
                    ("time_zone", source.time_zone.map(chrono_tz::Tz::name)),
                    ("charset", charset.as_deref()),
                ] {
                    if let Some(value) = value {
                        writeln!(file, "{key} = {}", quoted(value)).expect("a String takes everything");
                    }
                }
            }
        }
    }
    file
}

/// Appends comment lines.
fn comment(file: &mut String, text: &str) {
    for line in text.lines() {
        writeln!(file, "# {line}").expect("a String takes everything");
    }
}

/// Breaks between words before column 108; what follows a break is indented, so that it reads as one item.
fn wrapped(text: &str) -> String {
    const COLUMNS: usize = 106;
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + word.chars().count() > COLUMNS {
            lines.push_str("\n        ");
            used = 8;
        }
        if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += word.chars().count();
    }
    lines
}
