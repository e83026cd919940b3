//! Does the cluster have what git says of a workload, and has its controller looked at it?

use super::super::released::Expected;
use super::super::snapshot::Workload;
use super::covers;
use super::target::{LISTS, sidecars};
use serde_json::Value;

/// How far what git says has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applied {
    /// The cluster has it, and its controller has seen it.
    Yes,
    /// The cluster has it, and its controller has not seen it.
    Unobserved(String),
    /// The cluster has something else.
    No(String),
}

/// Tells how far what git says of a workload has come.
pub(super) fn applied(expected: &Expected, live: &Workload) -> Applied {
    let template = live.template.as_deref().and_then(|t| serde_json::from_str::<Value>(t.get()).ok());
    let Some(template) = template else {
        return Applied::No("not applied: its pod template cannot be read".to_owned());
    };
    let missing = sidecar_gap(expected, &template)
        .or_else(|| leftover(expected, &template))
        .or_else(|| partition_gap(expected, live));
    if let Some(missing) = missing {
        return Applied::No(format!("not applied: {missing}"));
    }
    match live.observed_generation {
        Some(seen) if seen < live.generation => Applied::Unobserved(format!(
            "its controller has not looked at it yet: generation {}, observed {seen}",
            live.generation
        )),
        _ => Applied::Yes,
    }
}

fn named<'a>(template: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    template["spec"][list].as_array()?.iter().find(|c| c["name"] == name)
}

fn sidecar_gap(expected: &Expected, template: &Value) -> Option<String> {
    sidecars(expected).into_iter().find_map(|sidecar| {
        let list = if sidecar.is_init { "initContainers" } else { "containers" };
        let Some(live) = named(template, list, sidecar.name) else {
            return Some(format!("the cluster has no container {} in `{list}`", sidecar.name));
        };
        let path = covers::first_gap(sidecar.container, live)?;
        Some(match (path.as_str(), live["image"].as_str()) {
            ("image", Some(image)) => {
                format!("{} is {image} in the cluster, {} in git", sidecar.name, sidecar.image)
            }
            _ => format!("`{path}` of {} is not what git says", sidecar.name),
        })
    })
}

fn leftover(expected: &Expected, template: &Value) -> Option<String> {
    let is_there = |name: &str| LISTS.iter().any(|(list, _)| named(template, list, name).is_some());
    let name = expected.gone.iter().find(|name| is_there(name))?;
    Some(format!("the cluster still has the container {name}"))
}

fn partition_gap(expected: &Expected, live: &Workload) -> Option<String> {
    let text = live.partition.as_deref().map_or("0", |p| p.get().trim());
    let text = if text == "null" { "0" } else { text };
    // The API server may hold an IntOrString as either.
    let number = text.trim_matches('"').parse::<u32>().ok();
    let (is_gap, wanted) = match (expected.partition, expected.own_partition.as_deref()) {
        (Some(wanted), _) => (number != Some(wanted), wanted.to_string()),
        // The batch before has split it, always by a number.
        (None, Some(own)) => {
            let is_more = |number: u32| own.parse::<u32>().map_or(true, |own| number > own);
            (number.is_some_and(is_more), own.to_owned())
        }
        (None, None) => return None,
    };
    is_gap.then(|| format!("its partition is {text} in the cluster, {wanted} in git"))
}
