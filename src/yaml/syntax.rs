//! Explains why a text is not YAML that Kubernetes accepts, and how to fix it.

use super::source_text::SourceText;
use super::syntax_hints::{hint, recognize_foreign};
use super::tabs::misplaced_tab;
use super::tree::{NodeId, NodeKind, SyntaxTree};
use crate::diagnostics::{Code, Diagnostic};
use granit_parser::{ErrorKind, ScanError};
use memchr::{memchr, memchr_iter, memchr2};
use std::ops::Range;

/// Bytes that one document may have.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// Why a text is refused, by bytes.
#[derive(Debug, Clone)]
pub(super) struct Error {
    code: Code,
    message: String,
    /// The places: the primary one first.
    at: Vec<(Range<usize>, String)>,
    /// Where the last node before it ended.
    after: Option<usize>,
    note: Option<String>,
    help: Option<String>,
}

impl Error {
    pub(super) fn new(code: Code, message: impl Into<String>, at: Range<usize>) -> Box<Self> {
        Box::new(Self {
            code,
            message: message.into(),
            at: vec![(at, String::new())],
            after: None,
            note: None,
            help: None,
        })
    }

    fn invalid(message: impl Into<String>, at: Range<usize>) -> Box<Self> {
        Self::new(Code::InvalidYaml, message, at)
    }

    pub(super) fn with_label(mut self: Box<Self>, at: Range<usize>, text: impl Into<String>) -> Box<Self> {
        self.at.push((at, text.into()));
        self
    }

    pub(super) fn note(mut self: Box<Self>, note: impl Into<String>) -> Box<Self> {
        self.note = Some(note.into());
        self
    }

    pub(super) fn help(mut self: Box<Self>, help: impl Into<String>) -> Box<Self> {
        self.help = Some(help.into());
        self
    }

    /// Returns what the parser found, at its place. It saw the text from `skip`; `closed` is where the last node ended,
    /// `flow` where a flow collection starts that is still open.
    pub(super) fn from_scan_error(
        error: &ScanError,
        skip: usize,
        closed: usize,
        flow: Option<usize>,
    ) -> Box<Self> {
        let at = error.marker().byte_offset().map_or(closed, |at| skip + at);
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => Self::too_deep(at),
            kind => {
                let reason = match (kind, flow) {
                    (ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey, Some(_)) => {
                        "a `,` or a closing bracket is missing before this".to_owned()
                    }
                    _ => scan_error_reason(kind),
                };
                let mut failure = Self::invalid(reason, at..at + 1);
                failure.after = Some(closed);
                match flow {
                    Some(open) if open != at => failure.with_label(open..open + 1, "this is still open"),
                    _ => failure,
                }
            }
        }
    }

    pub(super) fn second_document(closed: usize) -> Box<Self> {
        Self::invalid("text after the end of the document is dropped by Kubernetes", closed..closed)
            .help("line it up with the lines above; if another document starts, write `---` before it")
    }

    pub(super) fn too_deep(at: usize) -> Box<Self> {
        let most = super::tree::MAX_DEPTH;
        Self::new(
            Code::NestingTooDeep,
            format!("collections are nested more than {most} levels deep"),
            at..at + 1,
        )
        .help("no Kubernetes object needs that; look for a bracket or an anchor that is there by mistake")
    }

    pub(super) fn too_many_nodes(at: usize) -> Box<Self> {
        Self::new(Code::DocumentTooLarge, "the document has more than 8 million nodes", at..at + 1)
            .help("no Kubernetes object is that large; exclude the file with `ignore` in pillion.yaml")
    }

    pub(super) fn invalid_anchor_name(at: Range<usize>) -> Box<Self> {
        Self::invalid("an anchor's name may hold letters, digits, `-` and `_` only", at)
            .help("rename the anchor, and its aliases")
    }

    /// Returns the diagnostic, with a hint where the text shows what went wrong.
    pub(super) fn into_diagnostic(mut self, place: &SourceText<'_>) -> Diagnostic {
        // The parser takes a line with a tab for the rest of the value above it.
        if self.message == "found a tab"
            && let Some((range, _)) = self.at.first_mut()
            && let Some(tab) = tab_in_next_line(place.text, range.start)
        {
            *range = tab;
            self.message = scan_error_reason(&ErrorKind::TabInIndentation);
        }
        let mut at = self.at.into_iter();
        let (mut range, label) = at.next().unwrap_or_default();
        if self.message == "a quote is not closed"
            && let Some(quote) =
                self.after.and_then(|a| place.text.get(a..)?.find(['"', '\'']).map(|i| a + i))
        {
            // The parser stops where it gives up; people look for the quote.
            range = quote..quote + 1;
        }
        let range = if self.code == Code::InvalidYaml { clamp_to_visible(place.text, range) } else { range };
        // The parser stops behind a tab.
        let tab = self.message.contains(" tab ") && !place.text[range.start..].starts_with('\t');
        let before = &place.text[..range.start];
        let range = if tab && before.ends_with('\t') {
            before.trim_end_matches('\t').len()..range.start
        } else {
            range
        };
        let foreign = if self.code == Code::InvalidYaml { recognize_foreign(place, &range) } else { None };
        let hint = match foreign {
            Some((_, help)) => Some(help.to_owned()),
            None => self.help.or_else(|| Some(hint(place, &self.message, &range, at.len() > 0))),
        };
        let message = foreign.map_or(self.message, |(what, _)| what.to_owned());
        let mut out = Diagnostic::error(self.code, message).at(place.label(range, label));
        for (range, text) in at {
            out = out.at(place.label(range, text));
        }
        if let Some(note) = self.note {
            out = out.because(note);
        }
        out.help(hint.unwrap_or_default())
    }
}

/// Moves a place at the end of the text back to the last thing that can be shown.
fn clamp_to_visible(text: &str, range: Range<usize>) -> Range<usize> {
    if range.start < text.trim_end().len() {
        return range;
    }
    let end = text.trim_end().len();
    let start = text[..end].char_indices().next_back().map_or(0, |(i, _)| i);
    start..end
}

/// Returns the place of a tab in the indentation of the line after a place.
fn tab_in_next_line(text: &str, at: usize) -> Option<Range<usize>> {
    let next = at + text.get(at..)?.find('\n')? + 1;
    let line = text[next..].lines().next()?;
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    let tab = next + line[..indent].find('\t')?;
    Some(tab..tab + 1)
}

/// Returns the parser's reason in our words.
fn scan_error_reason(kind: &ErrorKind) -> String {
    use ErrorKind as E;
    match kind {
        E::UnknownAnchor => "this alias has no anchor before it in the document".to_owned(),
        E::DirectiveDisallowed | E::MissingDocumentEndBeforeDirective => {
            "Kubernetes does not accept lines with `%` directives".to_owned()
        }
        E::UnclosedQuotedScalar | E::InvalidQuotedScalarIndent | E::DocumentIndicatorInQuotedScalar => {
            "a quote is not closed".to_owned()
        }
        E::UnclosedFlowCollection { open } => format!("`{open}` is not closed"),
        E::MappingValueNotAllowed => "a `key: value` pair is not allowed here".to_owned(),
        E::UnknownQuotedScalarEscape => "YAML has no such escape in double quotes".to_owned(),
        E::TabInIndentation | E::TabInBlockIndentation | E::TabNotAllowed | E::TabAtBlockScalarStart => {
            "a tab is used as indentation".to_owned()
        }
        E::ExpectedDocumentStart | E::InvalidDocumentEnd => {
            "text after the end of the document is dropped by Kubernetes".to_owned()
        }
        E::SimpleKeyExpected | E::InvalidSimpleKey => {
            "this line is not a `key: value` pair, and no text of the lines above".to_owned()
        }
        E::ExpectedFlowMappingSeparator => "a `,` or `}` is missing before this".to_owned(),
        E::ExpectedFlowSequenceSeparator => "a `,` or `]` is missing before this".to_owned(),
        E::ExpectedBlockMappingKey => "this has the indentation of no line above".to_owned(),
        E::ExpectedBlockSequenceEntry => {
            "an item of a list, starting with `- `, was expected here".to_owned()
        }
        E::InvalidIndentation => "the indentation fits nothing above".to_owned(),
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            "something follows a closed quote".to_owned()
        }
        E::BlockEntryInFlowCollection => "`- ` starts no item inside `[` or `{`".to_owned(),
        E::BlockSequenceEntryNotAllowed => "an item of a list is not allowed here".to_owned(),
        E::UnexpectedCharacter { character } => {
            format!("a value cannot start with `{}`", character.escape_default())
        }
        other => {
            let text = other.to_string();
            let mut text = text
                .strip_prefix("while ")
                .map_or(text.as_str(), |t| t.split_once(", ").map_or(t, |(_, r)| r));
            text = text.trim_end_matches('.');
            let mut chars = text.chars();
            chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
        }
    }
}

/// Which characters a text has, as far as readers of YAML treat some of them alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Characters {
    /// No tab, CR, NBSP and byte order mark.
    Ordinary,
    /// At least one of them.
    Unusual,
}

/// Finds what Kubernetes' reader refuses before it looks at the structure; returns which characters there are.
// go-yaml v2.4.2 readerc.go yaml_parser_update_buffer.
pub(super) fn check_characters(text: &str) -> Result<Characters, Box<Error>> {
    if text.len() > MAX_BYTES {
        return Err(Error::new(Code::DocumentTooLarge, "the document is larger than 64 MiB", 0..0)
            .help("no Kubernetes object is that large; exclude the file with `ignore` in pillion.yaml"));
    }
    // One cheap look at every byte, without a branch so that it compiles to vector instructions, and a closer one only
    // at bytes with which such a character may start.
    let is_usual = |b: u8| matches!(b, b' '..=b'~' | b'\n');
    let is_suspect = |b: u8| (b < 0x20 && b != b'\n') || matches!(b, 0x7f | 0xc2 | 0xe2 | 0xef);
    let mut found = Characters::Ordinary;
    for (i, chunk) in text.as_bytes().chunks(256).enumerate() {
        if chunk.iter().fold(true, |usual, &b| usual & is_usual(b)) {
            continue;
        }
        for at in (i * 256..).zip(chunk).filter(|&(_, &b)| is_suspect(b)).map(|(at, _)| at) {
            if check_character(text, at)? == Characters::Unusual {
                found = Characters::Unusual;
            }
        }
    }
    Ok(found)
}

/// Checks the character at a byte.
fn check_character(text: &str, at: usize) -> Result<Characters, Box<Error>> {
    let c = text[at..].chars().next().unwrap_or('\0');
    match c {
        '\t' | '\r' | '\u{a0}' | '\u{feff}' => Ok(Characters::Unusual),
        '\u{85}' | '\u{2028}' | '\u{2029}' => Err(Error::invalid(
            format!("U+{:04X} is a line break for Kubernetes but not for newer readers", c as u32),
            at..at + c.len_utf8(),
        )
        .help("write it as an escape in double quotes, such as \"\\u2028\", or remove it")),
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => Err(Error::invalid(
            format!("the control character U+{:04X} is not allowed in YAML", c as u32),
            at..at + c.len_utf8(),
        )
        .help("remove it, or write it as an escape in double quotes")),
        _ => Ok(Characters::Ordinary),
    }
}

/// Finds what the parser accepts and Kubernetes' older one does not: some escapes, question marks, block scalars, document
/// ends and tabs.
pub(super) fn check_libyaml_rules(text: &str, tree: &SyntaxTree) -> Result<(), Box<Error>> {
    let bytes = text.as_bytes();
    if memchr(b'\\', bytes).is_some() {
        for id in 0..NodeId::try_from(tree.len()).unwrap_or(NodeId::MAX) {
            if tree.node(id).kind == NodeKind::DoubleQuoted {
                check_escapes(text, tree.span(id))?;
            }
        }
    }
    if memchr2(b'{', b'[', bytes).is_some() && (memchr(b'?', bytes).is_some() || has_unusual_colon(bytes)) {
        check_flow_scalars(text, tree)?;
    }
    if memchr(b'!', bytes).is_some() {
        check_tags(text, tree)?;
    }
    check_root(text, tree)?;
    match memchr(b'\t', bytes).and_then(|_| misplaced_tab(text, tree)) {
        Some(at) => Err(Error::invalid("a tab is used as indentation", at..at + 1)
            .help("indent with spaces; Kubernetes' reader does not allow tabs there")),
        None => Ok(()),
    }
}

// go-yaml v2.4.2 scannerc.go yaml_parser_scan_tag: a blank or the end of the line follows, also in a flow collection.
fn check_tags(text: &str, tree: &SyntaxTree) -> Result<(), Box<Error>> {
    let tags = (0..NodeId::try_from(tree.len()).unwrap_or(NodeId::MAX))
        .filter_map(|id| Some(tree.properties(id)?.tag.as_ref()?.0.clone()));
    for tag in tags.filter(|tag| !tag.is_empty()) {
        if text[tag.end..].starts_with([',', ']', '}']) {
            return Err(Error::invalid("Kubernetes' reader allows no bracket or comma behind a tag", tag)
                .help("remove the tag, or write a value behind it"));
        }
    }
    Ok(())
}

/// Returns whether a `:` stands where a scalar may start, or before a bracket or comma.
fn has_unusual_colon(bytes: &[u8]) -> bool {
    memchr_iter(b':', bytes).any(|at| {
        let before = at.checked_sub(1).map(|at| bytes[at]);
        before.is_none_or(|byte| matches!(byte, b'{' | b'[' | b',' | b' ' | b'\t' | b'\n' | b'\r'))
            || bytes.get(at + 1).is_some_and(|byte| b",[]{}".contains(byte))
    })
}

// go-yaml v2.4.2 scannerc.go: in a flow collection, `?` ends a plain scalar (yaml_parser_scan_plain_scalar), and `:`
// begins none (yaml_parser_fetch_next_token).
fn check_flow_scalars(text: &str, tree: &SyntaxTree) -> Result<(), Box<Error>> {
    let mut flow_end = 0;
    for id in 0..NodeId::try_from(tree.len()).unwrap_or(NodeId::MAX) {
        let node = tree.node(id);
        if matches!(node.kind, NodeKind::FlowSequence | NodeKind::FlowMapping) {
            flow_end = flow_end.max(node.next);
        }
        if id >= flow_end || node.kind != NodeKind::Plain {
            continue;
        }
        let plain = &text[tree.span(id)];
        let message = match () {
            () if plain.contains('?') => "Kubernetes' reader allows no `?` in plain text inside brackets",
            () if plain.starts_with(':') => {
                "Kubernetes' reader allows no `:` before plain text inside brackets"
            }
            () if has_unusual_value(&text[tree.span(id).end..]) => {
                "Kubernetes' reader takes this `:` inside brackets for a part of the text, or refuses it"
            }
            () => continue,
        };
        return Err(Error::invalid(message, tree.span(id)).help("put the text in quotes"));
    }
    Ok(())
}

/// Returns whether the text behind a key in a flow collection has its `:` on another line, or a bracket or comma right
/// behind it.
fn has_unusual_value(behind: &str) -> bool {
    let trimmed = behind.trim_start();
    let is_on_another_line = behind[..behind.len() - trimmed.len()].contains(['\n', '\r']);
    trimmed
        .strip_prefix(':')
        .is_some_and(|value| is_on_another_line || value.starts_with([',', '[', ']', '{', '}']))
}

/// Checks what only a document as a whole can be: a block scalar without indentation, and an end without a beginning.
// go-yaml v2.4.2 scannerc.go yaml_parser_scan_block_scalar: the indentation is at least one blank; parserc.go
// yaml_parser_parse_document_start: `...` starts no document.
fn check_root(text: &str, tree: &SyntaxTree) -> Result<(), Box<Error>> {
    match tree.root() {
        Some(root) if tree.node(root).kind.is_block_scalar() => {
            let span = tree.span(root);
            let is_outside =
                |&(at, line): &(usize, &str)| at > span.start && !line.starts_with([' ', '\n', '\r']);
            let mut lines = lines_with_offsets(text, span.start).take_while(|&(at, _)| at < span.end);
            match lines.find(is_outside) {
                Some((at, line)) => {
                    let range = at..at + line.trim_end().len();
                    Err(Error::invalid("the text of a block scalar must be indented", range)
                        .help("indent all of its lines by at least one blank"))
                }
                None => Ok(()),
            }
        }
        Some(_) => Ok(()),
        None => {
            let is_content = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
            match lines_with_offsets(text, 0).find(|&(_, line)| is_content(line)) {
                Some((at, line)) if line.starts_with("...") => {
                    Err(Error::invalid("`...` ends a document that has not begun", at..at + 3)
                        .help("remove the line"))
                }
                _ => Ok(()),
            }
        }
    }
}

/// Returns the lines of a text from a byte on, with their offsets.
fn lines_with_offsets(text: &str, from: usize) -> impl Iterator<Item = (usize, &str)> {
    let lines = text[from..].split_inclusive(['\n', '\r']);
    lines.scan(from, |at, line| {
        *at += line.len();
        Some((*at - line.len(), line))
    })
}

// go-yaml v2.4.2 scannerc.go yaml_parser_scan_flow_scalar: no `\/`, and no halves of a surrogate pair.
fn check_escapes(text: &str, span: Range<usize>) -> Result<(), Box<Error>> {
    let raw = &text.as_bytes()[span.clone()];
    let mut at = 0;
    while let Some(found) = memchr(b'\\', raw.get(at..).unwrap_or_default()) {
        at += found;
        let escape = raw.get(at + 1..).unwrap_or_default();
        let here = span.start + at;
        if escape.first() == Some(&b'/') {
            return Err(Error::invalid("Kubernetes' reader has no `\\/` escape", here..here + 2)
                .help("write `/` without the backslash"));
        }
        if let [b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', ..] = escape {
            return Err(Error::invalid(
                "Kubernetes' reader does not put `\\u` surrogate pairs together",
                here..here + 6,
            )
            .help("write the character itself, or one `\\U` escape with eight digits"));
        }
        at += 2;
    }
    Ok(())
}
