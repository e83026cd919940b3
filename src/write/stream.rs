//! Many files become one YAML stream, which is let out only when everything went well.

use super::Failure;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// Bytes of output that are kept in memory; more goes to an unnamed temporary file.
const IN_MEMORY: usize = 64 << 20;

/// Output that is being collected.
#[derive(Debug)]
pub struct Stream {
    spool: SpooledTempFile,
    is_empty: bool,
    ends_line: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self { spool: SpooledTempFile::new(IN_MEMORY), is_empty: true, ends_line: true }
    }
}

impl Stream {
    /// Adds a file, byte for byte. Between two files a `---` line is put where neither has one.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn add(&mut self, text: &str) -> Result<(), Failure> {
        self.write(text).map_err(Failure::Spool)
    }

    fn write(&mut self, mut text: &str) -> io::Result<()> {
        if text.is_empty() {
            // No text is no document.
            return Ok(());
        }
        if !self.is_empty {
            // A byte order mark means something only at the very start.
            text = text.trim_start_matches('\u{feff}');
            if !self.ends_line {
                self.spool.write_all(b"\n")?;
            }
            if !starts_document(text) {
                self.spool.write_all(b"---\n")?;
            }
        }
        self.is_empty = false;
        self.ends_line = text.ends_with('\n');
        self.spool.write_all(text.as_bytes())
    }

    /// Copies everything to `out`.
    ///
    /// # Errors
    /// When `out` or the temporary file fails.
    pub fn finish(mut self, out: &mut dyn Write) -> Result<(), Failure> {
        self.spool.seek(SeekFrom::Start(0)).map_err(Failure::Spool)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.spool.read(&mut buffer).map_err(Failure::Spool)? {
                0 => return out.flush().map_err(Failure::Stdout),
                n => out.write_all(&buffer[..n]).map_err(Failure::Stdout)?,
            }
        }
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
        files.iter().for_each(|f| stream.add(f).unwrap());
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
