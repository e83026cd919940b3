//! Joins files into one YAML stream and prints it only after everything succeeded.

use super::Error;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};

/// Bytes of output of its own that are kept in memory; more goes to an unnamed temporary file.
const MAX_IN_MEMORY_BYTES: usize = 64 << 20;

/// Output that is being collected. Texts that the caller keeps are not copied.
#[derive(Debug)]
pub(crate) struct OutputStream<'a> {
    spool_file: Option<BufWriter<File>>,
    pending: Vec<Cow<'a, str>>,
    owned_bytes: usize,
    is_empty: bool,
    ends_with_newline: bool,
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
    /// Adds a file, byte for byte. Between two files a `---` line is put where neither has one.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub(crate) fn add(&mut self, mut text: Cow<'a, str>) -> Result<(), Error> {
        if text.is_empty() {
            // No text is not a document.
            return Ok(());
        }
        if !self.is_empty {
            // A byte order mark means something only at the very start.
            if let Some(rest) = text.strip_prefix('\u{feff}') {
                text = Cow::Owned(rest.to_owned());
            }
            if !self.ends_with_newline {
                self.pending.push(Cow::Borrowed("\n"));
            }
            if !starts_document(&text) {
                self.pending.push(Cow::Borrowed("---\n"));
            }
        }
        self.is_empty = false;
        self.ends_with_newline = text.ends_with('\n');
        if let Cow::Owned(text) = &text {
            self.owned_bytes += text.capacity();
        }
        self.pending.push(text);
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
        for text in self.pending.drain(..) {
            file.write_all(text.as_bytes())?;
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
        for text in &self.pending {
            out.write_all(text.as_bytes()).map_err(Error::Stdout)?;
        }
        out.flush().map_err(Error::Stdout)
    }
}

/// Returns whether the first line that is neither blank nor a comment is a `---` line.
fn starts_document(text: &str) -> bool {
    let first = text.lines().find(|l| !l.trim().is_empty() && !l.starts_with('#'));
    first.is_some_and(|l| l.starts_with("---"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join_files(files: &[&str]) -> String {
        let mut stream = OutputStream::default();
        files.iter().for_each(|f| stream.add(Cow::Borrowed(f)).unwrap());
        let mut out = Vec::new();
        stream.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_file_is_itself_and_several_are_documents() {
        assert_eq!(join_files(&["\u{feff}a: 1"]), "\u{feff}a: 1");
        assert_eq!(
            join_files(&["a: 1", "\u{feff}b: 2\n", "# c\n--- # d\nd: 1\n", ""]),
            "a: 1\n---\nb: 2\n# c\n--- # d\nd: 1\n"
        );
    }
}
