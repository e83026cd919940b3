//! HelmReleases of Flux: their charts are rendered in the cluster, so git has no workload of them. Says which command
//! renders one.

use super::RepositorySurvey;
use crate::diagnostics::escape::shell_word;
use serde_json::Value;
use std::borrow::Cow;

/// A HelmRelease.
#[derive(Debug)]
pub(crate) struct SurveyedHelmRelease {
    /// The name of the release.
    pub(crate) name: String,
    /// The namespace of its objects.
    namespace: Option<String>,
    /// The name of the chart in its repository; None where the source is the chart itself.
    chart: Option<String>,
    /// The kind and the name of the source.
    source: (String, String),
    /// The version of the chart.
    version: Option<String>,
}

/// A HelmRepository or an OCIRepository.
#[derive(Debug)]
pub(super) struct ChartRepository {
    url: String,
    version: Option<String>,
}

impl SurveyedHelmRelease {
    fn read(object: &Value) -> Self {
        let spec = &object["spec"];
        let inline = &spec["chart"]["spec"];
        let reference = if inline.is_object() { &inline["sourceRef"] } else { &spec["chartRef"] };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let name = text(&object["metadata"]["name"]).unwrap_or_default();
        Self {
            name: text(&spec["releaseName"]).unwrap_or(name),
            namespace: text(&spec["targetNamespace"]).or_else(|| text(&object["metadata"]["namespace"])),
            chart: text(&inline["chart"]),
            source: (
                text(&reference["kind"]).unwrap_or_default(),
                text(&reference["name"]).unwrap_or_default(),
            ),
            version: text(&inline["version"]),
        }
    }
}

impl RepositorySurvey {
    /// Takes a HelmRelease, or the repository of a chart.
    pub(super) fn add_flux_object(&mut self, kind: &str, object: &Value) {
        match kind {
            "HelmRelease" => self.helm_releases.push(SurveyedHelmRelease::read(object)),
            "HelmRepository" | "OCIRepository" => {
                let spec = &object["spec"];
                let (Some(name), Some(url)) = (object["metadata"]["name"].as_str(), spec["url"].as_str())
                else {
                    return;
                };
                let version = ["tag", "semver"].iter().find_map(|key| spec["ref"][*key].as_str());
                let repository = ChartRepository { url: url.to_owned(), version: version.map(str::to_owned) };
                self.chart_repositories.insert((kind.to_owned(), name.to_owned()), repository);
            }
            _ => {}
        }
    }

    /// Returns the command that prints what a HelmRelease creates, without its values; None: git does not say where its
    /// chart is.
    pub(crate) fn template_command(&self, release: &SurveyedHelmRelease) -> Option<String> {
        let repository = self.chart_repositories.get(&release.source)?;
        let words_of_git = [Some(&release.name), release.chart.as_ref(), Some(&repository.url)];
        if words_of_git.into_iter().flatten().any(|word| word.is_empty() || word.starts_with('-')) {
            return None;
        }
        let url = repository.url.trim_end_matches('/');
        let mut words = vec![Cow::Borrowed("helm template"), shell_word(&release.name)];
        match &release.chart {
            Some(chart) if url.starts_with("oci://") => {
                words.push(format!("{}/{chart}", shell_word(url)).into())
            }
            Some(chart) => words.extend([shell_word(chart), "--repo".into(), shell_word(url)]),
            None => words.push(shell_word(url)),
        }
        for (flag, value) in [
            ("--version", release.version.as_ref().or(repository.version.as_ref())),
            ("--namespace", release.namespace.as_ref()),
        ] {
            if let Some(value) = value {
                words.extend([flag.into(), shell_word(value)]);
            }
        }
        Some(words.join(" "))
    }
}
