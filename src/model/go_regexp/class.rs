//! Character classes, escapes and bounds of repetitions, as Go 1.26 regexp/syntax reads them.

use super::PatternError;
use super::unicode_names::property;
use std::fmt::Write as _;

/// A part of a pattern, by its bytes, and the text that is read alike everywhere.
pub(super) struct PatternEdit {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) text: String,
    /// The bytes to show: the whole class or escape.
    pub(super) context: (usize, usize),
}

/// A class that nothing is in.
pub(super) const EMPTY_CLASS: &str = r"[^\x{0}-\x{10FFFF}]";
/// Surrogates, which no text has.
const SURROGATE_RANGE: (u32, u32) = (0xD800, 0xDFFF);
/// The named classes in `[[:name:]]`.
const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// A character class that was read.
pub(super) struct CharacterClass {
    is_negated: bool,
    /// Its parts, each as it is inside of the brackets.
    parts: Vec<String>,
    /// The byte behind it.
    pub(super) end: usize,
}

impl CharacterClass {
    /// Returns the class of one part.
    pub(super) fn from_part(part: String) -> Self {
        Self { is_negated: false, parts: vec![part], end: 0 }
    }

    /// Writes it for the crate `regex`.
    pub(super) fn to_pattern(&self) -> String {
        let inside = self.parts.concat();
        match (inside.is_empty(), self.is_negated) {
            (true, false) => EMPTY_CLASS.to_owned(),
            (true, true) => r"[\x{0}-\x{10FFFF}]".to_owned(),
            (false, negated) => format!("[{}{inside}]", if negated { "^" } else { "" }),
        }
    }

    fn add_range(&mut self, low: u32, high: u32) {
        let before = (low, high.min(SURROGATE_RANGE.0 - 1));
        let behind = (low.max(SURROGATE_RANGE.1 + 1), high);
        let parts = if high < SURROGATE_RANGE.0 || low > SURROGATE_RANGE.1 {
            vec![(low, high)]
        } else {
            vec![before, behind]
        };
        for (low, high) in parts.into_iter().filter(|(low, high)| low <= high) {
            let mut part = String::new();
            push_code_point(&mut part, low);
            part.push('-');
            push_code_point(&mut part, high);
            self.parts.push(part);
        }
    }
}

/// Reads the class that starts with the `[` at a byte, and what the crate `regex` would read differently in it.
pub(super) fn parse(pattern: &str, from: usize) -> Result<(CharacterClass, Vec<PatternEdit>), PatternError> {
    let mut reader = ClassParser {
        pattern,
        at: from + 1,
        class: CharacterClass { is_negated: false, parts: Vec::new(), end: 0 },
        escapes: Vec::new(),
    };
    if reader.rest().starts_with('^') {
        reader.at += 1;
        reader.class.is_negated = true;
    }
    let first = reader.at;
    while reader.at == first || !reader.rest().starts_with(']') {
        // The crate takes all `-` in front for themselves, and two of them further on for an operator.
        let is_leading =
            pattern[first..reader.at].bytes().chain(reader.rest().bytes().take(1)).all(|b| b == b'-');
        reader.parse_item(is_leading)?;
    }
    reader.class.end = reader.at + 1;
    let context = (from, reader.class.end);
    let edit = |at: usize| {
        let text = format!(r"\{}", &pattern[at..=at]);
        PatternEdit { from: at, to: at + 1, text, context }
    };
    let edits = reader.escapes.iter().copied().map(edit).collect();
    Ok((reader.class, edits))
}

struct ClassParser<'p> {
    pattern: &'p str,
    at: usize,
    class: CharacterClass,
    /// The bytes that other readers take for themselves only behind a backslash.
    escapes: Vec<usize>,
}

impl<'p> ClassParser<'p> {
    fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    fn parse_item(&mut self, is_leading_dash: bool) -> Result<(), PatternError> {
        let rest = self.rest();
        if rest.starts_with("[:")
            && let Some((name, _)) = rest[2..].split_once(":]")
        {
            let plain = name.strip_prefix('^').unwrap_or(name);
            if !POSIX_CLASSES.contains(&plain) {
                return Err(PatternError::new(format!("there is no class `[:{name}:]`")));
            }
            self.class.parts.push(format!("[:{name}:]"));
            self.at += name.len() + 4;
            return Ok(());
        }
        if let Some((part, length)) = parse_class_escape(rest)? {
            self.class.parts.push(part);
            self.at += length;
            return Ok(());
        }
        self.parse_range(is_leading_dash)
    }

    fn parse_range(&mut self, is_leading_dash: bool) -> Result<(), PatternError> {
        let (start, rest) = (self.at, self.rest());
        let is_operator = ["&&", "--", "~~"].iter().any(|o| rest.starts_with(o));
        let is_bracket = rest.starts_with('[');
        let low = self.parse_character()?;
        let (mut high, mut dash_at_end) = (low, None);
        let rest = self.rest();
        let is_range = rest.starts_with('-') && rest.len() >= 2 && !rest.starts_with("-]");
        if is_range {
            self.at += 1;
            dash_at_end = Some(self.at).filter(|_| self.rest().starts_with('-'));
            high = self.parse_character()?;
            if high < low {
                let text = &self.pattern[start..self.at];
                return Err(PatternError::new(format!(
                    "`{text}` is not a valid range: its end is before its start"
                )));
            }
        }
        let is_plain_dash = is_leading_dash && (!is_range || dash_at_end.is_some());
        self.escapes.extend((is_bracket || is_operator && !is_plain_dash).then_some(start));
        self.escapes.extend(dash_at_end.filter(|_| !is_leading_dash));
        self.class.add_range(low, high);
        Ok(())
    }

    fn parse_character(&mut self) -> Result<u32, PatternError> {
        let rest = self.rest();
        if rest.starts_with('\\') {
            let (c, length) = parse_escape(rest)?;
            self.at += length;
            return Ok(c);
        }
        let c = rest.chars().next().ok_or_else(|| PatternError::new("a `]` is missing"))?;
        self.at += c.len_utf8();
        Ok(u32::from(c))
    }
}

/// Reads `\d`, `\pL`, `\p{Greek}` and the like: the part of a class, and the bytes it takes.
pub(super) fn parse_class_escape(text: &str) -> Result<Option<(String, usize)>, PatternError> {
    let Some(letter) = text.strip_prefix('\\').and_then(|t| t.chars().next()) else { return Ok(None) };
    let part = match letter {
        'd' => "0-9",
        'D' => "[^0-9]",
        's' => r"\t\n\x{C}\r\x{20}",
        'S' => r"[^\t\n\x{C}\r\x{20}]",
        'w' => "0-9A-Za-z_",
        'W' => "[^0-9A-Za-z_]",
        'p' | 'P' => return parse_unicode_class(text, letter == 'P').map(Some),
        _ => return Ok(None),
    };
    Ok(Some((part.to_owned(), 2)))
}

fn parse_unicode_class(text: &str, mut is_negated: bool) -> Result<(String, usize), PatternError> {
    let missing = || PatternError::new(r"`\p` needs a name, as in `\pL` or `\p{Greek}`");
    let first = text[2..].chars().next().ok_or_else(missing)?;
    let (name, length) = match first {
        '{' => {
            let end = text.find('}').ok_or_else(missing)?;
            (&text[3..end], end + 1)
        }
        _ => (&text[2..2 + first.len_utf8()], 2 + first.len_utf8()),
    };
    let written = &text[..length];
    let name = match name.strip_prefix('^') {
        Some(name) => {
            is_negated = !is_negated;
            name
        }
        None => name,
    };
    let Some(property) = property(name) else {
        return Err(PatternError::new(format!("Go has no Unicode class `{written}`")));
    };
    let part = match (property.as_str(), is_negated) {
        ("gc=Cs", false) => EMPTY_CLASS.to_owned(),
        ("gc=Cs", true) => r"\x{0}-\x{10FFFF}".to_owned(),
        (property, false) => format!(r"\p{{{property}}}"),
        (property, true) => format!(r"\P{{{property}}}"),
    };
    Ok((part, length))
}

/// Reads an escape that refers to one character: the code point, and the bytes it takes.
pub(super) fn parse_escape(text: &str) -> Result<(u32, usize), PatternError> {
    let mut chars = text.chars();
    chars.next();
    let Some(c) = chars.next() else { return Err(PatternError::new(r"a `\` ends it")) };
    let rest = chars.as_str();
    let digits = rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
    let found = match c {
        '0'..='7' if c == '0' || digits > 0 => {
            u32::from_str_radix(&text[1..2 + digits], 8).ok().map(|n| (n, 2 + digits))
        }
        'x' => parse_hex(rest).map(|(n, length)| (n, 2 + length)),
        'a' => Some((7, 2)),
        'f' => Some((12, 2)),
        'n' => Some((10, 2)),
        'r' => Some((13, 2)),
        't' => Some((9, 2)),
        'v' => Some((11, 2)),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some((u32::from(c), 2)),
        _ => None,
    };
    found.ok_or_else(|| {
        let shown: String = text.chars().take(2).collect();
        PatternError::new(format!("Go has no escape `{shown}` here"))
    })
}

fn parse_hex(text: &str) -> Option<(u32, usize)> {
    let (digits, length) = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}').map(|(digits, _)| (digits, digits.len() + 2))?,
        None => (text.get(..2)?, 2),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let number = if digits.is_empty() { 0 } else { u32::from_str_radix(digits, 16).ok()? };
    (number <= 0x0010_FFFF).then_some((number, length))
}

/// The bounds of a repetition.
pub(super) struct RepetitionBounds {
    pub(super) min: u64,
    /// None: without an end.
    pub(super) max: Option<u64>,
    /// The bytes it takes.
    pub(super) length: usize,
}

/// Reads `{n}`, `{n,}` or `{n,m}`; anything else is a text that begins with `{`.
pub(super) fn parse_repetition(text: &str) -> Option<RepetitionBounds> {
    let (inside, _) = text.strip_prefix('{')?.split_once('}')?;
    let length = inside.len() + 2;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // Go does not take `00` and `01` for numbers.
        (is_number && (text.len() == 1 || !text.starts_with('0'))).then(|| text.parse().unwrap_or(u64::MAX))
    };
    match inside.split_once(',') {
        None => number(inside).map(|n| RepetitionBounds { min: n, max: Some(n), length }),
        Some((least, "")) => number(least).map(|least| RepetitionBounds { min: least, max: None, length }),
        Some((least, most)) => {
            let (least, most) = (number(least)?, number(most)?);
            Some(RepetitionBounds { min: least, max: Some(most), length })
        }
    }
}

/// Writes a code point so that every reader takes it for itself.
pub(super) fn push_code_point(out: &mut String, c: u32) {
    let _ = write!(out, r"\x{{{c:X}}}");
}
