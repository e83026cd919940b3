//! `pillion render`: every workload with its sidecars, to standard output, a folder or in place.

mod branch;
mod check;

use crate::cli::error::CommandError;
use crate::cli::inputs::{InputArgs, collect_inputs, collect_unchecked_inputs};
use crate::cli::paint::ReportKind;
use crate::cli::progress::Progress;
use crate::cli::reporter::Reporter;
use crate::cli::terminal::print_report;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs};
use crate::diagnostics::{Code, Diagnostic, Span, format_count};
use crate::integrations;
use crate::model::config::AnnotationMode;
use crate::read::Disk;
use crate::render::{CollectedObjects, FileRenderOptions, OverrideUse, Renderer};
use crate::sandbox::{RepositoryRoot, SandboxPath};
use crate::workspace::InputSource;
use crate::workspace::{
    ClusterRenderers, Configuration, InputTexts, RenderedInput, Workspace, WorkspaceRenderOptions,
};
use crate::write::{Error, FolderReader, OutputFolder, OutputStream, PresentFile, replace_files};
use branch::Options;
use check::RenderCheck;
use clap::{Args, Parser as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Files from which on the last line says how long the run took.
const MIN_TIMED_FILES: usize = 1_000;

/// Arguments of `pillion render`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RenderArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// Folder to write the files to, instead of standard output
    #[arg(long, value_name = "DIR", conflicts_with = "in_place")]
    out: Option<PathBuf>,
    /// Write the files to the folder that `rendered:` of pillion.yaml names
    #[arg(long, conflicts_with_all = ["out", "in_place", "paths"])]
    write: bool,
    /// Write the files back to where they were read
    #[arg(long)]
    in_place: bool,
    /// Deploy branch to render the commit of HEAD onto, with the ledgers on that branch
    #[arg(long, value_name = "NAME", conflicts_with_all = ["out", "in_place", "write", "check", "diff", "paths"])]
    branch: Option<String>,
    /// Create the branch of `--branch`: a cluster that follows it gets every sidecar at once
    #[arg(long, requires = "branch")]
    create: bool,
    /// With `--create`: leave all sidecars out, so that their first injection is a rollout
    #[arg(long, requires = "create")]
    without_sidecars: bool,
    /// Push the commit of `--branch` to the remote
    #[arg(long, requires = "branch")]
    push: bool,
    /// Open a pull request for the commit of `--branch` instead of pushing it: merging it deploys the sources
    #[arg(long, requires = "branch", conflicts_with_all = ["push", "create", "accept_rewritten"])]
    pull_request: bool,
    /// Continue with `--branch` although that branch or the branch of the sources was rewritten, or its newest render
    /// is not trusted
    #[arg(long, requires = "branch")]
    accept_rewritten: bool,
    /// Write nothing, and exit 1 when the output is not up to date
    #[arg(long)]
    check: bool,
    /// Write nothing, and print the difference
    #[arg(long)]
    diff: bool,
    /// Annotations to write
    #[arg(long, value_enum)]
    annotations: Option<AnnotationsChoice>,
    /// Leave SidecarSets in the output
    #[arg(long)]
    keep_sidecarsets: bool,
    /// Leave Helm hooks unchanged, because Helm waits until they end
    #[arg(long)]
    skip_hooks: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum AnnotationsChoice {
    /// `kruise.io/sidecarset-injected-list` only (the default)
    Minimal,
    /// All that the webhook of Kruise writes, except timestamps
    Kruise,
    /// None; the output cannot be rendered again
    None,
}

/// Where the result goes.
enum RenderTarget<'a> {
    Stdout(Box<OutputStream<'a>>),
    Folder(Box<OutputFolder>),
    /// Files to be replaced, with their new text.
    InPlace(Vec<(SandboxPath, String)>),
    /// Nowhere: it is compared with what is there.
    Comparison(Box<RenderCheck>),
}

/// Runs `pillion render`.
pub(in crate::cli) fn run(
    args: &RenderArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let Some(branch) = &args.branch else { return run_with(args, None, common, reporter) };
    let options = Options {
        creates: args.create,
        leaves_out_sidecars: args.without_sidecars,
        pushes: args.push,
        opens_pull_request: args.pull_request,
        accepts_rewritten: args.accept_rewritten,
    };
    branch::run(branch, options, common, reporter)
}

/// Runs `pillion render -` on a text that came over standard input, for a caller that takes an empty answer for
/// "delete everything".
pub(in crate::cli) fn run_filter(
    text: &str,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let args = FilterArgs::parse_from(["pillion", "-"]).args;
    run_with(&args, Some(text), common, reporter)
}

/// The arguments of a filter.
#[derive(Debug, clap::Parser)]
struct FilterArgs {
    #[command(flatten)]
    args: RenderArgs,
}

fn run_with(
    args: &RenderArgs,
    stdin: Option<&str>,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let started = Instant::now();
    let (sources, out) = (&args.inputs.sources, args.out.as_deref());
    let workspace = sources.open_workspace(&args.inputs.paths, common, out, reporter);
    let mut workspace = workspace.ok_or_else(|| CommandError::invalid_config([]))?;
    for input in workspace.manifests.iter_mut().filter(|i| i.source == InputSource::Stdin) {
        input.source = stdin.map_or(InputSource::Stdin, |text| InputSource::Text(text.into()));
    }
    let mut target = render_target(args, &workspace.configuration)
        .map_err(|diagnostic| CommandError::from_diagnostics([*diagnostic]))?;
    let is_built =
        workspace.manifests.iter().any(|i| stdin.is_none() && matches!(i.source, InputSource::Text(_)));
    if matches!(target, RenderTarget::InPlace(_)) {
        check_files_in_place(args, is_built)?;
    }
    let is_pipe = !is_built && workspace.manifests.iter().any(|i| !matches!(i.source, InputSource::File(_)));
    // Whether there are SidecarSets does not depend on what is unreadable where their files are named.
    let checks_foreign = !is_pipe && !workspace.sidecar_set_paths.is_empty();
    let mut inputs = match checks_foreign {
        true => collect_unchecked_inputs(&mut workspace, common),
        false => collect_inputs(&mut workspace, common),
    };
    let has_sidecar_sets = has_sidecar_sets(&workspace, &inputs.collected);
    if is_pipe && !has_sidecar_sets {
        reporter.add([no_sidecar_set()]);
    }
    let (renderers, diagnostics) = workspace.build_renderers(&mut inputs, render_options(args));
    reporter.add(diagnostics);
    let renderers = if target.targets_sources() { renderers.map_each(Renderer::keep_all) } else { renderers };
    let renderers = if args.skip_hooks { renderers.map_each(Renderer::skip_hooks) } else { renderers };
    if reporter.has_errors() {
        // Workloads are rendered all the same, to show what is wrong with them too. What injection has to say
        // about places that are known to be wrong is not repeated.
        target = RenderTarget::InPlace(Vec::new());
        reporter.suppress_error_locations();
    }
    let options = FileRenderOptions { checks_foreign, ..FileRenderOptions::default() };
    let mut tally = write_outputs(&inputs.texts, (&renderers, options), &mut target, common, reporter)?;
    tally.has_sidecar_sets = has_sidecar_sets;
    report_unused(args, &renderers, &tally, reporter);
    if stdin.is_some() && matches!(&target, RenderTarget::Stdout(stream) if stream.is_empty()) {
        reporter.add([empty_output()]);
    }
    reporter.fail_on_errors()?;
    check_target(args, &workspace.configuration)?;
    let code = finish_render(target, reporter, &tally, started, common)?;
    if stdin.is_some() {
        // Another program started it, and shows what it says as a problem.
        reporter.clear_summary();
    }
    Ok(code)
}

/// Reports entries of ledgers and SidecarOverrides that belong to no workload of the input.
fn report_unused(
    args: &RenderArgs,
    renderers: &ClusterRenderers,
    tally: &RenderCounts,
    reporter: &mut Reporter,
) {
    if !tally.workload_keys.is_empty() {
        reporter.add(renderers.foreign_ledger_entries(&tally.workload_keys, &Span::whole_file("<stdin>")));
    }
    // A file that is named alone is only a part of what the SidecarOverrides beside it are for.
    let is_whole = |path: &PathBuf| path.as_os_str() == "-" || path.is_dir();
    if args.inputs.paths.iter().all(is_whole) && !reporter.has_errors() {
        reporter.add(renderers.unused_overrides(&tally.override_use));
    }
}

/// Refuses manifests that are in no file, and so cannot be rendered in place.
fn check_files_in_place(args: &RenderArgs, is_built: bool) -> Result<(), CommandError> {
    if args.inputs.paths.iter().any(|p| p.as_os_str() == "-") {
        let message = "standard input cannot be rendered in place; leave out `-` or `--in-place`";
        return Err(CommandError::usage(message));
    }
    if is_built {
        let message =
            "manifests that a `build` command makes cannot be rendered in place; leave out `--in-place`";
        return Err(CommandError::usage(message));
    }
    Ok(())
}

fn render_options(args: &RenderArgs) -> WorkspaceRenderOptions {
    let annotations = args.annotations.map(|a| match a {
        AnnotationsChoice::Minimal => AnnotationMode::Minimal,
        AnnotationsChoice::Kruise => AnnotationMode::Kruise,
        AnnotationsChoice::None => AnnotationMode::None,
    });
    let keeps_sidecar_sets = args.keep_sidecarsets;
    WorkspaceRenderOptions { annotations, keeps_sidecar_sets, ..WorkspaceRenderOptions::default() }
}

/// Manifests that come over a pipe must not go on without their sidecars because pillion was started elsewhere.
fn no_sidecar_set() -> Diagnostic {
    Diagnostic::error(Code::NoSidecarSet, "no SidecarSet found, so nothing would be injected")
        .at(Span::whole_file("<stdin>"))
        .because("none came in, and no pillion.yaml here or above names some")
        .help("start pillion where pillion.yaml is, or say where they are: `pillion render --sidecarsets PATH -`")
}

fn has_sidecar_sets(workspace: &Workspace, found: &CollectedObjects) -> bool {
    !workspace.sidecar_set_paths.is_empty()
        || !found.sidecar_sets.is_empty()
        || !found.ledgers.is_empty()
        || !found.unreadable.is_empty()
        || !workspace.configuration.layout.find_ledgers(&Disk).0.is_empty()
}

fn empty_output() -> Diagnostic {
    let reason = "the input contains only SidecarSets and documents of pillion";
    integrations::empty_output(Span::whole_file("<stdin>"), reason)
        .help("hand applications to it; `pillion render --keep-sidecarsets -` leaves SidecarSets in")
}

/// Fails if pillion.yaml names another place for the rendered files, or none where one is needed.
fn check_target(args: &RenderArgs, configuration: &Configuration) -> Result<(), CommandError> {
    match &configuration.repository.rendered {
        _ if args.check || args.diff => Ok(()),
        Some(rendered) if args.in_place => Err(CommandError::usage(format!(
            "pillion.yaml has `rendered: {rendered}`, so the sources stay as they are: `pillion render --write` writes the rendered files there"
        ))),
        Some(rendered) if args.write && rendered == "." => Err(CommandError::usage(
            "pillion.yaml has `rendered: .`, the root of the deploy branch: `pillion render --branch NAME` renders onto it",
        )),
        None if args.write => Err(CommandError::usage(
            "`--write` writes to the folder that `rendered:` of pillion.yaml names, and it names none: set it, or use `--out DIR`",
        )),
        _ => Ok(()),
    }
}

fn render_target<'a>(
    args: &RenderArgs,
    configuration: &Configuration,
) -> Result<RenderTarget<'a>, Box<Diagnostic>> {
    if args.check || args.diff {
        // Without a place of its own, the output is compared with the folder of rendered files, if there is one.
        let rendered = rendered_folder(configuration);
        let name = args.out.clone().or(rendered).filter(|_| !args.in_place);
        let command = match (&args.out, &name) {
            (Some(out), _) => format!("pillion render --out {}", out.display()),
            (None, Some(_)) => "pillion render --write".to_owned(),
            (None, None) => "pillion render --in-place".to_owned(),
        };
        let folder = name.as_deref().map(|name| open_output_folder(name, configuration)).transpose()?;
        return Ok(RenderTarget::Comparison(Box::new(RenderCheck::new(
            folder,
            name,
            args.diff,
            command,
            configuration,
        ))));
    }
    let out = args.out.clone().or(rendered_folder(configuration).filter(|_| args.write));
    Ok(match (&out, args.in_place) {
        (Some(name), _) => RenderTarget::Folder(Box::new(open_output_folder(name, configuration)?)),
        (None, true) => RenderTarget::InPlace(Vec::new()),
        (None, false) => RenderTarget::Stdout(Box::default()),
    })
}

/// Returns the folder of rendered files that pillion.yaml names.
fn rendered_folder(configuration: &Configuration) -> Option<PathBuf> {
    configuration.repository.rendered.as_ref().map(|rendered| configuration.layout.root.join(rendered))
}

/// Opens a folder of rendered files. One in the repository may be anybody's: no link is followed on the way to it.
fn open_output_folder(name: &Path, configuration: &Configuration) -> Result<OutputFolder, Box<Diagnostic>> {
    let top = configuration
        .layout
        .repository_root
        .clone()
        .or_else(|| RepositoryRoot::of_git_repository(Path::new("")));
    OutputFolder::open(name, RepositoryRoot::resolve_user_path(top.as_ref(), name))
}

/// Counts for the last line.
#[derive(Debug, Default)]
struct RenderCounts {
    files: usize,
    workloads: usize,
    injected: usize,
    has_sidecar_sets: bool,
    /// The keys of workloads that came over a pipe or out of a build.
    workload_keys: BTreeSet<Arc<str>>,
    /// What SidecarOverrides find.
    override_use: OverrideUse,
}

fn write_outputs<'a>(
    texts: &'a InputTexts,
    (renderers, options): (&ClusterRenderers, FileRenderOptions),
    target: &mut RenderTarget<'a>,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<RenderCounts, Error> {
    let mut tally = RenderCounts::default();
    let mut failure = None;
    let has_overrides = renderers.has_overrides();
    let progress = Progress::new("Rendering", "files", texts.len(), common);
    let folder = target.folder_reader();
    let compare = |done: RenderedInput<'a>| {
        let folder = folder.as_ref().filter(|_| !done.rendered.is_dropped);
        let present = folder.map(|folder| folder.compare(&done.input.output_path, &done.text()));
        (done, present)
    };
    renderers.render_inputs(texts, options, compare, |(mut done, present)| {
        progress.step();
        reporter.add(std::mem::take(&mut done.rendered.diagnostics));
        tally.files += 1;
        tally.workloads += done.rendered.workloads.len();
        if has_overrides {
            tally.note_overrides(&mut done);
        }
        if !matches!(done.input.source, InputSource::File(_)) {
            tally
                .workload_keys
                .extend(done.rendered.workloads.iter().map(|(key, _)| Arc::from(key.as_str())));
        }
        tally.injected += done.rendered.workloads.iter().filter(|(_, o)| !o.injected_sets.is_empty()).count();
        if failure.is_none() && !reporter.has_errors() {
            match target.write_input(done, present) {
                Ok(diagnostics) => reporter.add(diagnostics),
                Err(error) => failure = Some(error),
            }
        }
    });
    failure.map_or(Ok(tally), Err)
}

impl<'a> RenderTarget<'a> {
    /// Returns whether the result is written to, or compared with, the files that it comes from.
    fn targets_sources(&self) -> bool {
        match self {
            Self::InPlace(_) => true,
            Self::Comparison(compare) => compare.compares_sources(),
            Self::Stdout(_) | Self::Folder(_) => false,
        }
    }

    /// Returns the reader of the folder that files are written to.
    fn folder_reader(&self) -> Option<FolderReader> {
        match self {
            Self::Folder(folder) => Some(folder.reader()),
            Self::Stdout(_) | Self::InPlace(_) | Self::Comparison(_) => None,
        }
    }

    /// Takes a rendered input; `present` is what its place in the folder has, where it has one.
    fn write_input(
        &mut self,
        done: RenderedInput<'a>,
        present: Option<PresentFile>,
    ) -> Result<Option<Diagnostic>, Error> {
        match self {
            Self::Stdout(_) | Self::Folder(_) if done.rendered.is_dropped => Ok(None),
            Self::Stdout(stream) => stream.add_edited(done.original, done.rendered.edits).map(|()| None),
            Self::Folder(folder) => {
                let Some(present) = present else { return Ok(None) };
                let written =
                    folder.write_file(&done.input.output_path, &done.input.name, &done.text(), present)?;
                Ok(written.err().map(|d| *d))
            }
            Self::InPlace(changed) => {
                let new = done.rendered.new_text(&done.original);
                if let (Some(new), InputSource::File(_)) = (new, &done.input.source) {
                    changed.push((done.input.sandbox_path.clone(), new));
                }
                Ok(None)
            }
            Self::Comparison(compare) => Ok(compare.compare_file(&done)),
        }
    }
}

fn finish_render(
    target: RenderTarget<'_>,
    reporter: &mut Reporter,
    tally: &RenderCounts,
    started: Instant,
    common: &GlobalArgs,
) -> Result<u8, CommandError> {
    match target {
        RenderTarget::Stdout(stream) => {
            stream.finish(&mut std::io::stdout().lock())?;
            reporter.set_summary(tally.describe("Rendered", started));
        }
        RenderTarget::Folder(folder) => {
            let (written, removed) = match folder.commit()? {
                Ok(counts) => counts,
                Err(diagnostic) => return report_refusal(*diagnostic, reporter),
            };
            let rendered = tally.describe("Rendered", started);
            reporter
                .set_summary(format!("{rendered}; {}, {removed} removed", count_files(written, "written")));
        }
        RenderTarget::InPlace(changed) => {
            if let Err(diagnostic) = replace_files(&changed)? {
                return report_refusal(*diagnostic, reporter);
            }
            let rendered = tally.describe("Rendered", started);
            reporter.set_summary(format!("{rendered}; {}", count_files(changed.len(), "changed")));
        }
        RenderTarget::Comparison(mut compare) => {
            reporter.add(compare.compare_other_files());
            print_report(&compare.diff, ReportKind::Diff, common)?;
            let state = if compare.differs { "not up to date" } else { "up to date" };
            reporter.set_summary(format!("{}; {state}", tally.describe("Checked", started)));
            let is_well = !compare.differs && !reporter.has_errors();
            return Ok(if is_well { EXIT_SUCCESS } else { EXIT_FINDINGS });
        }
    }
    Ok(EXIT_SUCCESS)
}

impl RenderCounts {
    /// Notes the SidecarOverrides that are for workloads of an input.
    fn note_overrides(&mut self, done: &mut RenderedInput<'_>) {
        let found = &mut self.override_use;
        found.files.insert(Arc::clone(&done.input.name));
        found.workloads.extend(done.rendered.workloads.iter().map(|(key, _)| Arc::from(key.as_str())));
        found.reached.extend(done.rendered.reached_overrides.drain(..));
    }

    /// Returns what was done: `Rendered 8,053 workloads in 2.8 s: 6,989 with sidecars`. The time is in it where a run
    /// is long enough to have one that matters.
    fn describe(&self, verb: &str, started: Instant) -> String {
        let noun = if self.workloads == 1 { "workload" } else { "workloads" };
        let time = match self.files < MIN_TIMED_FILES {
            true => String::new(),
            false => format!(" in {:.1} s", started.elapsed().as_secs_f64()),
        };
        let (workloads, injected) = (format_count(self.workloads), format_count(self.injected));
        let files = count_files(self.files, time.trim_start());
        let files = files.trim_end();
        if self.files == 0 {
            return "Nothing to render: no YAML or JSON file found".to_owned();
        }
        if !self.has_sidecar_sets {
            return format!(
                "{verb} {files}: no SidecarSet found, so nothing is injected; name SidecarSets with `--sidecarsets PATH` or in `sidecarSets:` of pillion.yaml"
            );
        }
        if self.workloads == 0 {
            return format!("{verb} {files}: no SidecarSet selects a workload");
        }
        format!("{verb} {workloads} {noun}{time}: {injected} with sidecars")
    }
}

fn count_files(n: usize, participle: &str) -> String {
    format!("{} {} {participle}", format_count(n), if n == 1 { "file" } else { "files" })
}

/// Says what is in the way of files that were to be written: none of them was.
fn report_refusal(diagnostic: Diagnostic, reporter: &mut Reporter) -> Result<u8, CommandError> {
    reporter.add([diagnostic]);
    Ok(EXIT_FINDINGS)
}
