//! Generates a repository in which one SidecarSet reaches every workload.

use std::fmt::Write as _;
use std::path::Path;

/// Workloads in one folder, as a team has them.
const IN_A_FOLDER: usize = 50;

/// Makes a repository of that many workloads with a rollout of 100 batches, and returns the number of pods.
pub(crate) fn repository(folder: &Path, workloads: usize) -> std::io::Result<usize> {
    let steps: Vec<String> = (1..=100).map(|percent| format!("{percent}%")).collect();
    let pillion = format!(
        "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nsources: [apps]\nsidecarSets: [sidecars]\nrendered: rendered\nledgers: ledgers\nrollout: {{steps: [{}]}}\n",
        steps.join(", ")
    );
    write(folder, "pillion.yaml", &pillion)?;
    write(folder, "sidecars/log.yaml", SIDECAR_SET)?;
    let mut pods = 0;
    for number in 0..workloads {
        let (team, replicas) = (number / IN_A_FOLDER, 1 + number % 7);
        pods += replicas;
        let name = format!("app-{number:05}");
        write(folder, &format!("apps/team-{team:04}/{name}.yaml"), &workload(&name, team, number, replicas))?;
    }
    Ok(pods)
}

const SIDECAR_SET: &str = r#"apiVersion: apps.kruise.io/v1beta1
kind: SidecarSet
metadata:
  name: log
spec:
  selector:
    matchLabels:
      log: "true"
  containers:
  - name: logtail
    image: registry.example/logtail:1.4.2
    env:
    - {name: LEVEL, value: info}
    resources:
      requests: {cpu: 10m, memory: 32Mi}
    volumeMounts:
    - {name: logs, mountPath: /var/log/app}
  volumes:
  - name: logs
    emptyDir: {}
"#;

fn workload(name: &str, team: usize, number: usize, replicas: usize) -> String {
    let (api, kind) = match number % 4 {
        0 | 1 => ("apps/v1", "Deployment"),
        2 => ("apps/v1", "StatefulSet"),
        _ => ("apps.kruise.io/v1alpha1", "CloneSet"),
    };
    let mut text = format!(
        "# {name} of team {team}\napiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: team-{team:04}\n  labels:\n    app: {name}\nspec:\n  replicas: {replicas}\n  selector:\n    matchLabels:\n      app: {name}\n  template:\n    metadata:\n      labels:\n        app: {name}\n        log: \"true\"\n    spec:\n      containers:\n      - name: app\n        image: registry.example/{name}:2.{number}\n        ports:\n        - containerPort: 8080\n        env:\n"
    );
    for variable in 0..8 {
        let _ = write!(text, "        - name: VARIABLE_{variable}\n          value: \"{name}-{variable}\"\n");
    }
    text + "        resources:\n          requests:\n            cpu: 100m\n            memory: 128Mi\n        readinessProbe:\n          httpGet:\n            path: /ready\n            port: 8080\n"
}

fn write(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
    std::fs::write(path, text)
}
