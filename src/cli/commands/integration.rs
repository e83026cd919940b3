//! `pillion init INTEGRATION`: writes the files that an integration needs, or merges them into those that exist.

use super::init::template_values;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::{EXIT_SUCCESS, print_text};
use crate::diagnostics::Diagnostic;
use crate::integrations::kustomization::find_in_folder;
use crate::integrations::template_merge::{MergeError, add_to_kustomization, merge_file};
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

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileOutcome {
    Created,
    Merged,
    Overwritten,
    Unchanged,
}

impl FileOutcome {
    fn text(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Merged => "merged into",
            Self::Overwritten => "overwritten",
            Self::Unchanged => "unchanged",
        }
    }
}

/// The files of an integration before they are written.
#[derive(Default)]
struct PlannedFiles {
    places: Vec<(SandboxPath, String)>,
    outcomes: Vec<(String, FileOutcome)>,
    in_the_way: Vec<String>,
    refusals: Vec<Diagnostic>,
}

impl PlannedFiles {
    /// Adds a file with a new text, given what is there.
    fn add(
        &mut self,
        folder: &Path,
        path: &Path,
        is_forced: bool,
        new_text: impl Fn(Option<&str>) -> Result<String, MergeError>,
    ) {
        let shown = crate::read::normalize_path(&folder.join(path)).to_string_lossy().into_owned();
        let top = RepositoryRoot::of_git_repository(Path::new(""));
        // What the repository holds in its place may be anybody's: no link is followed on the way to it.
        let place = RepositoryRoot::resolve_user_path(top.as_ref(), folder).join(path);
        let present = match place.read_if_exists(MAX_FILE_BYTES) {
            Ok(present) => present,
            Err(refused) => return self.refusals.push(refused.to_diagnostic(&shown)),
        };
        let text = present.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (new, outcome) = match (new_text(text.as_deref()), &text) {
            (Ok(new), Some(old)) if new == *old => (new, FileOutcome::Unchanged),
            (Ok(new), None) => (new, FileOutcome::Created),
            (Ok(new), Some(_)) => (new, FileOutcome::Merged),
            (Err(MergeError::Different(new)), _) if is_forced => (new, FileOutcome::Overwritten),
            (Err(MergeError::Different(_)), _) => return self.in_the_way.push(format!("`{shown}`")),
            (Err(MergeError::Unreadable(error)), _) => return self.refusals.push(*error),
        };
        if outcome != FileOutcome::Unchanged {
            self.places.push((place, new));
        }
        self.outcomes.push((shown, outcome));
    }
}

/// Writes the files of an integration, filled in for this repository, or merges them into those that exist; nothing where
/// one exists with different content and cannot be merged.
pub(in crate::cli) fn init_integration(
    args: &InitIntegration,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let Some(integration) = find_integration(&args.integration) else { return Ok(EXIT_SUCCESS) };
    let values = template_values::of_repository(reporter)?;
    let mut planned = PlannedFiles::default();
    let needed = || integration.files.iter().filter(|file| file.is_needed(&values));
    for file in needed() {
        let text = file.text(&values);
        planned.add(&args.folder, Path::new(file.path), args.force, |old| match old {
            Some(old) => merge_file(file.path, old, &text).map_err(|error| match error {
                MergeError::Unreadable(_) if args.force => MergeError::Different(text.clone()),
                error => error,
            }),
            None => Ok(text.clone()),
        });
    }
    if let Some(kustomization) =
        find_in_folder(&args.folder).filter(|_| integration.is_listed_in_kustomization())
    {
        let names: Vec<&str> = needed().map(|file| file.path).collect();
        let name = kustomization.file_name().map(PathBuf::from).unwrap_or_default();
        planned.add(&args.folder, &name, false, |old| {
            add_to_kustomization(&kustomization, old.unwrap_or(""), &names)
        });
    }
    if !planned.refusals.is_empty() {
        return Err(CommandError::from_diagnostics(planned.refusals));
    }
    if !planned.in_the_way.is_empty() {
        return Err(CommandError::findings(format!(
            "{} already exists with different content; nothing was written: compare it with `pillion print {}`, or overwrite it with `--force`",
            planned.in_the_way.join(", "),
            args.integration
        )));
    }
    if let Err(diagnostic) = replace_files(&planned.places)? {
        return Err(CommandError::from_diagnostics([*diagnostic]));
    }
    let lines = planned.outcomes.iter().map(|(shown, outcome)| format!("{} {shown}\n", outcome.text()));
    print_text(&format!("{}next: {}\n", lines.collect::<String>(), integration.next_step(&values)))?;
    Ok(EXIT_SUCCESS)
}
