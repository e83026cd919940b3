//! Generates docs/reference.md: exit codes, global options, commands and their flags.

use clap::Command;

const HEAD: &str = "# Command line

This page is generated from the types of `src/cli`; a test compares them.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | findings, or a difference |
| 2 | wrong usage or configuration |
| 3 | the environment failed; a retry may help |
| 4 | waiting (`pillion watch --once`) |
| 5 | paused (`pillion watch --once`) |
";

/// Returns the text of docs/reference.md.
pub fn cli_reference() -> String {
    let mut command = super::command().term_width(100);
    command.build();
    let mut text = HEAD.to_owned();
    push_section(&mut text, command, "pillion");
    text
}

/// Adds the help of a command and of its subcommands. Global options are in the first section only.
fn push_section(text: &mut String, mut command: Command, title: &str) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    for subcommand in command.get_subcommands().filter(|c| c.get_name() != "help") {
        let subcommand = subcommand.clone().mut_args(|arg| {
            let is_global = arg.is_global_set() || arg.get_id() == "help";
            if is_global { arg.hide(true) } else { arg }
        });
        let title = format!("{title} {}", subcommand.get_name());
        push_section(text, subcommand, &title);
    }
}
