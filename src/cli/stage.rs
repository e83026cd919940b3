//! `pillion stage`: the commits of a rollout, to be read before it starts.

use super::author::current_author;
use super::reporter::Reporter;
use super::repository::{self, RepoContext, RepositoryArgs};
use super::sidecar_set_names::SidecarSetNames;
use super::start::{StartOptions, StartedRollout};
use super::{EXIT_FINDINGS, EXIT_SUCCESS, EXIT_USAGE, GlobalArgs, OutputFormat, clock, print_text};
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::git::{ObjectId, RefUpdate, Signing, Upstream};
use crate::model::ledger::revision_text;
use crate::read::Disk;
use crate::rollout::ExternalState;
use crate::rollout::cluster_state::read_cluster_state;
use crate::stage::{
    BranchContents, BranchUpdate, ClusterView, CommitStack, DeployBranch, Error, RefContents, RolloutPlan,
    StagedBranch, StagedBranchNames, build_stack, check_drift, foreign_commits, rewritten_branch,
    too_many_batches, unmatched_selector, wave_block_reason,
};
use crate::workspace::{inputs_from_paths, read_input};
use crate::write;
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Arguments of `pillion stage`.
#[derive(Debug, Args)]
pub(super) struct StageArgs {
    /// SidecarSets; without any, all that have a ledger
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Push the staged branches too
    #[arg(long)]
    push: bool,
    /// The pods of the cluster, as `kubectl get pods -A -o json` prints them: Open writes down their numbers where git
    /// does not say; `-` for standard input
    #[arg(long, value_name = "FILE")]
    cluster_state: Option<PathBuf>,
    /// Go on although the deploy branch was rewritten; with `--push` that is so for every clone
    #[arg(long)]
    accept_rewritten: bool,
    /// Replace staged branches too that hold commits which pillion did not make
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
    /// How the commits are told of
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
}

/// What the run has done.
#[derive(Default)]
struct StageOutcome {
    /// The deploy branch is not rendered from the newest sources.
    stale_render: Option<String>,
    /// Rollouts that were opened.
    started: Vec<StartedRollout>,
    staged: Vec<StagedBranchReport>,
}

/// What became of one staged branch.
struct StagedBranchReport {
    sidecar_set: String,
    cluster: Option<String>,
    branch: String,
    base: ObjectId,
    commits: Vec<(ObjectId, String)>,
    end: Value,
    written: BranchUpdate,
    /// It was pushed too.
    pushed: bool,
    /// Commits of somebody else that were on it.
    overwritten_commits: Vec<(ObjectId, String)>,
    /// Why it must not be opened yet.
    blocked_by: Option<String>,
    /// The rollout is not open yet, and its first commit opens it.
    starts: bool,
    /// Why it is paused: its first commit resumes it.
    paused: Option<String>,
    /// What the file holds, where the rollout goes somewhere else.
    newer_revision: Option<String>,
    /// What else the command says that opens it.
    command_options: String,
}

/// Runs `pillion stage`.
pub(super) fn run(
    args: &StageArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, write::Error> {
    run_stage(args, None, common, reporter)
}

/// Starts rollouts where that is asked for, then writes the staged branches.
pub(super) fn run_stage(
    args: &StageArgs,
    start: Option<StartOptions>,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, write::Error> {
    let mut done = StageOutcome::default();
    let result = try_stage(args, start, common, reporter, &mut done);
    let code = repository::to_exit_code(result, reporter)?;
    // What was started or written is told even when something failed behind it.
    if code == EXIT_SUCCESS || !done.started.is_empty() || !done.staged.is_empty() {
        print_text(&match args.output {
            OutputFormat::Text => done.to_text(),
            OutputFormat::Json => done.to_json(),
        })?;
    }
    Ok(code)
}

/// What every step of the run needs.
pub(super) struct StageRun<'a> {
    pub(super) args: &'a StageArgs,
    pub(super) start: StartOptions,
    pub(super) opened: &'a RepoContext,
    external_state: ExternalState,
    signing: Signing<'a>,
}

fn try_stage(
    args: &StageArgs,
    start: Option<StartOptions>,
    common: &GlobalArgs,
    reporter: &mut Reporter,
    done: &mut StageOutcome,
) -> Result<u8, Error> {
    let Some(opened) = repository::open_without_fetch(&args.repository, common, reporter)? else {
        return Ok(EXIT_USAGE);
    };
    if !args.repository.no_fetch {
        opened.fetch_with_staged()?;
    }
    if args.accept_rewritten {
        repository::accept_rewritten(&opened, args.push)?;
    }
    let starts = start.is_some();
    let start = start.unwrap_or_default();
    let Some(given) = read_external_state(args, start, reporter) else { return Ok(EXIT_USAGE) };
    let run = StageRun { args, start, opened: &opened, external_state: given, signing: opened.signing()? };
    if starts {
        opened.require_deploy_branch()?;
        let code = run.start_rollouts(&current_author(&opened.repository)?, reporter, &mut done.started)?;
        if code != EXIT_SUCCESS {
            return Ok(code);
        }
    }
    run.write_staged_branches(reporter, done)
}

/// What was observed of a cluster.
fn read_external_state(
    args: &StageArgs,
    start: StartOptions,
    reporter: &mut Reporter,
) -> Option<ExternalState> {
    let (allows_removal, today) = (start.allows_removal, Some(clock::today()));
    let mut given = ExternalState { allows_removal, today, ..ExternalState::default() };
    if let Some(file) = &args.cluster_state {
        let input = inputs_from_paths(std::slice::from_ref(file)).remove(0);
        match read_input(&input, &Disk).and_then(|text| read_cluster_state(&input.name, &text)) {
            Ok(found) => given.observed_replicas = found.replicas,
            Err(wrong) => {
                reporter.add([wrong]);
                return None;
            }
        }
    }
    Some(given)
}

impl StageRun<'_> {
    /// Reads every cluster that counts; an exit code where that is not possible.
    pub(super) fn read_clusters(
        &self,
        live: &DeployBranch<'_>,
        reporter: &mut Reporter,
    ) -> Result<Result<Vec<ClusterView>, u8>, Error> {
        let Some(clusters) = repository::select_clusters(live, &self.args.repository, reporter) else {
            return Ok(Err(EXIT_USAGE));
        };
        let mut found = Vec::new();
        for cluster in clusters {
            let (site, wrong) = live.cluster_view(cluster);
            // What is not staged yet is staged now.
            let is_of_missing =
                |d: &Diagnostic| matches!(d.code, Code::WorkloadsMissing | Code::LedgerWorkloadUnknown);
            let accepts = |d: &Diagnostic| self.start.accepts_missing && is_of_missing(d);
            let counts = |d: &Diagnostic| d.code != Code::NotStaged && !accepts(d);
            reporter.add(wrong.into_iter().filter(counts));
            if !reporter.has_errors() {
                reporter.add(check_drift(live, &site)?);
            }
            found.push(site);
        }
        if reporter.has_errors() {
            return Ok(Err(EXIT_FINDINGS));
        }
        let mut known = SidecarSetNames::default();
        found.iter().for_each(|site| known.add_cluster(site));
        if let Some(wrong) = known.unknown_name_message(&self.args.names) {
            reporter.print_error(&format!("pillion: {wrong}"));
            return Ok(Err(EXIT_USAGE));
        }
        Ok(Ok(found))
    }

    /// The SidecarSets of a cluster that count: those asked for that have a ledger.
    pub(super) fn selected_names(&self, site: &ClusterView) -> Vec<String> {
        let known = site.prepared.ledgers.keys().map(ToString::to_string);
        known.filter(|n| self.args.names.is_empty() || self.args.names.contains(n)).collect()
    }

    /// Writes every staged branch. Nothing is written before everything is made.
    fn write_staged_branches(&self, reporter: &mut Reporter, done: &mut StageOutcome) -> Result<u8, Error> {
        let told = &mut done.staged;
        let Some(live) = self.opened.read_deploy_branch_reporting(reporter)? else {
            return Ok(EXIT_FINDINGS);
        };
        done.stale_render = super::status::stale_render_note(&live)?;
        let sites = match self.read_clusters(&live, reporter)? {
            Ok(sites) => sites,
            Err(code) => return Ok(code),
        };
        let (mut made, mut left) = (Vec::new(), Vec::new());
        let staged_names = StagedBranchNames::of(&live, &sites);
        for site in &sites {
            for name in self.selected_names(site) {
                if let Some(wrong) = staged_names.name_error(site.cluster.as_deref(), &name) {
                    left.push(wrong);
                    continue;
                }
                if let Some(planned) = self.plan_rollout(&live, (&sites, site), &name, false, reporter)? {
                    made.extend(planned.build_commits(&live, usize::MAX, &self.signing, reporter)?);
                }
            }
        }
        if reporter.has_errors() {
            return Ok(EXIT_FINDINGS);
        }
        // What is in the way of one rollout is not in that of another.
        made.retain(|made| {
            let in_the_way = made.foreign_commits_error(&live, self.args);
            let is_refused = in_the_way.as_ref().is_some_and(Diagnostic::is_error);
            left.extend(in_the_way);
            !is_refused
        });
        let updates: Vec<Option<RefUpdate>> = made.iter().map(|made| made.push_update(self.args)).collect();
        for made in made {
            told.push(made.write_branch(&live, self.args)?);
        }
        reporter.add(left);
        let code =
            if self.args.push { self.push_staged_branches(updates, told, reporter)? } else { EXIT_SUCCESS };
        Ok(if code == EXIT_SUCCESS && reporter.has_errors() { EXIT_FINDINGS } else { code })
    }

    fn push_staged_branches(
        &self,
        updates: Vec<Option<RefUpdate>>,
        told: &mut [StagedBranchReport],
        reporter: &Reporter,
    ) -> Result<u8, Error> {
        let repository = &self.opened.repository;
        let upstream = repository.upstream(&self.opened.branches.remote)?;
        if upstream == Upstream::Local {
            reporter.print_note(
                "pillion: there is no remote to push to: the staged branches are in this repository",
            );
            return Ok(EXIT_SUCCESS);
        }
        let (places, updates): (Vec<usize>, Vec<RefUpdate>) =
            updates.into_iter().enumerate().filter_map(|(i, update)| Some((i, update?))).unzip();
        if updates.is_empty() {
            return Ok(EXIT_SUCCESS);
        }
        let mut failed = None;
        for (i, outcome) in places.into_iter().zip(repository.push(&upstream, &updates)?) {
            match outcome {
                Ok(_) => told[i].pushed = true,
                Err(failure) => failed = Some(failure),
            }
        }
        failed.map_or(Ok(EXIT_SUCCESS), |failure| Err(failure.into()))
    }

    /// Plans one rollout; None where the reporter knows why there is none.
    pub(super) fn plan_rollout<'s>(
        &self,
        live: &DeployBranch<'_>,
        (sites, site): (&[ClusterView], &'s ClusterView),
        name: &str,
        starts: bool,
        reporter: &mut Reporter,
    ) -> Result<Option<PlannedStack<'s>>, Error> {
        let branch = StagedBranch::find(live, site.cluster.as_deref(), name);
        let examined = branch.examine_refs(live, name)?;
        let (rollout, mut wrong) = match starts {
            true => {
                let starts_paused = self.is_named(name);
                let given = ExternalState {
                    is_start_requested: starts,
                    replaces_paused: starts_paused,
                    ..self.external_state.clone()
                };
                RolloutPlan::plan(site, name, &given)
            }
            false => RolloutPlan::plan_resumed(site, name, &self.external_state),
        };
        wrong.extend(too_many_batches(&rollout));
        wrong.extend(unmatched_selector(site, &sites.iter().collect::<Vec<_>>(), name));
        if !self.args.accept_rewritten {
            wrong.extend(rewritten_branch(live, &branch, &examined));
        }
        let is_refused = wrong.iter().any(crate::diagnostics::Diagnostic::is_error);
        reporter.add(wrong);
        Ok((!is_refused).then_some(PlannedStack { rollout, branch, inspection: examined }))
    }
}

/// A rollout, before its commits are made.
pub(super) struct PlannedStack<'s> {
    pub(super) rollout: RolloutPlan<'s>,
    branch: StagedBranch,
    inspection: BranchContents,
}

impl<'s> PlannedStack<'s> {
    /// Says which cluster of an earlier wave comes first.
    pub(super) fn blocking_wave(&self, live: &DeployBranch<'_>) -> Option<String> {
        let source = self.rollout.context.source.as_ref().map(|r| r.name.clone());
        wave_block_reason(live, self.rollout.view.cluster.as_deref(), self.rollout.name(), &source)
    }

    pub(super) fn build_commits(
        self,
        live: &DeployBranch<'_>,
        limit: usize,
        signing: &Signing<'_>,
        reporter: &mut Reporter,
    ) -> Result<Option<BuiltStack<'s>>, Error> {
        let kept = if signing.is_enabled() { self.branch.commits(live)? } else { Vec::new() };
        let (stack, wrong) = build_stack(live, &self.rollout, limit, signing, &kept)?;
        reporter.add(wrong);
        let waits = self.blocking_wave(live).filter(|_| self.rollout.starts_rollout());
        Ok(stack.map(|stack| BuiltStack { planned: self, stack, blocked_by: waits }))
    }
}

/// The commits of one rollout, before any ref is moved.
pub(super) struct BuiltStack<'s> {
    planned: PlannedStack<'s>,
    pub(super) stack: CommitStack,
    blocked_by: Option<String>,
}

impl BuiltStack<'_> {
    pub(super) fn sidecar_set_and_cluster(&self) -> (String, Option<String>) {
        let rollout = &self.planned.rollout;
        (rollout.name().to_owned(), rollout.view.cluster.as_ref().map(ToString::to_string))
    }

    /// Says which commits of others the branch holds: an error where it would have to be replaced.
    fn foreign_commits_error(&self, live: &DeployBranch<'_>, args: &StageArgs) -> Option<Diagnostic> {
        let PlannedStack { branch, inspection: examined, rollout } = &self.planned;
        if args.force {
            return None;
        }
        let config = live.configuration.layout.root.join("pillion.yaml");
        let options = repository::command_options(&args.repository, rollout.view.cluster.as_deref());
        let names = (branch.short_name(), rollout.name());
        let mut wrong = foreign_commits(&config, names, &examined.foreign(), &options)?;
        let is_other =
            |side: &RefContents, at: Option<ObjectId>| !side.foreign.is_empty() && at != self.stack.tip();
        let is_refused = is_other(&examined.local, branch.local)
            || (args.push && is_other(&examined.remote, branch.remote));
        // Where nothing is to come, it is only not removed.
        if !is_refused || self.stack.tip().is_none() {
            wrong.severity = Severity::Warning;
        }
        Some(wrong)
    }

    /// What a push has to do; a branch is removed only where all of it is pillion's own.
    fn push_update(&self, args: &StageArgs) -> Option<RefUpdate> {
        let (tip, there) = (self.stack.tip(), &self.planned.inspection.remote);
        let may_write =
            args.force || if tip.is_some() { there.foreign.is_empty() } else { there.is_removable() };
        self.planned.branch.push_update(tip).filter(|_| may_write)
    }

    fn write_branch(self, live: &DeployBranch<'_>, args: &StageArgs) -> Result<StagedBranchReport, Error> {
        let written = match self.stack.tip().is_some() || self.planned.inspection.local.is_removable() {
            true => self.planned.branch.update_ref(live, &self.stack)?,
            false => BranchUpdate::Absent,
        };
        let (sidecar_set, cluster) = self.sidecar_set_and_cluster();
        let Self {
            planned: PlannedStack { rollout, branch, inspection: examined },
            stack,
            blocked_by: waits,
        } = self;
        Ok(StagedBranchReport {
            command_options: repository::command_options(&args.repository, cluster.as_deref()),
            sidecar_set,
            cluster,
            branch: branch.short_name().to_owned(),
            base: stack.base,
            commits: stack.commits.iter().map(|c| (c.id, c.subject().to_owned())).collect(),
            end: rollout.end().to_json(),
            written,
            pushed: false,
            overwritten_commits: examined.foreign().iter().map(|c| (c.id, c.subject().to_owned())).collect(),
            blocked_by: waits,
            starts: rollout.starts_rollout(),
            paused: rollout.ledger.paused.as_ref().map(|p| format!("at batch {}: {}", p.batch, p.reason)),
            newer_revision: rollout.newer_source().map(|name| revision_text(&name).to_owned()),
        })
    }
}

impl StageOutcome {
    fn to_text(&self) -> String {
        let mut text = String::new();
        for started in &self.started {
            let StartedRollout { sidecar_set, cluster, commit, location: place } = started;
            let set = display_name(sidecar_set, cluster.as_deref());
            let _ = writeln!(text, "{set}: the rollout is open: {} {place}", commit.short());
        }
        self.staged.iter().for_each(|told| told.write_text(&mut text));
        if text.is_empty() {
            text.push_str("no SidecarSet has a ledger: `pillion init rollout` writes them\n");
        }
        text.push_str(self.stale_render.as_deref().unwrap_or_default());
        text
    }

    fn to_json(&self) -> String {
        let started = |s: &StartedRollout| json!({"sidecarSet": s.sidecar_set, "cluster": s.cluster, "commit": s.commit.to_string()});
        let document = json!({
            "apiVersion": "pillion.dev/v1alpha1",
            "kind": "Stage",
            "started": self.started.iter().map(started).collect::<Vec<_>>(),
            "items": self.staged.iter().map(StagedBranchReport::to_json).collect::<Vec<_>>(),
        });
        format!("{document}\n")
    }
}

fn display_name(sidecar_set: &str, cluster: Option<&str>) -> String {
    cluster.map_or_else(|| sidecar_set.to_owned(), |cluster| format!("{sidecar_set} in {cluster}"))
}

impl StagedBranchReport {
    fn write_text(&self, text: &mut String) {
        let what = match self.written {
            BranchUpdate::Unchanged => "is as it was",
            BranchUpdate::Created => "is made",
            BranchUpdate::Rebased => "follows",
            BranchUpdate::Replaced => "is made anew",
            BranchUpdate::Removed => "is removed",
            BranchUpdate::Absent => "is not needed",
        };
        let what = match self.written {
            BranchUpdate::Rebased => format!("{what} {}", self.base.short()),
            _ => what.to_owned(),
        };
        let set = display_name(&self.sidecar_set, self.cluster.as_deref());
        let pushed = if self.pushed { ", and pushed" } else { "" };
        let _ = writeln!(text, "{set}: `{}` {what}{pushed}", self.branch);
        for (id, subject) in
            self.overwritten_commits.iter().filter(|_| self.pushed || self.written == BranchUpdate::Replaced)
        {
            let _ = writeln!(text, "  it held {} (\"{subject}\"), which pillion did not make", id.short());
        }
        for (id, subject) in &self.commits {
            let _ = writeln!(text, "  {} {subject}", id.short());
        }
        if let Some(reason) = self.end["message"].as_str() {
            let then = if self.commits.is_empty() { "nothing to stage" } else { "then" };
            let _ = writeln!(text, "  {then}: {reason}");
        }
        if let (Some(paused), false) = (&self.paused, self.commits.is_empty()) {
            let _ = writeln!(
                text,
                "  paused {paused}; `pillion resume {}{}` lets this follow",
                self.sidecar_set, self.command_options
            );
        }
        if let Some(newer) = &self.newer_revision {
            let _ = writeln!(
                text,
                "  its file holds {newer}, which waits: `pillion start {}{}` rolls that out in place of this",
                self.sidecar_set, self.command_options
            );
        }
        match &self.blocked_by {
            Some(reason) => {
                let _ = writeln!(text, "  not to be opened yet: {reason}");
            }
            None if self.starts && self.paused.is_none() => {
                let how = format!("pillion start {}{}", self.sidecar_set, self.command_options);
                let _ = writeln!(text, "  nothing has started: `{how}` opens the rollout");
            }
            None => {}
        }
    }

    fn to_json(&self) -> Value {
        let commits = |all: &[(ObjectId, String)]| -> Vec<Value> {
            all.iter().map(|(id, s)| json!({"id": id.to_string(), "subject": s})).collect()
        };
        let written = match self.written {
            BranchUpdate::Unchanged => "Same",
            BranchUpdate::Created => "Made",
            BranchUpdate::Rebased => "Follows",
            BranchUpdate::Replaced => "Anew",
            BranchUpdate::Removed => "Removed",
            BranchUpdate::Absent => "Nothing",
        };
        json!({
            "sidecarSet": self.sidecar_set,
            "cluster": self.cluster,
            "branch": self.branch,
            "base": self.base.to_string(),
            "written": written,
            "pushed": self.pushed,
            "overwritten": commits(&self.overwritten_commits),
            "commits": commits(&self.commits),
            "waits": self.blocked_by,
            "paused": self.paused,
            "newer": self.newer_revision,
            "end": self.end,
        })
    }
}
