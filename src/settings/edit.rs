//! Setup's changes to an existing settings file. A file belongs to the people who edit it: only the values that an
//! option names change, every other byte stays, comments and order and line ends too.
//!
//! So the text is edited in place: a setting that stands there gets its new value at the old one's bytes; one that
//! the template shows as a default (`#syslog_port = 1514`) gets its value on that line; any other gets a line of its
//! own below its section's name. Doing the same changes again changes nothing.

use super::parse::{line_of, store};
use super::schema::{Key, Section, find, quoted};
use super::{EngineKind, Network, Settings};
use crate::error::{Code, Error, Result};
use std::ops::Range;
use std::path::Path;
use toml_edit::Document;

/// What happens to one setting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// It keeps what the file says: the option was not given.
    #[default]
    Keep,
    /// It gets this value.
    Set(T),
    /// It goes back to its default; its line becomes a comment.
    Unset,
}

impl<T> From<Option<T>> for Change<T> {
    /// An option of the command line: keep where it was not given.
    fn from(option: Option<T>) -> Self {
        option.map_or(Self::Keep, Self::Set)
    }
}

/// The settings that setup has options for. Options that are not given change nothing: after `setup --docker` a plain
/// `setup` stays with Docker, and `--podman` and `--no-sudo` lead back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// `connector.id`
    pub id: Change<String>,
    /// `engine.kind`
    pub engine: Change<EngineKind>,
    /// `engine.sudo`
    pub sudo: Change<bool>,
    /// `engine.network`
    pub network: Change<Network>,
    /// `engine.image`
    pub image: Change<String>,
    /// `listener.syslog_port`
    pub syslog_port: Change<u16>,
    /// `tls.ca`
    pub ca: Change<String>,
}

impl Changes {
    /// Section, key and new value as TOML (none: back to the default), without what is kept.
    fn list(&self) -> Vec<(&'static str, &'static str, Option<String>)> {
        fn row<T>(
            section: &'static str,
            key: &'static str,
            change: &Change<T>,
            show: impl Fn(&T) -> String,
        ) -> Option<(&'static str, &'static str, Option<String>)> {
            match change {
                Change::Keep => None,
                Change::Set(value) => Some((section, key, Some(show(value)))),
                Change::Unset => Some((section, key, None)),
            }
        }
        [
            row("connector", "id", &self.id, |id| quoted(id)),
            row("engine", "kind", &self.engine, |kind| quoted(kind.name())),
            row("engine", "sudo", &self.sudo, ToString::to_string),
            row("engine", "network", &self.network, |network| quoted(network.name())),
            row("engine", "image", &self.image, |image| quoted(image)),
            row("listener", "syslog_port", &self.syslog_port, ToString::to_string),
            row("tls", "ca", &self.ca, |ca| quoted(ca)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The text with these changes. E122 where a new value is not allowed, or where `text` is not a settings file to
/// begin with (`path` is for messages only).
pub fn edit(text: &str, changes: &Changes, path: &Path) -> Result<String> {
    super::parse(text, path)?;
    let mut text = text.to_owned();
    for (section, name, value) in changes.list() {
        let (section, key) = find(section, name).expect("the list has keys of the schema only");
        text = match value {
            Some(value) => {
                check(section, key, &value)?;
                set(&text, section.name, key.name, &value)
            }
            None => unset(&text, section.name, key.name),
        };
    }
    // Values that are right by themselves can still contradict others in the file.
    super::parse(&text, path)?;
    Ok(text)
}

/// Whether an option's value is allowed, before it gets a line in the file.
fn check(section: &Section, key: &Key, value: &str) -> Result<()> {
    let parsed: toml_edit::Value = value.parse().expect("shown values are TOML");
    store(key, &parsed, &mut Settings::default()).map_err(|wrong| {
        let full = format!("{}.{}", section.name, key.name);
        Error::new(Code::SettingsInvalid, wrong.describe(&full, &key.kind.allowed()))
    })
}

fn set(text: &str, section: &str, key: &str, value: &str) -> String {
    let document = Document::parse(text).expect("it was read before");
    let root = document.as_table();
    if let Some(old) = root.get(section).and_then(|item| item.as_table_like()?.get(key)) {
        let span = old.span().expect("a parsed value has its place");
        return replaced(text, span, value);
    }
    let Some(body) = section_body(text, section, &document) else {
        // No `[section]` line: dotted keys, an inline table, or nothing. The library knows how to write into these.
        return insert_elsewhere(text, section, key, value);
    };
    let commented = lines(text, body.clone()).find(|line| commented_key(&text[line.clone()]) == Some(key));
    if let Some(line) = commented {
        let shown = uncommented(&text[line.clone()], key, value);
        return replaced(text, line, &shown);
    }
    let end_of_line = if text[..body.start].ends_with("\r\n") { "\r\n" } else { "\n" };
    // A section's name can be the last line, without an end.
    let before = if text[..body.start].ends_with('\n') { "" } else { end_of_line };
    replaced(text, body.start..body.start, &format!("{before}{key} = {value}{end_of_line}"))
}

fn unset(text: &str, section: &str, key: &str) -> String {
    let document = Document::parse(text).expect("it was read before");
    let Some(table) = document.as_table().get(section).and_then(|item| item.as_table_like()) else {
        return text.to_owned();
    };
    let Some((name, old)) = table.get_key_value(key) else { return text.to_owned() };
    let (Some(name), Some(value)) = (name.span(), old.span()) else { return text.to_owned() };
    let start = text[..name.start].rfind('\n').map_or(0, |newline| newline + 1);
    let alone =
        text[start..name.start].trim().is_empty() && line_of(text, name.start) == line_of(text, value.end);
    if alone && section_body(text, section, &document).is_some_and(|body| body.contains(&name.start)) {
        return replaced(text, name.start..name.start, "#");
    }
    let mut document = document.into_mut();
    if let Some(table) = document.get_mut(section).and_then(toml_edit::Item::as_table_like_mut) {
        table.remove(key);
    }
    document.to_string()
}

fn insert_elsewhere(text: &str, section: &str, key: &str, value: &str) -> String {
    let mut document = text.parse::<toml_edit::DocumentMut>().expect("it was read before");
    if let Some(table) = document.get_mut(section).and_then(toml_edit::Item::as_table_like_mut) {
        let value: toml_edit::Value = value.parse().expect("shown values are TOML");
        table.insert(key, toml_edit::Item::Value(value));
        return document.to_string();
    }
    let before = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{before}\n[{section}]\n{key} = {value}\n")
}

fn replaced(text: &str, at: Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..at.start], &text[at.end..])
}

/// The bytes between a `[section]` line and the next line that opens a table.
fn section_body(text: &str, section: &str, document: &Document<&str>) -> Option<Range<usize>> {
    let header = document.as_table().get(section)?.as_table()?.span()?;
    let opens = |line: &str| line.trim_start().starts_with('[');
    let header_line = text[..header.start].rfind('\n').map_or(0, |newline| newline + 1);
    if !opens(&text[header_line..]) {
        return None;
    }
    let start = text[header_line..].find('\n').map_or(text.len(), |newline| header_line + newline + 1);
    // A line within a list of several lines can begin with a bracket too; only those at a table's place count.
    let end = headers(document).filter(|at| *at >= start).min().unwrap_or(text.len());
    Some(start..end)
}

/// Where the tables of the file begin.
fn headers<'a>(document: &'a Document<&str>) -> impl Iterator<Item = usize> + 'a {
    document.as_table().iter().flat_map(|(_, item)| {
        let own = item.as_table().and_then(toml_edit::Table::span).map(|span| span.start);
        let nested = item
            .as_table()
            .into_iter()
            .flat_map(|table| table.iter().filter_map(|(_, item)| item.as_array_of_tables()))
            .flat_map(|tables| tables.iter().filter_map(toml_edit::Table::span))
            .map(|span| span.start);
        own.into_iter().chain(nested).collect::<Vec<_>>()
    })
}

/// The lines of a part of the text, without their ends.
fn lines(text: &str, part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = part.start;
    text[part].split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        start..start + line.trim_end_matches(['\n', '\r']).len()
    })
}

/// The key that a line such as `#syslog_port = 1514` shows. `# text` is prose.
fn commented_key(line: &str) -> Option<&str> {
    let (key, _) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let key = key.trim_end();
    (!key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then_some(key)
}

/// Such a line without its `#` and with the new value; what stands behind the value stays.
fn uncommented(line: &str, key: &str, value: &str) -> String {
    let bare = line.replacen('#', "", 1);
    let span = Document::parse(bare.as_str()).ok().and_then(|document| document.as_table().get(key)?.span());
    match span {
        Some(span) => replaced(&bare, span, value),
        // Not a whole setting: a list of several lines, or somebody's notes.
        None => format!("{key} = {value}"),
    }
}
