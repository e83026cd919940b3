//! The outcome of `pillion stage` and `pillion start`, as text and JSON.

use crate::git::ObjectId;
use crate::model::api::PILLION_API_VERSION;
use crate::stage::{BranchUpdate, UnpublishedFile};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What the run did.
#[derive(Default)]
pub(in crate::cli) struct StageOutcome {
    /// The deploy branch is not rendered from the newest sources.
    pub(in crate::cli) stale_render: Option<String>,
    /// Rollouts that were started.
    pub(in crate::cli) started: Vec<StartedRollout>,
    pub(in crate::cli) staged: Vec<StagedBranchReport>,
    /// Files with SidecarSets that are edited in the working folder, and not on the branch that was read.
    pub(in crate::cli) unpublished: Vec<UnpublishedFile>,
}

/// The outcome for one staged branch.
pub(in crate::cli) struct StagedBranchReport {
    pub(in crate::cli) sidecar_set: String,
    pub(in crate::cli) cluster: Option<String>,
    pub(in crate::cli) branch: String,
    pub(in crate::cli) base: ObjectId,
    pub(in crate::cli) commits: Vec<(ObjectId, String)>,
    pub(in crate::cli) end: Value,
    pub(in crate::cli) written: BranchUpdate,
    /// It was pushed too.
    pub(in crate::cli) pushed: bool,
    /// Commits of others that were on it.
    pub(in crate::cli) overwritten_commits: Vec<(ObjectId, String)>,
    /// Why it cannot start yet.
    pub(in crate::cli) blocked_by: Option<String>,
    /// The rollout has not started, and its first commit starts it.
    pub(in crate::cli) starts: bool,
    /// Why it is paused: its first commit resumes it.
    pub(in crate::cli) paused: Option<String>,
    /// The revision of the file, where the rollout has another target.
    pub(in crate::cli) newer_revision: Option<String>,
    /// What becomes of that revision.
    pub(in crate::cli) newer_hint: String,
    /// The command that starts it.
    pub(in crate::cli) start_command: String,
    /// Further options of commands.
    pub(in crate::cli) command_options: String,
}

/// A rollout that was started.
pub(in crate::cli) struct StartedRollout {
    pub(in crate::cli) sidecar_set: String,
    pub(in crate::cli) cluster: Option<String>,
    pub(in crate::cli) commit: ObjectId,
    pub(in crate::cli) location: String,
    /// The commit was left in this repository.
    pub(in crate::cli) is_local: bool,
    /// What the commit would change, where it is not made.
    pub(in crate::cli) preview: Option<String>,
    /// What to do next.
    pub(in crate::cli) next: String,
    /// It starts when a pull request is merged; `location` says which.
    pub(in crate::cli) is_proposed: bool,
}

impl StageOutcome {
    pub(in crate::cli) fn to_text(&self) -> String {
        let mut text = String::new();
        for started in &self.started {
            let StartedRollout { sidecar_set, cluster, commit, location, preview, .. } = started;
            let set = display_name(sidecar_set, cluster.as_deref());
            let _ = match preview {
                Some(changes) => {
                    writeln!(text, "{changes}nothing was committed; without `--dry-run`, {location}")
                }
                None if started.is_proposed => {
                    write!(text, "{set}: start proposed: {}\n{location}", commit.short())
                }
                None if started.is_local => writeln!(text, "{set}: {} {location}", commit.short()),
                None => writeln!(text, "{set}: rollout started: {} {location}", commit.short()),
            };
        }
        self.staged.iter().for_each(|branch| branch.write_text(&mut text));
        if text.is_empty() {
            text.push_str("no SidecarSet has a ledger: `pillion init rollout` writes them\n");
        }
        for started in self.started.iter().filter(|started| !started.next.is_empty()) {
            let _ = writeln!(text, "next: {}", started.next);
        }
        for file in &self.unpublished {
            let _ = writeln!(text, "{}", file.explanation);
        }
        text.push_str(self.stale_render.as_deref().unwrap_or_default());
        text
    }

    /// Returns whether nothing was started or staged, although a SidecarSet is edited where this command does not look.
    pub(in crate::cli) fn misses_an_edit(&self) -> bool {
        let is_empty = |branch: &StagedBranchReport| branch.commits.is_empty();
        !self.unpublished.is_empty() && self.started.is_empty() && self.staged.iter().all(is_empty)
    }

    pub(in crate::cli) fn to_json(&self) -> String {
        let started = |s: &StartedRollout| json!({"sidecarSet": s.sidecar_set, "cluster": s.cluster, "commit": s.commit.to_string(), "proposed": s.is_proposed});
        let document = json!({
            "apiVersion": PILLION_API_VERSION,
            "kind": "Stage",
            "started": self.started.iter().map(started).collect::<Vec<_>>(),
            "items": self.staged.iter().map(StagedBranchReport::to_json).collect::<Vec<_>>(),
            "unpublished": self.unpublished.iter().map(|file| json!({"file": file.path, "reason": file.explanation})).collect::<Vec<_>>(),
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
            BranchUpdate::Unchanged => "unchanged",
            BranchUpdate::Created => "created",
            BranchUpdate::Rebased => "rebased onto",
            BranchUpdate::Replaced => "recreated",
            BranchUpdate::Removed => "removed",
            BranchUpdate::Absent => "not needed",
        };
        let what = match self.written {
            BranchUpdate::Rebased => format!("{what} {}", self.base.short()),
            _ => what.to_owned(),
        };
        let set = display_name(&self.sidecar_set, self.cluster.as_deref());
        let pushed = if self.pushed { " and pushed" } else { "" };
        let _ = writeln!(text, "{set}: `{}` {what}{pushed}", self.branch);
        for (id, subject) in
            self.overwritten_commits.iter().filter(|_| self.pushed || self.written == BranchUpdate::Replaced)
        {
            let _ = writeln!(text, "  replaced {} (\"{subject}\"), which pillion did not make", id.short());
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
                "  paused {paused}; `pillion resume {}{}` continues with these commits",
                self.sidecar_set, self.command_options
            );
        }
        if let Some(newer) = &self.newer_revision {
            let _ = writeln!(text, "  its file holds {newer}, which waits: {}", self.newer_hint);
        }
        match &self.blocked_by {
            Some(reason) => {
                let _ = writeln!(text, "  cannot start yet: {reason}");
            }
            None if self.starts && self.paused.is_none() => {
                let _ = writeln!(text, "  not started: `{}` starts the rollout", self.start_command);
            }
            None => {}
        }
    }

    fn to_json(&self) -> Value {
        let commits = |all: &[(ObjectId, String)]| -> Vec<Value> {
            all.iter().map(|(id, s)| json!({"id": id.to_string(), "subject": s})).collect()
        };
        let written = match self.written {
            BranchUpdate::Unchanged => "Unchanged",
            BranchUpdate::Created => "Created",
            BranchUpdate::Rebased => "Rebased",
            BranchUpdate::Replaced => "Recreated",
            BranchUpdate::Removed => "Removed",
            BranchUpdate::Absent => "NotNeeded",
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
