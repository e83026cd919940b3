//! Checks that the SidecarSets and ledgers of the deploy branch, as last fetched, can be read, and that every SidecarSet
//! has a ledger.

use super::{CheckState, DoctorCheck};
use crate::cli::GlobalArgs;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepositoryArgs};
use crate::diagnostics::{Code, Diagnostic, pluralize};

pub(super) fn check(args: &RepositoryArgs, common: &GlobalArgs) -> Vec<DoctorCheck> {
    // What is wrong with pillion.yaml is a check of its own.
    let mut unused = Reporter::new(common);
    let Ok((context, _)) = repository::open_without_fetch(args, common, &mut unused) else {
        return Vec::new();
    };
    let read = match context.read_deploy_branch() {
        Ok((branch, diagnostics)) => branch.ok_or_else(|| first_error(&diagnostics)),
        Err(error) => Err(error.to_string()),
    };
    let deploy_branch = match read {
        Ok(deploy_branch) => deploy_branch,
        Err(message) => {
            return vec![
                DoctorCheck::new(CheckState::Error, "deploy branch", message)
                    .help("`pillion init` shows the commands that lead to the first rollout"),
            ];
        }
    };
    let mut checks = Vec::new();
    for cluster in deploy_branch.clusters() {
        let (view, diagnostics) = deploy_branch.cluster_view(cluster);
        let of = cluster.map_or_else(String::new, |name| format!(" of cluster {name}"));
        let errors = |code_matters: bool| {
            diagnostics.iter().filter(move |d| d.is_error() && (d.code == Code::NoLedger) == code_matters)
        };
        let (sets, ledgers) = (view.prepared.sets.len(), view.prepared.ledgers.len());
        if let Some(error) = errors(false).next() {
            let check = DoctorCheck::new(
                CheckState::Error,
                "ledgers",
                format!("{}{of}: {}", pluralize(errors(false).count() as u64, "error"), error.message),
            );
            checks.push(check.help("`pillion status` shows all of them with their places"));
            continue;
        }
        checks.push(match errors(true).count() {
            0 => DoctorCheck::new(
                CheckState::Ok,
                "ledgers",
                format!(
                    "{}{of}, {}",
                    pluralize(sets as u64, "SidecarSet"),
                    pluralize(ledgers as u64, "ledger")
                ),
            ),
            n => DoctorCheck::new(
                CheckState::Error,
                "ledgers",
                format!("{}{of} without a ledger", pluralize(n as u64, "SidecarSet")),
            )
            .help("`pillion init rollout --push` writes the first ledgers"),
        });
    }
    checks
}

fn first_error(diagnostics: &[Diagnostic]) -> String {
    let error = diagnostics.iter().find(|d| d.is_error());
    error.map_or_else(|| "it cannot be read".to_owned(), |error| error.message.clone())
}
