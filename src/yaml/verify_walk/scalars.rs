//! Walks scalars, block scalars and flow collections.

use super::TextWalk;
use crate::yaml::expected_value::{ExpectedValue, ValueStep};
use crate::yaml::scalar::{self, ScalarMeaning};
use serde_json::Value;

impl TextWalk<'_> {
    /// Returns the end of the plain scalar that starts here.
    pub(super) fn plain_end(&self) -> Option<usize> {
        match self.byte(self.at) {
            b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"'
            | b'%' | b'@' | b'`' => return None,
            b'-' | b'?' | b':' if self.is_blank(self.at + 1) => return None,
            _ => {}
        }
        let (mut at, mut end) = (self.at, self.at);
        loop {
            let rest = self.bytes.get(at..)?;
            let stop = at + rest.iter().position(|byte| matches!(byte, b' ' | b':' | b'\n'))?;
            if stop > at {
                end = stop;
            }
            match (self.byte(stop), self.byte(stop + 1)) {
                (b'\n', _) | (b' ', b'#') => return Some(end),
                (b':', b' ' | b'\n') => return None,
                (b':', _) => end = stop + 1,
                _ => {}
            }
            at = stop + 1;
        }
    }

    /// Returns whether plain text means a value.
    pub(super) fn has_meaning(&self, start: usize, end: usize, value: &Value) -> Option<()> {
        let bytes = &self.bytes[start..end];
        if let Value::String(text) = value {
            return (text.as_bytes() == bytes && scalar::is_plain_text(text)).then_some(());
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let is_meant = match (scalar::resolve_plain(text), value) {
            (ScalarMeaning::Null, Value::Null) => true,
            (ScalarMeaning::Bool(a), Value::Bool(b)) => a == *b,
            (ScalarMeaning::Text | ScalarMeaning::Null | ScalarMeaning::Bool(_), _) => false,
            (number, value) => scalar::to_json(number, text).as_ref() == Some(value),
        };
        is_meant.then_some(())
    }

    /// Returns the byte behind the double-quoted scalar here, if it says a text.
    pub(super) fn double_quoted(&self, text: &str) -> Option<usize> {
        let mut wanted = text.bytes();
        let mut at = self.at + 1;
        loop {
            let character = match (self.byte(at), self.byte(at + 1)) {
                (b'"', _) => return wanted.next().is_none().then_some(at + 1),
                (b'\n', _) => return None,
                (b'\\', escape) => {
                    at += 1;
                    match escape {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'"' | b'\\' => escape,
                        _ => return None,
                    }
                }
                (byte, _) => byte,
            };
            if wanted.next() != Some(character) {
                return None;
            }
            at += 1;
        }
    }

    /// The same for a single-quoted one.
    pub(super) fn single_quoted(&self, text: &str) -> Option<usize> {
        let mut wanted = text.bytes();
        let mut at = self.at + 1;
        loop {
            match (self.byte(at), self.byte(at + 1)) {
                (b'\'', b'\'') => at += 1,
                (b'\'', _) => return wanted.next().is_none().then_some(at + 1),
                (b'\n', _) => return None,
                _ => {}
            }
            if wanted.next() != Some(self.byte(at)) {
                return None;
            }
            at += 1;
        }
    }

    /// Walks a literal block scalar that belongs to a key or dash in a column.
    pub(super) fn literal(&mut self, text: &str, owner: usize) -> Option<()> {
        let strips = self.byte(self.at + 1) == b'-';
        let header_end = self.at + 1 + usize::from(strips);
        if self.byte(header_end) != b'\n' {
            return None;
        }
        let mut line_start = header_end + 1;
        let indent = self.after_spaces(line_start) - line_start;
        if indent <= owner
            || line_start + indent >= self.bytes.len()
            || self.byte(line_start + indent) == b'\n'
        {
            return None;
        }
        let mut wanted = text.as_bytes();
        // Line ends since the last line with content; they count once another one comes.
        let mut line_ends = 0;
        while line_start < self.bytes.len() {
            let line = self.line_from(line_start);
            let spaces = line.iter().take_while(|b| **b == b' ').count();
            if spaces == line.len() {
                if spaces > indent {
                    return None;
                }
                line_ends += 1;
            } else if spaces < indent {
                break;
            } else {
                let (before, rest) = wanted.split_at_checked(line_ends)?;
                if before.iter().any(|b| *b != b'\n') {
                    return None;
                }
                wanted = rest.strip_prefix(&line[indent..])?;
                line_ends = 1;
            }
            line_start += line.len() + 1;
        }
        self.go_to_line(line_start);
        let last: &[u8] = if strips { b"" } else { b"\n" };
        (wanted == last).then_some(())
    }

    /// Walks a flow collection on one line; returns the byte behind it.
    pub(super) fn flow(&mut self, want: ExpectedValue<'_>) -> Option<usize> {
        self.deeper()?;
        if want.own_parts().next().is_some() {
            return None;
        }
        let open = self.byte(self.at);
        self.at = self.after_spaces(self.at + 1);
        match (open, want.value) {
            (b'{', Value::Object(map)) => {
                for (n, (key, value)) in map.iter().enumerate() {
                    self.flow_comma(n)?;
                    let colon = self.colon_of(key)?;
                    if self.byte(colon + 1) != b' ' {
                        return None;
                    }
                    self.at = self.after_spaces(colon + 1);
                    self.flow_value(want.below(value, ValueStep::Key(key)))?;
                }
            }
            (b'[', Value::Array(items)) => {
                for (n, item) in items.iter().enumerate() {
                    self.flow_comma(n)?;
                    self.flow_value(want.below(item, ValueStep::Index(n)))?;
                }
            }
            _ => return None,
        }
        self.depth -= 1;
        let close = if open == b'{' { b'}' } else { b']' };
        (self.byte(self.at) == close).then_some(self.at + 1)
    }

    /// Goes over the comma before any entry but the first.
    fn flow_comma(&mut self, entries_before: usize) -> Option<()> {
        if entries_before > 0 {
            if self.byte(self.at) != b',' {
                return None;
            }
            self.at = self.after_spaces(self.at + 1);
        }
        Some(())
    }

    fn flow_value(&mut self, want: ExpectedValue<'_>) -> Option<()> {
        let end = match (self.byte(self.at), want.value) {
            (b'{' | b'[', _) => self.flow(want)?,
            (b'"', Value::String(text)) => self.double_quoted(text)?,
            (b'\'', Value::String(text)) => self.single_quoted(text)?,
            (_, value) => {
                let end = self.flow_plain_end()?;
                self.has_meaning(self.at, end, value)?;
                end
            }
        };
        self.at = self.after_spaces(end);
        Some(())
    }

    /// Returns the end of the plain scalar that starts here, in a flow collection.
    fn flow_plain_end(&self) -> Option<usize> {
        let (first, second) = (self.byte(self.at), self.byte(self.at + 1));
        let is_start = first.is_ascii_alphanumeric()
            || matches!(first, b'_' | b'.' | b'/' | b'$' | b'(')
            || (first == b'-' && (second.is_ascii_alphanumeric() || second == b'-'));
        if !is_start {
            return None;
        }
        let line = self.line_from(self.at);
        let mut end = 0;
        for (i, &byte) in line.iter().enumerate() {
            match byte {
                // yaml-rust2 takes a dash before the bracket for the start of another scalar.
                b',' | b']' | b'}' if !line[..end].ends_with(b" -") => return Some(self.at + end),
                b',' | b']' | b'}' => return None,
                b' ' => {}
                // `?` ends a plain scalar for libyaml.
                b'[' | b'{' | b'#' | b'"' | b'\'' | b'?' => return None,
                b':' if !line.get(i + 1).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'/') => {
                    return None;
                }
                _ => end = i + 1,
            }
        }
        None
    }
}
