//! Reading the settings file: every error in it at once, each with its line, its key and what is allowed there.

use super::keys::{SECTIONS, contradictions};
use super::schema::{Key, Kind, Section, nearest};
use super::source::{
    CHARSET_ALLOWED, MAX_SOURCES, NETWORK_ALLOWED, ZONE_ALLOWED, parse_charset, parse_network, parse_zone,
};
use super::{Settings, Source};
use crate::error::{Code, Error, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use toml_edit::{Document, Item, TableLike, Value};

/// Most errors in one message; a file that is something else altogether must not flood the console.
const MAX_COMPLAINTS: usize = 20;

/// Most characters of a wrong value that are repeated in a message.
const MAX_SHOWN_CHARS: usize = 60;

/// Reads a settings file. What is not set keeps its default. `path` is for messages only.
///
/// E122 lists all errors, one a line as `path:line: key …`, in the order of the file: unknown names (with the one
/// that was probably meant), wrong types, values out of bounds, and settings that contradict each other. Where the
/// text is not TOML there is one error, that of its first wrong line.
pub fn parse(text: &str, path: &Path) -> Result<Settings> {
    let document = Document::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        // The library's message can have several lines; the first says it.
        let what = error.message().lines().next().unwrap_or("not TOML");
        Error::new(Code::SettingsInvalid, format!("{}:{line}: this is not TOML: {what}", path.display()))
    })?;
    let mut reader =
        Reader { text, settings: Settings::default(), complaints: Vec::new(), lines: HashMap::new() };
    reader.root(document.as_table());
    reader.contradictions();
    reader.finish(path)
}

/// 1-based line of a byte offset.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    1 + memchr::memchr_iter(b'\n', before).count()
}

/// Checks one value against its key and stores it. The error says what is wrong, and what is allowed.
pub(super) fn store(key: &Key, value: &Value, settings: &mut Settings) -> Result<(), Wrong> {
    let bad = |why: String| Wrong { at: value.span(), shown: show(value), why };
    match &key.kind {
        Kind::Whole { min, max, zero, set, .. } => {
            let number = value.as_integer().and_then(|n| u64::try_from(n).ok());
            match number {
                Some(n) if (*min..=*max).contains(&n) || (n == 0 && zero.is_some()) => set(settings, n),
                _ => return Err(bad(String::new())),
            }
        }
        Kind::Flag { set, .. } => set(settings, value.as_bool().ok_or_else(|| bad(String::new()))?),
        Kind::OneOf { words, set, .. } => match value.as_str() {
            Some(word) if words.contains(&word) => set(settings, word),
            other => {
                let meant = other.and_then(|word| nearest(word, words.iter().copied()));
                return Err(bad(meant.map_or_else(String::new, |word| format!("did you mean \"{word}\"?"))));
            }
        },
        Kind::Text { set, .. } => {
            let text = value.as_str().ok_or_else(|| bad(String::new()))?;
            set(settings, text).map_err(bad)?;
        }
        Kind::List { max, get, clear, push, .. } => {
            let array = value.as_array().ok_or_else(|| bad(String::new()))?;
            if !(1..=*max).contains(&array.len()) {
                return Err(bad(format!("there are {}", array.len())));
            }
            clear(settings);
            for item in array {
                let bad = |why: String| Wrong { at: item.span(), shown: show(item), why };
                let text = item.as_str().ok_or_else(|| bad(String::new()))?;
                push(settings, text).map_err(bad)?;
                let all = get(settings);
                if all.iter().filter(|one| Some(*one) == all.last()).count() > 1 {
                    return Err(bad("it stands there twice".to_owned()));
                }
            }
        }
    }
    Ok(())
}

/// A value that is not allowed.
pub(super) struct Wrong {
    at: Option<Range<usize>>,
    shown: String,
    why: String,
}

impl Wrong {
    /// What is wrong with the setting of this name, and what is allowed.
    pub fn describe(&self, name: &str, allowed: &str) -> String {
        let why = if self.why.is_empty() { String::new() } else { format!(" ({})", self.why) };
        format!("{name} = {} is not allowed{why}; allowed: {allowed}", self.shown)
    }
}

/// A value in one line, shortened.
fn show(value: &Value) -> String {
    let mut plain = value.clone();
    plain.decor_mut().clear();
    let text = plain.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= MAX_SHOWN_CHARS {
        return text;
    }
    text.chars().take(MAX_SHOWN_CHARS).chain(std::iter::once('…')).collect()
}

struct Reader<'a> {
    text: &'a str,
    settings: Settings,
    complaints: Vec<(usize, String)>,
    /// Where each setting stands that the file has, for rules between settings.
    lines: HashMap<(&'static str, &'static str), usize>,
}

impl Reader<'_> {
    fn complain(&mut self, at: Option<Range<usize>>, what: String) {
        let line = at.map_or(1, |span| line_of(self.text, span.start));
        self.complaints.push((line, what));
    }

    fn root(&mut self, root: &toml_edit::Table) {
        for (name, item) in root {
            let at = root.key(name).and_then(toml_edit::Key::span);
            let section = SECTIONS.iter().find(|section| section.name == name);
            match (section, item.as_table_like()) {
                (Some(section), Some(table)) => self.section(section, table),
                (Some(_), None) => {
                    self.complain(
                        at,
                        format!("{name} is a section; allowed: [{name}] on a line of its own, once"),
                    );
                }
                (None, Some(_)) => {
                    let names: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
                    let meant = meant(name, &names);
                    self.complain(
                        at,
                        format!("[{name}] is no section of this file{meant}; allowed: {}", names.join(", ")),
                    );
                }
                (None, None) => {
                    let home =
                        SECTIONS.iter().find(|section| section.keys.iter().any(|key| key.name == name));
                    let home = home
                        .map_or_else(String::new, |section| format!("; it belongs into [{}]", section.name));
                    self.complain(
                        at,
                        format!("{name} stands outside every section{home}; allowed: sections only"),
                    );
                }
            }
        }
    }

    fn section(&mut self, section: &'static Section, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            let at = table.key(name).and_then(toml_edit::Key::span);
            if (section.name, name) == ("normaliser", "source") {
                self.sources(item, at);
                continue;
            }
            let full = format!("{}.{name}", section.name);
            let Some(key) = section.keys.iter().find(|key| key.name == name) else {
                let mut names: Vec<_> = section.keys.iter().map(|key| key.name).collect();
                if section.name == "normaliser" {
                    names.push("source");
                }
                let meant = meant(name, &names);
                self.complain(
                    at,
                    format!(
                        "{full} is no setting{meant}; allowed in [{}]: {}",
                        section.name,
                        names.join(", ")
                    ),
                );
                continue;
            };
            self.lines.insert(
                (section.name, key.name),
                at.as_ref().map_or(1, |span| line_of(self.text, span.start)),
            );
            let Some(value) = item.as_value() else {
                self.complain(at, format!("{full} is a section here; allowed: {}", key.kind.allowed()));
                continue;
            };
            if let Err(wrong) = store(key, value, &mut self.settings) {
                let what = wrong.describe(&full, &key.kind.allowed());
                self.complain(wrong.at.or(at), what);
            }
        }
    }

    /// `[[normaliser.source]]`, or the same as a list of inline tables.
    fn sources(&mut self, item: &Item, at: Option<Range<usize>>) {
        let rows: Option<Vec<&dyn TableLike>> = match item {
            Item::ArrayOfTables(tables) => Some(tables.iter().map(|table| table as &dyn TableLike).collect()),
            Item::Value(Value::Array(array)) => array
                .iter()
                .map(|value| value.as_inline_table().map(|table| table as &dyn TableLike))
                .collect(),
            _ => None,
        };
        let Some(rows) = rows else {
            self.complain(
                at,
                "normaliser.source is a table; allowed: [[normaliser.source]], with network and time_zone or charset"
                    .to_owned(),
            );
            return;
        };
        if rows.len() > MAX_SOURCES {
            self.complain(
                at,
                format!("there are {} of [[normaliser.source]]; allowed: at most {MAX_SOURCES}", rows.len()),
            );
            return;
        }
        for (index, row) in rows.into_iter().enumerate() {
            self.source(index, row, at.as_ref());
        }
    }

    fn source(&mut self, index: usize, row: &dyn TableLike, table_at: Option<&Range<usize>>) {
        let mut network = None;
        let mut time_zone = None;
        let mut charset = None;
        let mut row_at = None;
        let mut failed = false;
        for (name, item) in row.iter() {
            let at = row.key(name).and_then(toml_edit::Key::span);
            row_at = row_at.or_else(|| at.clone());
            let full = format!("normaliser.source.{name}");
            let text = item.as_str();
            let (allowed, outcome) = match name {
                "network" => {
                    let read = text.ok_or_else(String::new).and_then(parse_network);
                    (NETWORK_ALLOWED, read.map(|read| network = Some(read)))
                }
                "time_zone" => {
                    let read = text.ok_or_else(String::new).and_then(parse_zone);
                    (ZONE_ALLOWED, read.map(|read| time_zone = Some(read)))
                }
                "charset" => {
                    let read = text.ok_or_else(String::new).and_then(parse_charset);
                    (CHARSET_ALLOWED, read.map(|read| charset = Some(read)))
                }
                _ => {
                    failed = true;
                    let meant = meant(name, &["network", "time_zone", "charset"]);
                    self.complain(
                        at,
                        format!("{full} is no setting{meant}; allowed: network, time_zone, charset"),
                    );
                    continue;
                }
            };
            if let Err(why) = outcome {
                failed = true;
                let shown = item.as_value().map_or_else(|| "a section".to_owned(), show);
                let wrong = Wrong { at: item.span(), shown, why };
                let what = wrong.describe(&full, allowed);
                self.complain(wrong.at.or(at), what);
            }
        }
        match network {
            Some((network, prefix_bits)) if time_zone.is_some() || charset.is_some() => {
                let same = |row: &Source| (row.network, row.prefix_bits) == (network, prefix_bits);
                if self.settings.normaliser.sources.iter().any(same) {
                    self.complain(
                        row_at,
                        format!("normaliser.source.network {network}/{prefix_bits} has a row already; allowed: one"),
                    );
                } else {
                    self.settings.normaliser.sources.push(Source {
                        network,
                        prefix_bits,
                        time_zone,
                        charset,
                    });
                }
            }
            _ if failed => {}
            network => {
                let missing = if network.is_none() { "network" } else { "time_zone and no charset" };
                self.complain(
                    row_at.or_else(|| table_at.cloned()),
                    format!(
                        "[[normaliser.source]] number {} has no {missing}; needed: network, and time_zone or charset",
                        index + 1
                    ),
                );
            }
        }
    }

    /// Rules between settings. Only where each is right by itself: one mistake, one message.
    fn contradictions(&mut self) {
        if !self.complaints.is_empty() {
            return;
        }
        for (section, key, what) in contradictions(&self.settings) {
            // Where the blamed setting is not in the file, its default does not fit to what is: said at the top.
            let line = self.lines.get(&(section, key)).copied().unwrap_or(1);
            self.complaints.push((line, format!("{section}.{key} = {what}")));
        }
    }

    fn finish(mut self, path: &Path) -> Result<Settings> {
        if self.complaints.is_empty() {
            return Ok(self.settings);
        }
        self.complaints.sort_by_key(|(line, _)| *line);
        let total = self.complaints.len();
        let mut lines: Vec<String> = self
            .complaints
            .iter()
            .take(MAX_COMPLAINTS)
            .map(|(line, what)| format!("{}:{line}: {what}", path.display()))
            .collect();
        if total > MAX_COMPLAINTS {
            lines.push(format!("{}: and {} more errors", path.display(), total - MAX_COMPLAINTS));
        }
        Err(Error::new(Code::SettingsInvalid, lines.join("\n")))
    }
}

/// ", did you mean X?" where a known name is near.
fn meant(name: &str, names: &[&str]) -> String {
    nearest(name, names.iter().copied()).map_or_else(String::new, |near| format!(", did you mean {near}?"))
}
