//! Finds out how the program was called: as command line, KRM function, exec plugin of kustomize or filter.
//!
//! A caller that gives no arguments and a pipe is a function or a filter; one that gives a file is a plugin. The
//! environment decides nothing: KUSTOMIZE_PLUGIN_CONFIG_STRING is inherited by everything that a plugin starts.

use super::error::CommandError;
use super::reporter::Reporter;
use super::{
    ColorChoice, EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, MessageFormat, commands::render, print_data,
};
use crate::diagnostics::Diagnostic;
use crate::integrations::{krm, kustomize_exec};
use crate::model::config::function_config;
use crate::model::workload::{api_group, type_meta};
use crate::read::{read_file, read_stream};
use crate::render::scan_type_meta;
use crate::yaml::{Document, split_documents};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The start of the name of the file that kustomize writes for a plugin.
const PLUGIN_CONFIG: &str = "kust-plugin-config-";

/// What is done with standard input.
type StdinAction = Box<dyn Fn(&str, &mut Reporter) -> Result<u8, CommandError>>;

/// Runs an invocation other than the command line; None: it is the command line.
pub(super) fn run_other_invocation(arguments: &[OsString]) -> Option<u8> {
    let work: StdinAction = match (plugin_config(arguments), arguments) {
        (Some(config), [_, _]) => {
            Box::new(move |text, reporter| finish(kustomize_exec::render_resources(&config, text), reporter))
        }
        (Some(_), further) => {
            let words: Vec<_> = further[2..].iter().map(|w| w.to_string_lossy()).collect();
            let error = CommandError::usage(format!(
                "a plugin of kind Sidecars takes no arguments, but got `{}`: remove `argsOneLiner` and `argsFromFile`",
                words.join(" ")
            ));
            let mut reporter = Reporter::new(&default_global_args());
            let code = reporter.add_command_error(error);
            reporter.print_diagnostics();
            return Some(code);
        }
        (None, [_]) if !std::io::stdin().is_terminal() => Box::new(function_or_filter),
        _ => return None,
    };
    let mut reporter = Reporter::new(&default_global_args());
    let text = read_stream(&mut std::io::stdin().lock(), &"<stdin>".into());
    let result = text
        .map_err(|diagnostic| CommandError::from_diagnostics([diagnostic]))
        .and_then(|text| work(&text, &mut reporter));
    let code = result.unwrap_or_else(|error| reporter.add_command_error(error));
    reporter.print_diagnostics();
    Some(code)
}

/// Returns the arguments with the name that help shows: `kubectl pillion` for the plugin of kubectl.
pub(super) fn with_display_name(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_plugin = |own: &OsString| Path::new(own).file_stem().is_some_and(|name| name == "kubectl-pillion");
    if let Some(own) = arguments.first_mut().filter(|own| is_plugin(own)) {
        *own = "kubectl pillion".into();
    }
    arguments
}

/// The flags that cannot be set here.
fn default_global_args() -> GlobalArgs {
    GlobalArgs {
        directory: None,
        format: MessageFormat::Human,
        color: ColorChoice::Auto,
        quiet: false,
        verbose: false,
        strict: false,
        no_pager: true,
        config: None,
        allow_build: false,
    }
}

/// Returns the configuration of a plugin, where the program was called as one.
fn plugin_config(arguments: &[OsString]) -> Option<PathBuf> {
    let first = PathBuf::from(arguments.get(1)?);
    let is_by_name = arguments
        .first()
        .is_some_and(|own| Path::new(own).file_stem().is_some_and(|n| n == function_config::KIND));
    let is_by_file = || {
        let is_of_kustomize =
            first.file_name().is_some_and(|n| n.to_string_lossy().starts_with(PLUGIN_CONFIG));
        // A command has no slash in it.
        let is_path = first.parent().is_some_and(|folder| !folder.as_os_str().is_empty());
        is_of_kustomize || (is_path && first.is_file() && is_sidecars_config(&first))
    };
    (is_by_name || is_by_file()).then_some(first)
}

fn is_sidecars_config(file: &Path) -> bool {
    let name: Arc<str> = file.to_string_lossy().into();
    let document = read_file(file, &name).and_then(|text| Document::read(&name, 0, 1, &text));
    document.is_ok_and(|d| type_meta(d.value()).is_some_and(|(_, kind)| kind == function_config::KIND))
}

fn function_or_filter(text: &str, reporter: &mut Reporter) -> Result<u8, CommandError> {
    if text.trim().is_empty() {
        reporter.print_note("pillion: standard input is empty, so there is nothing to render; `pillion --help` says what else it does");
        return Ok(EXIT_SUCCESS);
    }
    match is_resource_list(text) {
        true => finish(krm::render_resource_list(text), reporter),
        false => render::run_filter(text, &default_global_args(), reporter),
    }
}

/// Prints what an integration rendered and returns the exit code.
fn finish(
    (output, diagnostics): (Option<String>, Vec<Diagnostic>),
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    reporter.add(diagnostics);
    if let Some(output) = output {
        print_data(&output)?;
    }
    Ok(if reporter.has_errors() { EXIT_FINDINGS } else { EXIT_SUCCESS })
}

/// Returns whether the first document is a ResourceList.
fn is_resource_list(text: &str) -> bool {
    if !text.contains("ResourceList") {
        return false;
    }
    let is_list =
        |(api_version, kind): (&str, &str)| api_group(api_version) == krm::GROUP && kind == krm::KIND;
    if scan_type_meta(text).is_some_and(is_list) {
        return true;
    }
    let name: Arc<str> = "<stdin>".into();
    let pieces = split_documents(&name, text).0.into_iter().enumerate();
    let mut documents = pieces.map(|(i, p)| Document::read(&name, i, p.first_line, &text[p.span]));
    let first = documents.find(|d| d.as_ref().map_or(true, |d| !d.value().is_null()));
    match first {
        Some(Ok(document)) => type_meta(document.value()).is_some_and(is_list),
        // A list that cannot be read is none, unless it says at the left margin what it is.
        Some(Err(_)) => text.lines().any(|l| l.trim_end() == "kind: ResourceList"),
        None => false,
    }
}
