//! Looks into a JSON object without building it.

/// The deepest object that is looked into: `host.name` stands in the second.
const MAX_DEPTH: usize = 2;

/// A member whose value is a text or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Of the object that holds it, from 1.
    pub depth: usize,
    /// The key of that object; nothing at the top.
    pub parent: &'a [u8],
    /// Its own.
    pub key: &'a [u8],
    /// Without quotes, escapes unread.
    pub value: &'a [u8],
}

impl<'a> Member<'a> {
    /// One of the object itself.
    pub fn at_top(key: &'a [u8], value: &'a [u8]) -> Self {
        Self { depth: 1, parent: &[], key, value }
    }
}

/// The members of an object, and of the objects in it, whose values are texts or numbers. Values of other kinds and deeper
/// ones are stepped over. Text that is not JSON gives some members or none.
pub struct Members<'a> {
    rest: &'a [u8],
    depth: usize,
    /// Keys of the objects that are open, outermost first.
    parents: [&'a [u8]; MAX_DEPTH],
}

impl<'a> Members<'a> {
    /// Members of the object at the start of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self { rest: text, depth: 0, parents: [&[]; MAX_DEPTH] }
    }

    /// Takes the text behind a quote up to the one that ends it.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let mut at = 0;
        loop {
            at += memchr::memchr2(b'"', b'\\', self.rest.get(at..)?)?;
            if self.rest[at] == b'"' {
                let value = &self.rest[..at];
                self.rest = &self.rest[at + 1..];
                return Some(value);
            }
            at += 2;
        }
    }

    /// Opens an object or array, whose key this is.
    fn open(&mut self, key: &'a [u8]) {
        if let Some(parent) = self.parents.get_mut(self.depth) {
            *parent = key;
        }
        self.depth += 1;
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'{' | b'[' => self.open(&[]),
                b'}' | b']' => self.depth = self.depth.checked_sub(1)?,
                b'"' => {
                    let key = self.quoted()?;
                    let Some(value) = self.rest.trim_ascii_start().strip_prefix(b":") else { continue };
                    self.rest = value.trim_ascii_start();
                    let value = match self.rest.first()? {
                        b'"' => {
                            self.rest = &self.rest[1..];
                            self.quoted()?
                        }
                        b'0'..=b'9' => {
                            let end = self.rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.'));
                            let (value, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                            self.rest = rest;
                            value
                        }
                        b'{' => {
                            self.rest = &self.rest[1..];
                            self.open(key);
                            continue;
                        }
                        _ => continue,
                    };
                    if (1..=MAX_DEPTH).contains(&self.depth) {
                        let parent = self.parents[self.depth - 1];
                        return Some(Member { depth: self.depth, parent, key, value });
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_with_their_depth_and_parent() {
        let text = br#"{"a" : "x\"y", "b":[{"name":"deep"}, "c"], "host":{"name":"h","ip":["::1"]},"n":12.5,"t":true}"#;
        let found: Vec<_> = Members::new(text)
            .map(|Member { depth, parent, key, value }| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                (depth, text(parent), text(key), text(value))
            })
            .collect();
        let member = |depth, parent: &str, key: &str, value: &str| {
            (depth, parent.to_owned(), key.to_owned(), value.to_owned())
        };
        assert_eq!(
            found,
            [member(1, "", "a", r#"x\"y"#), member(2, "host", "name", "h"), member(1, "", "n", "12.5"),]
        );
    }

    #[test]
    fn text_that_is_not_json_ends_the_search() {
        for text in ["", "{", "{\"", "{\"a\"", "{\"a\":", "{\"a\":\"", "{\"a\\", "}}}", "[[[["] {
            assert_eq!(Members::new(text.as_bytes()).count(), 0, "{text}");
        }
    }
}
