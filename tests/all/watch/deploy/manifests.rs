//! The manifests: the watcher reads and never writes, runs as an unprivileged user, and all forms agree.

use super::{documents, files, of_kind, words};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// The pod specs of both long forms.
fn pod_specs() -> [Value; 2] {
    let deployment = of_kind(&documents("base/deployment.yaml"), "Deployment").clone();
    let cron_job = of_kind(&documents("cronjob/cronjob.yaml"), "CronJob").clone();
    [
        deployment["spec"]["template"]["spec"].clone(),
        cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone(),
    ]
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().flat_map(|list| spec[list].as_array().unwrap())
}

#[test]
fn no_role_has_a_verb_that_writes() {
    let mut roles = 0;
    for document in documents("") {
        assert!(document["kind"].is_string() || document["jobs"].is_object(), "{document}");
        for rule in document["rules"].as_array().into_iter().flatten() {
            roles += 1;
            assert_eq!(words(&rule["verbs"]), BTreeSet::from(["get", "list", "watch"]));
            for list in ["apiGroups", "resources"] {
                assert!(words(&rule[list]).iter().all(|w| !w.contains('*')), "{rule}");
            }
            assert!(!words(&rule["resources"]).contains("secrets"));
        }
    }
    assert_ne!(roles, 0);
}

#[test]
fn both_roles_have_the_same_rules_and_a_binding() {
    let [cluster, namespaced] = ["cluster/rbac.yaml", "namespaced/rbac.yaml"].map(documents);
    let rules = &of_kind(&cluster, "ClusterRole")["rules"];
    assert_eq!(rules, &of_kind(&namespaced, "Role")["rules"]);
    for (documents, role) in [(&cluster, "ClusterRole"), (&namespaced, "Role")] {
        let binding = of_kind(documents, &format!("{role}Binding"));
        assert_eq!(
            (&binding["roleRef"]["kind"], &binding["roleRef"]["name"]),
            (&json!(role), &json!("pillion-watch"))
        );
        let account = json!([{"kind": "ServiceAccount", "name": "pillion-watch", "namespace": "pillion"}]);
        assert_eq!(binding["subjects"], account);
    }
}

#[test]
fn the_watcher_runs_as_nobody_and_writes_nowhere_else() {
    for spec in pod_specs() {
        let context = &spec["securityContext"];
        assert_eq!((&context["runAsNonRoot"], &context["runAsUser"]), (&json!(true), &json!(65532)));
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(spec["serviceAccountName"], "pillion-watch");
        for key in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(spec[key].is_null(), "{key}");
        }
        for volume in spec["volumes"].as_array().unwrap() {
            assert!(volume["emptyDir"]["sizeLimit"].is_string() || volume["secret"].is_object(), "{volume}");
        }
        for container in containers(&spec) {
            let expected = json!({
                "allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            });
            assert_eq!(container["securityContext"], expected);
            assert!(container["resources"]["limits"]["memory"].is_string());
            assert!(container["resources"]["requests"]["cpu"].is_string());
            assert_eq!(container["image"], "pillion-watch", "a registry is named by whoever has one");
            let program = container["command"][0].as_str().unwrap();
            assert!(["git", "pillion"].contains(&program), "no shell: {program}");
        }
    }
    let accounts = documents("base/serviceaccount.yaml");
    assert_eq!(accounts[0]["automountServiceAccountToken"], false);
    let namespaces = documents("base/namespace.yaml");
    assert_eq!(namespaces[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
}

#[test]
fn the_forms_are_alike() {
    let [long, again] = pod_specs();
    for key in ["initContainers", "volumes", "securityContext", "serviceAccountName"] {
        assert_eq!(long[key], again[key], "{key}");
    }
    let watch = |spec: &Value| spec["containers"][0].clone();
    for key in ["command", "env", "envFrom", "volumeMounts", "workingDir"] {
        assert_eq!(watch(&long)[key], watch(&again)[key], "{key}");
    }
    assert_eq!(watch(&long)["livenessProbe"]["httpGet"]["path"], "/healthz");
    assert_eq!(watch(&long)["readinessProbe"]["httpGet"]["path"], "/readyz");
    let reference = pillion::cli::cli_reference();
    for spec in [&long, &again] {
        for argument in words(&watch(spec)["args"]) {
            let flag = argument.split('=').next().unwrap();
            assert!(reference.contains(flag), "{flag} is not a flag of pillion");
        }
    }
    let port = &watch(&long)["ports"][0]["containerPort"];
    let policy = &documents("base/networkpolicy.yaml")[0];
    assert_eq!(&policy["spec"]["ingress"][0]["ports"][0]["port"], port);
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    let labels = &documents("base/deployment.yaml")[0]["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&policy["spec"]["podSelector"]["matchLabels"], labels);
    assert_eq!(
        &documents("cronjob/cronjob.yaml")[0]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"],
        labels
    );
}

#[test]
fn what_a_kustomization_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    for form in ["base", "cluster", "namespaced", "cronjob", "monitoring"] {
        let document = &documents(&format!("{form}/kustomization.yaml"))[0];
        let named = words(&document["resources"]);
        assert!(named.iter().all(|r| root.join(form).join(r).exists()), "{named:?}");
        let own = files(&root.join(form));
        let own = own.iter().map(|f| f.file_name().unwrap().to_str().unwrap());
        assert!(own.filter(|f| *f != "kustomization.yaml").all(|f| named.contains(f)), "{form}");
    }
}

#[test]
fn the_workflow_may_write_contents_and_nothing_else() {
    let workflow = &documents("ci")[0];
    assert_eq!(workflow["permissions"], json!({"contents": "write"}));
    assert_eq!(workflow["concurrency"]["cancel-in-progress"], false, "a push that has begun ends");
}

/// The targets of the Dockerfile, by name; the last one has none.
fn image_targets() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dockerfile = std::fs::read_to_string(root.join("Dockerfile")).unwrap();
    let stages = dockerfile.split("\nFROM ").skip(1).map(|stage| stage.split_once('\n').unwrap());
    stages
        .map(|(from, rest)| {
            (from.split_once(" AS ").map_or("", |(_, name)| name).to_owned(), rest.to_owned())
        })
        .collect()
}

/// What the pods run is in the image, which runs as their user. Docker is not needed to see that.
#[test]
fn the_image_of_the_watcher_has_what_its_pods_run() {
    let targets = image_targets();
    let (_, watch) = targets.iter().find(|(name, _)| name == "watch").unwrap();
    for package in ["git", "openssh-client", "ca-certificates"] {
        assert!(watch.lines().any(|l| l.starts_with("RUN apk add") && l.contains(package)), "{package}");
    }
    for spec in pod_specs() {
        let user = &spec["securityContext"]["runAsUser"];
        assert!(watch.contains(&format!("USER {user}:{user}")), "{watch}");
        assert!(watch.contains(&format!("adduser -D -u {user} ")), "ssh needs an account");
        let home = containers(&spec).flat_map(|c| c["env"].as_array().unwrap()).find(|e| e["name"] == "HOME");
        assert!(watch.contains(&format!("-h {} ", home.unwrap()["value"].as_str().unwrap())));
    }
    assert_eq!(targets.last().unwrap().0, "", "`docker build .` makes the image without git");
}

/// A file that .dockerignore leaves out cannot be copied.
#[test]
fn files_of_the_images_are_in_the_build_context() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignore = std::fs::read_to_string(root.join(".dockerignore")).unwrap();
    let kept: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignore.starts_with("*\n"), "everything else is left out: {ignore}");
    for (_, text) in image_targets() {
        for copy in text.lines().filter(|line| line.starts_with("COPY ")) {
            let source = copy.split(' ').find(|word| !word.starts_with("--") && *word != "COPY").unwrap();
            assert!(kept.iter().any(|k| source == *k || source.starts_with(&format!("{k}/"))), "{copy}");
            assert!(source.starts_with("dist/") || root.join(source).is_file(), "{copy}");
        }
    }
}
