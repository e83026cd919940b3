//! Parses a pattern by the rules of Go 1.26 regexp/syntax (`syntax.Perl`) and translates it for the crate `regex`.
//!
//! Only whether a name matches is needed, so greed and captures are dropped. Nothing here recurses: groups are kept on a
//! stack, at any depth.

use super::PatternError;
use super::class::{self, CharacterClass, PatternEdit};

/// The largest number in a repetition, and the most that repetitions inside each other may come to.
const MAX_REPEATS: u64 = 1000;
/// The levels that Go allows.
const MAX_NESTING: usize = 1000;
/// Word boundaries that the crate `regex` has in addition to Go's.
const EXTRA_BOUNDARIES: [&str; 4] = ["{start}", "{end}", "{start-half}", "{end-half}"];

/// A pattern that Go accepts.
pub(super) struct ParsedPattern {
    /// The pattern for the crate `regex`.
    pub(super) translated: String,
    /// What that crate would read differently in the pattern as written, in order.
    pub(super) edits: Vec<PatternEdit>,
}

impl ParsedPattern {
    /// Returns the first part that is read differently, with what stands around it.
    pub(super) fn first_edit<'p>(&self, pattern: &'p str) -> &'p str {
        self.edits.first().map_or(pattern, |edit| &pattern[edit.context.0..edit.context.1])
    }
}

/// The flags that change which texts match.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RegexpFlags {
    pub(super) folds_case: bool,
    is_multi_line: bool,
    dot_is_all: bool,
}

/// Something that can be repeated.
struct RegexpItem {
    text: String,
    nesting: usize,
    /// The most that repetitions inside each other come to.
    repeats: u64,
}

impl RegexpItem {
    fn atom(text: impl Into<String>) -> Self {
        Self { text: text.into(), nesting: 1, repeats: 1 }
    }
}

/// An open group: the flags to return to, the alternatives before the last one, and the items of that.
struct RegexpGroup {
    outer: RegexpFlags,
    is_capture: bool,
    alternatives: Vec<RegexpItem>,
    items: Vec<RegexpItem>,
}

impl RegexpGroup {
    fn new(outer: RegexpFlags, is_capture: bool) -> Self {
        Self { outer, is_capture, alternatives: Vec::new(), items: Vec::new() }
    }

    /// Makes one item of the items since the last `|`.
    fn end_alternative(&mut self) {
        let mut items = std::mem::take(&mut self.items);
        let whole = match items.len() {
            1 => items.remove(0),
            _ => RegexpItem {
                nesting: 1 + items.iter().map(|i| i.nesting).max().unwrap_or(0),
                repeats: items.iter().map(|i| i.repeats).max().unwrap_or(1),
                text: items.iter().map(|i| i.text.as_str()).collect(),
            },
        };
        self.alternatives.push(whole);
    }

    /// Makes one item of the whole group.
    fn close(mut self) -> RegexpItem {
        let is_atom = self.alternatives.is_empty() && self.items.len() == 1;
        self.end_alternative();
        let levels = self.alternatives.iter().map(|i| i.nesting).max().unwrap_or(0);
        let more = usize::from(self.is_capture) + usize::from(self.alternatives.len() > 1);
        let texts: Vec<&str> = self.alternatives.iter().map(|i| i.text.as_str()).collect();
        let text = texts.join("|");
        RegexpItem {
            text: if is_atom { text } else { format!("(?:{text})") },
            nesting: levels + more,
            repeats: self.alternatives.iter().map(|i| i.repeats).max().unwrap_or(1),
        }
    }
}

/// Reads a pattern.
pub(super) fn parse_pattern(pattern: &str) -> Result<ParsedPattern, PatternError> {
    let mut reader = PatternParser {
        pattern,
        at: 0,
        flags: RegexpFlags::default(),
        group: RegexpGroup::new(RegexpFlags::default(), false),
        outer: Vec::new(),
        edits: Vec::new(),
    };
    let mut last_repeat = None;
    while let Some(c) = reader.peek() {
        last_repeat = reader.parse_next(c, last_repeat)?;
    }
    if !reader.outer.is_empty() {
        return Err(PatternError::new("a `)` is missing"));
    }
    Ok(ParsedPattern { translated: reader.group.close().text, edits: reader.edits })
}

struct PatternParser<'p> {
    pattern: &'p str,
    at: usize,
    flags: RegexpFlags,
    group: RegexpGroup,
    outer: Vec<RegexpGroup>,
    edits: Vec<PatternEdit>,
}

impl<'p> PatternParser<'p> {
    fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, c: char) {
        self.at += c.len_utf8();
    }

    fn push(&mut self, text: impl Into<String>) {
        self.group.items.push(RegexpItem::atom(text));
    }

    fn push_literal(&mut self, c: char) {
        let text = regex::escape(c.encode_utf8(&mut [0; 4]));
        let folds = self.flags.folds_case && c.is_alphabetic();
        self.push(if folds { format!("(?i:{text})") } else { text });
    }

    /// Reads one part. Returns where it starts if it is a repetition.
    fn parse_next(&mut self, c: char, last_repeat: Option<usize>) -> Result<Option<usize>, PatternError> {
        let from = self.at;
        match c {
            '(' if self.rest().starts_with("(?") => self.parse_perl_group()?,
            '(' => {
                self.take(c);
                self.open_group(self.flags, true)?;
            }
            '|' => {
                self.take(c);
                self.group.end_alternative();
            }
            ')' => {
                self.take(c);
                self.close_group()?;
            }
            '*' | '+' | '?' => {
                self.take(c);
                self.repeat(c.to_string(), 1, from, last_repeat)?;
                return Ok(Some(from));
            }
            '{' => return self.parse_brace(last_repeat),
            '[' => {
                let (class, edits) = class::parse(self.pattern, from)?;
                self.at = class.end;
                self.edits.extend(edits);
                self.push_class(&class);
            }
            '\\' => self.parse_escape()?,
            '.' | '^' | '$' => {
                self.take(c);
                self.push(match (c, self.flags) {
                    ('.', RegexpFlags { dot_is_all: true, .. }) => "(?s:.)",
                    ('.', _) => r"[^\n]",
                    ('^', RegexpFlags { is_multi_line: true, .. }) => "(?m:^)",
                    ('^', _) => r"\A",
                    (_, RegexpFlags { is_multi_line: true, .. }) => "(?m:$)",
                    _ => r"\z",
                });
            }
            _ => {
                self.take(c);
                self.push_literal(c);
            }
        }
        Ok(None)
    }

    /// Reads `{2,5}`; any other brace is a literal. Returns where a repetition starts.
    fn parse_brace(&mut self, last_repeat: Option<usize>) -> Result<Option<usize>, PatternError> {
        let from = self.at;
        let Some(bounds) = class::parse_repetition(self.rest()) else {
            self.take('{');
            self.push_literal('{');
            return Ok(None);
        };
        self.at += bounds.length;
        let text = &self.pattern[from..self.at];
        let times = bounds.max.unwrap_or(bounds.min);
        let is_bad = bounds.max.is_some_and(|most| most < bounds.min);
        if is_bad || times > MAX_REPEATS || bounds.min > MAX_REPEATS {
            return Err(PatternError::new(format!("`{text}` is not a valid number of repetitions")));
        }
        self.repeat(text.to_owned(), times, from, last_repeat)?;
        Ok(Some(from))
    }

    fn push_class(&mut self, class: &CharacterClass) {
        let text = class.to_pattern();
        self.push(if self.flags.folds_case { format!("(?i:{text})") } else { text });
    }

    fn open_group(&mut self, outer: RegexpFlags, is_capture: bool) -> Result<(), PatternError> {
        if self.outer.len() >= MAX_NESTING {
            return Err(PatternError::new("it is too large or nested too deeply"));
        }
        let group = RegexpGroup::new(outer, is_capture);
        self.outer.push(std::mem::replace(&mut self.group, group));
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), PatternError> {
        let Some(outer) = self.outer.pop() else {
            return Err(PatternError::new("a `)` closes nothing"));
        };
        let group = std::mem::replace(&mut self.group, outer);
        self.flags = group.outer;
        let item = group.close();
        self.check_nesting(item.nesting)?;
        self.group.items.push(item);
        Ok(())
    }

    fn check_nesting(&self, levels: usize) -> Result<(), PatternError> {
        if levels > MAX_NESTING {
            return Err(PatternError::new("it is too large or nested too deeply"));
        }
        Ok(())
    }

    /// Repeats what is before. `times` is the most that the repetition adds to those inside it; 1 where it is
    /// without a bound.
    fn repeat(
        &mut self,
        operator: String,
        times: u64,
        from: usize,
        last_repeat: Option<usize>,
    ) -> Result<(), PatternError> {
        if self.peek() == Some('?') {
            self.take('?');
        }
        if let Some(start) = last_repeat {
            let text = &self.pattern[start..self.at];
            return Err(PatternError::new(format!("`{text}` repeats a repetition")));
        }
        let Some(item) = self.group.items.last_mut() else {
            let text = &self.pattern[from..self.at];
            return Err(PatternError::new(format!("`{text}` has nothing to repeat")));
        };
        item.text = format!("(?:{}){operator}", item.text);
        item.nesting += 1;
        // Go takes a repetition of nothing for valid, whatever is inside.
        item.repeats = times.saturating_mul(item.repeats.max(1));
        let (levels, repeats) = (item.nesting, item.repeats);
        if operator.starts_with('{') && times >= 2 && repeats > MAX_REPEATS {
            return Err(PatternError::new(format!("its repetitions amount to more than {MAX_REPEATS}")));
        }
        self.check_nesting(levels)
    }

    /// Reads `(?flags)`, `(?flags:`, `(?P<name>` and `(?<name>`.
    fn parse_perl_group(&mut self) -> Result<(), PatternError> {
        let rest = self.rest();
        if let Some(named) = rest.strip_prefix("(?P<").or_else(|| rest.strip_prefix("(?<")) {
            let name = named.split_once('>').map(|(name, _)| name);
            let is_word =
                |n: &&str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let Some(name) = name.filter(is_word) else {
                return Err(PatternError::new(
                    "the name of a group has letters, digits and `_`, and ends with `>`",
                ));
            };
            self.at += rest.len() - named.len() + name.len() + 1;
            return self.open_group(self.flags, true);
        }
        let (mut flags, mut sets, mut saw_flag, mut saw_minus) = (self.flags, true, false, false);
        for (length, c) in rest.char_indices().skip(2) {
            match c {
                'i' => flags.folds_case = sets,
                'm' => flags.is_multi_line = sets,
                's' => flags.dot_is_all = sets,
                'U' => {}
                '-' if !saw_minus => {
                    (sets, saw_minus, saw_flag) = (false, true, false);
                    continue;
                }
                ':' | ')' if !saw_minus || saw_flag => {
                    self.at += length + 1;
                    let outer = std::mem::replace(&mut self.flags, flags);
                    return if c == ':' { self.open_group(outer, false) } else { Ok(()) };
                }
                _ => break,
            }
            saw_flag = true;
        }
        let shown: String = rest.chars().take(4).collect();
        Err(PatternError::new(format!("Go has no group that begins with `{shown}`")))
    }

    fn parse_escape(&mut self) -> Result<(), PatternError> {
        let (from, rest) = (self.at, self.rest());
        let edge = match rest.chars().nth(1) {
            Some('A') => Some(r"\A"),
            Some('z') => Some(r"\z"),
            Some('b') => Some(r"(?-u:\b)"),
            Some('B') => Some(r"(?-u:\B)"),
            Some('Q') => {
                let quoted = &rest[2..];
                let (text, end) = match quoted.split_once(r"\E") {
                    Some((text, _)) => (text, text.len() + 4),
                    None => (quoted, quoted.len() + 2),
                };
                text.chars().for_each(|c| self.push_literal(c));
                self.at += end;
                return Ok(());
            }
            _ => None,
        };
        if let Some(edge) = edge {
            self.at += 2;
            if let Some(name) =
                EXTRA_BOUNDARIES.iter().find(|b| edge == r"(?-u:\b)" && self.rest().starts_with(**b))
            {
                let context = (from, self.at + name.len());
                self.edits.push(PatternEdit {
                    from: self.at,
                    to: self.at + 1,
                    text: r"\{".to_owned(),
                    context,
                });
            }
            self.push(edge);
            return Ok(());
        }
        if let Some((group, length)) = class::parse_class_escape(rest)? {
            self.at += length;
            self.push_class(&CharacterClass::from_part(group));
            return Ok(());
        }
        let (c, length) = class::parse_escape(rest)?;
        self.at += length;
        if matches!(rest.get(1..2), Some("<" | ">")) {
            let text = rest[1..2].to_owned();
            self.edits.push(PatternEdit { from, to: self.at, text, context: (from, self.at) });
        }
        match char::from_u32(c) {
            Some(c) => self.push_literal(c),
            None => self.push(class::EMPTY_CLASS),
        }
        Ok(())
    }
}
