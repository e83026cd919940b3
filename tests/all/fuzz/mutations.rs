//! Changes texts a little, in the ways in which manifests go wrong: for fuzz targets and their bounded runs.

/// What is put into a text: indicators of YAML, scalars that readers take for something else, blanks.
const TOKENS: &[&str] = &[
    "- ",
    "-",
    ": ",
    ":",
    "? ",
    " ",
    "  ",
    "\n",
    "\n\n",
    "#",
    " # c",
    "\"",
    "'",
    "''",
    "\"\"",
    "|\n",
    "|-\n",
    "|+\n",
    "|2\n",
    ">\n",
    ">-\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    "---\n",
    "--- ",
    "...\n",
    "&a ",
    "*a",
    "!!str ",
    "! ",
    "<<: ",
    "\\",
    "\\n",
    "\\\"",
    "\\x41",
    "\\/",
    "~",
    "null",
    "yes: ",
    "1: ",
    "a: ",
    "a",
    "é",
    "—",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "0x1",
    "0o7",
    "1e3",
    "-1",
    "+",
    ".inf",
    "%",
    "@",
    "`",
    "$",
    "(",
    "=",
    "{a: b}",
    "[a, b]",
    "{\"a\":b}",
    "a:b",
    "\t",
    "\r\n",
    "\r",
];

/// A small generator of numbers, the same ones for the same seed.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// Returns a number below `n`; 0 for 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % n.max(1)
    }
}

/// Returns some lines of a text, changed in one to three places: short, so that every change is near everything else.
pub(crate) fn mutate_part(text: &str, numbers: &mut Numbers) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let from = numbers.below(lines.len());
    let part: String = lines[from..].iter().take(1 + numbers.below(16)).copied().collect();
    (0..=numbers.below(3)).fold(part, |text, _| mutate(&text, numbers))
}

/// Returns a text with one change: bytes, tokens, lines or their indentation.
pub(crate) fn mutate(text: &str, numbers: &mut Numbers) -> String {
    match numbers.below(8) {
        0 => flip_byte(text, numbers),
        1 => change_lines(text, numbers, |lines, a, b| lines.swap(a, b)),
        2 => change_lines(text, numbers, |lines, a, b| lines.insert(a, lines[b].clone())),
        3 => change_lines(text, numbers, |lines, a, _| drop(lines.remove(a))),
        4 | 5 => indent(text, numbers),
        6 => splice(text, numbers, true),
        _ => splice(text, numbers, false),
    }
}

/// Flips one bit; what is not UTF-8 then is replaced.
fn flip_byte(text: &str, numbers: &mut Numbers) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = numbers.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << numbers.below(8);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn change_lines(
    text: &str,
    numbers: &mut Numbers,
    change: impl Fn(&mut Vec<String>, usize, usize),
) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if !lines.is_empty() {
        let (a, b) = (numbers.below(lines.len()), numbers.below(lines.len()));
        change(&mut lines, a, b);
    }
    lines.concat()
}

/// Moves a line, or it and what follows, to the right or left.
fn indent(text: &str, numbers: &mut Numbers) -> String {
    let (from, by, is_right) =
        (numbers.below(text.lines().count()), 1 + numbers.below(3), numbers.below(2) == 0);
    let to = from + 1 + numbers.below(2) * numbers.below(5);
    let moved = |(n, line): (usize, &str)| match (from..to).contains(&n) {
        true if is_right => " ".repeat(by) + line,
        true => line[line.len() - line.trim_start_matches(' ').len().max(line.len().saturating_sub(by))..]
            .to_owned(),
        false => line.to_owned(),
    };
    text.split_inclusive('\n').enumerate().map(moved).collect()
}

/// Puts a token into the text, or in the place of a character.
fn splice(text: &str, numbers: &mut Numbers, replaces: bool) -> String {
    let at = text.floor_char_boundary(numbers.below(text.len() + 1));
    let width = text[at..].chars().next().map_or(0, char::len_utf8);
    let token = TOKENS[numbers.below(TOKENS.len())];
    // Half of the replacements take the character out.
    let token = if replaces && numbers.below(2) == 0 { "" } else { token };
    [&text[..at], token, &text[at + if replaces { width } else { 0 }..]].concat()
}
