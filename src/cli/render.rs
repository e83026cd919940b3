//! `pillion render`: every workload with its sidecars, to standard output, a folder or in place.

use super::compare::Compare;
use super::inputs::{self, InputArgs, Inputs};
use super::pipeline::{Done, Renderers, first_pass, renderers, second_pass};
use super::render_branch::Options;
use super::report::Reporter;
use super::{Common, DONE, FINDINGS, USAGE, data_to_stdout, render_branch};
use crate::confine::{Place, Top};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::repository::Annotations;
use crate::read::Source;
use crate::render::{Gathered, How, Renderer};
use crate::write::{Failure, Folder, Stream, replace_files};
use clap::{Args, Parser as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `pillion render`.
#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// Write the files below this folder instead of to standard output
    #[arg(long, value_name = "DIR", conflicts_with = "in_place")]
    out: Option<PathBuf>,
    /// Write the files back where they came from
    #[arg(long)]
    in_place: bool,
    /// With two branches: render HEAD's commit onto this one, with the ledgers that are there
    #[arg(long, value_name = "NAME", conflicts_with_all = ["out", "in_place", "check", "diff", "paths"])]
    branch: Option<String>,
    /// Make the branch of `--branch` where there is none: the cluster that follows it gets every sidecar at once
    #[arg(long, requires = "branch")]
    create: bool,
    /// Push the commit of `--branch` to the remote
    #[arg(long, requires = "branch")]
    push: bool,
    /// Go on with `--branch` although that branch or the one of the sources was rewritten, or the newest render there
    /// is not to be believed
    #[arg(long, requires = "branch")]
    accept_rewritten: bool,
    /// Write nothing; exit 1 when the output is not up to date
    #[arg(long)]
    check: bool,
    /// Write nothing; print what would change
    #[arg(long)]
    diff: bool,
    /// Which annotations to write
    #[arg(long, value_enum)]
    annotations: Option<AnnotationsArg>,
    /// Leave SidecarSets in the output
    #[arg(long)]
    keep_sidecarsets: bool,
    /// Leave hooks of Helm as they are: Helm waits until they end
    #[arg(long)]
    skip_hooks: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum AnnotationsArg {
    /// `kruise.io/sidecarset-injected-list` only (the default)
    Minimal,
    /// All that the webhook of Kruise writes, but no timestamp
    Kruise,
    /// None; the output is no source for another render
    None,
}

/// Where the result goes.
enum Target<'a> {
    Stdout(Box<Stream<'a>>),
    Folder(Box<Folder>),
    /// Files to be replaced, with their new text.
    InPlace(Vec<(Place, String)>),
    /// Nowhere: it is compared with what is there.
    Compare(Box<Compare>),
}

/// Runs `pillion render`.
pub(super) fn run(args: &RenderArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    run_with(args, None, common, reporter)
}

/// Runs `pillion render -` on a text that came over standard input, for a caller that takes an empty answer for
/// "delete everything".
pub(super) fn filter(text: &str, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let args = Filter::parse_from(["pillion", "-"]).args;
    run_with(&args, Some(text), common, reporter)
}

/// The arguments of a filter.
#[derive(Debug, clap::Parser)]
struct Filter {
    #[command(flatten)]
    args: RenderArgs,
}

fn run_with(
    args: &RenderArgs,
    stdin: Option<&str>,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, Failure> {
    if let Some(branch) = &args.branch {
        let options =
            Options { creates: args.create, pushes: args.push, accepts_rewritten: args.accept_rewritten };
        return render_branch::run(branch, options, common, reporter);
    }
    let mut inputs = inputs::find(&args.inputs, common, args.out.as_deref());
    reporter.add(std::mem::take(&mut inputs.diagnostics));
    if inputs.is_unusable {
        return Ok(USAGE);
    }
    for input in inputs.manifests.iter_mut().filter(|i| i.source == Source::Stdin) {
        input.source = stdin.map_or(Source::Stdin, |text| Source::Text(text.into()));
    }
    let mut target = match target(args, &inputs) {
        Ok(target) => target,
        Err(wrong) => {
            reporter.add([*wrong]);
            return Ok(FINDINGS);
        }
    };
    if let (Target::InPlace(_), true) = (&target, args.inputs.paths.iter().any(|p| p.as_os_str() == "-")) {
        reporter.error("pillion: standard input cannot be rendered in place; leave out `-` or `--in-place`");
        return Ok(USAGE);
    }
    let is_built = inputs.manifests.iter().any(|i| stdin.is_none() && matches!(i.source, Source::Text(_)));
    if let (Target::InPlace(_), true) = (&target, is_built) {
        reporter.error("pillion: manifests that a `build` command makes cannot be rendered in place; leave out `--in-place`");
        return Ok(USAGE);
    }
    let is_pipe = !is_built && inputs.manifests.iter().any(|i| !matches!(i.source, Source::File(_)));
    let mut first = first_pass(&mut inputs, common);
    if is_pipe {
        reporter.add(nothing_to_inject(&inputs, &first.gathered));
    }
    let annotations = args.annotations.map(|a| match a {
        AnnotationsArg::Minimal => Annotations::Minimal,
        AnnotationsArg::Kruise => Annotations::Kruise,
        AnnotationsArg::None => Annotations::None,
    });
    let (renderers, wrong) = renderers(&inputs, &mut first, annotations, args.keep_sidecarsets, false);
    reporter.add(wrong);
    let renderers = if target.is_source() { renderers.each(Renderer::keeping_all) } else { renderers };
    let renderers = if args.skip_hooks { renderers.each(Renderer::skipping_hooks) } else { renderers };
    if reporter.has_errors() {
        // Workloads are rendered all the same, to show what is wrong with them too. What injection has to say
        // about places that are known to be wrong is not repeated.
        target = Target::InPlace(Vec::new());
        reporter.settle();
    }
    let tally = write(&first.texts, &renderers, &mut target, common, reporter)?;
    if !tally.keys.is_empty() {
        reporter.add(renderers.strangers(&tally.keys, &Label::whole_file("<stdin>")));
    }
    if stdin.is_some() && matches!(&target, Target::Stdout(stream) if stream.is_empty()) {
        reporter.add([nothing_left()]);
    }
    if reporter.has_errors() {
        return Ok(FINDINGS);
    }
    finish(target, reporter, &tally)
}

/// Manifests that come over a pipe must not go on without their sidecars because pillion was started elsewhere.
fn nothing_to_inject(inputs: &Inputs<'_>, found: &Gathered) -> Option<Diagnostic> {
    let has_sets = !inputs.named_for_sets.is_empty()
        || !found.sidecar_sets.is_empty()
        || !found.ledgers.is_empty()
        || !found.unreadable.is_empty()
        || !inputs.layout.ledgers(inputs.files).0.is_empty();
    (!has_sets).then(|| {
        Diagnostic::error(Code::NoSidecarSet, "there is no SidecarSet, so nothing would be injected")
            .at(Label::whole_file("<stdin>"))
            .because("none came in, and no pillion.yaml here or above names some")
            .help("start pillion where pillion.yaml is, or say where they are: `pillion render --sidecarsets PATH -`")
    })
}

fn nothing_left() -> Diagnostic {
    Diagnostic::error(Code::EmptyOutput, "nothing would be left of what came in")
        .at(Label::whole_file("<stdin>"))
        .because("it holds SidecarSets and documents of pillion only")
        .help("hand applications to it; `pillion render --keep-sidecarsets -` leaves SidecarSets in")
}

fn target<'a>(args: &RenderArgs, inputs: &Inputs<'_>) -> Result<Target<'a>, Box<Diagnostic>> {
    if args.check || args.diff {
        // Without a place of its own, the output is compared with the folder of rendered files, if there is one.
        let rendered = inputs.repository.rendered.as_ref().map(|r| inputs.layout.root.join(r));
        let name = args.out.clone().or(rendered).filter(|_| !args.in_place);
        let folder = name.as_deref().map(|name| folder(name, inputs)).transpose()?;
        return Ok(Target::Compare(Box::new(Compare::new(folder, name, args.diff, &inputs.layout))));
    }
    Ok(match (&args.out, args.in_place) {
        (Some(name), _) => Target::Folder(Box::new(folder(name, inputs)?)),
        (None, true) => Target::InPlace(Vec::new()),
        (None, false) => Target::Stdout(Box::default()),
    })
}

/// Opens a folder of rendered files. One in the repository may be anybody's: no link is followed on the way to it.
fn folder(name: &Path, inputs: &Inputs<'_>) -> Result<Folder, Box<Diagnostic>> {
    let top = inputs.layout.top.clone().or_else(|| Top::of_git(Path::new("")));
    Folder::open(name, Top::place_of_typed(top.as_ref(), name))
}

/// Counts for the last line.
#[derive(Debug, Default)]
struct Tally {
    files: usize,
    workloads: usize,
    injected: usize,
    /// The keys of workloads that came over a pipe or out of a build.
    keys: BTreeSet<Arc<str>>,
}

fn write<'a>(
    texts: &'a super::pipeline::Texts<'_>,
    renderers: &Renderers,
    target: &mut Target<'a>,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut failure = None;
    second_pass(texts, renderers, How::default(), common, |mut done| {
        reporter.add(std::mem::take(&mut done.file.diagnostics));
        tally.files += 1;
        tally.workloads += done.file.workloads.len();
        if !matches!(done.input.source, Source::File(_)) {
            tally.keys.extend(done.file.workloads.iter().map(|(key, _)| Arc::from(key.as_str())));
        }
        tally.injected += done.file.workloads.iter().filter(|(_, o)| !o.injected.is_empty()).count();
        if failure.is_none() && !reporter.has_errors() {
            match target.take(done) {
                Ok(wrong) => reporter.add(wrong),
                Err(error) => failure = Some(error),
            }
        }
    });
    failure.map_or(Ok(tally), Err)
}

impl<'a> Target<'a> {
    /// Tells whether the result goes to, or is compared with, the very files that it comes from.
    fn is_source(&self) -> bool {
        match self {
            Self::InPlace(_) => true,
            Self::Compare(compare) => compare.is_of_sources(),
            Self::Stdout(_) | Self::Folder(_) => false,
        }
    }

    fn take(&mut self, done: Done<'a>) -> Result<Option<Diagnostic>, Failure> {
        match self {
            Self::Stdout(_) | Self::Folder(_) if done.file.is_dropped => Ok(None),
            Self::Stdout(stream) => stream.add(done.into_text()).map(|()| None),
            Self::Folder(folder) => {
                Ok(folder.put(&done.input.relative, &done.input.name, done.text())?.err().map(|d| *d))
            }
            Self::InPlace(changed) => {
                if let (Some(new), Source::File(_)) = (done.file.new, &done.input.source) {
                    changed.push((done.input.place.clone(), new));
                }
                Ok(None)
            }
            Self::Compare(compare) => Ok(compare.take(&done)),
        }
    }
}

fn finish(target: Target<'_>, reporter: &mut Reporter, tally: &Tally) -> Result<u8, Failure> {
    let rendered = format!(
        "{} files read, {} of {} workloads looked at carry sidecars",
        tally.files, tally.injected, tally.workloads
    );
    match target {
        Target::Stdout(stream) => {
            stream.finish(&mut std::io::stdout().lock())?;
            reporter.done(&rendered);
        }
        Target::Folder(folder) => {
            let (written, removed) = match folder.commit()? {
                Ok(counts) => counts,
                Err(wrong) => return refused(*wrong, reporter),
            };
            reporter.done(&format!("{rendered}; {written} files written, {removed} removed"));
        }
        Target::InPlace(changed) => {
            if let Err(wrong) = replace_files(&changed)? {
                return refused(*wrong, reporter);
            }
            reporter.done(&format!("{rendered}; {} files changed", changed.len()));
        }
        Target::Compare(mut compare) => {
            reporter.add(compare.rest());
            data_to_stdout(&compare.diff)?;
            let is_well = !compare.differs && !reporter.has_errors();
            return Ok(if is_well { DONE } else { FINDINGS });
        }
    }
    Ok(DONE)
}

/// Says what is in the way of files that were to be written: none of them was.
fn refused(wrong: Diagnostic, reporter: &mut Reporter) -> Result<u8, Failure> {
    reporter.add([wrong]);
    Ok(FINDINGS)
}
