//! Signatures are made by the program that git would run, called the way git calls it.

use crate::support::git_fixtures::{NOW, Repo, TestEnvironment, by, pillion};
use pillion::git::{Error, ObjectId, Signing};
use std::path::Path;

/// Makes a commit, signed as the repository is configured to.
fn commit(repo: &Repo) -> Result<ObjectId, Error> {
    repo.at_rest(|repository| {
        let base = repository.resolve("HEAD").unwrap();
        let tree = repository.commit(base).unwrap().tree;
        let (who, parents) = (pillion(), [base]);
        let new = by(&who, NOW, tree, &parents, "signed\n\nBody.\n");
        let signing = Signing::from_config(repository)?;
        let direct = repository.write_commit(&new, &signing)?;
        // The other way to make one.
        let mut editor = repository.editor(Some(tree))?;
        let chained = editor.commit(&new, &signing)?;
        editor.finish()?;
        for id in [direct, chained] {
            let read = repository.commit(id)?;
            assert_eq!(
                (read.message.as_str(), read.tree, read.parents),
                ("signed\n\nBody.\n", tree, vec![base])
            );
        }
        Ok(direct)
    })
}

fn start(test_env: &TestEnvironment) -> Repo {
    let repo = test_env.init("repo", &[]);
    repo.commit("start");
    repo
}

fn refused(repo: &Repo) -> String {
    match commit(repo) {
        Err(f @ Error::SigningFailed { .. }) => f.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_configuration_nothing_is_signed() {
    let test_env = TestEnvironment::new();
    let repo = start(&test_env);
    let plain = commit(&repo).unwrap();
    assert!(!repo.git(&["cat-file", "-p", &plain.to_string()]).contains("gpgsig"));
    repo.set("commit.gpgsign", "false").set("gpg.format", "ssh");
    assert_eq!(commit(&repo).unwrap(), plain);
}

/// A program in place of gpg: it notes its arguments and input, and prints what gpg would.
const GPG: &str = r#"printf '%s\n' "$@" > "$HOME/args"; cat > "$HOME/input"
printf '[GNUPG:] SIG_CREATED D\n' >&2
printf -- '-----BEGIN PGP SIGNATURE-----\r\n\r\nabc\r\n-----END PGP SIGNATURE-----\r\n'"#;

#[test]
fn openpgp_and_x509_are_signed_by_the_program_that_is_configured() {
    let test_env = TestEnvironment::new();
    let repo = start(&test_env);
    let gpg = repo.script(&test_env.path("home/gpg"), GPG);
    let note = |name: &str| std::fs::read_to_string(test_env.path("home").join(name)).unwrap();
    repo.set("commit.gpgsign", "true");
    for (format, program) in
        [("openpgp", "gpg.program"), ("openpgp", "gpg.openpgp.program"), ("x509", "gpg.x509.program")]
    {
        repo.set("gpg.format", format).set(program, "~/gpg");
        let made = commit(&repo).unwrap();
        let text = repo.git(&["cat-file", "-p", &made.to_string()]);
        let (head, body) = text.split_once("\n\n").unwrap();
        assert!(
            head.ends_with("\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----"),
            "{text}"
        );
        assert_eq!(body, "signed\n\nBody.");
        // What was signed is the commit without the signature.
        let unsigned =
            text.replace("\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----", "");
        assert_eq!(note("input"), unsigned + "\n");
        assert_eq!(note("args"), "--status-fd=2\n-bsau\npillion <pillion@acme.example>\n");
        repo.git(&["config", "--unset", program]);
    }
    repo.set("gpg.format", "openpgp")
        .set("gpg.program", gpg.to_str().unwrap())
        .set("user.signingkey", "0xABCD");
    commit(&repo).unwrap();
    assert!(note("args").ends_with("-bsau\n0xABCD\n"));
}

#[test]
fn ssh_is_signed_with_a_key_that_git_verifies() {
    let test_env = TestEnvironment::new();
    let repo = start(&test_env);
    let key = test_env.path("home/key");
    let made = repo
        .command("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "pillion", "-f"])
        .arg(&key)
        .output();
    assert!(made.expect("ssh-keygen is part of OpenSSH, as git's ssh signatures are").status.success());
    let public = std::fs::read_to_string(test_env.path("home/key.pub")).unwrap();
    std::fs::write(test_env.path("home/allowed"), format!("pillion@acme.example {public}")).unwrap();
    repo.set("commit.gpgsign", "true").set("gpg.format", "ssh").set("user.signingkey", "~/key.pub");
    repo.set("gpg.ssh.allowedSignersFile", "~/allowed");
    let made = commit(&repo).unwrap();
    repo.git(&["verify-commit", &made.to_string()]);
    assert_eq!(repo.git(&["log", "-1", "--format=%G? %GS", &made.to_string()]), "G pillion@acme.example");
}

/// A program in place of ssh-keygen.
const SSH: &str = r#"printf '%s\n' "$@" > "$HOME/args"
for last; do :; done
printf -- '-----BEGIN SSH SIGNATURE-----\nabc\n-----END SSH SIGNATURE-----\n' > "$last.sig"
while [ $# -gt 0 ]; do [ "$1" = -f ] && cat "$2" > "$HOME/key"; shift; done"#;

#[test]
fn a_key_of_the_agent_is_handed_over_in_a_file() {
    let test_env = TestEnvironment::new();
    let repo = start(&test_env);
    let ssh = repo.script(&test_env.path("home/ssh"), SSH);
    let note = |name: &str| std::fs::read_to_string(test_env.path("home").join(name)).unwrap();
    repo.set("commit.gpgsign", "true").set("gpg.format", "ssh").set("gpg.ssh.program", ssh.to_str().unwrap());
    for (key, command) in [
        (Some("key::ssh-ed25519 AAAA me"), None),
        (Some("ssh-ed25519 AAAA me"), None),
        (None, Some("echo key::ssh-ed25519 AAAA me; echo other")),
    ] {
        if let Some(key) = key {
            repo.set("user.signingkey", key);
        } else {
            repo.git(&["config", "--unset", "user.signingkey"]);
        }
        if let Some(command) = command {
            repo.set("gpg.ssh.defaultKeyCommand", command);
        }
        commit(&repo).unwrap();
        assert_eq!(note("key"), "ssh-ed25519 AAAA me\n");
        let args = note("args");
        let args: Vec<&str> = args.lines().collect();
        assert_eq!((&args[..5], args[6]), (["-Y", "sign", "-n", "git", "-f"].as_slice(), "-U"));
    }
}

#[test]
fn a_signer_that_fails_is_explained() {
    let test_env = TestEnvironment::new();
    let repo = start(&test_env);
    repo.set("commit.gpgsign", "true").set("user.signingkey", "ABCD");
    repo.script(
        &test_env.path("home/gpg"),
        "echo '[GNUPG:] FAILURE sign 17' >&2; echo 'gpg: no secret key' >&2; exit 2",
    );
    repo.set("gpg.program", "~/gpg");
    let stderr = refused(&repo);
    assert!(
        stderr.contains("gpg: no secret key; `user.signingkey` is `ABCD`") && !stderr.contains("GNUPG"),
        "{stderr}"
    );
    // It says that all is well and signs nothing.
    repo.script(&test_env.path("home/gpg"), "exit 0");
    refused(&repo);
    repo.set("gpg.program", "/no/such/gpg");
    let missing = commit(&repo).unwrap_err();
    assert!(
        matches!(&missing, Error::ProgramNotFound { program } if program == "/no/such/gpg"),
        "{missing:?}"
    );
    repo.set("gpg.format", "ssh").set("user.signingkey", "/no/such/key");
    let stderr = refused(&repo);
    assert!(stderr.contains("/no/such/key") && stderr.contains("commit.gpgsign"), "{stderr}");
    repo.git(&["config", "--unset", "user.signingkey"]);
    assert!(refused(&repo).contains("neither `user.signingkey` nor"));
    repo.set("gpg.ssh.defaultKeyCommand", "echo nothing");
    assert!(refused(&repo).contains("printed no key"));
    repo.set("gpg.format", "pgp");
    assert!(refused(&repo).contains("`gpg.format` is `pgp`"));
    assert!(Path::new(&test_env.path("home")).exists());
}
