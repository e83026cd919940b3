//! The colors of reports: what each means, and which parts of a report have one. Colors never carry information alone.

/// Reports that have colors of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportKind {
    /// A unified diff.
    Diff,
    /// The plan of a rollout.
    Plan,
    /// States, such as those of rollouts and checks.
    Status,
    /// Injected lines and their origins.
    Explanation,
}

/// What a color means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Heading,
    Added,
    Removed,
    Good,
    Waiting,
    Bad,
    Place,
}

impl Role {
    /// Returns the start of the color (ECMA-48 SGR), from the eight that every terminal has in its own theme.
    fn start(self) -> &'static str {
        match self {
            Self::Heading => "\u{1b}[1m",
            Self::Added | Self::Good => "\u{1b}[32m",
            Self::Removed | Self::Bad => "\u{1b}[31m",
            Self::Waiting => "\u{1b}[33m",
            Self::Place => "\u{1b}[36m",
        }
    }
}

/// The end of every color.
const END: &str = "\u{1b}[0m";

/// Words that are states, with what they mean. They count at the start of a line or a column, and after `: `.
const STATES: &[(&str, Role)] = &[
    ("ok", Role::Good),
    ("complete", Role::Good),
    ("healthy", Role::Good),
    ("idle", Role::Good),
    ("open", Role::Good),
    ("released", Role::Good),
    ("up to date", Role::Good),
    ("\u{2714}", Role::Good),
    ("\u{221a}", Role::Good),
    ("blocked", Role::Waiting),
    ("note", Role::Waiting),
    ("paused", Role::Waiting),
    ("pending", Role::Waiting),
    ("progressing", Role::Waiting),
    ("waiting", Role::Waiting),
    ("warning", Role::Waiting),
    ("rolling back", Role::Waiting),
    ("\u{203c}", Role::Waiting),
    ("degraded", Role::Bad),
    ("error", Role::Bad),
    ("rejected", Role::Bad),
    ("removed", Role::Bad),
    ("unhealthy", Role::Bad),
    ("\u{d7}", Role::Bad),
    ("\u{2716}", Role::Bad),
];

/// Returns a report with colors. The text has no escape sequences of its own.
pub(super) fn paint(text: &str, kind: ReportKind) -> String {
    let mut painted = String::with_capacity(text.len() + text.len() / 8);
    let mut is_paragraph_start = true;
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        match kind {
            ReportKind::Diff => push(&mut painted, line, diff_role(line)),
            ReportKind::Explanation => push_explained(&mut painted, line, is_paragraph_start),
            ReportKind::Plan | ReportKind::Status => push_state_line(&mut painted, line, is_paragraph_start),
        }
        painted.push_str(end);
        is_paragraph_start = line.is_empty();
    }
    painted
}

fn push(painted: &mut String, text: &str, role: Option<Role>) {
    match role {
        Some(role) if !text.is_empty() => {
            painted.push_str(role.start());
            painted.push_str(text);
            painted.push_str(END);
        }
        _ => painted.push_str(text),
    }
}

fn diff_role(line: &str) -> Option<Role> {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Some(Role::Heading),
        [b'@', b'@', ..] => Some(Role::Place),
        [b'+', ..] => Some(Role::Added),
        [b'-', ..] => Some(Role::Removed),
        _ => None,
    }
}

/// A line of `pillion explain`: a workload, a SidecarSet, or a line that is injected or removed.
fn push_explained(painted: &mut String, line: &str, is_first: bool) {
    let role = match line.trim_start() {
        _ if !line.starts_with(' ') && is_first => Some(Role::Heading),
        item if item.starts_with("+ ") => Some(Role::Added),
        item if item.starts_with("- ") => Some(Role::Removed),
        item if item.contains(": injected") => Some(Role::Good),
        item if item.contains(": not injected") => Some(Role::Waiting),
        _ if !line.starts_with(' ') => Some(Role::Heading),
        _ => None,
    };
    push(painted, line, role);
}

/// A line of a plan or a status: a title up to its colon, the heads of columns, or states.
fn push_state_line(painted: &mut String, line: &str, is_first: bool) {
    if is_table_head(line) || line.starts_with("Plan:") {
        return push(painted, line, Some(Role::Heading));
    }
    let mut rest = line;
    if is_first && let Some((title, after)) = line.split_once(':').filter(|_| !line.starts_with(' ')) {
        push(painted, title, state_role(title).or(Some(Role::Heading)));
        painted.push(':');
        rest = after;
    }
    push_states(painted, rest);
}

fn is_table_head(line: &str) -> bool {
    let words = || line.split_whitespace();
    words().count() > 1
        && words().all(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '/' || c == '-'))
}

/// Paints the states at the start, after `: ` and after two spaces.
fn push_states(painted: &mut String, line: &str) {
    let mut rest = line;
    loop {
        let cell = rest.trim_start();
        painted.push_str(&rest[..rest.len() - cell.len()]);
        let state = STATES.iter().find(|(name, _)| starts_with_word(cell, name));
        let after = match state {
            Some((name, role)) => {
                push(painted, &cell[..name.len()], Some(*role));
                &cell[name.len()..]
            }
            None => cell,
        };
        let next = [": ", "  "].iter().filter_map(|mark| after.find(mark)).min();
        let Some(next) = next else {
            painted.push_str(after);
            return;
        };
        // The mark has one byte before the space.
        painted.push_str(&after[..=next]);
        rest = &after[next + 1..];
    }
}

fn state_role(text: &str) -> Option<Role> {
    STATES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, role)| *role)
}

/// Returns whether a text starts with a word in any case, and the word ends there.
fn starts_with_word(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        && text[word.len()..]
            .chars()
            .next()
            .is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '_' && c != '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a painted text with readable marks.
    fn marked(text: &str, kind: ReportKind) -> String {
        let roles = [
            ("\u{1b}[1m", "<bold>"),
            ("\u{1b}[32m", "<green>"),
            ("\u{1b}[31m", "<red>"),
            ("\u{1b}[33m", "<yellow>"),
            ("\u{1b}[36m", "<cyan>"),
            (END, "</>"),
        ];
        roles.iter().fold(paint(text, kind), |text, (code, mark)| text.replace(code, mark))
    }

    #[test]
    fn colors_leave_the_text_as_it_is() {
        let text = "log: paused, `a: b`\n\nBATCH  WORKLOAD\n1/2    Deployment shop/error  error-x\n+a\n-b\n";
        let kinds = [ReportKind::Diff, ReportKind::Plan, ReportKind::Status, ReportKind::Explanation];
        for kind in kinds {
            let mut plain = paint(text, kind);
            for code in ["\u{1b}[1m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[36m", END] {
                plain = plain.replace(code, "");
            }
            assert_eq!(plain, text);
        }
    }

    #[test]
    fn states_stand_out_and_names_do_not() {
        assert_eq!(
            marked(
                "log: paused at batch 1 of 3: ImagePullBackOff\n  health  blocked  ok-service\n",
                ReportKind::Status
            ),
            "<bold>log</>: <yellow>paused</> at batch 1 of 3: ImagePullBackOff\n  health  <yellow>blocked</>  ok-service\n"
        );
        assert_eq!(marked("BATCH  WORKLOAD  PODS\n", ReportKind::Plan), "<bold>BATCH  WORKLOAD  PODS</>\n");
        assert_eq!(marked("ok      git    found\n", ReportKind::Status), "<green>ok</>      git    found\n");
    }

    #[test]
    fn diffs_and_explanations_have_the_colors_of_git() {
        assert_eq!(
            marked("--- a\n@@ -1 +1 @@\n-x\n+y\n z\n", ReportKind::Diff),
            "<bold>--- a</>\n<cyan>@@ -1 +1 @@</>\n<red>-x</>\n<green>+y</>\n z\n"
        );
        assert_eq!(
            marked(
                "Pod/default/web in web.yaml\n  log: injected, the set as it is\n  + spec: log\n",
                ReportKind::Explanation
            ),
            "<bold>Pod/default/web in web.yaml</>\n<green>  log: injected, the set as it is</>\n<green>  + spec: log</>\n"
        );
    }
}
