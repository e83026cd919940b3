//! Detects documents so plain that Kubernetes certainly reads them, so that most documents are never parsed.
//!
//! "Yes" is certain: block mappings and lists of plain words, one line each, block scalars, no duplicate key.
//! "No" means that the parser decides.

use super::scalar;
use super::syntax::check_characters;

/// Collections in one another beyond which the parser is asked.
const MAX_NESTING: usize = 60;

/// Keys of one mapping that are compared with one another.
const MAX_KEYS: usize = 48;

/// Returns whether a document is certainly read by Kubernetes, without a key that is duplicated.
pub fn is_certainly_readable(text: &str) -> bool {
    if text.contains('\t') || text.contains('\u{feff}') || check_characters(text).is_err() {
        return false;
    }
    let has_carriage_return = text.contains('\r');
    let mut walk = LineScanner { levels: Vec::new(), awaits_value: false, scalar: None };
    text.split('\n').enumerate().all(|(n, line)| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        !(has_carriage_return && line.contains('\r')) && walk.scan_line(line, n == 0)
    })
}

/// A collection that is open.
struct OpenCollection<'a> {
    column: usize,
    /// `None` for a list.
    keys: Option<Vec<&'a str>>,
}

/// A block scalar that is being skipped.
struct OpenBlockScalar {
    /// The column of the key or dash that it belongs to.
    owner: usize,
    /// Where its lines start, once there was one.
    column: Option<usize>,
}

struct LineScanner<'a> {
    levels: Vec<OpenCollection<'a>>,
    /// The last key or dash has no value yet.
    awaits_value: bool,
    scalar: Option<OpenBlockScalar>,
}

impl<'a> LineScanner<'a> {
    /// Takes the next line; false: the parser has to be asked.
    fn scan_line(&mut self, line: &'a str, is_first: bool) -> bool {
        let content = line.trim_start_matches(' ');
        let column = line.len() - content.len();
        if let Some(scalar) = &mut self.scalar {
            match scalar.column {
                // Blank lines with blanks may be deeper than the first line, which is refused.
                _ if line.is_empty() => return true,
                None if content.is_empty() || column <= scalar.owner => return false,
                None => {
                    scalar.column = Some(column);
                    return true;
                }
                Some(start) if content.is_empty() || column >= start => return true,
                Some(_) if column > scalar.owner => return false,
                Some(_) => self.scalar = None,
            }
        }
        if content.is_empty() || content.starts_with('#') {
            return true;
        }
        if is_first && line.starts_with("---") {
            return is_end(&line[3..]);
        }
        self.scan_entry(content, column)
    }

    /// Takes `- - key: value` and the like.
    fn scan_entry(&mut self, mut content: &'a str, mut column: usize) -> bool {
        let mut is_inner = false;
        while let Some(rest) = content.strip_prefix('-').filter(|r| r.is_empty() || r.starts_with(' ')) {
            if !self.enter_collection(column, None, is_inner) {
                return false;
            }
            let inner = rest.trim_start_matches(' ');
            self.awaits_value = true;
            if inner.is_empty() {
                return true;
            }
            column += 1 + rest.len() - inner.len();
            (content, is_inner) = (inner, true);
        }
        match split_key(content) {
            Some((key, value)) => {
                self.enter_collection(column, Some(key), is_inner) && self.scan_value(value, column)
            }
            // An item; what is deeper than its dash could continue in the next line, which `enter` refuses.
            None => is_inner && self.scan_value(content, column.saturating_sub(1)),
        }
    }

    /// Goes to the collection at a column, which ends deeper ones.
    fn enter_collection(&mut self, column: usize, key: Option<&'a str>, is_inner: bool) -> bool {
        if !is_inner {
            while self.levels.last().is_some_and(|top| top.column > column) {
                self.levels.pop();
                self.awaits_value = false;
            }
            if let [.., above, top] = &self.levels[..]
                && key.is_some()
                && (top.keys.is_none() && top.column == column)
            {
                // A list at the column of its key has ended.
                if above.column != column || above.keys.is_none() {
                    return false;
                }
                self.levels.pop();
                self.awaits_value = false;
            }
        }
        let is_root = self.levels.is_empty() && column == 0 && key.is_some();
        let starts = match self.levels.last() {
            None if is_root => true,
            None => return false,
            Some(top) => {
                let is_same = top.column == column && top.keys.is_some() == key.is_some();
                let is_indentless = top.column == column && top.keys.is_some() && key.is_none();
                match is_same && !is_inner {
                    true => false,
                    false if self.awaits_value && (top.column < column || is_indentless) => true,
                    false => return false,
                }
            }
        };
        if starts {
            self.levels.push(OpenCollection { column, keys: key.map(|_| Vec::new()) });
        }
        self.awaits_value = false;
        self.levels.len() <= MAX_NESTING && key.is_none_or(|key| self.is_new_key(key))
    }

    fn is_new_key(&mut self, key: &'a str) -> bool {
        let Some(keys) = self.levels.last_mut().and_then(|top| top.keys.as_mut()) else { return false };
        let is_new = keys.len() < MAX_KEYS && !keys.contains(&key);
        keys.push(key);
        is_new
    }

    /// Takes what is behind a key or dash.
    fn scan_value(&mut self, value: &str, owner: usize) -> bool {
        let text = value.trim_start_matches(' ');
        self.awaits_value = false;
        match text.as_bytes().first() {
            None => self.awaits_value = true,
            Some(b'#') => {
                self.awaits_value = true;
                return text.len() < value.len();
            }
            Some(b'|' | b'>') => {
                self.scalar = Some(OpenBlockScalar { owner, column: None });
                return matches!(text[1..].trim_end_matches(' '), "" | "-" | "+");
            }
            Some(b'"') => {
                return text[1..].find(['"', '\\']).is_some_and(|end| is_closed(text, end + 1, '"'));
            }
            Some(b'\'') => return text[1..].find('\'').is_some_and(|end| is_closed(text, end + 1, '\'')),
            Some(b'{') => return text.strip_prefix("{}").is_some_and(is_end),
            Some(b'[') => return text.strip_prefix("[]").is_some_and(is_end),
            Some(_) => return is_plain(text),
        }
        true
    }
}

/// Returns whether a quote ends at a byte, and its line behind it.
fn is_closed(text: &str, end: usize, quote: char) -> bool {
    text[end..].strip_prefix(quote).is_some_and(is_end)
}

/// Returns whether nothing but a comment follows.
fn is_end(rest: &str) -> bool {
    let text = rest.trim_start_matches(' ');
    text.is_empty() || (text.starts_with('#') && text.len() < rest.len())
}

/// Splits `key: value` where the key has one meaning, which is its text.
fn split_key(content: &str) -> Option<(&str, &str)> {
    let end = content.bytes().position(|b| !(b.is_ascii_alphanumeric() || b"_./-".contains(&b)))?;
    let (key, rest) = content.split_at(end);
    let value = rest.strip_prefix(':')?;
    let is_word = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.len() <= 128;
    let is_text = scalar::resolve_plain(key) == scalar::ScalarMeaning::Text;
    (is_word && is_text && (value.is_empty() || value.starts_with(' '))).then_some((key, value))
}

/// Returns whether a text is one plain scalar that JSON can hold, up to the end of its line.
fn is_plain(text: &str) -> bool {
    // Searches for two bytes would take longer to begin than this takes in all.
    let (mut end, mut before) = (0, 0);
    for (i, &byte) in text.as_bytes().iter().enumerate() {
        match (before, byte) {
            (b' ', b'#') => break,
            (b':', b' ') => return false,
            (_, b' ') => {}
            _ => end = i + 1,
        }
        before = byte;
    }
    let text = &text[..end];
    let bytes = text.as_bytes();
    let starts_well = match bytes {
        [first, ..] if first.is_ascii_alphanumeric() || b"/._$(+<^".contains(first) => true,
        [b'-', second, ..] => second.is_ascii_alphanumeric() || *second == b'-',
        _ => false,
    };
    let is_mark = text.ends_with(':') || text.starts_with("<<") || text.starts_with("...");
    let is_number = matches!(bytes.first(), Some(b'0'..=b'9' | b'+' | b'-' | b'.'));
    starts_well && !is_mark && (!is_number || scalar::to_json(scalar::resolve_plain(text), text).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_as_people_write_them_need_no_parser() {
        for text in [
            "apiVersion: v1\nkind: Pod # a\nmetadata:\n  name: a\n  labels: {}\nspec:\n  containers:\n  - name: a\n    \
             args:\n    - --x=y\n    - \"b: c\"\n    image: r/a:1\n",
            "---\r\na:\r\n  - b: |\r\n      x\r\n       y\r\n\r\n      z\r\n    c: 'd'\r\n  -\r\n    - e\r\n",
            "# only\n",
            "a:\n- b\n- c:\n  - d\nf: >-\n  g\n\n\n# h\ni:\n",
            "",
        ] {
            assert!(is_certainly_readable(text), "{text:?}");
        }
    }

    #[test]
    fn what_may_be_wrong_or_mean_something_else_is_left_to_the_parser() {
        for text in [
            "a: 1\na: 2\n",
            "a: b\n  c: d\n",
            "a: b\n  c\n",
            "a:\n  b: c\n d: e\n",
            " a: b\n",
            "a: b\n---\nc: d\n",
            "a: {b: c}\n",
            "a: \"b\n",
            "a: 'it''s'\n",
            "a: .inf\n",
            "a: b: c\n",
            "a: b:\n",
            "a:\n- b\nc\n",
            "a:\n- b\n - c\n",
            "- a\n",
            "a: |\n\n   \n x\n",
            "a:\n  b: |\n  x\n",
            "a: |\n    x\n  y\n",
            "a: *b\n",
            "yes: 1\n",
            "a:\tb\n",
            "a: - b\n",
            "a: b #c\n  d\n",
            "a:\n  - b: c\n   d: e\n",
            "a:\n  - b: c\n     d: e\n",
            "? a\n",
            "a\n",
            "a:b\n",
            "a: @b\n",
        ] {
            assert!(!is_certainly_readable(text), "{text:?}");
        }
    }
}
