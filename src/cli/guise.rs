//! As what was the program called? Besides the command line: a KRM function, an exec plugin of kustomize, a filter.
//!
//! A caller that gives no arguments and a pipe is a function or a filter; one that gives a file is a plugin. The
//! environment decides nothing: KUSTOMIZE_PLUGIN_CONFIG_STRING is inherited by everything that a plugin starts.

use super::report::Reporter;
use super::{Color, Common, DONE, ENVIRONMENT, Format, USAGE, krm, legacy, render};
use crate::model::sidecars;
use crate::model::workload::{group_of, type_of};
use crate::read::{read_file, read_stream};
use crate::write::Failure;
use crate::yaml::{Document, split};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The start of the name of the file that kustomize writes for a plugin.
const PLUGIN_CONFIG: &str = "kust-plugin-config-";

/// What is done with standard input.
type Work = Box<dyn Fn(&str, &mut Reporter) -> Result<u8, Failure>>;

/// Runs in another guise than the command line's; None: it is the command line.
pub(super) fn run(arguments: &[OsString]) -> Option<u8> {
    let work: Work = match (plugin(arguments), arguments) {
        (Some(config), [_, _]) => Box::new(move |text, reporter| legacy::run(&config, text, reporter)),
        (Some(_), further) => {
            let words: Vec<_> = further[2..].iter().map(|w| w.to_string_lossy()).collect();
            let reporter = Reporter::new(&common());
            reporter.error(&format!(
                "pillion: a plugin of kind Sidecars takes no arguments, but got `{}`: remove `argsOneLiner` and `argsFromFile`",
                words.join(" ")
            ));
            return Some(USAGE);
        }
        (None, [_]) if !std::io::stdin().is_terminal() => Box::new(function_or_filter),
        _ => return None,
    };
    let mut reporter = Reporter::new(&common());
    let outcome = match read_stream(&mut std::io::stdin().lock(), &"<stdin>".into()) {
        Ok(text) => work(&text, &mut reporter),
        Err(wrong) => {
            reporter.add([wrong]);
            Ok(super::FINDINGS)
        }
    };
    reporter.finish();
    Some(match outcome {
        Ok(code) => code,
        Err(Failure::Stdout(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ENVIRONMENT,
        Err(failure) => {
            reporter.failure(&failure);
            ENVIRONMENT
        }
    })
}

/// Returns the arguments with the name that help shows: `kubectl pillion` for the plugin of kubectl.
pub(super) fn named(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_plugin = |own: &OsString| Path::new(own).file_stem().is_some_and(|name| name == "kubectl-pillion");
    if let Some(own) = arguments.first_mut().filter(|own| is_plugin(own)) {
        *own = "kubectl pillion".into();
    }
    arguments
}

/// The flags that nobody can give here.
fn common() -> Common {
    Common {
        format: Format::Human,
        color: Color::Auto,
        quiet: false,
        verbose: false,
        config: None,
        allow_build: false,
    }
}

/// Returns the configuration of a plugin, where the program was called as one.
fn plugin(arguments: &[OsString]) -> Option<PathBuf> {
    let first = PathBuf::from(arguments.get(1)?);
    let is_by_name =
        arguments.first().is_some_and(|own| Path::new(own).file_stem().is_some_and(|n| n == sidecars::KIND));
    let is_by_file = || {
        let is_of_kustomize =
            first.file_name().is_some_and(|n| n.to_string_lossy().starts_with(PLUGIN_CONFIG));
        // A verb has no slash in it.
        let is_path = first.parent().is_some_and(|folder| !folder.as_os_str().is_empty());
        is_of_kustomize || (is_path && first.is_file() && is_configuration(&first))
    };
    (is_by_name || is_by_file()).then_some(first)
}

fn is_configuration(file: &Path) -> bool {
    let name: Arc<str> = file.to_string_lossy().into();
    let document = read_file(file, &name).and_then(|text| Document::read(&name, 0, 1, &text));
    document.is_ok_and(|d| type_of(d.value()).is_some_and(|(_, kind)| kind == sidecars::KIND))
}

fn function_or_filter(text: &str, reporter: &mut Reporter) -> Result<u8, Failure> {
    if text.trim().is_empty() {
        reporter.say("pillion: standard input is empty, so there is nothing to render; `pillion --help` says what else it does");
        return Ok(DONE);
    }
    match is_resource_list(text) {
        true => krm::run(text, reporter),
        false => render::filter(text, &common(), reporter),
    }
}

/// Tells whether the first document is a ResourceList.
fn is_resource_list(text: &str) -> bool {
    if !text.contains("ResourceList") {
        return false;
    }
    let name: Arc<str> = "<stdin>".into();
    let pieces = split(&name, text).0.into_iter().enumerate();
    let mut documents = pieces.map(|(i, p)| Document::read(&name, i, p.first_line, &text[p.span]));
    let first = documents.find(|d| d.as_ref().map_or(true, |d| !d.value().is_null()));
    match first {
        Some(Ok(document)) => {
            type_of(document.value()).is_some_and(|(a, k)| group_of(a) == krm::GROUP && k == "ResourceList")
        }
        // A list that cannot be read is none, unless it says at the left margin what it is.
        Some(Err(_)) => text.lines().any(|l| l.trim_end() == "kind: ResourceList"),
        None => false,
    }
}
