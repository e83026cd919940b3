//! `pillion init INTEGRATION`: writes the files that an integration needs.

use crate::cli::error::CommandError;
use crate::cli::{EXIT_SUCCESS, print_text};
use crate::integrations::templates::{INTEGRATIONS, find_integration};
use crate::read::MAX_FILE_BYTES;
use crate::sandbox::{RepositoryRoot, SandboxPath};
use crate::write::replace_files;
use clap::{Arg, ArgMatches, Command, FromArgMatches, Subcommand};
use std::path::{Path, PathBuf};

/// `pillion init INTEGRATION`: a subcommand for each integration.
#[derive(Debug)]
pub(in crate::cli) struct InitIntegration {
    integration: String,
    folder: PathBuf,
    force: bool,
}

impl FromArgMatches for InitIntegration {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (integration, matches) = matches.subcommand().expect("clap wants a subcommand");
        Ok(Self {
            integration: integration.to_owned(),
            folder: matches.get_one::<PathBuf>("dir").cloned().unwrap_or_default(),
            force: matches.get_flag("force"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for InitIntegration {
    fn augment_subcommands(command: Command) -> Command {
        let dir = Arg::new("dir")
            .long("dir")
            .value_name("DIR")
            .default_value(".")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Folder to write to");
        let force = Arg::new("force")
            .long("force")
            .action(clap::ArgAction::SetTrue)
            .help("Overwrite files with different content");
        INTEGRATIONS.iter().fold(command, |command, integration| {
            command.subcommand(
                Command::new(integration.name).about(integration.about).args([dir.clone(), force.clone()]),
            )
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        find_integration(name).is_some()
    }
}

/// Writes the files of an integration, or nothing where one exists with different content.
pub(in crate::cli) fn init_integration(args: &InitIntegration) -> Result<u8, CommandError> {
    let files = find_integration(&args.integration).map_or(&[][..], |integration| integration.files);
    let top = RepositoryRoot::of_git_repository(Path::new(""));
    let mut places: Vec<(SandboxPath, String)> = Vec::new();
    let (mut names, mut in_the_way, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        let name = crate::read::normalize_path(&args.folder.join(file.path));
        let shown = name.to_string_lossy().into_owned();
        // What the repository holds in its place may be anybody's: no link is followed on the way to it.
        let place = RepositoryRoot::resolve_user_path(top.as_ref(), &args.folder).join(Path::new(file.path));
        match place.read_if_exists(MAX_FILE_BYTES) {
            Ok(Some(there)) if there == file.text().as_bytes() => {}
            Ok(None) => places.push((place, file.text())),
            Ok(Some(_)) => {
                in_the_way.push(format!("`{shown}`"));
                places.push((place, file.text()));
            }
            Err(refused) => refusals.push(refused.to_diagnostic(&shown)),
        }
        names.push(shown);
    }
    if !refusals.is_empty() {
        return Err(CommandError::from_diagnostics(refusals));
    }
    if !in_the_way.is_empty() && !args.force {
        return Err(CommandError::findings(format!(
            "{} already exists with different content; nothing was written: compare it with `pillion print {}`, or overwrite it with `--force`",
            in_the_way.join(", "),
            args.integration
        )));
    }
    if let Err(diagnostic) = replace_files(&places)? {
        return Err(CommandError::from_diagnostics([*diagnostic]));
    }
    print_text(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
    Ok(EXIT_SUCCESS)
}
