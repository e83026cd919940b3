//! The files that each integration needs, from `src/integrations/templates/`; they are part of the binary, for its version.

/// An integration.
pub(crate) struct Integration {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) files: &'static [TemplateFile],
}

/// A file of an integration.
pub(crate) struct TemplateFile {
    /// Its path below the folder that the integration is written to.
    pub(crate) path: &'static str,
    text: &'static str,
}

macro_rules! integrations {
    ($( $name:literal $about:literal { $( $path:literal = $file:literal ),* $(,)? } )*) => {
        &[ $( Integration { name: $name, about: $about, files: &[ $( TemplateFile {
            path: $path,
            text: include_str!(concat!("templates/", $file)),
        } ),* ] } ),* ]
    };
}

/// All integrations.
pub(crate) const INTEGRATIONS: &[Integration] = integrations! {
    "kustomize" "A transformer of a kustomization, and names of Kruise's kinds" {
        "sidecars.yaml" = "kustomize/sidecars.yaml",
        "kustomizeconfig.yaml" = "kustomize/kustomizeconfig.yaml",
    }
    "kustomize-component" "The same as a component to list in overlays" {
        "kustomization.yaml" = "component/kustomization.yaml",
        "sidecars.yaml" = "kustomize/sidecars.yaml",
        "kustomizeconfig.yaml" = "kustomize/kustomizeconfig.yaml",
    }
    "kustomizeconfig" "Names, labels and namespaces of Kruise's kinds, for `configurations:`" {
        "kustomizeconfig.yaml" = "kustomize/kustomizeconfig.yaml",
    }
    "kustomize-exec-plugin" "The exec plugin for kubectl and kustomize without functions" {
        "install-pillion-plugin.sh" = "kustomize-exec-plugin/install.sh",
    }
    "cmp" "The config management plugin of Argo CD" {
        "plugin.yaml" = "cmp/plugin.yaml",
    }
    "argocd" "The plugin with a patch of the repo-server, the health of SidecarSets and an Application" {
        "plugin.yaml" = "cmp/plugin.yaml",
        "repo-server-patch.yaml" = "argocd/repo-server-patch.yaml",
        "argocd-cm.yaml" = "argocd-health/argocd-cm.yaml",
        "kustomization.yaml" = "argocd/kustomization.yaml",
        "application.yaml" = "argocd/application.yaml",
    }
    "argocd-health" "The health of SidecarSets for Argo CD, in Lua and as a patch of argocd-cm" {
        "sidecarset.lua" = "argocd-health/sidecarset.lua",
        "argocd-cm.yaml" = "argocd-health/argocd-cm.yaml",
    }
    "argocd-rendered" "An Application that follows rendered files, without a plugin" {
        "application.yaml" = "argocd-rendered/application.yaml",
    }
    "github" "Workflows of GitHub Actions: checks of pull requests, rollouts" {
        ".github/workflows/pillion.yaml" = "github/pillion.yaml",
        ".github/workflows/pillion-stage.yaml" = "github/pillion-stage.yaml",
    }
    "pre-commit" "Hooks of pre-commit" {
        ".pre-commit-config.yaml" = "pre-commit/.pre-commit-config.yaml",
    }
    "helm3" "A post-renderer script for Helm 3" {
        "pillion-helm3.sh" = "helm3/render.sh",
    }
    "helm4" "A plugin folder for Helm 4" {
        "pillion/plugin.yaml" = "helm4/plugin.yaml",
    }
    "krew" "The manifest of `kubectl pillion`" {
        "pillion.yaml" = "krew/pillion.yaml",
    }
    "flux" "Flux follows rendered files" {
        "flux.yaml" = "flux/flux.yaml",
    }
    "kpt" "A pipeline of kpt" {
        "Kptfile" = "kpt/Kptfile",
        "sidecars.yaml" = "kustomize/sidecars.yaml",
    }
};

impl TemplateFile {
    /// Returns its text for this version.
    pub(crate) fn text(&self) -> String {
        let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
        self.text.replace("@VERSION@", env!("CARGO_PKG_VERSION")).replace("@REPOSITORY@", repository)
    }
}

/// Returns the integration with a name.
pub(crate) fn find_integration(name: &str) -> Option<&'static Integration> {
    INTEGRATIONS.iter().find(|integration| integration.name == name)
}
