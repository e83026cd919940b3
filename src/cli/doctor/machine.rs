//! Programs on PATH, and the folders where kustomize looks for plugins.

use super::{Check, State};
use crate::programs::{self, Kept, Limits, NEVER, Trust, without_secrets};
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Below the home of plugins: group, version and kind of the configuration.
const PLUGIN: &str = "pillion.dev/v1alpha1/sidecars/Sidecars";

pub(super) fn check() -> Vec<Check> {
    let mut checks = vec![own(), kustomize(), kubectl()];
    checks.push(plugin());
    checks.push(temporary());
    checks
}

/// Finds a program on PATH; the first that is there and may be run.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_program(file))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

fn own() -> Check {
    let version = env!("CARGO_PKG_VERSION");
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    match (on_path("pillion"), env::current_exe()) {
        (Some(found), Ok(own)) if same(&found, &own) => {
            Check::new(State::Well, "pillion", format!("{version} is the one on PATH"))
        }
        (Some(found), _) => Check::new(
            State::Warning,
            "pillion",
            format!("{version} runs, but `pillion` on PATH is `{}`", found.display()),
        )
        .help("kustomize, Argo CD and Helm start the one on PATH: put this one there, or leave one of them"),
        (None, _) => Check::new(State::Warning, "pillion", format!("{version} is not on PATH")).help(
            "`path: pillion` of a kustomize function and Helm's `--post-renderer pillion` look on PATH",
        ),
    }
}

/// Returns what a program prints about its version.
fn version_of(program: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = without_secrets(program, Trust::Nobody);
    command.args(arguments);
    let limits = Limits { time: Duration::from_secs(10), output: Kept::All(1 << 20), errors: 0 };
    let ended = programs::run(command, None, &limits, NEVER).ok()?;
    ended.status.success().then(|| String::from_utf8_lossy(&ended.output).trim().to_owned())
}

/// Returns major and minor of a text with a version in it (`v5.8.2`, `{kustomize/v4.5.7 …}`).
pub(super) fn numbers(text: &str) -> Option<(u32, u32)> {
    let starts = text.match_indices('v').map(|(at, _)| &text[at + 1..]);
    starts.into_iter().find_map(|rest| {
        let mut parts = rest.split(|c: char| !c.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

fn kustomize() -> Check {
    let Some(program) = on_path("kustomize") else {
        return Check::new(State::Note, "kustomize", "is not on PATH")
            .help("folders with a kustomization cannot be built here; `pillion cmp generate` needs it too");
    };
    let Some(text) = version_of(&program, &["version"]) else {
        return Check::new(State::Warning, "kustomize", format!("`{} version` fails", program.display()))
            .help("install kustomize v5.7 or newer");
    };
    let flags = "build with `--enable-alpha-plugins --enable-exec`: without the second flag functions are passed over without a word";
    match numbers(&text) {
        Some(version) if version >= (5, 7) => {
            Check::new(State::Well, "kustomize", format!("{text}, with functions and their `args`"))
                .help(flags)
        }
        Some(version) if version >= (4, 1) => Check::new(
            State::Note,
            "kustomize",
            format!("{text} runs functions, but refuses `args` and `envs` in `exec:` (from v5.7)"),
        )
        .help(flags),
        _ => Check::new(State::Warning, "kustomize", format!("{text} is too old for exec functions"))
            .help("install kustomize v5.7 or newer, or pipe: `kustomize build DIR | pillion`"),
    }
}

fn kubectl() -> Check {
    match on_path("kubectl") {
        None => Check::new(State::Note, "kubectl", "is not on PATH"),
        Some(_) => Check::new(State::Note, "kubectl", "is there; its kustomize has no `--enable-exec` and passes over functions")
            .help("use the exec plugin (`pillion print legacy`) with `--enable-alpha-plugins`, or pipe: `kubectl kustomize DIR | pillion | kubectl apply -f -`"),
    }
}

/// Where kustomize looks for plugins, in its order (api/konfig/plugins.go): the first folder that exists counts.
fn homes() -> Vec<PathBuf> {
    let home = || env::var_os("HOME").map(PathBuf::from);
    let mut homes: Vec<PathBuf> =
        env::var_os("KUSTOMIZE_PLUGIN_HOME").map(PathBuf::from).into_iter().collect();
    homes.extend(env::var_os("XDG_CONFIG_HOME").map(|folder| Path::new(&folder).join("kustomize/plugin")));
    homes.extend(home().map(|folder| folder.join(".config/kustomize/plugin")));
    homes.extend(home().map(|folder| folder.join("kustomize/plugin")));
    homes
}

fn plugin() -> Check {
    let install = "`pillion print legacy | sh` puts it there";
    let Some(home) = homes().into_iter().find(|folder| folder.is_dir()) else {
        return Check::new(State::Note, "exec plugin", "there is no folder of kustomize plugins")
            .help(install);
    };
    let plugin = home.join(PLUGIN);
    if is_program(&plugin) {
        return Check::new(State::Well, "exec plugin", format!("`{}`", plugin.display()));
    }
    if plugin.symlink_metadata().is_ok() {
        return Check::new(State::Error, "exec plugin", format!("`{}` cannot be run", plugin.display()))
            .help("it is a link to nowhere or not executable: `chmod +x` it, or make it anew with `pillion print legacy | sh`");
    }
    Check::new(State::Note, "exec plugin", format!("`{}` is not there", plugin.display())).help(install)
}

fn temporary() -> Check {
    let folder = env::temp_dir();
    match tempfile_in(&folder) {
        Ok(()) => Check::new(State::Well, "temporary", format!("`{}` can be written", folder.display())),
        Err(error) => {
            Check::new(State::Note, "temporary", format!("`{}` cannot be written: {error}", folder.display()))
                .help("only output of more than 48 MiB needs it; set TMPDIR to a folder that can be written")
        }
    }
}

/// Makes a file and removes it.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!("pillion-doctor-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&file)?;
    std::fs::remove_file(&file)
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        assert_eq!(numbers("v5.8.2"), Some((5, 8)));
        assert_eq!(numbers("{Version:kustomize/v4.5.7 GitCommit:56d82a8}"), Some((4, 5)));
        assert_eq!(numbers("(devel)"), None);
    }
}
