//! `pillion stage`: the commits of a rollout, to be read before it starts.

use super::known::Known;
use super::person::person;
use super::report::Reporter;
use super::repository::{self, Opened, Put, RepositoryArgs};
use super::retry::{Attempt, with_retry};
use super::{Common, DONE, ENVIRONMENT, FINDINGS, Output, USAGE, clock, to_stdout};
use crate::diag::{Code, Diagnostic, Severity, counted};
use crate::git::{Id, Identity, RefUpdate, Release, Signing, Upstream};
use crate::model::ledger::{Ledger, name_text};
use crate::plan::observed::observed;
use crate::plan::{Circumstances, recounted};
use crate::read::{Disk, named, text};
use crate::stage::verbs::Refused;
use crate::stage::{
    Change, End, Examined, Failure, Live, Rollout, Side, Site, Stack, StagedBranch, StagedNames, Written,
    check_own_render, commit, foreign_commits, not_before, removal, rewritten, selects_nothing, stack,
    too_many_batches,
};
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
    names: Vec<String>,
    /// Put the first commit onto the live branch: the rollout is open, and no rendered file has changed
    #[arg(long)]
    start: bool,
    /// Open rollouts too that take a sidecar away from workloads: of a SidecarSet that is deleted, or selects fewer
    #[arg(long, requires = "start")]
    allow_removal: bool,
    /// Push the staged branches too
    #[arg(long)]
    push: bool,
    /// The pods of the cluster, as `kubectl get pods -A -o json` prints them: Open writes down their numbers where git
    /// does not say; `-` for standard input
    #[arg(long, value_name = "FILE")]
    observed: Option<PathBuf>,
    /// Count the workloads of open rollouts anew, and go on with those that are there: the missing ones are gone on
    /// purpose
    #[arg(long, requires = "start", requires = "names")]
    accept_missing: bool,
    /// Go on although the live branch was rewritten; with `--push` that is so for every clone
    #[arg(long)]
    accept_rewritten: bool,
    /// Replace staged branches too that hold commits which pillion did not make
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
    /// How the commits are told of
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// What the run has done.
#[derive(Default)]
struct Done {
    /// The live branch is not rendered from the newest sources.
    behind: Option<String>,
    /// Rollouts that were opened.
    started: Vec<Started>,
    staged: Vec<Told>,
}

/// A rollout that was opened.
struct Started {
    sidecar_set: String,
    cluster: Option<String>,
    commit: Id,
    place: String,
}

/// What became of one staged branch.
struct Told {
    sidecar_set: String,
    cluster: Option<String>,
    branch: String,
    base: Id,
    commits: Vec<(Id, String)>,
    end: Value,
    written: Written,
    /// It was pushed too.
    pushed: bool,
    /// Commits of somebody else that were on it.
    overwritten: Vec<(Id, String)>,
    /// Why it must not be opened yet.
    waits: Option<String>,
    /// The rollout is not open yet, and its first commit opens it.
    opens: bool,
    /// Why it is paused: its first commit resumes it.
    paused: Option<String>,
    /// What the file holds, where the rollout goes somewhere else.
    newer: Option<String>,
    /// What else the command says that opens it.
    options: String,
}

/// Runs `pillion stage`.
pub(super) fn run(args: &StageArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, write::Failure> {
    let mut done = Done::default();
    let result = all(args, common, reporter, &mut done);
    let code = repository::settle(result, reporter)?;
    // What was started or written is told even when something failed behind it.
    if code == DONE || !done.started.is_empty() || !done.staged.is_empty() {
        to_stdout(&match args.output {
            Output::Text => done.text(),
            Output::Json => done.json(),
        })?;
    }
    Ok(code)
}

/// What every step of the run needs.
struct Run<'a> {
    args: &'a StageArgs,
    opened: &'a Opened,
    given: Circumstances,
    signing: Signing<'a>,
}

fn all(args: &StageArgs, common: &Common, reporter: &mut Reporter, done: &mut Done) -> Result<u8, Failure> {
    let Some(opened) = repository::open_without_fetch(&args.repository, common, reporter)? else {
        return Ok(USAGE);
    };
    if !args.repository.no_fetch {
        opened.fetch_all()?;
    }
    if args.accept_rewritten {
        repository::accept_rewritten(&opened, args.push)?;
    }
    let Some(given) = circumstances(args, reporter) else { return Ok(USAGE) };
    let run = Run { args, opened: &opened, given, signing: opened.signing()? };
    if args.start {
        opened.has_live()?;
        let code = run.start(&person(&opened.repository)?, reporter, &mut done.started)?;
        if code != DONE {
            return Ok(code);
        }
    }
    run.stage(reporter, done)
}

/// What was observed of a cluster.
fn circumstances(args: &StageArgs, reporter: &mut Reporter) -> Option<Circumstances> {
    let (allows_removal, today) = (args.allow_removal, Some(clock::today()));
    let mut given = Circumstances { allows_removal, today, ..Circumstances::default() };
    if let Some(file) = &args.observed {
        let input = named(std::slice::from_ref(file)).remove(0);
        match text(&input, &Disk).and_then(|text| observed(&input.name, &text)) {
            Ok(found) => given.observed = found.pods,
            Err(wrong) => {
                reporter.add([wrong]);
                return None;
            }
        }
    }
    Some(given)
}

impl Run<'_> {
    /// Reads every cluster that counts; an exit code where that is not possible.
    fn sites(&self, live: &Live<'_>, reporter: &mut Reporter) -> Result<Result<Vec<Site>, u8>, Failure> {
        let Some(clusters) = repository::clusters(live, &self.args.repository, reporter) else {
            return Ok(Err(USAGE));
        };
        let mut found = Vec::new();
        for cluster in clusters {
            let (site, wrong) = live.site(cluster);
            // What is not staged yet is staged now.
            let is_of_missing =
                |d: &Diagnostic| matches!(d.code, Code::WorkloadsMissing | Code::LedgerWorkloadUnknown);
            let accepts = |d: &Diagnostic| self.args.accept_missing && is_of_missing(d);
            let counts = |d: &Diagnostic| d.code != Code::NotStagedYet && !accepts(d);
            reporter.add(wrong.into_iter().filter(counts));
            if !reporter.has_errors() {
                reporter.add(check_own_render(live, &site)?);
            }
            found.push(site);
        }
        if reporter.has_errors() {
            return Ok(Err(FINDINGS));
        }
        let mut known = Known::default();
        found.iter().for_each(|site| known.add(site));
        if let Some(wrong) = known.unknown(&self.args.names) {
            reporter.error(&format!("pillion: {wrong}"));
            return Ok(Err(USAGE));
        }
        Ok(Ok(found))
    }

    /// The SidecarSets of a cluster that count: those asked for that have a ledger.
    fn names(&self, site: &Site) -> Vec<String> {
        let known = site.prepared.ledgers.keys().map(ToString::to_string);
        known.filter(|n| self.args.names.is_empty() || self.args.names.contains(n)).collect()
    }

    /// Opens every rollout that is to be opened, each on top of the one before, in the name of a person.
    fn start(
        &self,
        person: &Identity,
        reporter: &mut Reporter,
        started: &mut Vec<Started>,
    ) -> Result<u8, Failure> {
        loop {
            let next = with_retry(self.opened, reporter, |reporter| self.start_next(person, reporter))?;
            match next {
                Some(Ok(one)) => started.push(one),
                Some(Err(code)) => return Ok(code),
                None => return Ok(ENVIRONMENT),
            }
        }
    }

    /// Opens the first rollout that is to be opened; an exit code where there is none any more, or it must not be.
    fn start_next(
        &self,
        person: &Identity,
        reporter: &mut Reporter,
    ) -> Result<Attempt<Result<Started, u8>>, Failure> {
        let Some(live) = self.opened.live(reporter)? else { return Ok(Attempt::Done(Err(FINDINGS))) };
        let sites = match self.sites(&live, reporter)? {
            Ok(sites) => sites,
            Err(code) => return Ok(Attempt::Done(Err(code))),
        };
        let (commit, sidecar_set, cluster) = match self.next_to_count(&live, &sites, reporter)? {
            Some(counted) => counted,
            None => {
                let next = match self.next_to_open(&live, &sites, reporter)? {
                    Ok(next) => next,
                    Err(code) => return Ok(Attempt::Done(Err(code))),
                };
                if reporter.has_errors() {
                    return Ok(Attempt::Done(Err(FINDINGS)));
                }
                let Some(made) = next else { return Ok(Attempt::Done(Err(DONE))) };
                let (sidecar_set, cluster) = made.whose();
                (made.stack.tip(), sidecar_set, cluster)
            }
        };
        let release = Release { at: clock::now(), by: Some(person) };
        Ok(match self.opened.release(&live, commit, &release)? {
            Put::At(commit, place) | Put::Same(commit, place) => {
                Attempt::Done(Ok(Started { sidecar_set, cluster, commit, place }))
            }
            Put::Moved(lost) => Attempt::Lost(lost),
        })
    }

    /// Finds the first open rollout whose workloads are to be counted anew, and makes that one commit.
    fn next_to_count(
        &self,
        live: &Live<'_>,
        sites: &[Site],
        reporter: &mut Reporter,
    ) -> Result<Option<(Id, String, Option<String>)>, Failure> {
        let is_wanted = |site: &Site, name: &String| {
            let ledger = site.ledger(name);
            let course = site.course(name).0;
            let after = recounted(&course, &ledger);
            (ledger.scope.is_some() && ledger.target.is_some() && after.scope != ledger.scope)
                .then_some((ledger, after))
        };
        for site in sites.iter().filter(|_| self.args.accept_missing) {
            for name in self.names(site) {
                let Some((before, after)) = is_wanted(site, &name) else { continue };
                let count = |ledger: &Ledger| ledger.scope.as_ref().map_or(0, |s| s.workloads);
                let change = Change {
                    after: &after,
                    action: "Open",
                    subject: format!("go on with {}", counted(count(&after).into(), "workload")),
                    body: format!(
                        "The rollout counted {}; those that are missing are gone on purpose.\nNo rendered file changes with this commit.",
                        counted(count(&before).into(), "workload")
                    ),
                    trailers: Vec::new(),
                };
                let (made, wrong) = commit(live, site, &change, &Signing::off())?;
                reporter.add(wrong);
                let cluster = site.cluster.as_ref().map(ToString::to_string);
                return Ok(made.map(|made| (made.id, name, cluster)));
            }
        }
        Ok(None)
    }

    /// Finds the first rollout that waits to be opened, and makes that one commit.
    fn next_to_open<'s>(
        &self,
        live: &Live<'_>,
        sites: &'s [Site],
        reporter: &mut Reporter,
    ) -> Result<Result<Option<Made<'s>>, u8>, Failure> {
        let mut first = None;
        for site in sites {
            for name in self.names(site) {
                let Some(planned) = self.plan(live, (sites, site), &name, true, reporter)? else { continue };
                if let Some(refused) = self.stays_paused(&planned.rollout) {
                    reporter.failure(&refused);
                    return Ok(Err(FINDINGS));
                }
                if planned.rollout.opens() && planned.waits(live).is_none() {
                    reporter.add(removal(&planned.rollout).filter(|_| !self.args.allow_removal));
                    first.get_or_insert(planned);
                }
            }
        }
        // Where one of them is refused, none is opened.
        match first.filter(|_| !reporter.has_errors()) {
            Some(planned) => Ok(Ok(planned.make(live, 1, &Signing::off(), reporter)?)),
            None => Ok(Ok(None)),
        }
    }

    fn is_named(&self, name: &str) -> bool {
        self.args.names.iter().any(|named| named == name)
    }

    /// A rollout that is paused is not started by its name unless its file holds something newer.
    fn stays_paused(&self, rollout: &Rollout<'_>) -> Option<Refused> {
        let name = rollout.name();
        let paused = rollout.ledger.paused.as_ref().filter(|_| self.is_named(name) && !rollout.opens())?;
        Some(Refused(format!(
            "`{name}` is paused at batch {}: {}; its file holds nothing newer to be started: `pillion resume {}` lets it go on",
            paused.batch,
            paused.reason,
            rollout.course.in_commands()
        )))
    }

    /// Writes every staged branch. Nothing is written before everything is made.
    fn stage(&self, reporter: &mut Reporter, done: &mut Done) -> Result<u8, Failure> {
        let told = &mut done.staged;
        let Some(live) = self.opened.live(reporter)? else { return Ok(FINDINGS) };
        done.behind = super::status::behind(&live)?;
        let sites = match self.sites(&live, reporter)? {
            Ok(sites) => sites,
            Err(code) => return Ok(code),
        };
        let (mut made, mut left) = (Vec::new(), Vec::new());
        let staged_names = StagedNames::of(&live, &sites);
        for site in &sites {
            for name in self.names(site) {
                if let Some(wrong) = staged_names.wrong(site.cluster.as_deref(), &name) {
                    left.push(wrong);
                    continue;
                }
                if let Some(planned) = self.plan(&live, (&sites, site), &name, false, reporter)? {
                    made.extend(planned.make(&live, usize::MAX, &self.signing, reporter)?);
                }
            }
        }
        if reporter.has_errors() {
            return Ok(FINDINGS);
        }
        // What is in the way of one rollout is not in that of another.
        made.retain(|made| {
            let in_the_way = made.in_the_way(&live, self.args);
            let is_refused = in_the_way.as_ref().is_some_and(Diagnostic::is_error);
            left.extend(in_the_way);
            !is_refused
        });
        let updates: Vec<Option<RefUpdate>> = made.iter().map(|made| made.push(self.args)).collect();
        for made in made {
            told.push(made.write(&live, self.args)?);
        }
        reporter.add(left);
        let code = if self.args.push { self.push(updates, told, reporter)? } else { DONE };
        Ok(if code == DONE && reporter.has_errors() { FINDINGS } else { code })
    }

    fn push(
        &self,
        updates: Vec<Option<RefUpdate>>,
        told: &mut [Told],
        reporter: &Reporter,
    ) -> Result<u8, Failure> {
        let repository = &self.opened.repository;
        let upstream = repository.upstream(&self.opened.branches.remote)?;
        if upstream == Upstream::Here {
            reporter
                .say("pillion: there is no remote to push to: the staged branches are in this repository");
            return Ok(DONE);
        }
        let (places, updates): (Vec<usize>, Vec<RefUpdate>) =
            updates.into_iter().enumerate().filter_map(|(i, update)| Some((i, update?))).unzip();
        if updates.is_empty() {
            return Ok(DONE);
        }
        let mut failed = None;
        for (i, outcome) in places.into_iter().zip(repository.push(&upstream, &updates)?) {
            match outcome {
                Ok(_) => told[i].pushed = true,
                Err(failure) => failed = Some(failure),
            }
        }
        failed.map_or(Ok(DONE), |failure| Err(failure.into()))
    }

    /// Plans one rollout; None where the reporter knows why there is none.
    fn plan<'s>(
        &self,
        live: &Live<'_>,
        (sites, site): (&[Site], &'s Site),
        name: &str,
        starts: bool,
        reporter: &mut Reporter,
    ) -> Result<Option<Planned<'s>>, Failure> {
        let branch = StagedBranch::find(live, site.cluster.as_deref(), name);
        let examined = branch.examine(live, name)?;
        let (rollout, mut wrong) = match starts {
            true => {
                let starts_paused = self.is_named(name);
                let given = Circumstances { starts, starts_paused, ..self.given.clone() };
                Rollout::of(site, name, &given)
            }
            false => Rollout::resumed(site, name, &self.given),
        };
        wrong.extend(too_many_batches(&rollout));
        wrong.extend(selects_nothing(site, &sites.iter().collect::<Vec<_>>(), name));
        if !self.args.accept_rewritten {
            wrong.extend(rewritten(live, &branch, &examined));
        }
        let is_refused = wrong.iter().any(crate::diag::Diagnostic::is_error);
        reporter.add(wrong);
        Ok((!is_refused).then_some(Planned { rollout, branch, examined }))
    }
}

/// A rollout, before its commits are made.
struct Planned<'s> {
    rollout: Rollout<'s>,
    branch: StagedBranch,
    examined: Examined,
}

impl<'s> Planned<'s> {
    /// Says which cluster of an earlier wave comes first.
    fn waits(&self, live: &Live<'_>) -> Option<String> {
        let source = self.rollout.course.source.as_ref().map(|r| r.name.clone());
        not_before(live, self.rollout.site.cluster.as_deref(), self.rollout.name(), &source)
    }

    fn make(
        self,
        live: &Live<'_>,
        limit: usize,
        signing: &Signing<'_>,
        reporter: &mut Reporter,
    ) -> Result<Option<Made<'s>>, Failure> {
        let kept = if signing.is_on() { self.branch.commits(live)? } else { Vec::new() };
        let (stack, wrong) = stack(live, &self.rollout, limit, signing, &kept)?;
        reporter.add(wrong);
        let waits = self.waits(live).filter(|_| self.rollout.opens());
        Ok(stack.map(|stack| Made { planned: self, stack, waits }))
    }
}

/// The commits of one rollout, before any ref is moved.
struct Made<'s> {
    planned: Planned<'s>,
    stack: Stack,
    waits: Option<String>,
}

impl Made<'_> {
    fn whose(&self) -> (String, Option<String>) {
        let rollout = &self.planned.rollout;
        (rollout.name().to_owned(), rollout.site.cluster.as_ref().map(ToString::to_string))
    }

    /// Says which commits of others the branch holds: an error where it would have to be replaced.
    fn in_the_way(&self, live: &Live<'_>, args: &StageArgs) -> Option<Diagnostic> {
        let Planned { branch, examined, rollout } = &self.planned;
        if args.force {
            return None;
        }
        let config = live.configuration.layout.root.join("pillion.yaml");
        let options = repository::options(&args.repository, rollout.site.cluster.as_deref());
        let names = (branch.short(), rollout.name());
        let mut wrong = foreign_commits(&config, names, &examined.foreign(), &options)?;
        let is_other = |side: &Side, at: Option<Id>| !side.foreign.is_empty() && at != self.stack.new_tip();
        let is_refused =
            is_other(&examined.here, branch.local) || (args.push && is_other(&examined.there, branch.remote));
        // Where nothing is to come, it is only not removed.
        if !is_refused || self.stack.new_tip().is_none() {
            wrong.severity = Severity::Warning;
        }
        Some(wrong)
    }

    /// What a push has to do; a branch is removed only where all of it is pillion's own.
    fn push(&self, args: &StageArgs) -> Option<RefUpdate> {
        let (tip, there) = (self.stack.new_tip(), &self.planned.examined.there);
        let may_write = args.force || if tip.is_some() { there.foreign.is_empty() } else { there.is_own() };
        self.planned.branch.push(tip).filter(|_| may_write)
    }

    fn write(self, live: &Live<'_>, args: &StageArgs) -> Result<Told, Failure> {
        let written = match self.stack.new_tip().is_some() || self.planned.examined.here.is_own() {
            true => self.planned.branch.write(live, &self.stack)?,
            false => Written::Nothing,
        };
        let (sidecar_set, cluster) = self.whose();
        let Self { planned: Planned { rollout, branch, examined }, stack, waits } = self;
        Ok(Told {
            options: repository::options(&args.repository, cluster.as_deref()),
            sidecar_set,
            cluster,
            branch: branch.short().to_owned(),
            base: stack.base,
            commits: stack.commits.iter().map(|c| (c.id, c.subject().to_owned())).collect(),
            end: end(&rollout),
            written,
            pushed: false,
            overwritten: examined.foreign().iter().map(|c| (c.id, c.subject().to_owned())).collect(),
            waits,
            opens: rollout.opens(),
            paused: rollout.ledger.paused.as_ref().map(|p| format!("at batch {}: {}", p.batch, p.reason)),
            newer: rollout.newer().map(|name| name_text(&name).to_owned()),
        })
    }
}

fn end(rollout: &Rollout<'_>) -> Value {
    match rollout.end() {
        End::Close => json!({"kind": "Close"}),
        End::Rest(rest) => json!({"kind": rest.kind(), "reason": rest.to_string()}),
        End::TooMany => json!({"kind": "More", "reason": "more batches follow"}),
    }
}

impl Done {
    fn text(&self) -> String {
        let mut text = String::new();
        for started in &self.started {
            let Started { sidecar_set, cluster, commit, place } = started;
            let set = called(sidecar_set, cluster.as_deref());
            let _ = writeln!(text, "{set}: the rollout is open: {} {place}", commit.short());
        }
        self.staged.iter().for_each(|told| told.text(&mut text));
        if text.is_empty() {
            text.push_str("no SidecarSet has a ledger: `pillion init rollout` writes them\n");
        }
        text.push_str(self.behind.as_deref().unwrap_or_default());
        text
    }

    fn json(&self) -> String {
        let started = |s: &Started| json!({"sidecarSet": s.sidecar_set, "cluster": s.cluster, "commit": s.commit.to_string()});
        let document = json!({
            "apiVersion": "pillion.dev/v1alpha1",
            "kind": "Stage",
            "started": self.started.iter().map(started).collect::<Vec<_>>(),
            "items": self.staged.iter().map(Told::json).collect::<Vec<_>>(),
        });
        format!("{document}\n")
    }
}

fn called(sidecar_set: &str, cluster: Option<&str>) -> String {
    cluster.map_or_else(|| sidecar_set.to_owned(), |cluster| format!("{sidecar_set} in {cluster}"))
}

impl Told {
    fn text(&self, text: &mut String) {
        let what = match self.written {
            Written::Same => "is as it was",
            Written::Made => "is made",
            Written::Follows => "follows",
            Written::Anew => "is made anew",
            Written::Removed => "is removed",
            Written::Nothing => "is not needed",
        };
        let what = match self.written {
            Written::Follows => format!("{what} {}", self.base.short()),
            _ => what.to_owned(),
        };
        let set = called(&self.sidecar_set, self.cluster.as_deref());
        let pushed = if self.pushed { ", and pushed" } else { "" };
        let _ = writeln!(text, "{set}: `{}` {what}{pushed}", self.branch);
        for (id, subject) in self.overwritten.iter().filter(|_| self.pushed || self.written == Written::Anew)
        {
            let _ = writeln!(text, "  it held {} (\"{subject}\"), which pillion did not make", id.short());
        }
        for (id, subject) in &self.commits {
            let _ = writeln!(text, "  {} {subject}", id.short());
        }
        if let Some(reason) = self.end["reason"].as_str() {
            let then = if self.commits.is_empty() { "nothing to stage" } else { "then" };
            let _ = writeln!(text, "  {then}: {reason}");
        }
        if let (Some(paused), false) = (&self.paused, self.commits.is_empty()) {
            let _ = writeln!(
                text,
                "  paused {paused}; `pillion resume {}{}` lets this follow",
                self.sidecar_set, self.options
            );
        }
        if let Some(newer) = &self.newer {
            let _ = writeln!(
                text,
                "  its file holds {newer}, which waits: `pillion stage --start {}{}` rolls that out in place of this",
                self.sidecar_set, self.options
            );
        }
        match &self.waits {
            Some(reason) => {
                let _ = writeln!(text, "  not to be opened yet: {reason}");
            }
            None if self.opens && self.paused.is_none() => {
                let how = format!("pillion stage --start {}{}", self.sidecar_set, self.options);
                let _ = writeln!(text, "  nothing has started: `{how}` opens the rollout");
            }
            None => {}
        }
    }

    fn json(&self) -> Value {
        let commits = |all: &[(Id, String)]| -> Vec<Value> {
            all.iter().map(|(id, s)| json!({"id": id.to_string(), "subject": s})).collect()
        };
        let written = match self.written {
            Written::Same => "Same",
            Written::Made => "Made",
            Written::Follows => "Follows",
            Written::Anew => "Anew",
            Written::Removed => "Removed",
            Written::Nothing => "Nothing",
        };
        json!({
            "sidecarSet": self.sidecar_set,
            "cluster": self.cluster,
            "branch": self.branch,
            "base": self.base.to_string(),
            "written": written,
            "pushed": self.pushed,
            "overwritten": commits(&self.overwritten),
            "commits": commits(&self.commits),
            "waits": self.waits,
            "paused": self.paused,
            "newer": self.newer,
            "end": self.end,
        })
    }
}
