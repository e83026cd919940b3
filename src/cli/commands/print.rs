//! `pillion print`, `schema`, `completions` and `man`: what is generated from the types of the command line and of
//! pillion's own files.

use crate::cli::error::CommandError;
use crate::cli::{EXIT_SUCCESS, command, completions, print_data, print_text};
use crate::integrations::templates::{INTEGRATIONS, TemplateFile, TemplateValues, find_integration};
use crate::model::own_kinds::{OWN_KINDS, OwnSchema};
use crate::model::suggestion::closest_match;
use crate::write;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Command};
use std::fmt::Write as _;

/// Arguments of `pillion print`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PrintArgs {
    /// Integration [default: list all]
    #[arg(value_parser = PossibleValuesParser::new(INTEGRATIONS.iter().map(|d| d.name)))]
    integration: Option<String>,
    /// File of the integration [default: all]
    file: Option<String>,
}

/// Runs `pillion print`.
pub(in crate::cli) fn print_templates(args: &PrintArgs) -> Result<u8, CommandError> {
    let Some(integration) = args.integration.as_deref().and_then(find_integration) else {
        let mut list = String::new();
        for integration in INTEGRATIONS {
            let _ = writeln!(list, "{:<20} {}", integration.name, integration.about);
            for file in integration.files {
                let _ = writeln!(list, "{:<20}   {}", "", file.path);
            }
        }
        print_text(&list)?;
        return Ok(EXIT_SUCCESS);
    };
    // Without a repository: the same text everywhere.
    let values = TemplateValues::default();
    let wanted = |file: &&TemplateFile| args.file.as_ref().is_none_or(|name| file.path == name);
    let files: Vec<&TemplateFile> = integration.files.iter().filter(wanted).collect();
    let text = match &files[..] {
        [] => {
            let names: Vec<&str> = integration.files.iter().map(|f| f.path).collect();
            return Err(CommandError::usage(format!(
                "`{}` has no file `{}`; it has {}",
                integration.name,
                args.file.as_deref().unwrap_or_default(),
                names.join(", ")
            )));
        }
        [one] => one.text(&values),
        several => several.iter().map(|f| format!("# ---- {}\n{}", f.path, f.text(&values))).collect(),
    };
    print_text(&text)?;
    Ok(EXIT_SUCCESS)
}

fn own_schemas() -> impl Iterator<Item = &'static OwnSchema> {
    OWN_KINDS.iter().filter_map(|own| own.schema.as_ref())
}

/// Parses the name of a file that has a JSON Schema.
pub(in crate::cli) fn schema_parser() -> impl TypedValueParser<Value = &'static OwnSchema> {
    let names = own_schemas().map(|schema| PossibleValue::new(schema.name).help(schema.about));
    PossibleValuesParser::new(names).map(|name| {
        own_schemas().find(|schema| schema.name == name).expect("the parser accepts these names only")
    })
}

/// Prints the JSON Schema of pillion's own files.
pub(in crate::cli) fn schema(of: &OwnSchema) -> Result<u8, CommandError> {
    let mut text = serde_json::to_string_pretty((of.json)()).expect("a JSON value always serializes");
    text.push('\n');
    print_data(&text)?;
    Ok(EXIT_SUCCESS)
}

/// Prints a completion script.
pub(in crate::cli) fn completions(shell: clap_complete::Shell) -> Result<u8, CommandError> {
    print_data(&completions::script(shell).map_err(write::Error::Spool)?)?;
    Ok(EXIT_SUCCESS)
}

/// Prints the manual page of pillion, or of the command that these words name.
pub(in crate::cli) fn man(words: &[String]) -> Result<u8, CommandError> {
    let mut root = command();
    root.build();
    let command = words.iter().try_fold(&root, |command, word| {
        command.find_subcommand(word).ok_or_else(|| unknown_command(command, word))
    })?;
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).source(concat!("pillion ", env!("CARGO_PKG_VERSION")));
    man.render(&mut page).map_err(write::Error::Spool)?;
    print_data(&String::from_utf8_lossy(&page))?;
    Ok(EXIT_SUCCESS)
}

fn unknown_command(above: &Command, word: &str) -> CommandError {
    let names = || above.get_subcommands().map(Command::get_name);
    let above_name = above.get_bin_name().unwrap_or_else(|| above.get_name());
    let help = match closest_match(word, names()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if names().next().is_none() => "it has no commands".to_owned(),
        None => format!("`{above_name} --help` lists its commands"),
    };
    CommandError::usage(format!("`{above_name}` has no command `{word}`; {help}"))
}
