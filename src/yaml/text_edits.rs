//! The edits of a text, apart from it: who keeps the text needs no second one for what stays of it.

use std::ops::Range;
use std::sync::Arc;

/// Ranges of a text, in order and none inside another, and what is there instead of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TextEdits(Vec<(Range<usize>, Arc<str>)>);

impl TextEdits {
    /// Returns the edit of a text of some bytes to another text.
    pub(crate) fn replace_all(length: usize, text: String) -> Self {
        Self(vec![(0..length, text.into())])
    }

    /// Adds an edit behind the others.
    pub(crate) fn push(&mut self, range: Range<usize>, text: impl Into<Arc<str>>) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| last.end <= range.start));
        self.0.push((range, text.into()));
    }

    /// Adds the edits of a part of the text, which starts at a byte, behind the others.
    pub(crate) fn extend_at(&mut self, start: usize, part: Self) {
        let moved = part.0.into_iter().map(|(at, text)| (start + at.start..start + at.end, text));
        self.0.extend(moved);
    }

    /// Returns whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether nothing is left of a text of some bytes.
    pub(crate) fn removes_all(&self, length: usize) -> bool {
        let gone: usize = self.0.iter().map(|(range, _)| range.len()).sum();
        gone == length && self.0.iter().all(|(_, text)| text.is_empty())
    }

    /// Adds the edited text to another one.
    pub(super) fn append_to(&self, out: &mut String, text: &str) {
        let mut at = 0;
        for (range, new) in &self.0 {
            out.push_str(&text[at..range.start]);
            out.push_str(new);
            at = range.end;
        }
        out.push_str(&text[at..]);
    }

    /// Returns the edited text.
    pub(crate) fn apply(&self, text: &str) -> String {
        let new: usize = self.0.iter().map(|(_, new)| new.len()).sum();
        let mut out = String::with_capacity(text.len() + new);
        self.append_to(&mut out, text);
        out
    }

    /// Returns the parts of the edited text in order: what stays of the text, and what is new. Some may be empty.
    pub(crate) fn into_parts(self, text: &str) -> impl Iterator<Item = TextPart<'_>> {
        let end = text.len();
        let mut at = 0;
        let last = std::iter::once((end..end, None));
        self.0.into_iter().map(|(range, new)| (range, Some(new))).chain(last).flat_map(move |(range, new)| {
            let kept = &text[at..range.start];
            at = range.end;
            [Some(TextPart::Kept(kept)), new.map(TextPart::New)].into_iter().flatten()
        })
    }
}

/// A part of an edited text.
#[derive(Debug)]
pub(crate) enum TextPart<'a> {
    /// It was there before.
    Kept(&'a str),
    /// It is new.
    New(Arc<str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_make_one_text_in_each_way() {
        let text = "one two three";
        let mut inner = TextEdits::default();
        inner.push(0..3, "2");
        inner.push(3..3, "!");
        let mut edits = TextEdits::default();
        edits.push(0..0, ">");
        edits.extend_at(4, inner);
        edits.push(8..13, "");
        assert_eq!(edits.apply(text), ">one 2! ");
        let parts = edits.clone().into_parts(text).map(|part| match part {
            TextPart::Kept(text) => text.to_owned(),
            TextPart::New(text) => text.to_string(),
        });
        assert_eq!(parts.collect::<String>(), ">one 2! ");
        assert!(!edits.removes_all(text.len()) && TextEdits::replace_all(13, String::new()).removes_all(13));
        assert!(TextEdits::default().removes_all(0));
    }
}
