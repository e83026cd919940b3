//! Many files become one YAML stream, which is let out only when everything went well.

use super::Failure;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};

/// Bytes of output of its own that are kept in memory; more goes to an unnamed temporary file.
const IN_MEMORY: usize = 48 << 20;

/// Output that is being collected. Texts that somebody else keeps are not copied.
#[derive(Debug)]
pub struct Stream<'a> {
    spilled: Option<BufWriter<File>>,
    waiting: Vec<Cow<'a, str>>,
    owned: usize,
    is_empty: bool,
    ends_line: bool,
}

impl Default for Stream<'_> {
    fn default() -> Self {
        Self { spilled: None, waiting: Vec::new(), owned: 0, is_empty: true, ends_line: true }
    }
}

impl<'a> Stream<'a> {
    /// Adds a file, byte for byte. Between two files a `---` line is put where neither has one.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn add(&mut self, mut text: Cow<'a, str>) -> Result<(), Failure> {
        if text.is_empty() {
            // No text is no document.
            return Ok(());
        }
        if !self.is_empty {
            // A byte order mark means something only at the very start.
            if let Some(rest) = text.strip_prefix('\u{feff}') {
                text = Cow::Owned(rest.to_owned());
            }
            if !self.ends_line {
                self.waiting.push(Cow::Borrowed("\n"));
            }
            if !starts_document(&text) {
                self.waiting.push(Cow::Borrowed("---\n"));
            }
        }
        self.is_empty = false;
        self.ends_line = text.ends_with('\n');
        if let Cow::Owned(text) = &text {
            self.owned += text.capacity();
        }
        self.waiting.push(text);
        if self.owned > IN_MEMORY { self.spill().map_err(Failure::Spool) } else { Ok(()) }
    }

    /// Tells whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.spilled {
            Some(file) => file,
            None => self.spilled.insert(BufWriter::with_capacity(1 << 18, tempfile::tempfile()?)),
        };
        for text in self.waiting.drain(..) {
            file.write_all(text.as_bytes())?;
        }
        self.owned = 0;
        Ok(())
    }

    /// Copies everything to `out`.
    ///
    /// # Errors
    /// When `out` or the temporary file fails.
    pub fn finish(self, out: &mut dyn Write) -> Result<(), Failure> {
        let mut out = BufWriter::with_capacity(1 << 18, out);
        if let Some(spilled) = self.spilled {
            let mut file = spilled.into_inner().map_err(|e| Failure::Spool(e.into_error()))?;
            file.seek(SeekFrom::Start(0)).map_err(Failure::Spool)?;
            io::copy(&mut file, &mut out).map_err(Failure::Stdout)?;
        }
        for text in &self.waiting {
            out.write_all(text.as_bytes()).map_err(Failure::Stdout)?;
        }
        out.flush().map_err(Failure::Stdout)
    }
}

/// Tells whether the first line that is neither blank nor a comment is a `---` line.
fn starts_document(text: &str) -> bool {
    let first = text.lines().find(|l| !l.trim().is_empty() && !l.starts_with('#'));
    first.is_some_and(|l| l.starts_with("---"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(files: &[&str]) -> String {
        let mut stream = Stream::default();
        files.iter().for_each(|f| stream.add(Cow::Borrowed(f)).unwrap());
        let mut out = Vec::new();
        stream.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_file_is_itself_and_several_are_documents() {
        assert_eq!(joined(&["\u{feff}a: 1"]), "\u{feff}a: 1");
        assert_eq!(
            joined(&["a: 1", "\u{feff}b: 2\n", "# c\n--- # d\nd: 1\n", ""]),
            "a: 1\n---\nb: 2\n# c\n--- # d\nd: 1\n"
        );
    }
}
