//! Reads one file or stream as UTF-8 text, of a bounded size.

use crate::diagnostics::{Code, Diagnostic, MAX_LINE_CHARS, Span};
use memchr::memchr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

/// The most bytes one input may have: 512 MiB.
pub(crate) const MAX_FILE_BYTES: u64 = 512 << 20;

/// Reads a file as text; `name` is its name in messages.
///
/// # Errors
/// A diagnostic when it is missing, unreadable, not a regular file, too large or not UTF-8.
pub(crate) fn read_file(path: &Path, name: &Arc<str>) -> Result<String, Diagnostic> {
    let mut file = File::open(path).map_err(|e| unreadable_file(name, &e))?;
    let metadata = file.metadata().map_err(|e| unreadable_file(name, &e))?;
    read_bounded(&mut file, metadata.len(), name)
}

/// Reads a stream (standard input) as text.
///
/// # Errors
/// As [`read_file`].
pub(crate) fn read_stream(stream: &mut dyn Read, name: &Arc<str>) -> Result<String, Diagnostic> {
    read_bounded(stream, 0, name)
}

fn read_bounded(stream: &mut dyn Read, expected: u64, name: &Arc<str>) -> Result<String, Diagnostic> {
    if expected > MAX_FILE_BYTES {
        return Err(too_large(name));
    }
    // One byte more than expected saves the read that would only find the end.
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
    stream.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| unreadable_file(name, &e))?;
    decode_text(bytes, name)
}

/// Decodes the bytes of an input as text.
///
/// # Errors
/// A diagnostic when they are too many or not UTF-8.
pub(crate) fn decode_text(bytes: Vec<u8>, name: &Arc<str>) -> Result<String, Diagnostic> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(name));
    }
    if bytes.starts_with(LFS_POINTER) {
        return Err(lfs_pointer(name));
    }
    if let Some(at) = memchr(0, &bytes)
        && !is_utf16(&bytes)
    {
        return Err(nul_byte(name, &bytes, at));
    }
    String::from_utf8(bytes).map_err(|e| not_utf8(name, e.as_bytes(), e.utf8_error().valid_up_to()))
}

fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

/// The start of a Git LFS pointer file (git-lfs/docs/spec.md).
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

fn lfs_pointer(name: &Arc<str>) -> Diagnostic {
    Diagnostic::error(
        Code::UnreadableFile,
        format!("`{name}` is a Git LFS pointer; its content is not stored in git"),
    )
    .at(Span::whole_file(name.clone()))
    .help("keep it in git itself (`git lfs untrack`), or leave it out with `ignore:` in pillion.yaml")
}

fn nul_byte(name: &Arc<str>, bytes: &[u8], at: usize) -> Diagnostic {
    Diagnostic::error(Code::NulByte, "the file holds a NUL byte, which no YAML or JSON text has")
        .at(byte_span(name, bytes, at))
        .help("remove it; if the file is not text, leave it out with `ignore:` in pillion.yaml")
}

pub(super) fn unreadable_file(name: &Arc<str>, error: &std::io::Error) -> Diagnostic {
    let because =
        |error| Diagnostic::error(Code::UnreadableFile, format!("`{name}` cannot be read: {error}"));
    let diagnostic = match error.kind() {
        ErrorKind::NotFound => Diagnostic::error(Code::UnreadableFile, format!("`{name}` does not exist"))
            .help("check the name; a file that was there a moment ago was removed while pillion ran: run it again"),
        // From a repository's objects: what to do is in the message.
        ErrorKind::Other => because(error),
        _ => because(error).help("make it readable, or leave it out with `ignore:` in pillion.yaml"),
    };
    diagnostic.at(Span::whole_file(name.clone()))
}

fn too_large(name: &Arc<str>) -> Diagnostic {
    Diagnostic::error(Code::FileTooLarge, format!("`{name}` has more than {} MiB", MAX_FILE_BYTES >> 20))
        .at(Span::whole_file(name.clone()))
        .help("split it, or exclude it with `ignore:` in pillion.yaml")
}

fn not_utf8(name: &Arc<str>, bytes: &[u8], at: usize) -> Diagnostic {
    let help = match is_utf16(bytes) {
        true => "the file is UTF-16: save it as UTF-8",
        false => "save it as UTF-8, or leave it out with `ignore:` in pillion.yaml",
    };
    Diagnostic::error(Code::NotUtf8, "the file is not UTF-8 text").at(byte_span(name, bytes, at)).help(help)
}

/// Marks one byte on its line; of a very long line nothing is shown.
fn byte_span(name: &Arc<str>, bytes: &[u8], at: usize) -> Span {
    let line_start = bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let line_end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n);
    let column = String::from_utf8_lossy(&bytes[line_start..at]).chars().count() + 1;
    let source: String = if column < MAX_LINE_CHARS {
        String::from_utf8_lossy(&bytes[line_start..line_end.min(at + 4 * MAX_LINE_CHARS)])
            .chars()
            .take(MAX_LINE_CHARS)
            .collect()
    } else {
        String::new()
    };
    Span {
        file: name.clone(),
        line: bytes[..at].iter().filter(|b| **b == b'\n').count() + 1,
        column,
        width: usize::from(!source.is_empty()),
        source_line: source.trim_end_matches('\r').replace('\0', "\u{fffd}").into(),
        label: format!("byte 0x{:02x}", bytes[at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_byte_is_shown_where_it_is() {
        let name: Arc<str> = "a.yaml".into();
        let d = read_stream(&mut &b"a: 1\nb: caf\xe9 x\n"[..], &name).unwrap_err();
        let label = &d.spans[0];
        assert_eq!((label.line, label.column, &*label.source_line), (2, 7, "b: caf\u{fffd} x"));
    }
}
