//! Joins files into one YAML stream and prints it only after everything succeeded.

use super::Error;
use crate::yaml::{TextEdits, TextPart};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::sync::Arc;

/// Bytes of output of its own that are kept in memory; more goes to an unnamed temporary file.
const MAX_IN_MEMORY_BYTES: usize = 64 << 20;

/// Output that is being collected. Texts that the caller keeps are not copied.
#[derive(Debug)]
pub(crate) struct OutputStream<'a> {
    spool_file: Option<BufWriter<File>>,
    pending: Vec<OutputPart<'a>>,
    owned_bytes: usize,
    is_empty: bool,
    ends_with_newline: bool,
}

/// A part of the output.
#[derive(Debug)]
enum OutputPart<'a> {
    Borrowed(&'a str),
    Owned(String),
    /// Many files may have it.
    Shared(Arc<str>),
}

impl OutputPart<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
            Self::Shared(text) => text,
        }
    }

    fn strip_byte_order_mark(&mut self) {
        let Some(rest) = self.text().strip_prefix('\u{feff}') else { return };
        let start = self.text().len() - rest.len();
        *self = match self {
            Self::Borrowed(text) => Self::Borrowed(&text[start..]),
            Self::Owned(_) | Self::Shared(_) => Self::Owned(rest.to_owned()),
        };
    }

    /// Returns the bytes that are there for this part alone.
    fn owned_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Borrowed(_) => 0,
                Self::Owned(text) => text.capacity(),
                Self::Shared(text) if Arc::strong_count(text) > 1 => 0,
                Self::Shared(text) => text.len(),
            }
    }
}

impl Default for OutputStream<'_> {
    fn default() -> Self {
        Self {
            spool_file: None,
            pending: Vec::new(),
            owned_bytes: 0,
            is_empty: true,
            ends_with_newline: true,
        }
    }
}

impl<'a> OutputStream<'a> {
    /// Adds an edited file, byte for byte. Between two files a `---` line is put where neither has one.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub(crate) fn add_edited(&mut self, original: Cow<'a, str>, edits: TextEdits) -> Result<(), Error> {
        let original = match original {
            Cow::Owned(text) if edits.is_empty() => return self.add(vec![OutputPart::Owned(text)]),
            Cow::Owned(text) => return self.add(vec![OutputPart::Owned(edits.apply(&text))]),
            Cow::Borrowed(text) => text,
        };
        let parts = edits.into_parts(original).map(|part| match part {
            TextPart::Kept(text) => OutputPart::Borrowed(text),
            TextPart::New(text) => OutputPart::Shared(text),
        });
        let parts: Vec<_> = parts.filter(|part| !part.text().is_empty()).collect();
        match parts.first() {
            Some(OutputPart::Borrowed(first)) if parts.len() == 1 || has_content_line(first) => {
                self.add(parts)
            }
            // What the file begins with may be in several parts.
            Some(_) => self.add(vec![OutputPart::Owned(parts.iter().map(OutputPart::text).collect())]),
            None => Ok(()),
        }
    }

    /// Adds the parts of a file; the first line that is neither blank nor a comment is in the first one.
    fn add(&mut self, mut parts: Vec<OutputPart<'a>>) -> Result<(), Error> {
        let Some(first) = parts.first_mut().filter(|part| !part.text().is_empty()) else {
            // No text is not a document.
            return Ok(());
        };
        if !self.is_empty {
            // A byte order mark means something only at the very start.
            first.strip_byte_order_mark();
            if !self.ends_with_newline {
                self.pending.push(OutputPart::Borrowed("\n"));
            }
            if !starts_document(first.text()) {
                self.pending.push(OutputPart::Borrowed("---\n"));
            }
        }
        self.is_empty = false;
        self.ends_with_newline = parts.last().is_some_and(|last| last.text().ends_with('\n'));
        self.owned_bytes += parts.iter().map(OutputPart::owned_bytes).sum::<usize>();
        self.pending.append(&mut parts);
        if self.owned_bytes > MAX_IN_MEMORY_BYTES { self.spill().map_err(Error::Spool) } else { Ok(()) }
    }

    /// Returns whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.spool_file {
            Some(file) => file,
            None => self.spool_file.insert(BufWriter::with_capacity(1 << 18, tempfile::tempfile()?)),
        };
        for part in self.pending.drain(..) {
            file.write_all(part.text().as_bytes())?;
        }
        self.owned_bytes = 0;
        Ok(())
    }

    /// Copies everything to `out`.
    ///
    /// # Errors
    /// When `out` or the temporary file fails.
    pub(crate) fn finish(self, out: &mut dyn Write) -> Result<(), Error> {
        let mut out = BufWriter::with_capacity(1 << 18, out);
        if let Some(spilled) = self.spool_file {
            let mut file = spilled.into_inner().map_err(|e| Error::Spool(e.into_error()))?;
            file.seek(SeekFrom::Start(0)).map_err(Error::Spool)?;
            io::copy(&mut file, &mut out).map_err(Error::Stdout)?;
        }
        for part in &self.pending {
            out.write_all(part.text().as_bytes()).map_err(Error::Stdout)?;
        }
        out.flush().map_err(Error::Stdout)
    }
}

/// Returns whether a whole line is neither blank nor a comment.
fn has_content_line(text: &str) -> bool {
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.any(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

/// Returns whether the first line that is neither blank nor a comment is a `---` line.
fn starts_document(text: &str) -> bool {
    let first = text.lines().find(|l| !l.trim().is_empty() && !l.starts_with('#'));
    first.is_some_and(|l| l.starts_with("---"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Joins files: each with the text that is put in place of every `*` in it.
    fn join_files(files: &[(&str, &str)]) -> String {
        let joined = |is_kept: bool| {
            let mut stream = OutputStream::default();
            for (text, new) in files {
                let mut edits = TextEdits::default();
                text.match_indices('*').for_each(|(at, _)| edits.push(at..at + 1, *new));
                let original = if is_kept { Cow::Borrowed(*text) } else { Cow::Owned((*text).to_owned()) };
                stream.add_edited(original, edits).unwrap();
            }
            let mut out = Vec::new();
            stream.finish(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(joined(true), joined(false));
        joined(true)
    }

    #[test]
    fn one_file_is_itself_and_several_are_documents() {
        assert_eq!(join_files(&[("\u{feff}a: 1", "")]), "\u{feff}a: 1");
        assert_eq!(
            join_files(&[
                ("\u{feff}a: 1", ""),
                ("\u{feff}b: 2\n", ""),
                ("# c\n--- # d\nd: 1\n", ""),
                ("", "")
            ]),
            "\u{feff}a: 1\n---\nb: 2\n# c\n--- # d\nd: 1\n"
        );
    }

    #[test]
    fn edited_files_begin_as_their_texts_do() {
        assert_eq!(
            join_files(&[
                ("a: 1\n*", "b: 2\n"),
                ("# c\n*c: 3\n", "--- # new\n"),
                ("#*\nd: 4\n", " d\n---"),
                ("\u{feff}*e: 5", ""),
                ("*", ""),
                ("---\nf*", ": 6"),
            ]),
            "a: 1\nb: 2\n# c\n--- # new\nc: 3\n# d\n---\nd: 4\n---\ne: 5\n---\nf: 6"
        );
    }
}
