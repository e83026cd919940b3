//! Alerts and the dashboard: they use the metrics, labels and values that the watcher serves.

use super::{documents, of_kind, text};
use pillion::watch::metrics::{EvaluationOutcome, Metrics};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The metrics of one rollout, each with its labels and their values.
fn served() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let metrics = Metrics::default();
    let log = metrics.rollout(None, "log");
    log.set_progress(1, 1);
    log.set_pods(1, 1, 1);
    log.set_unavailable(0);
    log.set_out_of_sync(0);
    log.record_evaluation(EvaluationOutcome::Idle);
    let mut found: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for line in metrics.encode_text().lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.rsplit_once(' ').unwrap().0.split_once('{').unwrap();
        let of = found.entry(name.to_owned()).or_default();
        for (label, value) in
            labels.trim_end_matches('}').split(',').map(|pair| pair.split_once('=').unwrap())
        {
            of.entry(label.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
        }
    }
    found
}

/// The words of an expression with what follows each: names of metrics, functions and labels.
fn words(expression: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    expression.char_indices().filter_map(move |(at, c)| {
        let is_start = is_part(c) && !expression[..at].ends_with(is_part);
        let rest = &expression[at..];
        is_start.then(|| rest.split_at(rest.find(|c: char| !is_part(c)).unwrap_or(rest.len())))
    })
}

/// Every expression of the alerts and of the dashboard.
fn expressions() -> (Vec<String>, Vec<String>) {
    let alerts = documents("monitoring/prometheusrule.yaml");
    let rules = alerts[0]["spec"]["groups"][0]["rules"].as_array().unwrap();
    let alerts = rules.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned()).collect();
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let annotations = dashboard["annotations"]["list"].as_array().unwrap();
    let shown =
        targets.chain(annotations).map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    (alerts, shown)
}

fn dashboard() -> Value {
    serde_json::from_str(&text("monitoring/dashboard.json")).unwrap()
}

/// The metrics that expressions name. Each of them is served, with the labels and values that its selector names.
fn used_metrics(expressions: &[String]) -> BTreeSet<String> {
    let served = served();
    let mut used = BTreeSet::new();
    for expression in expressions {
        for (metric, rest) in words(expression).filter(|(word, _)| word.starts_with("pillion_")) {
            let labels = served.get(metric).unwrap_or_else(|| panic!("{metric} is not served: {expression}"));
            used.insert(metric.to_owned());
            let Some(selector) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
                continue;
            };
            for matcher in selector.0.split(", ") {
                let (label, values) = matcher.split_once(['=', '!']).unwrap();
                let known = labels.get(label).unwrap_or_else(|| panic!("{metric} has no label {label}"));
                let values = values.trim_start_matches(['=', '~']).trim_matches('"');
                let mut values = values.split('|').filter(|value| !value.starts_with('$'));
                assert!(values.all(|value| known.contains(value)), "{matcher}: {known:?}");
            }
        }
    }
    used
}

#[test]
fn alerts_and_dashboard_use_metrics_that_are_served() {
    let (alerts, shown) = expressions();
    assert!(used_metrics(&alerts).len() >= 4);
    let served: BTreeSet<String> = served().into_keys().collect();
    assert_eq!(used_metrics(&shown), served, "the dashboard shows every metric");
}

#[test]
fn variables_of_the_dashboard_are_labels() {
    let dashboard = dashboard();
    let served = served();
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["definition"].as_str() else { continue };
        let arguments = query.trim_start_matches("label_values(").trim_end_matches(')');
        let (metric, label) = arguments.split_once(", ").unwrap();
        assert_eq!(variable["name"], label);
        assert!(served[metric].contains_key(label), "{query}");
    }
}

#[test]
fn panels_have_a_title_a_meaning_and_a_place_of_their_own() {
    let dashboard = dashboard();
    let mut places = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(panel["title"].as_str().is_some_and(|t| !t.is_empty()) && panel["description"].is_string());
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24, "{}: Grafana's grid has 24 columns", panel["title"]);
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(places.insert(place), "{} is over another panel", panel["title"]);
        }
    }
}

#[test]
fn alerts_say_what_is_wrong_and_what_to_do() {
    let documents = documents("monitoring/prometheusrule.yaml");
    let page = text("README.md");
    let mut names = BTreeSet::new();
    for rule in documents[0]["spec"]["groups"][0]["rules"].as_array().unwrap() {
        let name = rule["alert"].as_str().unwrap();
        assert!(name.starts_with("Pillion") && names.insert(name), "{name}");
        assert!(page.contains(&format!("`{name}`")), "deploy/README.md lacks {name}");
        assert!(
            ["critical", "warning", "info"].contains(&rule["labels"]["severity"].as_str().unwrap()),
            "{name}"
        );
        for key in ["summary", "description"] {
            assert!(rule["annotations"][key].as_str().is_some_and(|t| t.len() > 20), "{name}: {key}");
        }
    }
}

#[test]
fn the_watcher_is_scraped_where_it_listens() {
    let monitor = documents("monitoring/podmonitor.yaml");
    let deployment = documents("base/deployment.yaml");
    let template = &of_kind(&deployment, "Deployment")["spec"]["template"];
    assert_eq!(monitor[0]["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]);
    let endpoint = &monitor[0]["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["port"], template["spec"]["containers"][0]["ports"][0]["name"]);
    assert_eq!(endpoint["path"], "/metrics");
}
