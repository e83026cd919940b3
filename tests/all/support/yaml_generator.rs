//! Generates unusual but valid YAML: writes a value in a style chosen at random at every node, and records the lines
//! of each value.

use pillion::yaml::FieldPath;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

/// Strings that some reader takes for something else, or that are hard to write.
pub(crate) const STRINGS: &[&str] = &[
    "web",
    "nginx:1.27",
    "yes",
    "No",
    "on",
    "y",
    "null",
    "~",
    "",
    " lead",
    "trail ",
    "0x10",
    "0755",
    "1.0",
    "1e3",
    "12:30:45",
    "2024-01-01",
    "a: b",
    "a #b",
    "# none",
    "- dash",
    "? q",
    ": colon",
    "{brace",
    "[bracket",
    ", comma",
    "*star",
    "&and",
    "!bang",
    "%pct",
    "@at",
    "`tick",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "tab\there",
    "héllo 世界",
    "😀 face",
    "nbsp\u{a0}x",
    "$(VAR)",
    "http://a.example/b?c=d#e",
    "/bin/sh",
    "-c",
    "--flag=x",
    "=",
    "<<",
    "true",
    ".5",
    "---",
    "...",
    "x\u{7}y",
    "\u{feff}",
    "one\ntwo",
    "one\n\n\ntwo\n\n\n",
    "key: v\nlist:\n- a\n# none\n",
    "trailing  \nblank \n",
    "in\n  dented\nback\n",
    " first\n",
    "\n\nlate\n",
    "a long plain text that a person wrapped by hand because of the screen",
];

const COMMENTS: &[&str] = &[
    "# comment",
    "#",
    "#no space",
    "#  \"quoted\" 'too'",
    "# - name: looks like yaml",
    "# ünicöde",
    "# tab\there",
    "# a:",
];

/// A source of choices; where it runs dry, the plainest choice is made.
pub(crate) struct Choices<'a> {
    left: std::slice::Iter<'a, u16>,
}

impl<'a> Choices<'a> {
    pub(crate) fn new(all: &'a [u16]) -> Self {
        Self { left: all.iter() }
    }

    /// Returns a number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.left.next().map_or(0, |&c| usize::from(c) % n)
    }

    /// Returns true once in `n` times.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }
}

/// A written document.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) text: String,
    /// The lines of each entry and item, from its key or dash to its end.
    pub(crate) lines: BTreeMap<FieldPath, Range<usize>>,
    /// Paths of collections that are written in flow style, or as nothing.
    pub(crate) flow: Vec<FieldPath>,
}

struct Writer<'c, 'a> {
    pick: &'c mut Choices<'a>,
    out: Vec<String>,
    written: Written,
    step: usize,
    gap: usize,
    flush: bool,
    /// Comments and blanks come once in this many places.
    quiet: usize,
    anchors: usize,
    /// The line behind the last block scalar: what stands deeper there, or is blank, may become its content.
    behind_block: usize,
    /// That scalar keeps the blank lines behind it.
    keeps: bool,
    /// The text of that block scalar ends a line.
    ends_line: bool,
}

/// Writes a document. The mapping `shared`, where the root has one, gets an anchor; `again` becomes an alias of it, and `merged`
/// takes it in by a merge key.
pub(crate) fn write(value: &Value, pick: &mut Choices<'_>) -> Written {
    let (step, gap) = ([2, 2, 4, 3, 1][pick.below(5)], [2, 2, 4, 3][pick.below(4)]);
    let (flush, quiet) = (pick.once_in(2), [usize::MAX, 4, 8][pick.below(3)]);
    let json = pick.once_in(12);
    let mut writer = Writer {
        pick,
        out: Vec::new(),
        written: Written::default(),
        step,
        gap,
        flush,
        quiet,
        anchors: 0,
        behind_block: 0,
        keeps: false,
        ends_line: false,
    };
    if json {
        writer.json(value);
    } else {
        writer.document(value);
    }
    let Writer { pick, out, mut written, behind_block, keeps, ends_line, .. } = writer;
    written.text = out.join("\n");
    // A block scalar that has line ends at its own end needs one in the text.
    let ends = match behind_block == out.len() {
        true if keeps => 1,
        true if ends_line => 3,
        _ => 4,
    };
    written.text.push_str(["\n", "\n", "\n\n", ""][pick.below(ends)]);
    if pick.once_in(6) {
        written.text = written.text.replace('\n', "\r\n");
    }
    if pick.once_in(12) {
        written.text.insert(0, '\u{feff}');
    }
    written
}

impl Writer<'_, '_> {
    fn json(&mut self, value: &Value) {
        let layout = self.pick.below(3);
        let text =
            if layout == 2 { serde_json::to_string(value) } else { serde_json::to_string_pretty(value) };
        let indented = |line: &str| {
            let content = line.trim_start();
            format!("{}{content}", "\t".repeat((line.len() - content.len()) / 2))
        };
        self.out = text
            .unwrap_or_default()
            .split('\n')
            .map(|line| if layout == 1 { indented(line) } else { line.to_owned() })
            .collect();
        self.written.flow.push(FieldPath::root());
        self.written.lines.insert(FieldPath::root(), 0..self.out.len());
    }

    fn document(&mut self, value: &Value) {
        if self.pick.once_in(3) {
            self.between(0);
            self.out.push(["---", "--- # start", "---   "][self.pick.below(3)].to_owned());
        }
        self.between(0);
        self.block(value, 0, &FieldPath::root());
        self.written.lines.insert(FieldPath::root(), 0..self.out.len());
        self.between(0);
        if self.pick.once_in(12) {
            self.out.push("...".to_owned());
        }
    }

    fn noisy(&mut self) -> bool {
        self.pick.once_in(self.quiet)
    }

    fn comment(&mut self) -> &'static str {
        COMMENTS[self.pick.below(COMMENTS.len())]
    }

    /// What may follow a value on its line.
    fn tail(&mut self, tabs: bool) -> String {
        if !self.noisy() {
            return String::new();
        }
        let comment = self.comment();
        match self.pick.below(if tabs { 5 } else { 3 }) {
            0 => "  ".to_owned(),
            1 => format!(" {comment}"),
            2 => format!("   {comment}"),
            3 => "\t".to_owned(),
            _ => format!("\t{comment}"),
        }
    }

    /// Comments and blank lines before an entry, at times at an unusual column.
    fn between(&mut self, indent: usize) {
        if self.behind_block == self.out.len() && self.behind_block > 0 && self.keeps {
            return;
        }
        while self.noisy() {
            let deeper = if self.behind_block == 0 { 3 } else { 1 };
            let line = match self.pick.below(4) {
                0 => String::new(),
                1 => " ".repeat(self.pick.below(indent + 1)),
                n => {
                    let column = if n == 2 { indent } else { self.pick.below(indent + deeper) };
                    format!("{}{}", " ".repeat(column), self.comment())
                }
            };
            self.out.push(line);
        }
    }

    fn block(&mut self, value: &Value, indent: usize, at: &FieldPath) {
        let pad = " ".repeat(indent);
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    self.between(indent);
                    let (path, first) = (at.child(key.as_str()), self.out.len());
                    let key = self.key(key);
                    if self.pick.once_in(20) {
                        let tail = self.tail(false);
                        self.out.push(format!("{pad}? {key}{tail}"));
                        self.entry(format!("{pad}:"), value, indent, false, &path);
                    } else {
                        self.entry(format!("{pad}{key}:"), value, indent, false, &path);
                    }
                    self.written.lines.insert(path, first..self.out.len());
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (i, item) in items.iter().enumerate() {
                    self.between(indent);
                    let (path, first) = (at.child(i), self.out.len());
                    self.entry(format!("{pad}-"), item, indent, true, &path);
                    self.written.lines.insert(path, first..self.out.len());
                }
            }
            other => {
                self.written.flow.push(at.clone());
                let text = self.flow(other, false);
                self.out.push(format!("{pad}{text}"));
                self.written.lines.insert(at.clone(), self.out.len() - 1..self.out.len());
            }
        }
    }

    /// The lines of an entry or item, from its key or dash on.
    fn entry(&mut self, head: String, value: &Value, indent: usize, dash: bool, at: &FieldPath) {
        let top = at.segments().len() == 1 && !dash;
        if top && at.to_string() == "again" {
            self.written.flow.push(at.clone());
            return self.out.push(format!("{head} *shared{}", ["", " # again"][self.pick.below(2)]));
        }
        let mut head = head;
        if top && at.to_string() == "shared" {
            head += " &shared";
        } else if self.pick.once_in(30) {
            self.anchors += 1;
            head += &format!(" &n{}", self.anchors);
        }
        let bare = !head.contains('&');
        match value {
            Value::Object(_) | Value::Array(_) => self.collection(head, value, indent, dash, bare, at),
            Value::String(text) => self.text(head, text, indent),
            other => {
                let blank = if bare && self.pick.once_in(12) { "\t" } else { " " };
                let blank = if dash || head.trim_start() == ":" { " " } else { blank };
                let written = if other.is_null() && bare {
                    [" null", " ~", ""][self.pick.below(3)].to_owned()
                } else {
                    format!("{blank}{other}")
                };
                self.written.flow.push(at.clone());
                let tail = if written.is_empty() { self.tail(false) } else { self.tail(true) };
                self.out.push(format!("{head}{written}{tail}"));
            }
        }
    }

    fn collection(
        &mut self,
        head: String,
        value: &Value,
        indent: usize,
        dash: bool,
        bare: bool,
        at: &FieldPath,
    ) {
        let empty = value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        let merged = !dash && at.to_string() == "merged";
        if empty || !merged && self.pick.once_in(8) {
            self.written.flow.push(at.clone());
            if !empty && self.pick.once_in(2) {
                return self.flow_lines(&head, value, indent);
            }
            let (text, tail) = (self.flow(value, false), self.tail(true));
            return self.out.push(format!("{head} {text}{tail}"));
        }
        if dash && bare && !self.pick.once_in(12) {
            // On the line of the dash.
            let (first, quiet) = (self.out.len(), self.quiet);
            self.quiet = usize::MAX;
            let column = indent + self.gap;
            self.block(value, column, at);
            self.quiet = quiet;
            let line = self.out[first][column..].to_owned();
            self.out[first] = format!("{head}{}{line}", " ".repeat(self.gap - 1));
            return;
        }
        let tail = self.tail(false);
        self.out.push(format!("{head}{tail}"));
        let flush = !dash && value.is_array() && self.flush;
        let deeper = indent
            + if flush {
                0
            } else if dash {
                self.gap
            } else {
                self.step
            };
        if merged {
            self.out.push(format!("{}<<: *shared", " ".repeat(deeper)));
            let own: serde_json::Map<String, Value> = value
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(k, _)| k.starts_with("own"))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            if !own.is_empty() {
                self.block(&Value::Object(own), deeper, at);
            }
        } else {
            self.block(value, deeper, at);
        }
    }

    /// A flow collection over several lines.
    fn flow_lines(&mut self, head: &str, value: &Value, indent: usize) {
        let pad = " ".repeat(indent + self.step + 1);
        let units: Vec<String> = match value {
            Value::Object(map) => {
                map.iter().map(|(k, v)| format!("{}: {}", self.key(k), self.flow(v, true))).collect()
            }
            Value::Array(items) => items.iter().map(|v| self.flow(v, true)).collect(),
            _ => Vec::new(),
        };
        let (open, close) = if value.is_array() { ('[', ']') } else { ('{', '}') };
        let tail = self.tail(false);
        self.out.push(format!("{head} {open}{tail}"));
        let count = units.len();
        for (i, unit) in units.into_iter().enumerate() {
            let comma = if i + 1 < count || self.pick.once_in(3) { "," } else { "" };
            let tail = self.tail(false);
            self.out.push(format!("{pad}{unit}{comma}{tail}"));
        }
        let tail = self.tail(true);
        self.out.push(format!("{}{close}{tail}", " ".repeat(indent + 1)));
    }

    fn flow(&mut self, value: &Value, nested: bool) -> String {
        let blank = ["", " "][self.pick.below(2)];
        let comma = [", ", ", ", " , "][self.pick.below(3)];
        match value {
            Value::Object(map) => {
                let units: Vec<String> =
                    map.iter().map(|(k, v)| format!("{}: {}", self.key(k), self.flow(v, true))).collect();
                format!("{{{blank}{}{blank}}}", units.join(comma))
            }
            Value::Array(items) => {
                let units: Vec<String> = items.iter().map(|v| self.flow(v, true)).collect();
                let last = if units.is_empty() || !self.pick.once_in(4) { "" } else { "," };
                format!("[{blank}{}{last}{blank}]", units.join(comma))
            }
            Value::String(text) if !nested && is_plain(text) && !self.pick.once_in(4) => text.clone(),
            Value::String(text) => self.quoted(text),
            other => other.to_string(),
        }
    }

    fn key(&mut self, key: &str) -> String {
        if is_plain(key) && !self.pick.once_in(12) { key.to_owned() } else { self.quoted(key) }
    }

    fn quoted(&mut self, text: &str) -> String {
        let single = text.chars().all(|c| c >= ' ' && c != '\u{7f}' && c != '\u{feff}');
        if single && self.pick.once_in(2) {
            return format!("'{}'", text.replace('\'', "''"));
        }
        serde_json::to_string(text).unwrap_or_default().replace('\u{feff}', "\\ufeff")
    }

    /// A string as an entry's value: also over several lines.
    fn text(&mut self, head: String, text: &str, indent: usize) {
        let pad = " ".repeat(indent + self.step.max(self.gap));
        if text.contains('\n') && !self.pick.once_in(5) && text.lines().all(|l| !l.contains('\u{7}')) {
            let body = text.trim_end_matches('\n');
            let more = text.len() - body.len();
            let odd_start = body.starts_with([' ', '\n']);
            let chomp = ["-", "", "+"][more.min(2)];
            let sign = if odd_start || self.pick.once_in(8) {
                (pad.len() - indent).to_string()
            } else {
                String::new()
            };
            let tail = self.tail(false);
            self.out.push(format!("{head} |{chomp}{sign}{tail}"));
            self.out.extend(
                body.split('\n').map(|l| if l.is_empty() { String::new() } else { format!("{pad}{l}") }),
            );
            self.out.extend((1..more).map(|_| String::new()));
            (self.behind_block, self.keeps, self.ends_line) = (self.out.len(), more > 1, more > 0);
            return;
        }
        let words: Vec<&str> = text.split(' ').collect();
        if words.len() > 8 && is_plain(&text.replace(' ', "")) && !self.pick.once_in(3) {
            let at = 1 + self.pick.below(words.len() - 2);
            let (first, second) = (words[..at].join(" "), words[at..].join(" "));
            let (open, close) = [("", ""), ("\"", "\""), ("'", "'"), (">-\n", "")][self.pick.below(4)];
            let open = open.replace('\n', &format!("\n{pad}"));
            let tail = if open.starts_with('>') { String::new() } else { self.tail(true) };
            let lines = format!("{head} {open}{first}\n{pad}{second}{close}{tail}");
            self.out.extend(lines.split('\n').map(str::to_owned));
            (self.behind_block, self.keeps) = (self.out.len(), false);
            return;
        }
        let tag = if self.pick.once_in(20) { "!!str " } else { "" };
        let (value, tail) = (
            if is_plain(text) && !self.pick.once_in(4) { text.to_owned() } else { self.quoted(text) },
            self.tail(true),
        );
        self.out.push(format!("{head} {tag}{value}{tail}"));
    }
}

/// Returns whether a text can surely be written plain, also in flow collections.
fn is_plain(text: &str) -> bool {
    text.len() > 1
        && !["yes", "no", "on", "off", "true", "false", "null"].contains(&text.to_lowercase().as_str())
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
}
