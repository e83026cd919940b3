//! Versions of Kubernetes, as far as they decide what a cluster can run: `kubernetesVersion`.

use std::fmt;

/// A version such as `1.33`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesVersion {
    major: u32,
    minor: u32,
}

impl KubernetesVersion {
    /// The first version that runs native sidecars: the feature gate `SidecarContainers` is on by default.
    pub(crate) const NATIVE_SIDECARS: Self = Self { major: 1, minor: 29 };

    /// The first version that accepts `resizePolicy` in native sidecars: the feature gate `InPlacePodVerticalScaling` is
    /// on by default.
    pub(crate) const NATIVE_RESIZE_POLICY: Self = Self { major: 1, minor: 33 };

    /// Parses a version: `1.33`, `v1.33.2`, `1.33.2-gke.100`. A patch version decides nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
        let major = parse_number(numbers.next()?)?;
        let minor = parse_number(numbers.next()?)?;
        let is_patch = |patch: &str| patch.starts_with(|c: char| c.is_ascii_digit());
        numbers.next().is_none_or(is_patch).then_some(Self { major, minor })
    }
}

fn parse_number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::KubernetesVersion;

    #[test]
    fn versions_as_clusters_report_them() {
        for (text, version) in
            [("1.33", "1.33"), ("v1.28.15", "1.28"), ("1.33.2-gke.100", "1.33"), ("v1.30.1+k3s1", "1.30")]
        {
            assert_eq!(
                KubernetesVersion::parse(text).map(|v| v.to_string()).as_deref(),
                Some(version),
                "{text}"
            );
        }
        for text in ["", "1", "latest", "1.x", "1.", "+1.33", "1.33.", "1.33.x", "v", "1.99999999999"] {
            assert_eq!(KubernetesVersion::parse(text), None, "{text}");
        }
        assert!(KubernetesVersion::parse("1.9") < KubernetesVersion::parse("1.29"));
    }
}
