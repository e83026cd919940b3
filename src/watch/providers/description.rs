//! The description of a pull request as Markdown: what merging does, the diff, how to check it, and the whole commit
//! message at its end, so that a squash keeps the trailers.
//!
//! Everything that others wrote is in fences that it cannot close: there, nothing is markup, a mention or an image.

use crate::diagnostics::{escape, pluralize};
use std::fmt::Write as _;

/// The description of a pull request, before a provider's limit is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// What merging does and what the plan says: Markdown without text of others.
    pub(crate) summary: String,
    /// The difference that the commit makes, as `git diff` prints it; empty: none is shown.
    pub(crate) diff: String,
    /// How many files it changes.
    pub(crate) changed_files: usize,
    /// Commands that check it on the reader's machine, one a line.
    pub(crate) commands: String,
    /// The commit message, with its trailers.
    pub(crate) message: String,
}

/// Characters between the parts that are not counted one by one.
const RESERVE: usize = 200;

impl Description {
    /// Renders it in at most `max_chars` characters: of a diff that is too long, the lines that fit. `folds`: the
    /// provider shows HTML, so the diff can be folded.
    pub(super) fn to_markdown(&self, max_chars: usize, folds: bool) -> String {
        let mut head = String::new();
        if !self.summary.is_empty() {
            let _ = writeln!(head, "{}\n", self.summary.trim_end());
        }
        let mut commands = String::new();
        if !self.commands.is_empty() {
            let _ = write!(commands, "To check it on your machine:\n\n{}\n", fenced("sh", &self.commands));
        }
        let message = self.message_block();
        let kept = [&head, &commands, &message].iter().map(|part| part.chars().count()).sum::<usize>();
        let diff = self.diff_block(max_chars.saturating_sub(kept + RESERVE), folds);
        let text = format!("{head}{diff}{commands}{message}");
        if text.chars().count() <= max_chars { text } else { truncate_text(&message, max_chars) }
    }

    /// Returns the diff, as many of its lines as fit into some characters.
    fn diff_block(&self, max_chars: usize, folds: bool) -> String {
        if self.diff.is_empty() {
            return String::new();
        }
        let diff = escape::lines(&self.diff);
        let (mut shown, mut used, mut left_out) = (String::new(), 0, 0_usize);
        for line in diff.split_inclusive('\n') {
            used += line.chars().count();
            if left_out == 0 && used <= max_chars {
                shown.push_str(line);
            } else {
                left_out += 1;
            }
        }
        let cut = match left_out {
            0 => String::new(),
            1 => "One more line does not fit in here; `git diff` shows all of it.\n\n".to_owned(),
            n => format!("{n} more lines do not fit in here; `git diff` shows all of them.\n\n"),
        };
        let files = pluralize(self.changed_files as u64, "file");
        let block = if shown.is_empty() { String::new() } else { format!("{}\n", fenced("diff", &shown)) };
        match folds {
            true => format!("<details><summary>Diff of {files}</summary>\n\n{block}{cut}</details>\n\n"),
            false => format!("Diff of {files}:\n\n{block}{cut}"),
        }
    }

    /// Returns the message in a fence that stays open: it ends with the text, and git reads the last paragraph of the
    /// description, as of a message, as trailers.
    fn message_block(&self) -> String {
        let message = escape::lines(self.message.trim());
        // A line of GitLab's description that begins with a slash is a command.
        let lines: Vec<String> = message
            .lines()
            .map(|line| if line.starts_with('/') { format!(" {line}") } else { line.to_owned() })
            .collect();
        format!("The commit:\n\n{}text\n{}", fence_for(&message), lines.join("\n"))
    }
}

/// Returns a text in a fence that nothing in it closes.
fn fenced(language: &str, text: &str) -> String {
    let fence = fence_for(text);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}

/// Returns a fence that is longer than every run of backticks in a text.
fn fence_for(text: &str) -> String {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(3.max(longest + 1))
}

/// Truncates a text, with a mark, and keeps the trailers at its end.
pub(super) fn truncate_text(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let trailers =
        text.rsplit_once("\n\n").map(|(_, last)| last).filter(|t| t.chars().count() < max_chars / 2);
    let end = trailers.map(|t| format!("\n\n{t}")).unwrap_or_default();
    let kept = max_chars.saturating_sub(end.chars().count() + 1);
    let begin: String = text.chars().take(kept).collect();
    format!("{begin}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::trailer::parse_trailers;

    fn description(diff: &str) -> Description {
        Description {
            summary: "Merging this releases batch 2 of 3.".to_owned(),
            diff: diff.to_owned(),
            changed_files: 1,
            commands: "git fetch origin\n".to_owned(),
            message: "log: batch 2/3\n\n6 of 21 pods.\n\nPillion-Batch: 2/3\nPillion-Plan: x\n".to_owned(),
        }
    }

    #[test]
    fn the_diff_is_folded_and_the_message_is_last() {
        let expected = "Merging this releases batch 2 of 3.

<details><summary>Diff of 1 file</summary>

```diff
-a
+b
```

</details>

To check it on your machine:

```sh
git fetch origin
```

The commit:

```text
log: batch 2/3

6 of 21 pods.

Pillion-Batch: 2/3
Pillion-Plan: x";
        assert_eq!(description("-a\n+b\n").to_markdown(65_536, true), expected);
    }

    #[test]
    fn a_squash_of_it_has_the_trailers() {
        for text in [
            description("-a\n+b\n").to_markdown(65_536, true),
            description(&"+line\n".repeat(50_000)).to_markdown(65_536, false),
            description("").to_markdown(120, false),
        ] {
            let keys: Vec<String> =
                parse_trailers(&format!("title (#7)\n\n{text}")).into_iter().map(|t| t.key).collect();
            assert_eq!(keys, ["Pillion-Batch", "Pillion-Plan"], "{text}");
        }
    }

    #[test]
    fn a_long_diff_is_cut_at_a_line_and_counted() {
        let text = description(&"+0123456789\n".repeat(100)).to_markdown(1_000, true);
        assert!(text.chars().count() <= 1_000, "{}", text.chars().count());
        let shown = text.matches("+0123456789\n").count();
        assert!(shown > 20, "{text}");
        assert!(text.contains(&format!("{} more lines do not fit in here", 100 - shown)), "{text}");
    }

    #[test]
    fn nothing_of_others_is_markup() {
        let hostile = "+```\n+</details>@org/team ![](http://x)\n+````` \u{202e}\n";
        let text = description(hostile).to_markdown(65_536, true);
        assert!(text.contains("\n``````diff\n+```\n") && text.contains("\n``````\n\n</details>"), "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
        let mut commanded = description("");
        commanded.message = "log: pause\n\n```\n/merge\n@all\n\nPillion-Action: Pause\n".to_owned();
        let text = commanded.to_markdown(65_536, true);
        assert!(
            text.ends_with("````text\nlog: pause\n\n```\n /merge\n@all\n\nPillion-Action: Pause"),
            "{text}"
        );
    }

    #[test]
    fn long_texts_are_cut_before_their_trailers() {
        let text = format!("{}\n\nPillion-Batch: 2/3", "x".repeat(200));
        let short = truncate_text(&text, 100);
        assert_eq!(short.chars().count(), 100);
        assert!(short.ends_with("x…\n\nPillion-Batch: 2/3"), "{short}");
    }
}
