//! Detects documents so plain that Kubernetes certainly reads them, so that most documents get no value.
//!
//! "Yes" is certain: the plain block form, no duplicate key, keys that are strings, numbers that JSON has.
//! "No" means that [`super::Document::read`] decides.

use super::block_reader::read_block_form;
use super::scalar;
use super::syntax::{Characters, check_characters};
use super::tree::{NodeId, NodeKind, SyntaxTree};
use std::borrow::Cow;

/// Keys of one mapping that are compared with one another.
const MAX_KEYS: usize = 48;

/// Returns whether a document is certainly read by Kubernetes, without a key that is duplicated.
pub fn is_certainly_readable(text: &str) -> bool {
    let text = with_line_feeds(text);
    if check_characters(&text).ok() != Some(Characters::Ordinary) {
        return false;
    }
    // A document without a node is read as well.
    let Some(tree) = read_block_form(&text) else { return is_blank(&text) };
    let mut keys = Vec::new();
    let mut ids = 0..NodeId::try_from(tree.len()).unwrap_or(NodeId::MAX);
    ids.all(|id| is_plain_node(&text, &tree, id, &mut keys))
}

/// Returns a text with LF in place of CR LF, which every reader takes for the same.
fn with_line_feeds(text: &str) -> Cow<'_, str> {
    match memchr::memchr(b'\r', text.as_bytes()) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(text.replace("\r\n", "\n")),
    }
}

/// Returns whether a text has nothing but blank lines and comments.
fn is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim_start_matches(' ').is_empty() || line.starts_with('#'))
}

/// Returns whether a node has one meaning: a scalar that JSON has, or a collection with distinct keys. `keys` is a buffer.
fn is_plain_node<'t>(text: &'t str, tree: &'t SyntaxTree, id: NodeId, keys: &mut Vec<&'t str>) -> bool {
    match tree.node(id).kind {
        NodeKind::BlockMapping | NodeKind::FlowMapping => {
            keys.clear();
            tree.entries(id).all(|(key, _)| {
                let written = tree.text(key, text);
                let is_text = tree.node(key).kind != NodeKind::Plain
                    || (scalar::is_plain_text(written) && written != "<<");
                let is_new = keys.len() < MAX_KEYS && !keys.contains(&written);
                keys.push(written);
                is_text && is_new
            })
        }
        NodeKind::Plain => scalar::is_plain_json(&text[tree.span(id)]),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_as_people_write_them_need_no_parser() {
        for text in [
            "apiVersion: v1\nkind: Pod # a\nmetadata:\n  name: a\n  labels: {}\nspec:\n  containers:\n  - name: a\n    \
             args:\n    - --x=y\n    - \"b: c\"\n    image: r/a:1\n",
            "---\r\na:\r\n  - b: |\r\n      x\r\n       y\r\n\r\n      z\r\n    c: 'd'\r\n  -\r\n    - e\r\n",
            "# only\n",
            "a:\n- b\n- c:\n  - d\nf: >-\n  g\n\n\n# h\ni:\n",
            "a: {b: c, d: [ 'e: f' , \"#\" ]} # g\nh:\n- {name: A, value: 1 2}\n- [--i, -j,/k ]\n- { }\n",
            " a: b\n  c\n d: 'it''s'\n",
            "- a\n",
            "a: b\r\nc: |\r\n  d\r\n",
            "# only\r\n\r\n  \r\n",
            "",
        ] {
            assert!(is_certainly_readable(text), "{text:?}");
        }
    }

    #[test]
    fn what_may_be_wrong_or_mean_something_else_is_left_to_the_parser() {
        for text in [
            "a: 1\na: 2\n",
            "a: b\n  c: d\n",
            "a:\n  b: c\n d: e\n",
            "a: b\n---\nc: d\n",
            "a: {b: c\n",
            "a: {b: c, b: d}\n",
            "a: {b: c,}\n",
            "a: {b}\n",
            "a: {b: }\n",
            "a: {b:c}\n",
            "a: {b: c: d}\n",
            "a: {b: .inf}\n",
            "a: {yes: c}\n",
            "a: {b: c}d\n",
            "a: {b: c}#d\n",
            "a: {b: c]\n",
            "a: [b: c]\n",
            "a: [b #c]\n",
            "a: [- b]\n",
            "a: [b - -]\n",
            "a: [b,, c]\n",
            "a: [\"b\"c]\n",
            "a: [*b]\n",
            "a: [!b]\n",
            "a: [b?]\n",
            "a: [b]\n  c\n",
            "a: \"b\n",
            "a: .inf\n",
            "a:\n  b\n  c: d\n",
            "a: {<<: b}\n",
            "a: b\rc: d\n",
            "a: \u{85}\n",
            "a: &b c\n",
            "a: !!str c\n",
            "a: b\n...\n",
            "a: b: c\n",
            "a: b:\n",
            "a:\n- b\nc\n",
            "a: |\n\n   \n x\n",
            "a:\n  b: |\n  x\n",
            "a: |\n    x\n  y\n",
            "a: *b\n",
            "yes: 1\n",
            "a:\tb\n",
            "a: - b\n",
            "a: b #c\n  d\n",
            "a:\n  - b: c\n   d: e\n",
            "a:\n  - b: c\n     d: e\n",
            "? a\n",
            "a\n",
            "a:b\n",
            "a: @b\n",
        ] {
            assert!(!is_certainly_readable(text), "{text:?}");
        }
    }
}
