//! Generates a repository of many teams, the same on every machine: the only randomness is a seeded generator.

use crate::sets::{SETS, Set};
use std::fmt::{self, Write as _};
use std::path::Path;

/// What was made.
#[derive(Default)]
pub(crate) struct Facts {
    files: usize,
    documents: usize,
    bytes: usize,
    selected: usize,
    /// Sidecars that a render must put in, all workloads together.
    pub(crate) sidecars: usize,
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        write!(
            f,
            "{} files, {} documents, {megabytes:.1} MB, {} workloads selected by 1-3 of 3 SidecarSets",
            self.files, self.documents, self.selected
        )
    }
}

/// The sidecars of the Jobs are taken to end by themselves: this measures renders, and no mode changes them.
const CONFIGURATION: &str =
    "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nlint: {job-never-completes: allow}\n";

/// Makes a repository of that many workloads: apps/, sidecars/ with three sets, more/ with 300 that select nothing.
pub(crate) fn repository(folder: &Path, workloads: usize) -> std::io::Result<Facts> {
    let mut facts = Facts::default();
    let mut random = Random(0x0070_696c_6c69_6f6e);
    write(folder, "pillion.yaml", CONFIGURATION)?;
    for number in 0..workloads {
        application(folder, number, &mut random, &mut facts)?;
    }
    for set in SETS {
        write(folder, &format!("sidecars/{}.yaml", set.name), &sidecar_set(set, set.name, set.label))?;
    }
    for number in 0..300 {
        let set = &SETS[number % SETS.len()];
        let name = format!("other-{number:03}");
        write(folder, &format!("more/{name}.yaml"), &sidecar_set(set, &name, &format!("sidecar-{name}=on")))?;
    }
    Ok(facts)
}

/// Lists the files below a folder of the repository, sorted, by their path in the repository.
pub(crate) fn relative_files(repository: &Path, below: &Path) -> std::io::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(repository.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            files.extend(relative_files(repository, &path)?);
        } else {
            files.push(path.display().to_string());
        }
    }
    files.sort();
    Ok(files)
}

/// Indents every line.
pub(crate) fn indent(text: &str, by: usize) -> String {
    text.lines().fold(String::new(), |mut out, line| {
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', by));
        }
        out + line + "\n"
    })
}

fn sidecar_set(set: &Set, name: &str, label: &str) -> String {
    let (key, value) = label.split_once('=').unwrap_or((label, ""));
    let mut text = format!(
        "apiVersion: apps.kruise.io/v1beta1\nkind: SidecarSet\nmetadata:\n  name: {name}\nspec:\n  selector:\n    matchLabels:\n      {key}: \"{value}\"\n"
    );
    // A set that selects nothing must not share names with one that selects.
    let own = |items: &str| {
        if name == set.name {
            items.to_owned()
        } else {
            items.replacen("name: ", &format!("name: {name}-"), 1)
        }
    };
    let _ = write!(text, "  containers:\n{}", indent(&own(set.containers), 2));
    if !set.init_containers.is_empty() {
        let _ = write!(text, "  initContainers:\n{}", indent(&own(set.init_containers), 2));
    }
    let _ = write!(text, "  volumes:\n{}", indent(set.volumes, 2));
    text
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn percent(&mut self, p: usize) -> bool {
        self.below(100) < p
    }
}

struct App {
    name: String,
    namespace: String,
    kind: &'static str,
    labels: Vec<(String, &'static str)>,
    /// How the team writes: sequences below their key or one level in, with comments or without.
    is_indented: bool,
    has_comments: bool,
}

const TEAMS: &[&str] =
    &["checkout", "search", "catalog", "identity", "billing", "shipping", "media", "growth", "data", "infra"];
const PARTS: &[&str] = &[
    "api", "web", "worker", "cache", "gateway", "indexer", "sync", "report", "auth", "feed", "queue", "store",
];
const KINDS: &[(&str, usize)] = &[
    ("Deployment", 52),
    ("StatefulSet", 10),
    ("DaemonSet", 4),
    ("CronJob", 10),
    ("Job", 5),
    ("CloneSet", 19),
];

/// One application: its workload and what lies beside it, some in the same file and some in others.
fn application(folder: &Path, number: usize, random: &mut Random, facts: &mut Facts) -> std::io::Result<()> {
    let app = draw(number, random, facts);
    let place = format!("apps/{}/{}", app.namespace, app.name);
    let mut main = vec![workload(&app, random)];
    let mut others: Vec<(&str, String)> = Vec::new();
    let is_server = !matches!(app.kind, "CronJob" | "Job");
    if is_server && random.percent(85) {
        main.push(service(&app));
    }
    if random.percent(66) {
        others.push(("config", config_map(&app, random)));
    }
    if is_server && random.percent(22) {
        others.push(("autoscaler", autoscaler(&app)));
    }
    if is_server && random.percent(18) {
        others.push(("ingress", ingress(&app)));
    }
    if random.percent(11) {
        main.push(service_account(&app));
    }
    put(folder, &format!("{place}/{}.yaml", app.kind.to_lowercase()), &main, facts)?;
    for (name, text) in others {
        put(folder, &format!("{place}/{name}.yaml"), &[text], facts)?;
    }
    Ok(())
}

fn draw(number: usize, random: &mut Random, facts: &mut Facts) -> App {
    let mut ticket = random.below(100);
    let mut kind = "Deployment";
    for (name, share) in KINDS {
        if ticket < *share {
            kind = name;
            break;
        }
        ticket -= share;
    }
    let name = format!("{}-{number:05}", PARTS[random.below(PARTS.len())]);
    let namespace = TEAMS[random.below(TEAMS.len())].to_owned();
    let mut labels = vec![(String::from("app.kubernetes.io/part-of"), "shop")];
    if random.percent(70) {
        facts.selected += 1;
        for (set, share) in SETS.iter().zip([100, 84, 92]) {
            if random.percent(share) {
                let (key, value) = set.label.split_once('=').unwrap_or((set.label, ""));
                labels.push((key.to_owned(), value));
                facts.sidecars += 1;
            }
        }
    }
    App { name, namespace, kind, labels, is_indented: random.percent(50), has_comments: random.percent(40) }
}

fn put(folder: &Path, name: &str, documents: &[String], facts: &mut Facts) -> std::io::Result<()> {
    let text = documents.join("---\n");
    facts.files += 1;
    facts.documents += documents.len();
    facts.bytes += text.len();
    write(folder, name, &text)
}

fn write(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, text)
}

fn head(app: &App, api: &str, kind: &str) -> String {
    format!(
        "apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {}\n  namespace: {}\n",
        app.name, app.namespace
    )
}

fn labels(app: &App, depth: usize) -> String {
    let mut text = format!("labels:\n  app: {}\n", app.name);
    for (key, value) in &app.labels {
        // Quoted: a bare `on` is a boolean to Kubernetes.
        let _ = writeln!(text, "  {key}: \"{value}\"");
    }
    indent(&text, depth)
}

fn workload(app: &App, random: &mut Random) -> String {
    let api = match app.kind {
        "CronJob" | "Job" => "batch/v1",
        "CloneSet" => "apps.kruise.io/v1alpha1",
        _ => "apps/v1",
    };
    let mut text = head(app, api, app.kind) + &labels(app, 2);
    if app.has_comments {
        text.insert_str(0, &format!("# Owned by team {}; ask them before you change it.\n", app.namespace));
    }
    let template = template(app, random);
    match app.kind {
        "CronJob" => {
            text += "spec:\n  schedule: \"*/10 * * * *\"\n  concurrencyPolicy: Forbid\n  jobTemplate:\n    spec:\n      template:\n";
            text += &indent(&template, 8);
        }
        "Job" => {
            text += "spec:\n  backoffLimit: 3\n  template:\n";
            text += &indent(&template, 4);
        }
        kind => {
            text += "spec:\n";
            if kind != "DaemonSet" {
                let _ = writeln!(text, "  replicas: {}", 1 + random.below(9));
            }
            if kind == "StatefulSet" {
                let _ = writeln!(text, "  serviceName: {}", app.name);
            }
            let _ = write!(text, "  selector:\n    matchLabels:\n      app: {}\n  template:\n", app.name);
            text += &indent(&template, 4);
        }
    }
    text
}

fn template(app: &App, random: &mut Random) -> String {
    let mut text = String::from("metadata:\n") + &labels(app, 2) + "spec:\n";
    if matches!(app.kind, "CronJob" | "Job") {
        text += "  restartPolicy: OnFailure\n";
    } else {
        text += "  terminationGracePeriodSeconds: 30\n  serviceAccountName: default\n";
    }
    let by = if app.is_indented { 4 } else { 2 };
    if app.kind != "CloneSet" && random.percent(15) {
        text += "  initContainers:\n";
        let init = "- name: migrate\n  image: registry.example/tools/migrate:2\n  args: [\"--wait\", \"--timeout=60s\"]\n";
        text += &indent(init, by);
    }
    text += "  containers:\n";
    text += &indent(&container(app, random, true), by);
    if random.percent(12) {
        text += &indent(&container(app, random, false), by);
    }
    text += "  volumes:\n";
    text += &indent(
        &format!("- name: config\n  configMap:\n    name: {}\n- name: scratch\n  emptyDir: {{}}\n", app.name),
        by,
    );
    text
}

fn container(app: &App, random: &mut Random, is_main: bool) -> String {
    let name = if is_main { "app" } else { "helper" };
    let tag = 100 + random.below(900);
    let mut text =
        format!("- name: {name}\n  image: registry.example/{}/{}:2026.{tag}", app.namespace, app.name);
    text += if app.has_comments { "  # kept current by the update bot\n" } else { "\n" };
    if is_main {
        text += "  ports:\n  - name: http\n    containerPort: 8080\n";
    }
    text += "  env:\n";
    for variable in 0..4 + random.below(8) {
        let _ = match variable % 4 {
            0 => writeln!(text, "  - name: SETTING_{variable}\n    value: \"{}\"", random.below(100_000)),
            1 => writeln!(text, "  - {{name: SETTING_{variable}, value: 'team {}'}}", app.namespace),
            2 => writeln!(
                text,
                "  - name: SETTING_{variable}\n    valueFrom:\n      secretKeyRef:\n        name: {}\n        key: setting-{variable}",
                app.name
            ),
            _ => writeln!(
                text,
                "  - name: SETTING_{variable}\n    value: https://{}.{}.svc:8443/path",
                app.name, app.namespace
            ),
        };
    }
    text += "  resources:\n    requests:\n      cpu: 250m\n      memory: 256Mi\n    limits:\n      memory: 512Mi\n";
    if is_main {
        text += "  readinessProbe:\n    httpGet: {path: /ready, port: http}\n    periodSeconds: 10\n";
        text += "  livenessProbe:\n    httpGet: {path: /live, port: http}\n    initialDelaySeconds: 15\n";
    }
    if app.has_comments {
        text += "  # both are small and can be lost\n";
    }
    text += "  volumeMounts:\n  - name: config\n    mountPath: /etc/app\n    readOnly: true\n  - name: scratch\n    mountPath: /tmp\n";
    text
}

fn service(app: &App) -> String {
    head(app, "v1", "Service")
        + &format!(
            "  labels: {{app: {0}}}\nspec:\n  selector: {{app: {0}}}\n  ports:\n  - name: http\n    port: 80\n    targetPort: http\n  - name: metrics\n    port: 9090\n    targetPort: 9090\n",
            app.name
        )
}

fn config_map(app: &App, random: &mut Random) -> String {
    let mut text = head(app, "v1", "ConfigMap")
        + "data:\n  application.yaml: |\n    server:\n      port: 8080\n      routes:\n";
    for route in 0..30 + random.below(48) {
        let _ = write!(
            text,
            "      - path: /v1/resource-{route}\n        timeout: {}ms\n        retries: {}\n",
            random.below(9000),
            route % 5
        );
    }
    text + "  features: \"search,cart,checkout\"\n"
}

fn autoscaler(app: &App) -> String {
    let api = if app.kind == "CloneSet" { "apps.kruise.io/v1alpha1" } else { "apps/v1" };
    head(app, "autoscaling/v2", "HorizontalPodAutoscaler")
        + &format!(
            "spec:\n  scaleTargetRef:\n    apiVersion: {api}\n    kind: {}\n    name: {}\n  minReplicas: 2\n  maxReplicas: 20\n  metrics:\n  - type: Resource\n    resource:\n      name: cpu\n      target:\n        type: Utilization\n        averageUtilization: 70\n",
            app.kind, app.name
        )
}

fn ingress(app: &App) -> String {
    head(app, "networking.k8s.io/v1", "Ingress")
        + &format!(
            "  annotations:\n    nginx.ingress.kubernetes.io/proxy-body-size: 8m\nspec:\n  ingressClassName: nginx\n  rules:\n  - host: {0}.{1}.example\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: {0}\n            port:\n              name: http\n",
            app.name, app.namespace
        )
}

fn service_account(app: &App) -> String {
    head(app, "v1", "ServiceAccount") + "automountServiceAccountToken: false\n"
}
