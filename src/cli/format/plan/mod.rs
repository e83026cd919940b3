//! The output formats of plans by workload.

pub(in crate::cli) mod html;
pub(in crate::cli) mod json;
pub(in crate::cli) mod markdown;
mod phrases;
pub(in crate::cli) mod text;
mod timeline;

use super::costs::ClusterCosts;
use crate::rollout::RolloutPlan;
use crate::rollout::report::PlanReport;
use crate::stage::ClusterView;

/// One rollout of one cluster, planned.
pub(in crate::cli) struct ClusterRolloutPlan<'s> {
    /// What is known of the cluster.
    pub(in crate::cli) cluster_view: &'s ClusterView,
    /// The plan; of a paused rollout, as if it were resumed.
    pub(in crate::cli) rollout: RolloutPlan<'s>,
    /// The description for people.
    pub(in crate::cli) report: PlanReport,
}

/// The plans to print, and how.
pub(in crate::cli) struct PlanView<'s> {
    /// The commit that is planned from.
    pub(in crate::cli) base: Option<String>,
    /// The rollouts, by cluster and name.
    pub(in crate::cli) plans: Vec<ClusterRolloutPlan<'s>>,
    /// Only the next step was asked for.
    pub(in crate::cli) is_next: bool,
    /// What the sidecars request, where that is asked for.
    pub(in crate::cli) costs: Option<Vec<ClusterCosts>>,
    /// Long lists are shown in full.
    pub(in crate::cli) is_verbose: bool,
}

/// Escapes a text for HTML, between tags and in attributes.
fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
