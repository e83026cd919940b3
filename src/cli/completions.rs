//! Completions in a shell: the script of a shell calls pillion back, which knows the names of the repository.
//!
//! A completion runs no program, prints no message and takes at most [`TIME_LIMIT`]: a person types meanwhile.

use super::{EXIT_SUCCESS, command};
use crate::diagnostics::Code;
use crate::model::workload::complete_workload;
use crate::workspace::{Configuration, cluster_names, sidecar_set_names, workload_keys};
use clap::{Arg, Command};
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{EnvCompleter, Shells};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{Error as IoError, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

/// The variable by which a script calls pillion, with the name of the shell.
const VARIABLE: &str = "PILLION_COMPLETE";

/// Reading a repository takes no longer; then there are no names of it. A part of them would complete to a name that is
/// not the only one.
const TIME_LIMIT: Duration = Duration::from_secs(1);

/// Prints what the script of a shell asks for; None: none asks. A script writes the words of the command line after `--`.
pub(super) fn run(arguments: &[OsString]) -> Option<u8> {
    let name = std::env::var(VARIABLE).ok()?;
    let shells = Shells::builtins();
    let shell = shells.completer(&name)?;
    let words = arguments.get(2..).filter(|words| arguments[1] == "--" && !words.is_empty())?;
    // The command that is typed reports its errors; here a message would break the line of the prompt.
    std::panic::set_hook(Box::new(|_| {}));
    // Nothing reads a closed standard output.
    let _ = std::io::stdout().lock().write_all(&complete(shell, words));
    Some(EXIT_SUCCESS)
}

/// Returns the completions of the last word, as the script of the shell reads them.
fn complete(shell: &dyn EnvCompleter, words: &[OsString]) -> Vec<u8> {
    // The last word is still being typed.
    let options = TypedOptions::read(&words[..words.len() - 1]);
    // Names of another repository than the one that is meant would be wrong; the command reports the folder.
    if options.directory.is_some_and(|folder| std::env::set_current_dir(folder).is_err()) {
        return Vec::new();
    }
    let folder = std::env::current_dir().ok();
    let mut output = Vec::new();
    let mut command = add_completers(command(), &options.config);
    match shell.write_complete(&mut command, words.to_vec(), folder.as_deref(), &mut output) {
        Ok(()) => output,
        Err(_) => Vec::new(),
    }
}

/// Returns the script for a shell.
///
/// # Errors
/// When there is no script for this shell.
pub(super) fn script(shell: Shell) -> Result<String, IoError> {
    let (shells, name) = (Shells::builtins(), shell.to_string());
    let completer =
        shells.completer(&name).ok_or_else(|| IoError::new(ErrorKind::Unsupported, name.clone()))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "pillion", "pillion", "pillion", &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// The options on a command line that is not finished, which say where the repository is.
#[derive(Debug, Default, PartialEq, Eq)]
struct TypedOptions {
    /// `-C DIR`.
    directory: Option<PathBuf>,
    /// `--config FILE`.
    config: Option<PathBuf>,
}

impl TypedOptions {
    fn read(words: &[OsString]) -> Self {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let word = word.to_string_lossy();
            match &*word {
                "-C" => options.directory = words.next().map(PathBuf::from),
                "--config" => options.config = words.next().map(PathBuf::from),
                "--" => break,
                _ => {
                    if let Some(folder) = word.strip_prefix("-C") {
                        options.directory = Some(folder.trim_start_matches('=').into());
                    } else if let Some(file) = word.strip_prefix("--config=") {
                        options.config = Some(file.into());
                    }
                }
            }
        }
        options
    }
}

/// Adds the names of the repository to the arguments that take them.
fn add_completers(command: Command, config: &Option<PathBuf>) -> Command {
    command.mut_subcommands(|subcommand| subcommand.mut_args(|argument| add_completer(argument, config)))
}

fn add_completer(argument: Arg, config: &Option<PathBuf>) -> Arg {
    let config = config.clone();
    let complete: fn(&str, &Configuration) -> BTreeSet<String> = match argument.get_id().as_str() {
        "name" | "names" if argument.is_positional() => |_, found| sidecar_set_names(found),
        "sidecar_set" => |_, found| sidecar_set_names(found),
        "cluster" => |_, found| cluster_names(found),
        "workload" => |typed, found| complete_workload(typed, &printable(workload_keys(found))),
        _ => return argument,
    };
    let has_codes =
        argument.get_value_names().is_some_and(|names| names.iter().any(|n| n.ends_with("|CODE")));
    argument.add(ArgValueCompleter::new(move |typed: &OsStr| {
        let typed = typed.to_string_lossy().into_owned();
        let mut names = names_in_repository(config.clone(), typed.clone(), complete);
        if has_codes && !typed.is_empty() {
            names.extend(Code::ALL.iter().map(|code| code.name().to_owned()));
        }
        let names = printable(names).into_iter().filter(|name| name.starts_with(&typed));
        names.map(CompletionCandidate::new).collect::<Vec<_>>()
    }))
}

/// Returns names of the repository of the working folder; none where reading them takes too long, or where there is no
/// valid pillion.yaml: without one, the folder may be any folder, of any size.
fn names_in_repository(
    config: Option<PathBuf>,
    typed: String,
    complete: fn(&str, &Configuration) -> BTreeSet<String>,
) -> BTreeSet<String> {
    let (sender, receiver) = channel();
    let read = move || {
        let (found, _) = Configuration::find(config.as_deref(), Path::new("."));
        if let Some(found) = found.filter(|found| found.document.is_some()) {
            // The receiver is gone if the names come too late.
            let _ = sender.send(complete(&typed, &found));
        }
    };
    let started = std::thread::Builder::new().name("completions".into()).spawn(read);
    started.ok().and_then(|_| receiver.recv_timeout(TIME_LIMIT).ok()).unwrap_or_default()
}

/// Returns the names that Kubernetes accepts: a shell puts a completion into the command line as it is, so any other
/// character could start a program.
fn printable(names: BTreeSet<String>) -> BTreeSet<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/' | '_');
    names
        .into_iter()
        .filter(|name| !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_and_the_configuration_are_those_of_the_command_line() {
        let read = |text: &str| TypedOptions::read(&text.split(' ').map(OsString::from).collect::<Vec<_>>());
        let options = |directory: Option<&str>, config: Option<&str>| TypedOptions {
            directory: directory.map(PathBuf::from),
            config: config.map(PathBuf::from),
        };
        assert_eq!(read("pillion -C a pause"), options(Some("a"), None));
        assert_eq!(read("pillion -Ca pause --config=b/p.yaml"), options(Some("a"), Some("b/p.yaml")));
        assert_eq!(read("pillion pause --config b"), options(None, Some("b")));
        assert_eq!(read("pillion pause -- -C a"), options(None, None));
        assert_eq!(read("pillion pause -C"), options(None, None));
    }

    #[test]
    fn a_name_that_a_shell_would_interpret_is_no_completion() {
        let names =
            ["log", "shop/web.v1", "$(reboot)", "a b", "*", "`id`", "a;b", "-rf", "", "a\nb", "~root", "ä"];
        let names = names.into_iter().map(str::to_owned).collect();
        assert_eq!(printable(names).into_iter().collect::<Vec<_>>(), ["log", "shop/web.v1"]);
    }
}
