//! The form of the settings file, as data: every section and key once, with its words for people, its bounds, and the
//! way into and out of [`Settings`].
//!
//! Reading ([`super::parse()`]), the commented file ([`super::template`]) and setup's changes ([`super::edit()`]) all walk
//! this one description, so that a key cannot be known to one of them and not to the others. The one table that
//! repeats, `[[normaliser.source]]`, is [`super::source`]'s.

use super::Settings;

/// A section of the file.
pub(super) struct Section {
    /// The name in brackets.
    pub name: &'static str,
    /// What it is about, one or more lines.
    pub about: &'static str,
    /// Its keys in the file's order.
    pub keys: &'static [Key],
}

/// One setting.
pub(super) struct Key {
    /// The key; where a number has a unit, the name ends with it.
    pub name: &'static str,
    /// What it is, one or more lines.
    pub about: &'static str,
    /// Its type, bounds and place in [`Settings`].
    pub kind: Kind,
}

/// Writes a text setting, or says why the text is not allowed ("" where what is allowed says it all).
pub(super) type WriteText = fn(&mut Settings, &str) -> Result<(), String>;

/// What a setting can be.
pub(super) enum Kind {
    /// A whole number.
    Whole {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
        /// What zero means, where it is allowed below `min`.
        zero: Option<&'static str>,
        /// Unit and reason of the bounds.
        because: &'static str,
        /// Reads it.
        get: fn(&Settings) -> u64,
        /// Writes it.
        set: fn(&mut Settings, u64),
    },
    /// `true` or `false`.
    Flag {
        /// Reads it.
        get: fn(&Settings) -> bool,
        /// Writes it.
        set: fn(&mut Settings, bool),
    },
    /// One of some words.
    OneOf {
        /// All of them.
        words: &'static [&'static str],
        /// Reads it.
        get: fn(&Settings) -> &'static str,
        /// Writes it; only ever called with one of the words.
        set: fn(&mut Settings, &str),
    },
    /// A text.
    Text {
        /// What is allowed.
        allowed: &'static str,
        /// Shown in the file where the setting is not set.
        example: &'static str,
        /// What holds where it is not set.
        unset: &'static str,
        /// Reads it; none where it is not set.
        get: fn(&Settings) -> Option<String>,
        /// Writes it.
        set: WriteText,
    },
    /// A list of different texts, at least one.
    List {
        /// What is allowed for each.
        allowed: &'static str,
        /// Greatest number.
        max: usize,
        /// Reads it.
        get: fn(&Settings) -> Vec<String>,
        /// Empties it.
        clear: fn(&mut Settings),
        /// Appends one.
        push: WriteText,
    },
}

impl Kind {
    /// What is allowed, for people.
    pub fn allowed(&self) -> String {
        match self {
            Self::Whole { min, max, zero, because, .. } => {
                let zero = zero.map_or_else(String::new, |meaning| format!("0 ({meaning}) or "));
                format!("{zero}a whole number from {min} to {max} ({because})")
            }
            Self::Flag { .. } => "true or false".to_owned(),
            Self::OneOf { words, .. } => {
                let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("one of {}", words.join(", "))
            }
            Self::Text { allowed, .. } => (*allowed).to_owned(),
            Self::List { allowed, max, .. } => {
                format!("a list of 1 to {max} different texts, each {allowed}")
            }
        }
    }

    /// The value as TOML; none where it is not set.
    pub fn show(&self, settings: &Settings) -> Option<String> {
        match self {
            Self::Whole { get, .. } => Some(get(settings).to_string()),
            Self::Flag { get, .. } => Some(get(settings).to_string()),
            Self::OneOf { get, .. } => Some(quoted(get(settings))),
            Self::Text { get, .. } => get(settings).map(|text| quoted(&text)),
            Self::List { get, .. } => {
                let items = get(settings);
                if let [one] = items.as_slice() {
                    return Some(format!("[{}]", quoted(one)));
                }
                let mut lines = "[\n".to_owned();
                for item in &items {
                    lines.push_str("    ");
                    lines.push_str(&quoted(item));
                    lines.push_str(",\n");
                }
                lines.push(']');
                Some(lines)
            }
        }
    }
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// The section and key of that name.
pub(super) fn find(section: &str, key: &str) -> Option<(&'static Section, &'static Key)> {
    let section = super::keys::SECTIONS.iter().find(|candidate| candidate.name == section)?;
    Some((section, section.keys.iter().find(|candidate| candidate.name == key)?))
}

/// The candidate that was probably meant: the one with the fewest edits, if few enough for a slip of the finger.
pub(super) fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    candidates
        .map(|candidate| (distance(&typed, &candidate.to_lowercase()), candidate))
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, candidate)| *edits <= 3 && edits * 2 < candidate.len())
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance of two short names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_recognised_and_strangers_are_not() {
        let keys = ["syslog_port", "addresses", "idle_timeout_s"];
        for (typed, meant) in [
            ("syslog_prt", Some("syslog_port")),
            ("Syslog_Port", Some("syslog_port")),
            ("idle_timeout", Some("idle_timeout_s")),
            ("adresses", Some("addresses")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, keys.into_iter()), meant, "{typed}");
        }
    }
}
