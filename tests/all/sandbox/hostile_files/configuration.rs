//! Paths of pillion.yaml, in a folder and in a commit.

use super::*;

/// H3: paths of pillion.yaml, in each form.
#[test]
fn sources_stay_in_the_repository() {
    let victim = |hostile: &Hostile| hostile.text("victim/w.yaml");
    for form in ["../victim", "linked", "linked/inner", "apps/one.yaml", "apps/../../victim", "ABSOLUTE"] {
        let hostile = Hostile::new();
        hostile.put("victim/w.yaml", web("v")).put("victim/inner/w.yaml", web("i"));
        hostile.put("victim/secret.yaml", SECRET);
        hostile.link("../victim", "evil/linked").link("../../victim/w.yaml", "evil/apps/one.yaml");
        let absolute = hostile.path("victim");
        let form = if form == "ABSOLUTE" { absolute.to_str().unwrap() } else { form };
        hostile.config(&formatdoc! {"
            sources: [{form}]
            sidecarSets: [sidecars]
            rendered: rendered
        "});
        let finding = match form {
            "linked" | "linked/inner" | "apps/one.yaml" => "symlink-outside",
            _ => "path-outside",
        };
        for args in ["render", "render --in-place", "render --diff", "validate", "explain Deployment/v"] {
            let answer = hostile.run(args);
            assert!(matches!(answer.code, Some(1 | 2)), "{form}: {args}: {answer:?}");
            answer.is_refused(answer.code.unwrap_or_default(), finding);
            assert_eq!(victim(&hostile), web("v"), "{form}: {args}");
        }
    }
}

#[test]
fn every_other_path_of_the_configuration_stays_in_the_repository() {
    for lines in [
        "sources: [apps]\nsidecarSets: [../sets]\n",
        "sources: [apps]\nsidecarSets: [/]\n",
        "sources: [apps]\nsidecarSets: [linked]\n",
        indoc! {"
            sources: [apps]
            sidecarSets: [sidecars]
            ledgers: ../ledgers
        "},
        "sources: [apps]\nsidecarSets: [sidecars]\nledgers: linked\n",
        indoc! {"
            sources: [apps]
            sidecarSets: [sidecars]
            rendered: ../rendered
        "},
        indoc! {"
            sources: [apps]
            sidecarSets: [sidecars]
            rendered: linked
        "},
        indoc! {"
            sources: [apps]
            sidecarSets: [sidecars]
            clusters:
            - {name: a, folder: ../sets}
        "},
        indoc! {"
            sources: [apps]
            sidecarSets: [sidecars]
            namespaces:
            - {name: a, folder: /sets}
        "},
        indoc! {r#"
            sources: [apps]
            sidecarSets: [sidecars]
            rendered: "a\nb"
        "#},
        "sources: [.git/config]\nsidecarSets: [sidecars]\n",
        "sources: [apps]\nsidecarSets: [sidecars/../.GIT]\n",
    ] {
        let hostile = Hostile::new();
        hostile.put("sets/log.yaml", LOG_SET).put("ledgers/log.yaml", SECRET).link("../sets", "evil/linked");
        hostile.config(lines);
        let commands = ["render", "render --check", "plan", "validate"];
        for args in commands {
            let answer = hostile.run(args);
            assert_ne!(answer.code, Some(0), "{lines}: {args}: {answer:?}");
            let findings = ["path-outside", "symlink-outside", "unusable-name"];
            assert!(findings.iter().any(|f| answer.err.contains(f)), "{lines}: {args}: {answer:?}");
        }
        // As a plugin of Argo CD, without a `.git`, and as a function.
        fs::rename(hostile.path("evil/.git"), hostile.path("git")).unwrap();
        let answer = hostile.run_in("evil/apps", "cmp generate", "");
        assert_ne!(answer.code, Some(0), "{lines}: {answer:?}");
        let list = indoc! {"
            apiVersion: config.kubernetes.io/v1
            kind: ResourceList
            items: []
        "};
        let answer = hostile.run_in("evil", "", list);
        assert_ne!(answer.code, Some(0), "{lines}: {answer:?}");
    }
}

/// The same in what commits hold.
#[test]
fn paths_of_a_committed_configuration_stay_in_the_commit() {
    for (lines, finding) in [
        (
            indoc! {"
                sources: [../apps]
                sidecarSets: [sidecars]
                ledgers: ledgers
                rendered: rendered
            "},
            "path-outside",
        ),
        (
            indoc! {"
                sources: [linked]
                sidecarSets: [sidecars]
                ledgers: ledgers
                rendered: rendered
            "},
            "symlink-outside",
        ),
        (
            indoc! {"
                sources: [linked/w]
                sidecarSets: [sidecars]
                ledgers: ledgers
                rendered: .
            "},
            "symlink-outside",
        ),
        (
            indoc! {"
                sources: [apps]
                sidecarSets: [sidecars]
                ledgers: linked
                rendered: rendered
            "},
            "symlink-outside",
        ),
    ] {
        let hostile = Hostile::new();
        hostile.config(lines).link("apps", "evil/linked");
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(args);
            assert!(command.current_dir(hostile.path("evil")).status().unwrap().success(), "{args:?}");
        };
        git(&["checkout", "-q", "-b", "main"]);
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "all"]);
        for args in ["verify", "stage --no-fetch", "status --no-fetch"] {
            let answer = hostile.run(args);
            assert_ne!(answer.code, Some(0), "{lines}: {args}: {answer:?}");
            assert!(answer.err.contains(finding), "{lines}: {args}: {answer:?}");
        }
    }
}
