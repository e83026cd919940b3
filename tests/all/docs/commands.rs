//! Checks that the commands and flags in the pages exist in the reference.

use super::generated::pages;
use std::collections::BTreeMap;

/// Returns the help of each command, by its name in docs/reference.md.
fn help_by_command(reference: &str) -> BTreeMap<&str, &str> {
    reference.split("\n## ").skip(1).filter_map(|section| section.split_once('\n')).collect()
}

/// Returns the command lines of a page: in code spans, and lines of code blocks that start with `pillion`.
fn command_lines(page: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut is_code = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            lines.push(line.trim_start().trim_start_matches("$ "));
        } else {
            lines.extend(line.split('`').skip(1).step_by(2));
        }
    }
    let ends = ['#', '|', '&', ';', '>'];
    let commands = lines.into_iter().filter(|line| line.starts_with("pillion "));
    commands.map(|line| line.split(ends).next().unwrap_or_default()).collect()
}

#[test]
fn commands_and_flags_in_pages_exist() {
    let reference = pillion::cli::cli_reference();
    let help = help_by_command(&reference);
    let mut errors = Vec::new();
    for (page, text) in pages().iter().filter(|(page, _)| !page.ends_with("CHANGELOG.md")) {
        for line in command_lines(text) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let verb = words.get(1).copied().unwrap_or_default();
            if !verb.starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            let sections: Vec<&str> = help
                .iter()
                .filter(|(name, _)| {
                    **name == "pillion"
                        || **name == format!("pillion {verb}")
                        || name.starts_with(&format!("pillion {verb} "))
                })
                .map(|(_, text)| *text)
                .collect();
            if sections.len() < 2 {
                errors.push(format!("{}: there is no command `{line}`", page.display()));
            }
            for flag in words.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
                let flag = flag.split(['=', ']']).next().unwrap_or_default();
                if !sections.iter().any(|section| section.contains(flag)) {
                    errors.push(format!("{}: `{line}` has no flag {flag}", page.display()));
                }
            }
        }
    }
    assert!(errors.is_empty(), "{errors:#?}");
}
