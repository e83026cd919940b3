//! Verifies that an edited text means what it should, by other readers than the one that it was edited with: every byte
//! of it is walked along the value (`verify_walk/`), and where that is not certain, yaml-rust2 reads it.
//!
//! Every edited document is verified; the check is never dropped, sampled or cached.

use super::expected_value::{ExpectedValue, PartChange};
use super::field_path::{FieldPath, PathSegment};
use super::scalar::{self, ScalarKey, ScalarMeaning, ScalarTag};
use super::tree::{self, MAX_DEPTH, SyntaxTree};
use super::verify_walk::certainly_says;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use yaml_rust2::parser::{Event, Parser, Tag as RawTag};
use yaml_rust2::scanner::TScalarStyle;

/// Columns that lines inside a flow collection are indented at most.
const MAX_FLOW_INDENT: usize = 256;

/// Characters that anchors may hold together, one inside the other counted twice.
const MAX_ANCHORED_CHARS: usize = 128 << 20;

/// Compares a text with the wanted value: `old`, with `new` at a path.
///
/// # Errors
/// A description of the difference.
pub(super) fn verify_edit(text: &str, old: &Value, at: &[PathSegment], new: &Value) -> Result<(), String> {
    let unterminated = last_unterminated_line(text);
    let text = if text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) };
    let text = &text[tree::skipped_prefix_length(&text)..];
    let expected = ExpectedValue::with_change(old, at, new);
    if unterminated.is_none() && certainly_says(text, expected) {
        // What tests and fuzzing run asks yaml-rust2 about every edit, too.
        debug_assert_eq!(verify_by_parser(text, None, expected), Ok(()), "{text}");
        return Ok(());
    }
    verify_by_parser(text, unterminated, expected)
}

/// Returns whether a text is certainly `old` with the parts below the node at a path.
pub(super) fn certainly_has_parts(
    text: &str,
    old: &Value,
    at: &[PathSegment],
    parts: &[PartChange<'_>],
) -> bool {
    let node = FieldPath::from(at.to_vec());
    let has_parent = |part: &PartChange<'_>| node.child(part.keys[0]).find(old).is_some_and(Value::is_object);
    parts.iter().all(has_parent)
        && certainly_says(
            &text[tree::skipped_prefix_length(text)..],
            ExpectedValue::with_parts(old, at, parts),
        )
}

/// Returns whether a text is certainly the mapping `old` with entries of its own: the last key of each part.
pub(super) fn certainly_has_entries(text: &str, old: &Value, entries: &[PartChange<'_>]) -> bool {
    old.is_object()
        && certainly_says(
            &text[tree::skipped_prefix_length(text)..],
            ExpectedValue::with_entries(old, entries),
        )
}

/// Compares the events of yaml-rust2 with the value expected. `unterminated`: the last line, where the text had no line
/// end.
fn verify_by_parser(
    text: &str,
    unterminated: Option<&str>,
    expected: ExpectedValue<'_>,
) -> Result<(), String> {
    if EventReader::new(text.chars(), unterminated).compare(expected) == Some(()) {
        return Ok(());
    }
    // Aliases, merge keys, duplicate keys or a difference: the slow way, which knows where.
    let read = |text: &str| match EventReader::new(text.chars(), unterminated).build() {
        Ok(value) => describe_difference(&value, expected, &FieldPath::root()).map_or(Ok(()), Err),
        Err(VerifyError(reason)) => Err(reason),
    };
    read(text).or_else(|reason| normalize_brackets(text).map_or(Err(reason), |text| read(&text)))
}

/// Reads the value of a document with yaml-rust2.
pub(super) fn read_by_yaml_rust2(text: &str) -> Result<Value, String> {
    let unterminated = last_unterminated_line(text);
    let ended = if text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) };
    EventReader::new(ended.chars(), unterminated).build().map_err(|VerifyError(reason)| reason)
}

/// Returns the last line of a text, where it has no line end.
fn last_unterminated_line(text: &str) -> Option<&str> {
    (!text.ends_with(['\n', '\r'])).then(|| text.rsplit('\n').next().unwrap_or(text))
}

/// Rewrites what this parser does not take as Kubernetes and people do: a closing bracket at the column of its key,
/// a tab between a key and its value, an empty block scalar at the end. Lines inside flow collections are indented
/// further, tabs before nodes become blanks, and a comment comes last; nothing of that changes a meaning.
fn normalize_brackets(text: &str) -> Option<String> {
    let tree = SyntaxTree::parse(text).ok()?;
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let (mut copied, mut id) = (0, 0);
    while (id as usize) < tree.len() {
        let (node, span) = (tree.node(id), tree.span(id));
        let start = tree.full_start(id);
        let blank = text[..start].trim_end_matches([' ', '\t']).len().max(copied).min(start);
        out.push_str(&text[copied..blank]);
        out.push_str(&text[blank..start].replace('\t', " "));
        copied = start.max(copied);
        id += 1;
        if matches!(node.kind, tree::NodeKind::FlowMapping | tree::NodeKind::FlowSequence) {
            let line = text[..span.start].rfind('\n').map_or(0, |i| i + 1);
            out.push_str(&text[copied..span.start]);
            out.push_str(
                &text[span.clone()]
                    .replace('\n', &format!("\n{}", " ".repeat((span.start - line).min(MAX_FLOW_INDENT)))),
            );
            copied = span.end;
            id = node.next;
        }
    }
    out.push_str(&text[copied..]);
    out.push_str("#\n");
    Some(out)
}

/// Why the walk ended early.
struct VerifyError(String);

/// A walk along the events of a text.
struct EventReader<'t, T: Iterator<Item = char>> {
    parser: Parser<T>,
    /// Events that were looked at before their turn.
    ahead: VecDeque<Event>,
    /// The last line of the text, where it had no line end.
    unterminated_line: Option<&'t str>,
    /// The values of anchors, by the parser's numbers.
    anchors: Vec<Option<Value>>,
    /// Characters seen so far, and those that anchors hold.
    char_count: usize,
    anchored_chars: usize,
}

impl<'t, T: Iterator<Item = char>> EventReader<'t, T> {
    fn new(chars: T, unterminated: Option<&'t str>) -> Self {
        let parser = Parser::new(chars);
        Self {
            parser,
            ahead: VecDeque::new(),
            unterminated_line: unterminated,
            anchors: Vec::new(),
            char_count: 0,
            anchored_chars: 0,
        }
    }

    /// Goes to the next event. This parser ends the last line of a block scalar even where nothing in the text did.
    fn next(&mut self) -> Result<Event, VerifyError> {
        let event = self.ahead.pop_front().map_or_else(|| self.parse_event(), Ok)?;
        match (event, self.unterminated_line) {
            (
                Event::Scalar(text, style @ (TScalarStyle::Literal | TScalarStyle::Folded), anchor, tag),
                Some(line),
            ) if self.is_last()? => Ok(Event::Scalar(without_line_end(text, line), style, anchor, tag)),
            (event, _) => Ok(event),
        }
    }

    /// Returns whether no node follows the one that was read last.
    fn is_last(&mut self) -> Result<bool, VerifyError> {
        let is_end = |e: &Event| matches!(e, Event::MappingEnd | Event::SequenceEnd);
        let mut at = 0;
        loop {
            if at == self.ahead.len() {
                let event = self.parse_event()?;
                self.ahead.push_back(event);
            }
            match self.ahead.get(at) {
                Some(event) if is_end(event) => at += 1,
                event => return Ok(matches!(event, Some(Event::DocumentEnd | Event::StreamEnd))),
            }
        }
    }

    fn parse_event(&mut self) -> Result<Event, VerifyError> {
        let (event, mark) =
            self.parser.next_token().map_err(|e| VerifyError(format!("the other parser reports: {e}")))?;
        self.char_count = mark.index();
        Ok(event)
    }

    /// Goes to the first node; `None` where the document is empty.
    fn first_node(&mut self) -> Result<Option<Event>, VerifyError> {
        loop {
            match self.next()? {
                Event::StreamStart | Event::DocumentStart | Event::Nothing => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(None),
                node => return Ok(Some(node)),
            }
        }
    }

    /// Goes to the end: nothing may follow the first document.
    fn expect_end(&mut self) -> Result<(), VerifyError> {
        match (self.next()?, self.next()?) {
            (Event::DocumentEnd, Event::StreamEnd) => Ok(()),
            _ => Err(VerifyError("there is a second document".to_owned())),
        }
    }

    /// Compares while reading, without making a value. `None`: different, or too involved for this.
    fn compare(&mut self, expected: ExpectedValue<'_>) -> Option<()> {
        let first = self.first_node().ok()??;
        self.compare_node(first, expected.resolve(), 0)?;
        self.expect_end().ok()
    }

    fn compare_node(&mut self, event: Event, expected: ExpectedValue<'_>, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match event {
            Event::Scalar(text, style, 0, tag) => {
                let meaning = scalar_meaning(&text, style, tag.as_ref()).ok()?;
                match (meaning, expected.value) {
                    (ScalarMeaning::Text, Value::String(s)) => *s == text,
                    (ScalarMeaning::Null, Value::Null) => true,
                    (ScalarMeaning::Bool(a), Value::Bool(b)) => a == *b,
                    (ScalarMeaning::Text | ScalarMeaning::Null | ScalarMeaning::Bool(_), _) => false,
                    (other, value) => scalar::to_json(other, &text).as_ref() == Some(value),
                }
                .then_some(())
            }
            Event::SequenceStart(0, _) => {
                let items = expected.value.as_array()?;
                let mut count = 0;
                loop {
                    match self.next().ok()? {
                        Event::SequenceEnd => return (count == items.len()).then_some(()),
                        node => self.compare_node(node, expected.item(count)?, depth + 1)?,
                    }
                    count += 1;
                }
            }
            Event::MappingStart(0, _) => {
                let map = expected.value.as_object()?;
                // Distinct keys are counted: one that is there twice must not make up for one that is missing.
                let mut keys = BTreeSet::new();
                loop {
                    match self.next().ok()? {
                        Event::MappingEnd => return (keys.len() == map.len()).then_some(()),
                        Event::Scalar(text, style, 0, tag) if !is_merge(&text, style, tag.as_ref()) => {
                            let key = key_text(&text, style, tag.as_ref()).ok()?;
                            let (key, _) = map.get_key_value(&*key)?;
                            if !keys.insert(key.as_str()) {
                                return None;
                            }
                            let node = self.next().ok()?;
                            self.compare_node(node, expected.key(key)?, depth + 1)?;
                        }
                        _ => return None,
                    }
                }
            }
            _ => None,
        }
    }

    /// Reads the whole value.
    fn build(&mut self) -> Result<Value, VerifyError> {
        let Some(first) = self.first_node()? else { return Ok(Value::Null) };
        let value = self.build_node(first, 0)?;
        self.expect_end()?;
        Ok(value)
    }

    fn build_node(&mut self, event: Event, depth: usize) -> Result<Value, VerifyError> {
        if depth > MAX_DEPTH {
            return Err(VerifyError("it is nested too deep".to_owned()));
        }
        let from = self.char_count;
        let (value, anchor) = match event {
            Event::Alias(anchor) => (self.anchors.get(anchor).cloned().flatten().unwrap_or_default(), 0),
            Event::Scalar(text, style, anchor, tag) => {
                let meaning = scalar_meaning(&text, style, tag.as_ref())?;
                let value = scalar::to_json(meaning, &text);
                (value.ok_or_else(|| VerifyError(format!("`{text}` is not a JSON number")))?, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break (Value::Array(items), anchor),
                        node => items.push(self.build_node(node, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(anchor, _) => (Value::Object(self.build_map(depth)?), anchor),
            other => return Err(VerifyError(format!("{other:?} is not expected here"))),
        };
        if anchor > 0 {
            self.anchored_chars += self.char_count.saturating_sub(from);
            if self.anchored_chars > MAX_ANCHORED_CHARS {
                return Err(VerifyError("its anchors expand to too much".to_owned()));
            }
            self.anchors.resize(self.anchors.len().max(anchor + 1), None);
            self.anchors[anchor] = Some(value.clone());
        }
        Ok(value)
    }

    fn build_map(&mut self, depth: usize) -> Result<Map<String, Value>, VerifyError> {
        let mut map = Map::new();
        loop {
            let name = match self.next()? {
                Event::MappingEnd => return Ok(map),
                Event::Scalar(text, style, _, tag) if is_merge(&text, style, tag.as_ref()) => {
                    let node = self.next()?;
                    merge_mapping(&mut map, self.build_node(node, depth + 1)?)?;
                    continue;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let name = key_text(&text, style, tag.as_ref())?.into_owned();
                    if anchor > 0 {
                        self.build_node(Event::Scalar(text, style, anchor, tag), depth)?;
                    }
                    name
                }
                node => match self.build_node(node, depth + 1)? {
                    Value::String(name) => name,
                    other => other.to_string(),
                },
            };
            let node = self.next()?;
            let value = self.build_node(node, depth + 1)?;
            map.insert(name, value);
        }
    }
}

fn merge_mapping(map: &mut Map<String, Value>, source: Value) -> Result<(), VerifyError> {
    match source {
        Value::Object(entries) => map.extend(entries),
        Value::Array(sources) => sources.into_iter().rev().try_for_each(|s| merge_mapping(map, s))?,
        _ => return Err(VerifyError("`<<` takes a mapping or a list of mappings".to_owned())),
    }
    Ok(())
}

/// Takes the line end off the last block scalar of a text without a final line end. The line may be a comment, and
/// blanks alone may be no content: these end the scalar's last line.
fn without_line_end(mut text: String, line: &str) -> String {
    let content = line.trim_start_matches([' ', '\t']);
    let is_content = match content.is_empty() {
        true => text.ends_with("\n\n") || text.ends_with(" \n"),
        false => text.strip_suffix('\n').is_some_and(|t| t.ends_with(content)),
    };
    if is_content {
        text.pop();
    }
    text
}

fn resolve_tag(tag: &RawTag) -> ScalarTag {
    // This parser keeps `!!` as a handle, or resolves it.
    let handle = if tag.handle == "!!" { "tag:yaml.org,2002:" } else { &tag.handle };
    ScalarTag::from_parts(handle, &tag.suffix)
}

fn is_merge(text: &str, style: TScalarStyle, tag: Option<&RawTag>) -> bool {
    let tag = tag.map(resolve_tag);
    text == "<<"
        && (matches!(tag, Some(ScalarTag::Merge | ScalarTag::NonSpecific))
            || tag.is_none() && style == TScalarStyle::Plain)
}

fn scalar_meaning(
    text: &str,
    style: TScalarStyle,
    tag: Option<&RawTag>,
) -> Result<ScalarMeaning, VerifyError> {
    match tag {
        Some(tag) => scalar::resolve_tagged(resolve_tag(tag), text).map_err(VerifyError),
        None if style == TScalarStyle::Plain => Ok(scalar::resolve_plain(text)),
        None => Ok(ScalarMeaning::Text),
    }
}

fn key_text<'a>(
    text: &'a str,
    style: TScalarStyle,
    tag: Option<&RawTag>,
) -> Result<Cow<'a, str>, VerifyError> {
    match scalar::to_key(scalar_meaning(text, style, tag)?) {
        Some(ScalarKey::AsWritten) => Ok(Cow::Borrowed(text)),
        Some(ScalarKey::Converted(made)) => Ok(Cow::Owned(made)),
        None => Err(VerifyError(format!("`{text}` cannot be a key"))),
    }
}

/// Describes the first difference of two values.
fn describe_difference(read: &Value, expected: ExpectedValue<'_>, at: &FieldPath) -> Option<String> {
    let expected = expected.resolve();
    let place = || if at.segments().is_empty() { "the document".to_owned() } else { format!("`{at}`") };
    match (read, expected.value) {
        (Value::Object(a), Value::Object(b)) => {
            let surplus = a
                .keys()
                .find(|k| !b.contains_key(*k))
                .map(|k| format!("`{}` is unexpected", at.child(k.clone())));
            let inner = || {
                b.keys().find_map(|k| match (a.get(k), expected.key(k)) {
                    (Some(a), Some(b)) => describe_difference(a, b, &at.child(k.clone())),
                    _ => Some(format!("`{}` is missing", at.child(k.clone()))),
                })
            };
            surplus.or_else(inner)
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().enumerate().find_map(|(i, a)| describe_difference(a, expected.item(i)?, &at.child(i)))
        }
        (Value::Array(a), Value::Array(b)) => {
            Some(format!("{} has {} items instead of {}", place(), a.len(), b.len()))
        }
        (a, b) if a == b => None,
        _ => Some(format!("{} has another value", place())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_duplicate_key_does_not_make_up_for_a_missing_one() {
        let (old, new) = (json!({"a": 1, "b": 2}), json!(1));
        let at = [PathSegment::Key("a".into())];
        assert!(verify_edit("a: 1\nb: 2\n", &old, &at, &new).is_ok());
        let error = verify_edit("a: 1\na: 1\n", &old, &at, &new).unwrap_err();
        assert!(error.contains("`b` is missing"), "{error}");
        // A duplicate key alone means what its last value means, as everywhere.
        assert!(verify_edit("a: 3\na: 1\nb: 2\n", &old, &at, &new).is_ok());
    }
}
