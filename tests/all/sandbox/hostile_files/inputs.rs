//! Reading: links, devices and swapped files.

use super::*;

/// H2: the log of a job is public, and what a link leads to is not.
#[test]
fn check_and_diff_do_not_show_what_a_link_leads_to() {
    for (target, place) in [
        ("../../secret", "rendered/w.yaml"),
        ("/proc/self/environ", "rendered/w.yaml"),
        ("../secret", "pillion.yaml"),
        ("../secret", "rendered"),
    ] {
        let hostile = Hostile::new();
        hostile.put("secret", "top-secret: {\n");
        if place == "pillion.yaml" {
            fs::remove_file(hostile.path("evil/pillion.yaml")).unwrap();
        }
        hostile.link(target, &format!("evil/{place}"));
        for args in ["render --check", "render --diff", "render --check --out rendered", "plan", "validate"] {
            if place != "pillion.yaml" && !args.starts_with("render") {
                continue;
            }
            let answer = hostile.run(args);
            let code = if place.contains("/w.yaml") { 1 } else { 2 };
            match (args, place) {
                // It says so in its own way.
                ("plan" | "validate", _) => assert_ne!(answer.code, Some(0), "{answer:?}"),
                _ => answer.is_refused(code, "symlink-outside"),
            }
            assert!(!answer.err.contains("top-secret") && !answer.out.contains("top-secret"), "{answer:?}");
            assert!(!answer.out.contains("HOME=") && !answer.err.contains("HOME="), "{answer:?}");
        }
    }
}

/// H2 and L13: devices and pipes are not files, and pillion does not wait for them.
#[test]
fn endless_files_are_not_read() {
    for place in ["rendered/w.yaml", "rendered/.pillion-files", "apps/.gitignore", ".gitignore"] {
        for target in ["/dev/zero", "/dev/stdin", "pipe"] {
            let hostile = Hostile::new();
            fs::create_dir_all(hostile.path("evil/rendered")).unwrap();
            let path = hostile.path("evil").join(place);
            match target {
                "pipe" => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
                _ => drop(hostile.link(target, &format!("evil/{place}"))),
            }
            let all = [
                "render --check",
                "render --diff",
                "render --out rendered",
                "render --in-place",
                "render apps",
            ];
            for args in all {
                if ["render --in-place", "render apps"].contains(&args) && place.starts_with("rendered") {
                    continue;
                }
                let answer = hostile.run(args);
                assert_eq!(answer.code, Some(1), "{place} -> {target}: {args}: {answer:?}");
                assert!(
                    answer.err.contains("symlink-outside") || answer.err.contains("unreadable-file"),
                    "{answer:?}"
                );
            }
        }
    }
}

#[test]
fn links_in_sources_are_reported_and_not_followed() {
    for target in [
        "../../victim/w.yaml",
        "../../victim",
        "/proc/self/environ",
        "/dev/zero",
        "loop.yaml",
        "nowhere.yaml",
        "/",
    ] {
        let hostile = Hostile::new();
        hostile.put("victim/w.yaml", SECRET).link(target, "evil/apps/loop.yaml");
        hostile.run("render").is_refused(1, "symlink-outside");
        hostile.run("render --in-place").is_refused(1, "symlink-outside");
        assert_eq!(hostile.text("victim/w.yaml"), SECRET);
    }
    // Ledgers, too.
    let hostile = Hostile::new();
    hostile.put("victim/log.yaml", SECRET).link("../../victim/log.yaml", "evil/ledgers/log.yaml");
    hostile.config(indoc! {"
        sources: [apps]
        sidecarSets: [sidecars]
        ledgers: ledgers
    "});
    hostile.run("render").is_refused(1, "symlink-outside");
}

/// What is swapped for a link after it was found is not read through it.
#[test]
fn a_file_that_is_swapped_for_a_link_is_not_read() {
    use pillion::read::{Disk, IgnoreRules};
    use pillion::workspace::{InputOptions, Layout, read_input, select_inputs};
    let hostile = Hostile::new();
    hostile.put("victim/w.yaml", SECRET).put("evil/apps/deep/w.yaml", web("w"));
    let layout = Layout::default();
    let choice = InputOptions {
        ignore_rules: IgnoreRules::empty(),
        namespaces: layout.namespace_rules(),
        repository_root: None,
        user_paths: Vec::new(),
    };
    let chosen = select_inputs(&Disk, &[hostile.path("evil/apps")], &choice).inputs;
    assert_eq!(chosen.len(), 2);
    fs::remove_dir_all(hostile.path("evil/apps/deep")).unwrap();
    hostile.link("../../victim", "evil/apps/deep");
    fs::remove_file(hostile.path("evil/apps/w.yaml")).unwrap();
    hostile.link("../../victim/w.yaml", "evil/apps/w.yaml");
    for input in &chosen {
        assert_eq!(read_input(input, &Disk).unwrap_err().code.name(), "symlink-outside", "{}", input.name);
    }
}

#[test]
fn names_with_control_characters_become_no_lines() {
    for name in ["a\nkeep.yaml", "a\u{1b}[31m.yaml", "\n::error file=x::pwned.yaml", "sub\n/w.yaml"] {
        let hostile = Hostile::new();
        hostile.put(&format!("evil/apps/{name}"), web("x"));
        for args in ["render --out rendered", "render --in-place", "--message-format short render"] {
            let answer = hostile.run(args);
            answer.is_refused(1, "unusable-name");
            assert!(!answer.err.contains('\u{1b}') && !answer.err.contains("\n::error"), "{answer:?}");
        }
        assert!(!hostile.path("evil/rendered").exists());
    }
    let hostile = Hostile::new();
    hostile
        .put("evil/rendered/.pillion-files", "a\u{1b}[31m.yaml\n")
        .put("evil/rendered/a\u{1b}[31m.yaml", "");
    let answer = hostile.run("render --check");
    assert!(!answer.err.contains('\u{1b}'), "{answer:?}");
}

/// What a person types stays theirs.
#[test]
fn what_a_person_types_is_followed() {
    let hostile = Hostile::new();
    hostile.put("elsewhere/w.yaml", web("e")).link("../elsewhere/w.yaml", "evil/current.yaml");
    assert!(hostile.run("render ../elsewhere/w.yaml --sidecarsets sidecars").out.contains("logtail"));
    assert!(hostile.run("render current.yaml --sidecarsets sidecars").out.contains("logtail"));
    fs::create_dir(hostile.path("out")).unwrap();
    hostile.link("out", "link");
    assert_eq!(hostile.run("render --out ../link").code, Some(0));
    assert_eq!(hostile.entries("out"), [".pillion-files", "w.yaml"]);
    hostile.link("real.yaml", "evil/config.yaml").put("evil/real.yaml", CONFIG);
    assert_eq!(hostile.run("render --config config.yaml").code, Some(0));
}
