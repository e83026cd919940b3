//! The files that each front door needs: printed by `pillion print`, written by `pillion init`, pinned to this version.
//!
//! The files lie in `doors/` of the sources and are part of the binary.

use super::report::Reporter;
use super::{Common, DONE, FINDINGS, USAGE, to_stdout};
use crate::confine::{Place, Top};
use crate::read::MAX_FILE;
use crate::write::{Failure, replace_files};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A front door.
struct Door {
    name: &'static str,
    about: &'static str,
    files: &'static [DoorFile],
}

/// A file of a door.
struct DoorFile {
    /// Where it goes, below the folder that the door is written to.
    place: &'static str,
    text: &'static str,
}

macro_rules! doors {
    ($( $name:literal $about:literal { $( $place:literal = $file:literal ),* $(,)? } )*) => {
        &[ $( Door { name: $name, about: $about, files: &[ $( DoorFile {
            place: $place,
            text: include_str!(concat!("../../doors/", $file)),
        } ),* ] } ),* ]
    };
}

const DOORS: &[Door] = doors! {
    "kustomize" "A transformer of a kustomization, and names of Kruise's kinds" {
        "sidecars.yaml" = "kustomize/sidecars.yaml",
        "kustomizeconfig.yaml" = "kustomize/kustomizeconfig.yaml",
    }
    "kustomize-component" "The same as a component to list in overlays" {
        "kustomization.yaml" = "component/kustomization.yaml",
        "sidecars.yaml" = "kustomize/sidecars.yaml",
        "kustomizeconfig.yaml" = "kustomize/kustomizeconfig.yaml",
    }
    "kustomizeconfig" "Names, labels and namespaces of Kruise's kinds, for `configurations:`" {
        "kustomizeconfig.yaml" = "kustomize/kustomizeconfig.yaml",
    }
    "legacy" "The exec plugin for kubectl and kustomize without functions" {
        "install-pillion-plugin.sh" = "legacy/install.sh",
    }
    "cmp" "The config management plugin of Argo CD" {
        "plugin.yaml" = "cmp/plugin.yaml",
    }
    "argocd" "The plugin with a patch of the repo-server, the health of SidecarSets and an Application" {
        "plugin.yaml" = "cmp/plugin.yaml",
        "repo-server-patch.yaml" = "argocd/repo-server-patch.yaml",
        "argocd-cm.yaml" = "argocd-health/argocd-cm.yaml",
        "kustomization.yaml" = "argocd/kustomization.yaml",
        "application.yaml" = "argocd/application.yaml",
    }
    "argocd-health" "The health of SidecarSets for Argo CD, in Lua and as a patch of argocd-cm" {
        "sidecarset.lua" = "argocd-health/sidecarset.lua",
        "argocd-cm.yaml" = "argocd-health/argocd-cm.yaml",
    }
    "argocd-rendered" "An Application that follows rendered files, without a plugin" {
        "application.yaml" = "argocd-rendered/application.yaml",
    }
    "github" "Workflows of GitHub Actions: checks of pull requests, rollouts" {
        ".github/workflows/pillion.yaml" = "github/pillion.yaml",
        ".github/workflows/pillion-stage.yaml" = "github/pillion-stage.yaml",
    }
    "pre-commit" "Hooks of pre-commit" {
        ".pre-commit-config.yaml" = "pre-commit/.pre-commit-config.yaml",
    }
    "helm3" "How Helm 3 is told" {
        "pillion-helm3.sh" = "helm3/render.sh",
    }
    "helm4" "A plugin folder for Helm 4" {
        "pillion/plugin.yaml" = "helm4/plugin.yaml",
    }
    "krew" "The manifest of `kubectl pillion`" {
        "pillion.yaml" = "krew/pillion.yaml",
    }
    "flux" "Flux follows rendered files" {
        "flux.yaml" = "flux/flux.yaml",
    }
    "kpt" "A pipeline of kpt" {
        "Kptfile" = "kpt/Kptfile",
        "sidecars.yaml" = "kustomize/sidecars.yaml",
    }
};

impl DoorFile {
    /// Returns its text for this version.
    fn text(&self) -> String {
        let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
        self.text.replace("@VERSION@", env!("CARGO_PKG_VERSION")).replace("@REPOSITORY@", repository)
    }
}

fn find(name: &str) -> Option<&'static Door> {
    DOORS.iter().find(|door| door.name == name)
}

/// Arguments of `pillion print`.
#[derive(Debug, Args)]
pub(super) struct PrintArgs {
    /// The door; without one, all are listed
    #[arg(value_parser = PossibleValuesParser::new(DOORS.iter().map(|d| d.name)))]
    door: Option<String>,
    /// One of its files; without one, all are printed
    file: Option<String>,
}

/// Runs `pillion print`.
pub(super) fn print(args: &PrintArgs, reporter: &Reporter) -> Result<u8, Failure> {
    let Some(door) = args.door.as_deref().and_then(find) else {
        let mut list = String::new();
        for door in DOORS {
            let _ = writeln!(list, "{:<20} {}", door.name, door.about);
            for file in door.files {
                let _ = writeln!(list, "{:<20}   {}", "", file.place);
            }
        }
        to_stdout(&list)?;
        return Ok(DONE);
    };
    let wanted = |file: &&DoorFile| args.file.as_ref().is_none_or(|name| file.place == name);
    let files: Vec<&DoorFile> = door.files.iter().filter(wanted).collect();
    let text = match &files[..] {
        [] => {
            let names: Vec<&str> = door.files.iter().map(|f| f.place).collect();
            reporter.error(&format!(
                "pillion: `{}` has no file `{}`; it has {}",
                door.name,
                args.file.as_deref().unwrap_or_default(),
                names.join(", ")
            ));
            return Ok(USAGE);
        }
        [one] => one.text(),
        several => several.iter().map(|f| format!("# ---- {}\n{}", f.place, f.text())).collect(),
    };
    to_stdout(&text)?;
    Ok(DONE)
}

/// `pillion init DOOR`: a verb for each door.
#[derive(Debug)]
pub(super) struct InitDoor {
    door: String,
    folder: PathBuf,
    force: bool,
}

impl FromArgMatches for InitDoor {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (door, matches) = matches.subcommand().expect("clap wants a subcommand");
        Ok(Self {
            door: door.to_owned(),
            folder: matches.get_one::<PathBuf>("dir").cloned().unwrap_or_default(),
            force: matches.get_flag("force"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for InitDoor {
    fn augment_subcommands(command: Command) -> Command {
        let dir = Arg::new("dir")
            .long("dir")
            .value_name("DIR")
            .default_value(".")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Write below this folder");
        let force = Arg::new("force")
            .long("force")
            .action(clap::ArgAction::SetTrue)
            .help("Write over files that are there and say something else");
        DOORS.iter().fold(command, |command, door| {
            command.subcommand(Command::new(door.name).about(door.about).args([dir.clone(), force.clone()]))
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        find(name).is_some()
    }
}

/// Writes the files of a door; nothing is written where one is there already and says something else.
pub(super) fn init(args: &InitDoor, _common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let files = find(&args.door).map_or(&[][..], |door| door.files);
    let top = Top::of_git(Path::new(""));
    let mut places: Vec<(Place, String)> = Vec::new();
    let (mut names, mut in_the_way) = (Vec::new(), Vec::new());
    for file in files {
        let name = crate::read::plain(&args.folder.join(file.place));
        let shown = name.to_string_lossy().into_owned();
        // What the repository holds in its place may be anybody's: no link is followed on the way to it.
        let place = Top::place_of_typed(top.as_ref(), &args.folder).join(Path::new(file.place));
        match place.read_present(MAX_FILE) {
            Ok(Some(there)) if there == file.text().as_bytes() => {}
            Ok(None) => places.push((place, file.text())),
            Ok(Some(_)) => {
                in_the_way.push(format!("`{shown}`"));
                places.push((place, file.text()));
            }
            Err(refused) => reporter.add([refused.diagnostic(&shown)]),
        }
        names.push(shown);
    }
    if reporter.has_errors() {
        return Ok(FINDINGS);
    }
    if !in_the_way.is_empty() && !args.force {
        reporter.error(&format!(
            "pillion: {} is there already and says something else: nothing was written; compare it with `pillion print {}`, or write over it with `--force`",
            in_the_way.join(", "),
            args.door
        ));
        return Ok(FINDINGS);
    }
    if let Err(wrong) = replace_files(&places)? {
        reporter.add([*wrong]);
        return Ok(FINDINGS);
    }
    to_stdout(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
    Ok(DONE)
}
