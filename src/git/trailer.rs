//! Trailers: `Key: value` lines for machines at the end of a commit message.
//!
//! They are read by the rules of `git interpret-trailers --no-divider`, so that `git log --format=%(trailers)`,
//! a merge queue and pillion see the same.

use crate::diagnostics::escape;

/// The source commit, under the key that Argo CD's hydrator and GitOps Promoter read.
pub(crate) const REFERENCE_COMMIT: &str = "Argocd-reference-commit-sha";
/// The action of the commit: Start, Batch, Complete, Pause, Resume, RollBack, Approve, Hold, Render, Init; Accept is
/// on no branch.
pub const ACTION: &str = "Pillion-Action";
/// Which batch of how many: `2/3`.
pub const BATCH: &str = "Pillion-Batch";
/// The person who released it, name and address: also the author.
pub const BY: &str = "Pillion-By";
/// Why a rollout was paused or rolled back: one line of JSON a pod.
pub const EVIDENCE: &str = "Pillion-Evidence";
/// The released revision; `-` for nothing.
pub(crate) const FROM: &str = "Pillion-From";
/// Which half of the hot upgrades of its batch: `1/2`, `2/2`.
pub(crate) const HALF: &str = "Pillion-Half";
/// The digest of the planned batch, which an approval names.
pub(crate) const PLAN: &str = "Pillion-Plan";
/// The number of pods with a new template.
pub(crate) const PODS: &str = "Pillion-Pods";
/// The target revision; `-` for nothing.
pub(crate) const REVISION: &str = "Pillion-Revision";
/// The SidecarSet.
pub(crate) const SIDECAR_SET: &str = "Pillion-SidecarSet";
/// The source commit of the rendered files, if sources have their own branch.
pub const SOURCE: &str = "Pillion-Source";

/// Every key that pillion writes, sorted.
pub const KEYS: &[&str] =
    &[REFERENCE_COMMIT, ACTION, BATCH, BY, EVIDENCE, FROM, HALF, PLAN, PODS, REVISION, SIDECAR_SET, SOURCE];

/// One trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// Letters, digits and hyphens.
    pub key: String,
    /// One line.
    pub value: String,
}

/// Returns a whole commit message: subject, body, and trailers sorted by key (equal keys keep their order). Control
/// characters and those that change the text direction are escaped: parts of it come from others.
pub fn format_message(subject: &str, body: &str, trailers: &[(&str, String)]) -> String {
    let mut message = one_line(subject);
    message.push('\n');
    let body = escape::lines(body.trim_matches('\n').trim_end());
    if !body.is_empty() {
        message.push('\n');
        message.push_str(&body);
        message.push('\n');
    }
    let mut sorted: Vec<_> = trailers.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    for (n, (key, value)) in sorted.into_iter().enumerate() {
        if n == 0 {
            message.push('\n');
        }
        message.push_str(key);
        message.push_str(": ");
        message.push_str(&one_line(value));
        message.push('\n');
    }
    message
}

/// Returns a message with one more trailer, in the order of [`format_message`].
pub(crate) fn add_trailer(message: &str, key: &str, value: &str) -> String {
    let new = format!("{key}: {}", one_line(value));
    let (text, block) = match message.trim_end().rsplit_once("\n\n") {
        Some((text, block)) if is_trailer_block(&block.lines().collect::<Vec<_>>()) => (text, block),
        _ => (message.trim_end(), ""),
    };
    let mut lines: Vec<&str> = block.lines().collect();
    let behind = lines.iter().position(|line| split_trailer(line).is_some_and(|(other, _)| other > key));
    lines.insert(behind.unwrap_or(lines.len()), &new);
    format!("{text}\n\n{}\n", lines.join("\n"))
}

/// Returns a message with one more paragraph, before its trailers.
pub(crate) fn add_paragraph(message: &str, paragraph: &str) -> String {
    let paragraph = escape::lines(paragraph.trim());
    match message.trim_end().rsplit_once("\n\n") {
        Some((text, block)) if is_trailer_block(&block.lines().collect::<Vec<_>>()) => {
            format!("{text}\n\n{paragraph}\n\n{block}\n")
        }
        _ => format!("{}\n\n{paragraph}\n", message.trim_end()),
    }
}

/// Returns the trailers of a message, in its order.
pub fn parse_trailers(message: &str) -> Vec<Trailer> {
    let lines: Vec<&str> = message.trim_end().lines().collect();
    let Some(blank) = lines.iter().rposition(|l| l.trim().is_empty()) else {
        // A message of one paragraph is a subject.
        return Vec::new();
    };
    let block = &lines[blank + 1..];
    if !is_trailer_block(block) {
        return Vec::new();
    }
    let mut trailers: Vec<Trailer> = Vec::new();
    let mut goes_on = false;
    for line in block {
        if let Some((key, value)) = split_trailer(line) {
            trailers.push(Trailer { key: key.to_owned(), value: value.trim().to_owned() });
            goes_on = true;
        } else if goes_on && line.starts_with([' ', '\t']) {
            if let Some(last) = trailers.last_mut() {
                last.value = format!("{} {}", last.value, line.trim()).trim().to_owned();
            }
        } else {
            goes_on = false;
        }
    }
    trailers
}

/// Prefixes of lines that git itself writes; a block with one may contain other text, too.
const GIT_TRAILER_PREFIXES: &[&str] = &["Signed-off-by: ", "(cherry picked from commit "];

// git trailer.c find_trailer_block_start: all lines are trailers, or git wrote one and a quarter are trailers.
fn is_trailer_block(lines: &[&str]) -> bool {
    let (mut is, mut is_not, mut git_wrote, mut goes_on) = (0, 0, false, false);
    for line in lines {
        if goes_on && line.starts_with([' ', '\t']) {
            continue;
        }
        goes_on = split_trailer(line).is_some();
        if GIT_TRAILER_PREFIXES.iter().any(|w| line.starts_with(w)) {
            git_wrote = true;
            is += 1;
        } else if goes_on {
            is += 1;
        } else {
            is_not += 1;
        }
    }
    is > 0 && (is_not == 0 || git_wrote && is * 3 >= is_not)
}

/// Splits a line into key and value; none if it is not a trailer.
fn split_trailer(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim_end_matches([' ', '\t']);
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_key.then_some((key, value))
}

/// Returns a text without line ends, so that it cannot begin a trailer of its own.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(['\n', '\r']).map(str::trim).filter(|l| !l.is_empty()).collect();
    escape::line(&words.join(" ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_holds_no_hidden_characters() {
        let trailers = [("Pillion-Evidence", "{\"pod\":\"a\u{202e}b\"}".to_owned())];
        let text = format_message("log\u{1b}[31m: x\n[skip ci]", "one\u{9b}\ntwo\u{2066}\r", &trailers);
        let expected = "log\\u001b[31m: x [skip ci]\n\none\\u009b\ntwo\\u2066\n\nPillion-Evidence: {\"pod\":\"a\\u202eb\"}\n";
        assert_eq!(text, expected);
        let evidence: serde_json::Value = serde_json::from_str(&parse_trailers(&text)[0].value).unwrap();
        assert_eq!(evidence["pod"], "a\u{202e}b");
    }
}
