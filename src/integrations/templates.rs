//! The files that each integration needs, from `src/integrations/templates/`; they are part of the binary, for its version,
//! and are filled in with what is known of a repository.
//!
//! A template has words like `@BRANCH@`, and lines that end in `#if-CONDITION`, which are left out where it is false.

/// An integration.
pub(crate) struct Integration {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What to do with the files.
    next: &'static str,
    pub(crate) files: &'static [TemplateFile],
}

/// A file of an integration.
pub(crate) struct TemplateFile {
    /// Its path below the folder that the integration is written to.
    pub(crate) path: &'static str,
    text: &'static str,
}

macro_rules! integrations {
    ($( $name:literal $about:literal $next:literal { $( $path:literal = $file:literal ),* $(,)? } )*) => {
        &[ $( Integration { name: $name, about: $about, next: $next, files: &[ $( TemplateFile {
            path: $path,
            text: include_str!(concat!("templates/", $file)),
        } ),* ] } ),* ]
    };
}

/// All integrations.
pub(crate) const INTEGRATIONS: &[Integration] = integrations! {
    "kustomize" "A transformer of a kustomization, and names of Kruise's kinds"
        "list sidecars.yaml under `resources:` and `transformers:` of the kustomization and kustomizeconfig.yaml under `configurations:`, unless this command did, then run `kustomize build --enable-alpha-plugins --enable-exec .`"
    {
        "sidecars.yaml" = "kustomize/sidecars.yaml",
        "kustomizeconfig.yaml" = "kustomize/kustomizeconfig.yaml",
    }
    "kustomize-component" "The same as a component to list in overlays"
        "list this folder under `components:` of an overlay, then run `kustomize build --enable-alpha-plugins --enable-exec OVERLAY`"
    {
        "kustomization.yaml" = "component/kustomization.yaml",
        "sidecars.yaml" = "kustomize/sidecars.yaml",
        "kustomizeconfig.yaml" = "kustomize/kustomizeconfig.yaml",
    }
    "kustomizeconfig" "Names, labels and namespaces of Kruise's kinds, for `configurations:`"
        "list kustomizeconfig.yaml under `configurations:` of the kustomization, unless this command did"
    {
        "kustomizeconfig.yaml" = "kustomize/kustomizeconfig.yaml",
    }
    "kustomize-exec-plugin" "The exec plugin for kubectl and kustomize without functions"
        "run `sh install-pillion-plugin.sh`"
    {
        "install-pillion-plugin.sh" = "kustomize-exec-plugin/install.sh",
    }
    "cmp" "The config management plugin of Argo CD"
        "copy plugin.yaml into an image with pillion; `pillion init argocd` writes the patch that adds it to the repo-server"
    {
        "plugin.yaml" = "cmp/plugin.yaml",
    }
    "argocd" "The plugin with a patch of the repo-server, the health of SidecarSets and an Application"
        "push an image with pillion (and kustomize) under the name in repo-server-patch.yaml, then run `kubectl apply --server-side -k .` and `kubectl apply -f application.yaml`"
    {
        "plugin.yaml" = "cmp/plugin.yaml",
        "repo-server-patch.yaml" = "argocd/repo-server-patch.yaml",
        "argocd-cm.yaml" = "argocd-health/argocd-cm.yaml",
        "kustomization.yaml" = "argocd/kustomization.yaml",
        "application.yaml" = "argocd/application.yaml",
    }
    "argocd-health" "The health of SidecarSets for Argo CD, in Lua and as a patch of argocd-cm"
        "list argocd-cm.yaml under `patches:` of the kustomization that installs Argo CD"
    {
        "sidecarset.lua" = "argocd-health/sidecarset.lua",
        "argocd-cm.yaml" = "argocd-health/argocd-cm.yaml",
    }
    "argocd-rendered" "An Application that follows rendered files, without a plugin"
        "check `destination` of application.yaml, then run `kubectl apply -f application.yaml`"
    {
        "application.yaml" = "argocd-rendered/application.yaml",
    }
    "github" "Workflows of GitHub Actions: checks of pull requests, rollouts"
        "commit and push the files, then make the job `check` a required check of `@DEPLOY_BRANCH@`"
    {
        ".github/workflows/pillion.yaml" = "github/pillion.yaml",
        ".github/workflows/pillion-stage.yaml" = "github/pillion-stage.yaml",
        ".github/workflows/pillion-render.yaml" = "github/pillion-render.yaml",
    }
    "gitlab" "A job of GitLab CI that checks merge requests"
        "add `- local: .gitlab/pillion.gitlab-ci.yml` under `include:` of .gitlab-ci.yml, then commit and push"
    {
        ".gitlab/pillion.gitlab-ci.yml" = "gitlab/pillion.gitlab-ci.yml",
    }
    "gitea" "A workflow of Gitea or Forgejo Actions that checks pull requests"
        "commit and push the file, then make the job `check` a required check of `@DEPLOY_BRANCH@`"
    {
        ".gitea/workflows/pillion.yaml" = "gitea/pillion.yaml",
    }
    "pre-commit" "Hooks of pre-commit"
        "run `pre-commit install`, then `pre-commit run --all-files`"
    {
        ".pre-commit-config.yaml" = "pre-commit/.pre-commit-config.yaml",
    }
    "helm3" "A post-renderer script for Helm 3"
        "run `sh pillion-helm3.sh RELEASE CHART` in place of `helm upgrade --install RELEASE CHART`"
    {
        "pillion-helm3.sh" = "helm3/render.sh",
    }
    "helm4" "A plugin folder for Helm 4"
        "run `helm plugin install ./pillion`, then `helm upgrade --install RELEASE CHART --post-renderer pillion`"
    {
        "pillion/plugin.yaml" = "helm4/plugin.yaml",
    }
    "krew" "The manifest of `kubectl pillion`"
        "users run `kubectl krew install pillion`; the manifest is for those who submit a release to krew-index, with the checksums of its SHA256SUMS"
    {
        "plugins/pillion.yaml" = "krew/pillion.yaml",
    }
    "flux" "Flux follows rendered files"
        "run `kubectl apply -f flux.yaml`"
    {
        "flux.yaml" = "flux/flux.yaml",
    }
    "kpt" "A pipeline of kpt"
        "run `kpt fn render --allow-exec`"
    {
        "Kptfile" = "kpt/Kptfile",
        "sidecars.yaml" = "kustomize/sidecars.yaml",
    }
};

/// What is known of the repository that a template is filled in for. The default is an example.
#[derive(Debug, Clone)]
pub(crate) struct TemplateValues {
    /// URL of the remote.
    pub(crate) remote_url: String,
    /// Name of the remote.
    pub(crate) remote: String,
    /// Branch of the sources.
    pub(crate) source_branch: String,
    /// Branch that the cluster follows.
    pub(crate) deploy_branch: String,
    /// Folder of the rendered files, from the root of the repository; None: there are none.
    pub(crate) rendered: Option<String>,
    /// Folder of the ledgers, from the root of the repository.
    pub(crate) ledgers: String,
    /// Files and folders with SidecarSets, from the root of the repository.
    pub(crate) sidecar_sets: Vec<String>,
    /// The first folder of sources, from the root of the repository.
    pub(crate) source: String,
    /// Namespace of manifests that name none.
    pub(crate) namespace: String,
    /// Folder of pillion.yaml, from the root of the repository; `.` for the root.
    pub(crate) folder: String,
    /// Whether `build` commands make the manifests.
    pub(crate) is_built: bool,
}

impl Default for TemplateValues {
    fn default() -> Self {
        Self {
            remote_url: "https://git.example.com/acme/deploy.git".to_owned(),
            remote: "origin".to_owned(),
            source_branch: "main".to_owned(),
            deploy_branch: "main".to_owned(),
            rendered: Some("rendered".to_owned()),
            ledgers: "ledgers".to_owned(),
            sidecar_sets: vec!["sidecars".to_owned()],
            source: "apps/shop".to_owned(),
            namespace: "shop".to_owned(),
            folder: ".".to_owned(),
            is_built: false,
        }
    }
}

impl TemplateValues {
    /// Returns whether the cluster follows another branch than that of the sources.
    pub(crate) fn has_two_branches(&self) -> bool {
        self.source_branch != self.deploy_branch
    }

    /// Returns a value that would end a string of YAML, or that a workflow would evaluate.
    pub(crate) fn find_unusable(&self) -> Option<&str> {
        let texts = [
            &self.remote_url,
            &self.remote,
            &self.source_branch,
            &self.deploy_branch,
            &self.ledgers,
            &self.source,
            &self.namespace,
            &self.folder,
        ];
        let all = texts.into_iter().chain(&self.rendered).chain(&self.sidecar_sets);
        let is_unusable = |text: &&String| {
            text.contains("${{") || text.contains(['"', '\\', '`']) || text.chars().any(char::is_control)
        };
        all.into_iter().find(is_unusable).map(String::as_str)
    }

    /// Returns whether a condition of a template is true.
    fn holds(&self, condition: &str) -> bool {
        match condition {
            "built" => self.is_built,
            "plain" => !self.is_built,
            "folder" => self.folder != ".",
            "rendered" => self.rendered.is_some(),
            "two-branches" => self.has_two_branches(),
            "one-branch" => !self.has_two_branches(),
            other => unreachable!("no template has the condition {other}"),
        }
    }

    /// Returns the paths below which a commit of a rollout changes something else than manifests, for Argo CD.
    fn watched_paths(&self) -> String {
        let config = match self.folder.as_str() {
            "." => "pillion.yaml".to_owned(),
            folder => format!("{folder}/pillion.yaml"),
        };
        let paths = std::iter::once(&self.ledgers).chain(&self.sidecar_sets).chain([&config]);
        paths.map(|path| format!(";/{path}")).collect()
    }
}

/// What separates a line of a template from its condition.
const CONDITION_MARK: &str = "#if-";

/// The first line of a template that is for some repositories only, before the condition.
const FILE_CONDITION_MARK: &str = "#file-if-";

impl Integration {
    /// Returns whether a kustomization of the same folder lists its files.
    pub(crate) fn is_listed_in_kustomization(&self) -> bool {
        matches!(self.name, "kustomize" | "kustomizeconfig")
    }

    /// Returns what to do with its files.
    pub(crate) fn next_step(&self, values: &TemplateValues) -> String {
        replace_words(self.next, values)
    }
}

impl TemplateFile {
    /// Returns whether not every repository needs the file.
    pub(crate) fn is_for_some_repositories(&self) -> bool {
        self.text.starts_with(FILE_CONDITION_MARK)
    }

    /// Returns whether a repository needs the file.
    pub(crate) fn is_needed(&self, values: &TemplateValues) -> bool {
        let first = self.text.lines().next().and_then(|line| line.strip_prefix(FILE_CONDITION_MARK));
        first.is_none_or(|condition| values.holds(condition.trim()))
    }

    /// Returns its text for this version and a repository.
    pub(crate) fn text(&self, values: &TemplateValues) -> String {
        let mut text = String::with_capacity(self.text.len());
        for line in self.text.lines().filter(|line| !line.starts_with(FILE_CONDITION_MARK)) {
            let line = match line.split_once(CONDITION_MARK) {
                Some((_, condition)) if !values.holds(condition.trim()) => continue,
                Some((line, _)) => line.trim_end(),
                None => line,
            };
            text.push_str(line);
            text.push('\n');
        }
        replace_words(&text, values)
    }
}

/// Replaces the words of a template.
fn replace_words(text: &str, values: &TemplateValues) -> String {
    let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    let words = [
        ("@VERSION@", env!("CARGO_PKG_VERSION")),
        ("@REPOSITORY@", repository),
        ("@REMOTE_URL@", &values.remote_url),
        ("@REMOTE@", &values.remote),
        ("@SOURCE_BRANCH@", &values.source_branch),
        ("@DEPLOY_BRANCH@", &values.deploy_branch),
        ("@RENDERED@", values.rendered.as_deref().unwrap_or("rendered")),
        ("@SOURCE@", &values.source),
        ("@NAMESPACE@", &values.namespace),
        ("@FOLDER@", &values.folder),
        ("@WATCHED_PATHS@", &values.watched_paths()),
    ];
    words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
}

/// Returns the integration with a name.
pub(crate) fn find_integration(name: &str) -> Option<&'static Integration> {
    INTEGRATIONS.iter().find(|integration| integration.name == name)
}
