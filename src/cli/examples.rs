//! The examples at the end of each command's help. A test parses all of them.

use clap::Command;

/// An example: the command line, and what it does.
type Example = (&'static str, &'static str);

/// The examples of each command.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "render",
        &[
            ("pillion render --diff", "Show what injection changes"),
            ("pillion render --write", "Write the rendered files to the folder that pillion.yaml names"),
            ("pillion render --check", "Fail if the rendered files are not up to date (CI)"),
            ("kustomize build overlays/eu | pillion render -", "Render what another tool builds"),
            ("pillion render --branch env/prod --push", "Render HEAD onto the deploy branch"),
        ],
    ),
    (
        "validate",
        &[
            ("pillion validate", "Check everything that pillion.yaml names"),
            ("pillion validate sidecars/log.yaml", "Check one file"),
            ("pillion validate --old before.yaml log.yaml", "Check a change as an update in the cluster"),
            ("pillion validate -o sarif", "Print the findings for code scanning"),
        ],
    ),
    (
        "explain",
        &[
            (
                "pillion explain Deployment/shop/web",
                "Show the sidecars of a workload and the origin of each line",
            ),
            ("pillion explain transfer-env-missing", "Explain the code of a message"),
        ],
    ),
    (
        "fix",
        &[
            ("pillion fix --check sidecars/log.yaml", "Show the repaired indentation"),
            ("pillion fix sidecars/log.yaml", "Write it"),
        ],
    ),
    (
        "plan",
        &[
            ("pillion plan", "Plan every rollout, batch by batch"),
            ("pillion plan log --next", "Show only the next step of one"),
            ("pillion plan --costs", "Show what the sidecars request, by SidecarSet, namespace and team"),
            ("pillion plan --strategy maxUnavailable=10%", "Try another value of a field"),
            ("pillion plan --from origin/main --to HEAD -o markdown", "Describe a change for a pull request"),
        ],
    ),
    (
        "stage",
        &[
            ("pillion stage", "Write the commits of every rollout to local branches"),
            ("pillion stage log --push", "Push the staged branch of one"),
        ],
    ),
    (
        "start",
        &[
            ("pillion start log", "Start a rollout"),
            ("pillion start log --allow-removal", "Start one that removes the sidecar from workloads"),
        ],
    ),
    (
        "watch",
        &[
            ("pillion watch --once --dry-run", "Show what would be released now"),
            ("pillion watch --once", "Release at most one batch of each rollout (cron, CI)"),
            ("pillion watch", "Release batches until it is stopped"),
        ],
    ),
    (
        "status",
        &[
            ("pillion status", "Show every rollout"),
            ("pillion status log -o json", "Print one for a program"),
            ("pillion status --workloads", "Show which version of each sidecar runs where"),
        ],
    ),
    (
        "promote",
        &[
            ("pillion promote log", "Release the next batch"),
            ("pillion promote log --to 3", "Release all batches up to the third"),
        ],
    ),
    ("pause", &[("pillion pause log", "Release no further batch")]),
    ("resume", &[("pillion resume log", "Continue a paused rollout")]),
    ("approve", &[("pillion approve log 2", "Approve the second batch")]),
    (
        "rollback",
        &[
            ("pillion rollback log", "Go back to the released revision"),
            ("pillion rollback log --to 1", "Go back to the state after the first batch"),
        ],
    ),
    (
        "hold",
        &[
            ("pillion hold Deployment/shop/web", "Keep a workload at its revision"),
            ("pillion hold Deployment/shop/web --until 2026-12-31", "Keep it until a date"),
            ("pillion hold Deployment/shop/web --off", "Release it again"),
        ],
    ),
    (
        "init",
        &[
            ("pillion init", "Look at the repository, and write pillion.yaml and what belongs to it"),
            ("pillion init rollout", "Write the first ledgers"),
            ("pillion init github", "Write the workflows for GitHub Actions"),
        ],
    ),
    (
        "adopt",
        &[
            ("pillion adopt --cluster-state cluster.json", "Compare the pods that run with those of git"),
            (
                "pillion adopt --cluster-state cluster.json --push",
                "Write the first ledgers, which change no pod",
            ),
            (
                "pillion adopt --cluster-state cluster.json --to kruise",
                "Show what going back to Kruise changes",
            ),
        ],
    ),
    (
        "verify",
        &[
            ("pillion verify", "Check that git holds what pillion makes"),
            ("pillion verify --base origin/main", "Check the commits of a pull request as well"),
        ],
    ),
    ("cmp", &[("pillion cmp generate", "Generate the manifests of the Application in this folder")]),
    ("print", &[("pillion print github", "Print the files instead of writing them")]),
    (
        "doctor",
        &[
            ("pillion doctor", "Check this machine and repository"),
            ("pillion doctor -o json", "Print the checks for a program"),
        ],
    ),
    ("schema", &[("pillion schema > .pillion.schema.json", "Save the schema of pillion.yaml for an editor")]),
    (
        "completions",
        &[
            ("source <(pillion completions bash)", "Complete commands in this shell"),
            ("pillion completions fish | source", "The same in fish"),
        ],
    ),
    ("man", &[("pillion man | man -l -", "Read the manual page")]),
];

/// Adds the examples to the help of each command.
pub(super) fn add_examples(command: Command) -> Command {
    command.mut_subcommands(|subcommand| {
        let examples = EXAMPLES.iter().find(|(name, _)| *name == subcommand.get_name());
        match examples {
            Some((_, examples)) => subcommand.after_help(format_examples(examples)),
            None => subcommand,
        }
    })
}

fn format_examples(examples: &[Example]) -> String {
    let lines: Vec<String> =
        examples.iter().map(|(command, meaning)| format!("  {command}\n          {meaning}")).collect();
    format!("Examples:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    #[test]
    fn every_command_has_examples_that_parse() {
        let command = cli::command();
        let without = command.get_subcommands().filter(|c| c.get_after_help().is_none());
        assert_eq!(without.map(Command::get_name).collect::<Vec<_>>(), [""; 0]);
        for (name, examples) in EXAMPLES.iter().filter(|(name, _)| command.find_subcommand(name).is_some()) {
            for (example, _) in *examples {
                let at = example.find("pillion ").unwrap();
                let end = example[at..].find([')', '>', '|']).map_or(example.len(), |end| at + end);
                let words = example[at..end].split_whitespace();
                let parsed = cli::command().try_get_matches_from(words);
                let parsed = parsed.unwrap_or_else(|error| panic!("{example}: {error}"));
                assert_eq!(parsed.subcommand_name(), Some(*name), "{example}");
            }
        }
    }
}
