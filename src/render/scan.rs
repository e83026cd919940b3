//! Finds the kind of the object in a document by its unindented lines, without parsing.
//!
//! The answer is either certain or "ask the parser"; it is never a guess.

use memchr::memchr;

/// What the unindented lines of a document say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectScan<'a> {
    /// Nothing but blank lines and comments.
    Blank,
    /// A block mapping with plain words as keys; holds `apiVersion` and `kind` where they are written.
    Mapping {
        /// `apiVersion`.
        api_version: Option<&'a str>,
        /// `kind`.
        kind: Option<&'a str>,
    },
    /// Anything else: flow style, JSON, quoted keys, anchors at the top, an indented mapping, ...
    Unclear,
}

/// Returns `apiVersion` and `kind` of a document where its unindented lines say them for certain.
pub(crate) fn scan_type_meta(text: &str) -> Option<(&str, &str)> {
    match scan_object(text) {
        ObjectScan::Mapping { api_version: Some(api_version), kind: Some(kind) } => Some((api_version, kind)),
        _ => None,
    }
}

/// Looks at the unindented lines of one document.
pub(super) fn scan_object(text: &str) -> ObjectScan<'_> {
    let mut lines = LineIter { rest: text.trim_start_matches('\u{feff}') };
    let (mut api_version, mut kind) = (None, None);
    let mut is_blank = true;
    // A scalar may continue in the next line, if that is indented.
    let mut awaits_next_key = false;
    let mut is_start = true;
    while let Some(line) = lines.next() {
        match line.as_bytes().first() {
            None | Some(b'#') => continue,
            Some(b' ' | b'\t' | b'\r') if !is_blank && !awaits_next_key => {
                lines.skip_indented();
                continue;
            }
            Some(b' ' | b'\t' | b'\r') => {
                if line.bytes().all(|b| b == b' ' || b == b'\t' || b == b'\r')
                    || line.trim_start().starts_with('#')
                {
                    continue;
                }
                return ObjectScan::Unclear;
            }
            Some(b'-') if is_start && is_document_marker(line) => {
                is_start = false;
                continue;
            }
            // A sequence at the column of its key; at the top there would be no key above it.
            Some(b'-') if !is_blank && !awaits_next_key && !line.starts_with("---") => continue,
            Some(_) => {}
        }
        (is_start, is_blank) = (false, false);
        let Some((key, value)) = split_key(line) else { return ObjectScan::Unclear };
        let place = match key {
            "apiVersion" => &mut api_version,
            "kind" => &mut kind,
            _ => {
                awaits_next_key = false;
                continue;
            }
        };
        match plain_word(value) {
            Some(word) if place.is_none() => *place = Some(word),
            _ => return ObjectScan::Unclear,
        }
        awaits_next_key = true;
    }
    if is_blank { ObjectScan::Blank } else { ObjectScan::Mapping { api_version, kind } }
}

struct LineIter<'a> {
    rest: &'a str,
}

impl LineIter<'_> {
    /// Goes to the next line that does not start with a blank. Most lines do, so 64 bytes are looked at in one step.
    fn skip_indented(&mut self) {
        const STEP: usize = 64;
        let bytes = self.rest.as_bytes();
        if bytes.first() != Some(&b' ') {
            return;
        }
        let is_start = |end: u8, first: u8| end == b'\n' && first != b' ';
        let mut at = 0;
        while let Some(next) = bytes.get(at + 1..at + 1 + STEP) {
            let pairs = bytes[at..at + STEP].iter().zip(next);
            if pairs.fold(false, |found, (&end, &first)| found | is_start(end, first)) {
                break;
            }
            at += STEP;
        }
        let found = bytes[at..].windows(2).position(|pair| is_start(pair[0], pair[1]));
        self.rest = found.map_or("", |i| &self.rest[at + i + 1..]);
    }
}

impl<'a> Iterator for LineIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr(b'\n', self.rest.as_bytes()) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, ""),
        };
        self.rest = rest;
        Some(line)
    }
}

/// `---`, alone or with a comment.
fn is_document_marker(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| {
        let rest = rest.trim();
        rest.is_empty() || rest.starts_with('#')
    })
}

/// Splits `key: value` where the key is a plain word.
fn split_key(line: &str) -> Option<(&str, &str)> {
    let end = line.bytes().position(|b| !(b.is_ascii_alphanumeric() || b"_-./".contains(&b)))?;
    let (key, rest) = line.split_at(end);
    let value = rest.strip_prefix(':')?;
    let ends = value.is_empty() || value.starts_with([' ', '\t', '\r']);
    (ends && !key.is_empty() && !key.starts_with(['-', '.'])).then_some((key, value))
}

/// Returns a value that is one word, plain or in quotes, with nothing but a comment behind it.
fn plain_word(value: &str) -> Option<&str> {
    let value = value.trim_matches([' ', '\t', '\r']);
    let (word, rest) = match value.as_bytes().first()? {
        quote @ (b'"' | b'\'') => {
            let end = memchr(*quote, &value.as_bytes()[1..])? + 1;
            (&value[1..end], &value[end + 1..])
        }
        _ => value.split_at(value.find([' ', '\t']).unwrap_or(value.len())),
    };
    let rest_is_comment =
        rest.trim_start().is_empty() || (rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#'));
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"./-".contains(&b));
    (rest_is_comment && is_word).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping<'a>(api_version: &'a str, kind: &'a str) -> ObjectScan<'a> {
        ObjectScan::Mapping { api_version: Some(api_version), kind: Some(kind) }
    }

    #[test]
    fn plain_documents_are_certain() {
        assert_eq!(scan_object("apiVersion: v1\nkind: Pod\n"), mapping("v1", "Pod"));
        assert_eq!(
            scan_object("\u{feff}--- # x\r\napiVersion: \"v1\" # y\r\nkind: 'Pod'\r\nspec:\r\n- a\r\n"),
            mapping("v1", "Pod")
        );
        assert_eq!(
            scan_object("metadata:\n  kind: x\nkind: Pod\n\n# c\napiVersion: apps/v1"),
            mapping("apps/v1", "Pod")
        );
        assert_eq!(scan_object("---\n# only\n\n   \n"), ObjectScan::Blank);
        assert_eq!(scan_object("a: 1\n"), ObjectScan::Mapping { api_version: None, kind: None });
    }

    #[test]
    fn whatever_could_mean_something_else_is_left_to_the_parser() {
        for text in [
            "{apiVersion: v1, kind: Pod}",
            "  apiVersion: v1\n  kind: Pod\n",
            "\"kind\": Pod\n",
            "kind: Pod\nkind: Job\n",
            "kind: Pod\n  Preset\n",
            "kind: &a Pod\n",
            "kind:\n  Pod\n",
            "? kind\n: Pod\n",
            "a: \"x\nkind: Pod\"\n\"kind\": Job\n",
            "<<: *x\n",
            "--- !!map\nkind: Pod\n",
            "- kind: Pod\n",
            "...\nkind: Pod\n",
        ] {
            assert_eq!(scan_object(text), ObjectScan::Unclear, "{text:?}");
        }
    }
}
