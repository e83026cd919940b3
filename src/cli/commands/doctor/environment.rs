//! Programs on PATH, and the folders where kustomize looks for plugins.

use super::{CheckState, DoctorCheck};
use crate::programs::{
    self, CredentialAccess, NO_SLOW_NOTICE, OutputLimit, ProgramLimits, command_without_secrets,
    find_on_path, is_program,
};
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Below the home of plugins: group, version and kind of the configuration.
const PLUGIN_PATH: &str = "pillion.dev/v1alpha1/sidecars/Sidecars";

/// Checks what every command needs.
pub(super) fn check_program() -> Vec<DoctorCheck> {
    vec![check_pillion(), check_temp_folder()]
}

/// Checks what kustomizations need.
pub(super) fn check_kustomize_tools() -> Vec<DoctorCheck> {
    vec![check_kustomize(), check_kubectl(), check_exec_plugin()]
}

fn check_pillion() -> DoctorCheck {
    let version = env!("CARGO_PKG_VERSION");
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    match (find_on_path("pillion"), env::current_exe()) {
        (Some(found), Ok(own)) if same(&found, &own) => {
            DoctorCheck::new(CheckState::Ok, "pillion", format!("{version} is the one on PATH"))
        }
        (Some(found), _) => DoctorCheck::new(
            CheckState::Warning,
            "pillion",
            format!("{version} runs, but `pillion` on PATH is `{}`", found.display()),
        )
        .help("kustomize, Argo CD and Helm start the one on PATH: put this one there, or leave one of them"),
        (None, _) => DoctorCheck::new(CheckState::Warning, "pillion", format!("{version} is not on PATH"))
            .help("add its folder to PATH: tools that run pillion look there"),
    }
}

/// Returns what a program prints about its version.
fn read_version(program: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = command_without_secrets(program, CredentialAccess::None);
    command.args(arguments);
    let limits = ProgramLimits {
        timeout: Duration::from_secs(10),
        output: OutputLimit::All(1 << 20),
        stderr_bytes: 0,
    };
    let ended = programs::run_program(command, None, &limits, NO_SLOW_NOTICE).ok()?;
    ended.status.success().then(|| String::from_utf8_lossy(&ended.stdout).trim().to_owned())
}

/// Returns major and minor of a text with a version in it (`v5.8.2`, `{kustomize/v4.5.7 …}`).
pub(super) fn parse_version(text: &str) -> Option<(u32, u32)> {
    let starts = text.match_indices('v').map(|(at, _)| &text[at + 1..]);
    starts.into_iter().find_map(|rest| {
        let mut parts = rest.split(|c: char| !c.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

fn check_kustomize() -> DoctorCheck {
    let Some(program) = find_on_path("kustomize") else {
        return DoctorCheck::new(CheckState::Note, "kustomize", "is not on PATH")
            .help("folders with a kustomization cannot be built here; `pillion cmp generate` needs it too");
    };
    let Some(text) = read_version(&program, &["version"]) else {
        return DoctorCheck::new(
            CheckState::Warning,
            "kustomize",
            format!("`{} version` fails", program.display()),
        )
        .help("install kustomize v5.7 or newer");
    };
    let flags = "build with `--enable-alpha-plugins --enable-exec`: without the second flag functions are passed over without a word";
    match parse_version(&text) {
        Some(version) if version >= (5, 7) => {
            DoctorCheck::new(CheckState::Ok, "kustomize", format!("{text}, with functions and their `args`"))
                .help(flags)
        }
        Some(version) if version >= (4, 1) => DoctorCheck::new(
            CheckState::Note,
            "kustomize",
            format!("{text} runs functions, but refuses `args` and `envs` in `exec:` (from v5.7)"),
        )
        .help(flags),
        _ => DoctorCheck::new(
            CheckState::Warning,
            "kustomize",
            format!("{text} is too old for exec functions"),
        )
        .help("install kustomize v5.7 or newer, or pipe: `kustomize build DIR | pillion`"),
    }
}

fn check_kubectl() -> DoctorCheck {
    match find_on_path("kubectl") {
        None => DoctorCheck::new(CheckState::Note, "kubectl", "is not on PATH"),
        Some(_) => DoctorCheck::new(CheckState::Note, "kubectl", "is there; its kustomize has no `--enable-exec` and passes over functions")
            .help("use the exec plugin (`pillion print kustomize-exec-plugin`) with `--enable-alpha-plugins`, or pipe: `kubectl kustomize DIR | pillion | kubectl apply -f -`"),
    }
}

/// Where kustomize looks for plugins, in its order (api/konfig/plugins.go): the first folder that exists counts.
fn plugin_homes() -> Vec<PathBuf> {
    let home = || env::var_os("HOME").map(PathBuf::from);
    let mut homes: Vec<PathBuf> =
        env::var_os("KUSTOMIZE_PLUGIN_HOME").map(PathBuf::from).into_iter().collect();
    homes.extend(env::var_os("XDG_CONFIG_HOME").map(|folder| Path::new(&folder).join("kustomize/plugin")));
    homes.extend(home().map(|folder| folder.join(".config/kustomize/plugin")));
    homes.extend(home().map(|folder| folder.join("kustomize/plugin")));
    homes
}

fn check_exec_plugin() -> DoctorCheck {
    let install = "`pillion print kustomize-exec-plugin | sh` puts it there";
    let Some(home) = plugin_homes().into_iter().find(|folder| folder.is_dir()) else {
        return DoctorCheck::new(CheckState::Note, "exec plugin", "there is no folder of kustomize plugins")
            .help(install);
    };
    let plugin = home.join(PLUGIN_PATH);
    if is_program(&plugin) {
        return DoctorCheck::new(CheckState::Ok, "exec plugin", format!("`{}`", plugin.display()));
    }
    if plugin.symlink_metadata().is_ok() {
        return DoctorCheck::new(CheckState::Error, "exec plugin", format!("`{}` cannot be run", plugin.display()))
            .help("it is a broken link or not executable: run `chmod +x` on it, or recreate it with `pillion print kustomize-exec-plugin | sh`");
    }
    DoctorCheck::new(CheckState::Note, "exec plugin", format!("`{}` is not there", plugin.display()))
        .help(install)
}

fn check_temp_folder() -> DoctorCheck {
    let folder = env::temp_dir();
    match probe_writable(&folder) {
        Ok(()) => {
            DoctorCheck::new(CheckState::Ok, "temporary", format!("`{}` can be written", folder.display()))
        }
        Err(error) => DoctorCheck::new(
            CheckState::Note,
            "temporary",
            format!("`{}` cannot be written: {error}", folder.display()),
        )
        .help("only output of more than 48 MiB needs it; set TMPDIR to a folder that can be written"),
    }
}

/// Makes a file and removes it.
fn probe_writable(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!("pillion-doctor-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&file)?;
    std::fs::remove_file(&file)
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        assert_eq!(parse_version("v5.8.2"), Some((5, 8)));
        assert_eq!(parse_version("{Version:kustomize/v4.5.7 GitCommit:56d82a8}"), Some((4, 5)));
        assert_eq!(parse_version("(devel)"), None);
    }
}
