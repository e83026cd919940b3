//! docs/reference.md: every verb and flag.

use super::Cli;
use clap::CommandFactory as _;

/// Returns the text of docs/reference.md.
pub fn cli_reference() -> String {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut text = String::from(
        "# Command line\n\nMade from the types of `src/cli`; a test compares them.\n\n| exit code | meaning |\n|---|---|\n| 0 | done |\n| 1 | findings, or a difference |\n| 2 | wrong usage or configuration |\n| 3 | the environment failed; a retry may help |\n",
    );
    section(&mut text, &mut command, "pillion");
    let verbs: Vec<String> =
        command.get_subcommands().map(|c| c.get_name().to_owned()).filter(|n| n != "help").collect();
    for verb in verbs {
        if let Some(verb_command) = command.find_subcommand_mut(&verb) {
            section(&mut text, verb_command, &format!("pillion {verb}"));
        }
    }
    text
}

fn section(text: &mut String, command: &mut clap::Command, title: &str) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
}
