//! RFC 5424 section 6, and what senders take for it.
//!
//! The rule is `rfc5424` where the header follows the grammar and `rfc5424-lenient` where it does not: another version or
//! none, a timestamp without zone or with a space for `T`, more than one space between fields, a field beyond its length or
//! with bytes that its grammar does not have, STRUCTURED-DATA missing or broken. What is not STRUCTURED-DATA by its grammar
//! stays in the body, so that nothing of it is lost.

use super::{Parsed, host, leading_digits, without_space};
use crate::syslog::block;
use crate::syslog::time::When;
use crate::syslog::time::scan::{self, Form};

/// The longest SD-ID and PARAM-NAME of the grammar (section 6), in bytes.
const STRICT_NAME_BYTES: usize = 32;

/// The same with room for senders that do not count.
const MAX_NAME_BYTES: usize = 64;

/// The longest HOSTNAME, APP-NAME, PROCID and MSGID of the grammar (section 6), in bytes. Longer ones are read all the
/// same.
const MAX_FIELD_BYTES: [usize; 4] = [255, 48, 128, 32];

/// Reads an RFC 5424 message from VERSION on.
pub fn parse(text: &[u8]) -> Option<Parsed<'_>> {
    let digits = leading_digits(text);
    if digits == 0 {
        return None;
    }
    let versioned = (1..=3).contains(&digits) && matches!(text.get(digits), Some(b' ' | b'\t'));
    let mut fields = Fields { rest: text, strict: true };
    let version = if versioned { fields.next()? } else { b"" };
    let Some((when, dated)) = timestamp(&mut fields) else { return sparse(text) };
    if !versioned && !dated {
        return None;
    }
    let header = fields.rest;
    let [host, app, proc_id, msg_id] = fields.next_four()?;
    // A date for APP-NAME: the header is a relay's, and what it took for fields is another, which other rules read.
    let is_date = app.len() == 10 && app[0].is_ascii_digit() && matches!(app[4], b'-' | b'/');
    if is_date && scan::scan(header[host.len()..].trim_ascii_start()).is_some() {
        return None;
    }
    let data = fields.rest;
    let mut strict = fields.strict
        && version == b"1"
        && [host, app, proc_id, msg_id].iter().zip(MAX_FIELD_BYTES).all(|(field, max)| field.len() <= max);
    let numbered = proc_id == b"-" || proc_id.iter().all(u8::is_ascii_digit);
    let found = StructuredData::scan(data);
    if found.is_none()
        && let Some(parsed) = sparse(text)
    {
        return Some(parsed);
    }
    let (structured_data, body) = match found {
        Some(found) => {
            strict &= found.strict;
            (found.elements, found.body)
        }
        // Without STRUCTURED-DATA, or a beginning of it, only a PROCID or MSGID that is no word tells fields from a text.
        None if version == b"1"
            && if dated {
                numbered || msg_id == b"-" || data.starts_with(b"[")
            } else {
                numbered && msg_id == b"-"
            }
            && are_fields(&[host, app, proc_id, msg_id]) =>
        {
            strict = false;
            (None, data)
        }
        None => return None,
    };
    // A number in the first place is a proxy's, that of milliseconds.
    let is_number = || host.iter().all(u8::is_ascii_digit);
    if !(versioned || numbered && !is_number() && are_fields(&[host, app, proc_id, msg_id])) {
        return None;
    }
    let rule = if strict { "rfc5424" } else { "rfc5424-lenient" };
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    Some(Parsed {
        when,
        host: not_nil(bare(host)),
        app: not_nil(app),
        proc_id: not_nil(proc_id),
        structured_data,
        ..Parsed::new(rule, body)
    })
}

/// A header with one field of no bytes, where two spaces meet: NILVALUE was meant. It is read so where STRUCTURED-DATA
/// stands at its place only then.
#[cold]
fn sparse(text: &[u8]) -> Option<Parsed<'_>> {
    let text = text.strip_prefix(b"1 ")?;
    let dated = scan::scan(text).filter(|scanned| scanned.form == Form::Rfc3339);
    let (when, rest) = match dated {
        Some(scanned) => (scanned.when, text[scanned.len..].strip_prefix(b" ")?),
        None => (When::Missing, text.strip_prefix(b" ")?),
    };
    let mut fields = [&rest[..0]; 4];
    let mut parts = rest.splitn(fields.len() + 1, |&byte| byte == b' ');
    for field in &mut fields {
        *field = parts.next()?;
    }
    let rest = parts.next()?;
    let (structured_data, body) = match StructuredData::scan(rest) {
        Some(found) => (found.elements, found.body),
        // Check Point's own list of pairs stands there, which are no SD-PARAMs.
        None if fields[1] == b"CheckPoint" && rest.starts_with(b"[") => (None, rest),
        None => return None,
    };
    let empty = usize::from(dated.is_none()) + fields.iter().filter(|field| field.is_empty()).count();
    if empty != 1 || !are_fields(&fields) {
        return None;
    }
    let [host, app, proc_id, _] = fields.map(|field| not_nil(field).filter(|field| !field.is_empty()));
    Some(Parsed { when, host, app, proc_id, structured_data, ..Parsed::new("rfc5424-lenient", body) })
}

/// PRINTUSASCII, which fields and names are made of.
fn is_printable(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

/// A field, or nothing for NILVALUE.
fn not_nil(field: &[u8]) -> Option<&[u8]> {
    (field != b"-").then_some(field)
}

/// A HOSTNAME's address without the port and the brackets that section 6.2.4 does not give it, or its name without the
/// object that holds it; any other field as it is.
fn bare(field: &[u8]) -> &[u8] {
    match field.first() {
        Some(b'0'..=b'9' | b'[') => {
            host::without_port(field).filter(|address| host::is_address(address)).unwrap_or(field)
        }
        Some(b'{') => host::of_object(field).unwrap_or(field),
        _ => field,
    }
}

/// TIMESTAMP, and whether it names a date. A word that is neither a date nor NILVALUE is an unreadable timestamp.
fn timestamp<'a>(fields: &mut Fields<'a>) -> Option<(When<'a>, bool)> {
    let scanned = scan::scan(fields.rest)
        .filter(|scanned| matches!(fields.rest.get(scanned.len), None | Some(b' ' | b'\t')));
    if let Some(scanned) = scanned {
        fields.strict &= scanned.form == Form::Rfc3339;
        fields.rest = &fields.rest[scanned.len..];
        fields.separator()?;
        return matches!(scanned.form, Form::Rfc3339 | Form::IsoLike).then_some((scanned.when, true));
    }
    let word = fields.next()?;
    fields.strict &= word == b"-";
    // Whatever stands here for a time begins with a date; another word is no timestamp but text.
    let resembles_date = word.len() >= 8 && leading_digits(word) == 4 && matches!(word[4], b'-' | b'/');
    (word == b"-" || resembles_date).then_some((When::Missing, false))
}

/// Whether words can be fields of a header whose VERSION or STRUCTURED-DATA is missing: they are no RFC 3164 TAG and no
/// beginning of a payload (`key=value`, JSON, CEF).
fn are_fields(words: &[&[u8]]) -> bool {
    words.iter().all(|word| {
        !word.windows(2).any(|pair| pair == b"]:")
            && !word.iter().any(|byte| matches!(byte, b'=' | b'"' | b'{' | b'}' | b'|' | b'<' | b'>' | b';'))
    }) && words[1..3].iter().all(|word| !word.ends_with(b":"))
}

/// The fields of a header, one after another.
struct Fields<'a> {
    rest: &'a [u8],
    strict: bool,
}

impl<'a> Fields<'a> {
    /// The next four fields. Where single spaces separate them and they are not long, one look finds all of them.
    fn next_four(&mut self) -> Option<[&'a [u8]; 4]> {
        if let Some(near) = self.next_four_near() {
            return Some(near);
        }
        let fields = [self.next()?, self.next()?, self.next()?, self.next()?];
        self.strict &= fields.iter().all(|field| is_printable(field));
        Some(fields)
    }

    fn next_four_near(&mut self) -> Option<[&'a [u8]; 4]> {
        let near = self.rest.first_chunk()?;
        let mut blanks = block::places([b' ', b'\t'], near);
        let mut start = 0;
        let mut fields = [&near[..0]; 4];
        for field in &mut fields {
            let end = blanks.trailing_zeros() as usize;
            if end == start || near.get(end) != Some(&b' ') {
                return None;
            }
            *field = &near[start..end];
            start = end + 1;
            blanks &= blanks - 1;
        }
        if start == near.len() || blanks.trailing_zeros() as usize == start {
            return None;
        }
        let separators = block::places([b' '], near);
        self.strict &= block::unprintable(near) & !separators & ((1 << start) - 1) == 0;
        self.rest = &self.rest[start..];
        Some(fields)
    }

    /// The next field, which is never empty; the separator behind it is stepped over.
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = block::find([b' ', b'\t'], self.rest);
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        if field.is_empty() {
            return None;
        }
        if !rest.is_empty() {
            self.separator()?;
        }
        Some(field)
    }

    /// One space, or what is sent for it.
    fn separator(&mut self) -> Option<()> {
        if let [b' ', rest @ ..] = self.rest
            && rest.first().is_some_and(|&byte| byte > b' ')
        {
            self.rest = rest;
            return Some(());
        }
        let len = self.rest.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
        self.strict &= len == 1 && self.rest[0] == b' ';
        self.rest = &self.rest[len..];
        (len > 0).then_some(())
    }
}

/// STRUCTURED-DATA and the message behind it.
#[derive(Debug, PartialEq, Eq)]
struct StructuredData<'a> {
    elements: Option<&'a [u8]>,
    body: &'a [u8],
    strict: bool,
}

impl<'a> StructuredData<'a> {
    fn scan(data: &'a [u8]) -> Option<Self> {
        match data {
            [b'-'] => return Some(Self { elements: None, body: &[], strict: true }),
            [b'-', b' ', body @ ..] => return Some(Self { elements: None, body, strict: true }),
            // Brackets without an SD-ID are sent for NILVALUE.
            [b'[', b']'] => return Some(Self { elements: None, body: &[], strict: false }),
            [b'[', b']', b' ', body @ ..] => return Some(Self { elements: None, body, strict: false }),
            _ => {}
        }
        let mut strict = true;
        let mut end = 0;
        while let Some(len) = strict_element(&data[end..]).or_else(|| element(&data[end..], &mut strict)) {
            end += len;
        }
        let (elements, rest) = data.split_at(end);
        strict &= rest.is_empty() || rest[0] == b' ';
        (end > 0).then_some(Self { elements: Some(elements), body: without_space(rest), strict })
    }
}

/// The length of one SD-ELEMENT that follows the grammar, which [`element`] reads the same.
fn strict_element(data: &[u8]) -> Option<usize> {
    let mut at = 1 + strict_name(data.strip_prefix(b"[")?)?;
    while *data.get(at)? == b' ' {
        at += 1;
        at += strict_name(&data[at..])?;
        if !data[at..].starts_with(b"=\"") {
            return None;
        }
        at += 2;
        loop {
            at += block::find([b'"', b'\\', b']'], data.get(at..)?);
            match data.get(at..)? {
                [b'\\', b'"' | b'\\' | b']', ..] => at += 2,
                [b'\\', ..] => at += 1,
                [b'"', ..] => break,
                _ => return None,
            }
        }
        at += 1;
    }
    (data[at] == b']').then_some(at + 1)
}

/// The length of one SD-ELEMENT (section 6.3.1). Spaces too many, a bracket or a quote that is not escaped inside a
/// value are accepted, but not strict.
fn element(data: &[u8], strict: &mut bool) -> Option<usize> {
    let mut at = 1;
    if data.first() != Some(&b'[') {
        return None;
    }
    let leading = spaces(data, at);
    at += leading;
    *strict &= leading == 0;
    at += name(&data[at..], strict)?;
    loop {
        let gap = spaces(data, at);
        at += gap;
        if *data.get(at)? == b']' {
            *strict &= gap == 0;
            return Some(at + 1);
        }
        if gap == 0 {
            return None;
        }
        *strict &= gap == 1;
        at += name(&data[at..], strict)?;
        if data.get(at..at + 2)? != b"=\"" {
            return None;
        }
        at = value_end(data, at + 2, strict)?;
    }
}

fn spaces(data: &[u8], at: usize) -> usize {
    data[at..].iter().take_while(|&&byte| byte == b' ').count()
}

/// The length of an SD-ID or PARAM-NAME by the grammar, up to the first byte that is no part of one.
fn strict_name(data: &[u8]) -> Option<usize> {
    let bound = &data[..data.len().min(STRICT_NAME_BYTES + 1)];
    let is_one = |byte: u8| IS_NAME_BYTE[usize::from(byte)] && byte < 0x80;
    let len = bound.iter().position(|&byte| !is_one(byte)).unwrap_or(bound.len());
    ((1..=STRICT_NAME_BYTES).contains(&len) && data[0] != b'[').then_some(len)
}

/// The length of an SD-ID or PARAM-NAME. An opening bracket may stand in one by the grammar, but not first: `[[` begins
/// texts.
fn name(data: &[u8], strict: &mut bool) -> Option<usize> {
    let len =
        data.iter().take(MAX_NAME_BYTES + 1).take_while(|&&byte| IS_NAME_BYTE[usize::from(byte)]).count();
    if !(1..=MAX_NAME_BYTES).contains(&len) || data[0] == b'[' {
        return None;
    }
    *strict &= len <= STRICT_NAME_BYTES && is_printable(&data[..len]);
    Some(len)
}

const IS_NAME_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x21;
    while byte < table.len() {
        table[byte] = !matches!(byte as u8, b'=' | b']' | b'"' | 0x7f);
        byte += 1;
    }
    table
};

/// The index behind the quote that ends the value which begins at `at`.
fn value_end(data: &[u8], mut at: usize, strict: &mut bool) -> Option<usize> {
    loop {
        at += block::find([b'"', b'\\', b']'], data.get(at..)?);
        match *data.get(at)? {
            b'\\' => at += if matches!(data.get(at + 1), Some(b'"' | b'\\' | b']')) { 2 } else { 1 },
            b']' => {
                *strict = false;
                at += 1;
            }
            _ if ends_value(&data[at + 1..]) => return Some(at + 1),
            _ => {
                *strict = false;
                at += 1;
            }
        }
    }
}

/// What follows a quote shows whether it ends the value: the element's end or another PARAM-NAME.
fn ends_value(rest: &[u8]) -> bool {
    if rest.first() == Some(&b']') {
        return true;
    }
    // More spaces than this are no separator; the bound keeps the look ahead short.
    let gap = rest.iter().take(8).take_while(|&&byte| byte == b' ').count();
    match rest.get(gap) {
        Some(b']') => true,
        Some(_) if gap > 0 => {
            let rest = &rest[gap..];
            name(rest, &mut true).is_some_and(|len| rest[len..].starts_with(b"=\""))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "[id", "[id", " a=\"", " a=\"", "v\"", "v\"", "]", "]", "\"", "\\", "\\\"", "\\]", "\\\\", "[",
            " ", "  ", "=", "b", "v\" b=\"", "ž", "\t", "\u{7f}",
        ]);
        prop::collection::vec(piece, 1..14).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn fields_found_at_one_look_are_those_found_one_by_one(text in "([a-z]{0,12}[ \t]{0,2}){0,8}.{0,60}") {
            let mut near = Fields { rest: text.as_bytes(), strict: true };
            if let Some(fields) = near.next_four_near() {
                let mut each = Fields { rest: text.as_bytes(), strict: true };
                prop_assert_eq!(fields.map(Some), [(); 4].map(|()| each.next()), "{:?}", text);
                prop_assert!(each.strict && each.rest == near.rest, "{:?}", text);
            }
        }

        #[test]
        fn an_element_that_is_strict_is_read_like_any_other(data in pieces()) {
            let data = format!("[id{data}");
            if let Some(len) = strict_element(data.as_bytes()) {
                let mut strict = true;
                prop_assert_eq!(element(data.as_bytes(), &mut strict), Some(len), "{}", data);
                prop_assert!(strict, "{}", data);
            }
        }
    }

    #[test]
    fn the_fields_of_a_usual_header_are_found_at_one_look() {
        let text = format!("web-01 dovecot 1234 - [a b=\"c\"] {}", "text ".repeat(10));
        let mut fields = Fields { rest: text.as_bytes(), strict: true };
        assert_eq!(fields.next_four_near(), Some([&b"web-01"[..], b"dovecot", b"1234", b"-"]));
    }

    #[test]
    fn elements_by_the_grammar_are_strict() {
        for data in ["[id]", "[id@1 a=\"\"]", "[id a=\"v\" b=\"\\\"\\]\\\\ x\"] text", "[id a=\"\\x\"]"] {
            let len = data.find("] text").map_or(data.len(), |at| at + 1);
            assert_eq!(strict_element(data.as_bytes()), Some(len), "{data}");
        }
    }
}
