//! Tests of edits by example: what changes, and that nothing else does.

use crate::diagnostics::Code;
use crate::yaml::{Document, FieldPath};
use serde_json::{Value, json};

fn edit(text: &str, at: &str, new: Value) -> Result<String, (Code, Vec<usize>)> {
    let document = Document::read(&"f.yaml".into(), 0, 1, text).unwrap();
    let path =
        at.split('.').filter(|s| !s.is_empty()).fold(FieldPath::root(), |p, s| match s.parse::<usize>() {
            Ok(n) => p.child(n),
            Err(_) => p.child(s),
        });
    document.rewrite(&path, &new).map_err(|d| (d.code, d.spans.iter().map(|l| l.line).collect()))
}

#[track_caller]
fn check(text: &str, at: &str, new: Value, expected: &str) {
    let got = edit(text, at, new.clone());
    assert_eq!(got.as_deref(), Ok(expected), "\n{}", got.as_deref().unwrap_or_default());
    assert_eq!(edit(expected, at, new).as_deref(), Ok(expected), "a second time");
}

#[test]
fn a_scalar_changes_in_its_place_and_keeps_its_quotes() {
    check(
        "a:\n- image:  x:1  # keep\n  b: 1\n",
        "a.0.image",
        json!("x:2"),
        "a:\n- image:  x:2  # keep\n  b: 1\n",
    );
    check("a: 'x' # c\n", "a", json!("it's"), "a: 'it''s' # c\n");
    check("a: \"x\"", "a", json!("u: \"z\""), "a: \"u: \\\"z\\\"\"");
    check("a: 'x'\n", "a", json!("u\tz"), "a: \"u\\tz\"\n");
    check("a: x\n", "a", json!("yes"), "a: \"yes\"\n");
    check("a: x\n", "a", json!(5), "a: 5\n");
    check("a: x # c\n", "a", Value::Null, "a: null # c\n");
    check("a: x\n  u # c\nb: 1\n", "a", json!("z"), "a: z # c\nb: 1\n");
    check("a: !!str 1\n", "a", json!("2"), "a: !!str \"2\"\n");
    check("a: !!str 1 # c\n", "a", json!(2), "a: 2 # c\n");
    check("a: &x 1\n", "a", json!(2), "a: &x 2\n");
    check("a:\n  'x' # c\nb: 1\n", "a", json!("u"), "a:\n  'u' # c\nb: 1\n");
    check("a:\nb: 1\n", "a", json!("u"), "a: u\nb: 1\n");
    check("a: # c\nb: 1\n", "a", json!("u"), "a: u # c\nb: 1\n");
    check("? a\n? b\n: c\n", "a", json!("u"), "? a\n: u\n? b\n: c\n");
    check("x", "", json!("u"), "u");
    check("---\n# c\n", "", json!({"a": 1}), "---\n# c\na: 1\n");
}

#[test]
fn block_scalars_change_whole_and_keep_their_comment() {
    check("a: |- # c\n  x\n\nb: 1\n", "a", json!("u\nz\n"), "a: | # c\n  u\n  z\n\nb: 1\n");
    check("a: |+\n  x\n\nb: 1\n", "a", json!("u"), "a: u\nb: 1\n");
    check("a: >- # c\n   x\n   u\nb: 1", "a", json!("u"), "a: u # c\nb: 1");
    check("a: old # c\nb: 1\n", "a", json!("x\nu"), "a: |- # c\n  x\n  u\nb: 1\n");
    check("a: |\n  x", "a", json!("u\nz\n"), "a: |\n  u\n  z\n");
    check("- |\n x\n- b\n", "0", json!("x\n\n"), "- \"x\\n\\n\"\n- b\n");
    check("a: |\n  x\n", "a", json!({"b": 1}), "a:\n  b: 1\n");
}

#[test]
fn entries_are_added_at_the_end_of_their_mapping() {
    check(
        "a:\n  b: 1 # c\n   # own\n  # not own\nd: 2\n",
        "a.x",
        json!("u"),
        "a:\n  b: 1 # c\n   # own\n  x: u\n  # not own\nd: 2\n",
    );
    check("a:\n  b: 1", "a.x", json!("u"), "a:\n  b: 1\n  x: u");
    check("a: |+\n  b\n\n", "x", json!(1), "a: |+\n  b\n\nx: 1\n");
    check("a: |\n  b", "x", json!(1), "a: |-\n  b\nx: 1");
    check("a:\r\n- b\r\nc: 1\r\n", "x.u", json!([1]), "a:\r\n- b\r\nc: 1\r\nx:\r\n  u:\r\n  - 1\r\n");
    check(
        "a:\n    b: 1\n...\n",
        "x",
        json!({"u": {"z": [1]}}),
        "a:\n    b: 1\nx:\n    u:\n        z:\n            - 1\n...\n",
    );
    check("- a: 1\n-   b: 2\n", "1.c", json!("x\nu\n"), "- a: 1\n-   b: 2\n    c: |\n      x\n      u\n");
    check("a: &x\n  b: 1\n", "a.c", json!(1), "a: &x\n  b: 1\n  c: 1\n");
    check("\u{feff}a: 1\n", "b", json!(2), "\u{feff}a: 1\nb: 2\n");
    check("? a\n: b\n", "c", json!({}), "? a\n: b\nc: {}\n");
    check("a: 1\n\n# end\n", "b", json!(2), "a: 1\nb: 2\n\n# end\n");
}

#[test]
fn entries_go_with_their_lines_and_own_comments() {
    check(
        "a: 1\n# of b\nb: 2 # c\n  # deep\n# of c\nc: 3\n",
        "",
        json!({"a": 1, "c": 3}),
        "a: 1\n# of c\nc: 3\n",
    );
    check("# head\na: 1\nb: 2\n", "", json!({"b": 2}), "# head\nb: 2\n");
    check("a: 1\nb: 2", "", json!({"a": 1}), "a: 1");
    check("a: 1\nb: 2", "", json!({"a": 1, "c": 3}), "a: 1\nc: 3");
    check("- a: 1\n  b: 2\n  c: 3\n", "0", json!({"c": 3}), "- c: 3\n");
    check("- a: 1 # x\n  # of b\n  b: 2\n", "0", json!({"b": 2}), "- \n  # of b\n  b: 2\n");
    check("a: 1\nb:\n  c: 1 # x\n", "b", json!({}), "a: 1\nb: {}\n");
    check("b:\n  c: 1\nd: 1\n", "b", Value::Null, "b: null\nd: 1\n");
    check("a: 1\na: 2\nb: 3\n", "", json!({"b": 3}), "b: 3\n");
    check("a: 1\na: 2\n", "a", json!(3), "a: 1\na: 3\n");
}

#[test]
fn items_are_put_in_front_between_and_behind() {
    let text = "c:\n# all\n- name: a # x\n  # deep\n\n# of b\n- name: b\n# - old\n# end\nd: 1\n";
    let items = |names: &[&str]| names.iter().map(|n| json!({"name": n})).collect::<Value>();
    check(
        text,
        "c",
        items(&["s", "a", "b"]),
        "c:\n- name: s\n# all\n- name: a # x\n  # deep\n\n# of b\n- name: b\n# - old\n# end\nd: 1\n",
    );
    check(
        text,
        "c",
        items(&["a", "s", "b"]),
        "c:\n# all\n- name: a # x\n  # deep\n- name: s\n\n# of b\n- name: b\n# - old\n# end\nd: 1\n",
    );
    check(
        text,
        "c",
        items(&["a", "b", "s"]),
        "c:\n# all\n- name: a # x\n  # deep\n\n# of b\n- name: b\n# - old\n# end\n- name: s\nd: 1\n",
    );
    check(text, "c", items(&["a"]), "c:\n# all\n- name: a # x\n  # deep\n\n# - old\n# end\nd: 1\n");
    check(text, "c", items(&["b"]), "c:\n# all\n\n# of b\n- name: b\n# - old\n# end\nd: 1\n");
    check("-   - a\n    - b\n", "0", json!(["x", "a", "b"]), "-   - x\n    - a\n    - b\n");
    check("- - a\n  - b\n- c\n", "0", json!(["b"]), "- - b\n- c\n");
    check(
        "a:\n    -   b: 1\n",
        "a",
        json!([{"b": 1}, {"c": 2, "d": 3}]),
        "a:\n    -   b: 1\n    -   c: 2\n        d: 3\n",
    );
    check("- a\n- b", "", json!(["a"]), "- a");
    check("- a\n- b", "", json!(["a", "c", "d"]), "- a\n- c\n- d");
    check("-\n- b\n", "", json!([1, "b"]), "- 1\n- b\n");
    check("- # c\n- b\n", "0", json!({"a": 1, "b": 2}), "- # c\n  a: 1\n  b: 2\n- b\n");
    check("a:\n  - x\nb:\n", "b", json!(["u"]), "a:\n  - x\nb:\n  - u\n");
    check("a:\n- x\nb: [] # c\nd: 1\n", "b", json!([{"u": 1}]), "a:\n- x\nb: # c\n- u: 1\nd: 1\n");
    check("a:\n- x\nb: null\n", "b", json!(["u"]), "a:\n- x\nb:\n- u\n");
    check("a: {}\n", "a", json!({"b": [1]}), "a:\n  b:\n    - 1\n");
}

#[test]
fn deeper_text_comes_first_at_the_same_place() {
    let text = "c:\n- name: a\n  env:\n  - x\n";
    let new = json!([{"name": "a", "env": ["x", "u"], "k": 1}, {"name": "b"}]);
    check(text, "c", new, "c:\n- name: a\n  env:\n  - x\n  - u\n  k: 1\n- name: b\n");
}

#[test]
fn flow_collections_stay_flow() {
    check("a: [x, u] # c\n", "a", json!(["x", "z", "u"]), "a: [x, z, u] # c\n");
    check("a: [x, u,]\n", "a", json!(["w", "x", "u", "z"]), "a: [w, x, u, z,]\n");
    check("a: [x, u]\n", "a", json!(["u"]), "a: [u]\n");
    check("a: [x, u]\n", "a", json!(["x"]), "a: [x]\n");
    check(
        "a: [ {name: x}, {name: u} ]\n",
        "a",
        json!([{"name": "z"}, {"name": "u"}]),
        "a: [ {name: z}, {name: u} ]\n",
    );
    check("a: {b: 1, c: , d}\n", "a.e", json!({"f": "g:h"}), "a: {b: 1, c: , d, e: {f: \"g:h\"}}\n");
    check("a: {b: 1, c: 2}\n", "a", json!({"c": 2, "d": []}), "a: {c: 2, d: []}\n");
    check("a: {b, c: 1}\n", "a.b", json!(1), "a: {b: 1, c: 1}\n");
    check("a: {b: }\n", "a.c", json!(1), "a: {b: , c: 1}\n");
    check(
        "a: [\n  x, # of x\n  u # of u\n]\n",
        "a",
        json!(["x", "u", "z"]),
        "a: [\n  x, # of x\n  u, # of u\n  z\n]\n",
    );
    check(
        "a: [\n  x,\n  u, # of u\n  # end\n  ]\n",
        "a",
        json!(["x", "w", "u", "z"]),
        "a: [\n  x,\n  w,\n  u, # of u\n  z,\n  # end\n  ]\n",
    );
    check("a: [\n  x, # of x\n  u # of u\n]\n", "a", json!(["x"]), "a: [\n  x # of x\n]\n");
    check("a: [\n  x, # of x\n  u # of u\n]\n", "a", json!(["z", "u"]), "a: [\n  z, # of x\n  u # of u\n]\n");
    check("a: [x: 1, u]\n", "a.0.x", json!(2), "a: [{x: 2}, u]\n");
    check("a: [*b, &b c]\n".replace("*b", "d").as_str(), "a.1", json!("e"), "a: [d, &b e]\n");
    check("a: [x]\n", "a", json!([]), "a: []\n");
}

#[test]
fn json_stays_json() {
    check("{\"a\": [1, 2], \"b\": {}}", "b.c", json!("yes"), "{\"a\": [1, 2], \"b\": {\"c\": \"yes\"}}");
    check("{\"a\":[1,2]}\n", "a", json!([1, 2, {"x": [3]}]), "{\"a\":[1,2,{\"x\":[3]}]}\n");
    check(
        "{\n\t\"a\": [\n\t\t{\n\t\t\t\"n\": 1\n\t\t}\n\t]\n}\n",
        "a",
        json!([{"n": 1}, {"m": []}]),
        "{\n\t\"a\": [\n\t\t{\n\t\t\t\"n\": 1\n\t\t},\n\t\t{\n\t\t\t\"m\": []\n\t\t}\n\t]\n}\n",
    );
    check(
        "{\n  \"a\": []\n}\n",
        "a",
        json!([{"n": 1}]),
        "{\n  \"a\": [\n    {\n      \"n\": 1\n    }\n  ]\n}\n",
    );
    check("{\n  \"a\": 1\n}\n", "", json!({"b": null}), "{\n  \"b\": null\n}\n");
    check("{}", "a", json!(["x"]), "{\"a\": [\"x\"]}");
    check("a: {\"x\": \"u\"}\n", "a.z", json!("w"), "a: {\"x\": \"u\", \"z\": \"w\"}\n");
}

#[test]
fn kinds_of_nodes_change_in_place() {
    check("a:\n  b: 1\nc: 1\n", "a", json!(["x"]), "a:\n  - x\nc: 1\n");
    check("a: # k\n- x # i\nc: 1\n", "a", json!({"b": 1}), "a: # k\n  b: 1\nc: 1\n");
    check("a: # k\n- x\nc: 1\n", "a", json!("u"), "a: u # k\nc: 1\n");
    check("- a: b # c\n- d\n", "0", json!("x"), "- x # c\n- d\n");
    check(
        "- a # c\n- d\n",
        "0",
        json!({"x": [1], "u": "p\nq"}),
        "- # c\n  x:\n    - 1\n  u: |-\n    p\n    q\n- d\n",
    );
    check("a: x\n", "", json!(["u"]), "- u\n");
    check("a:\n  - x\n  - u\n", "a", json!(["z"]), "a:\n  - z\n");
    check("a: !!map\n  b: 1\n", "a", json!("x"), "a: x\n");
    check("a: &q # c\n  b: 1\n", "a", json!("x"), "a: &q x # c\n");
}

#[test]
fn aliases_are_expanded_where_that_changes_nothing_else() {
    let text = "x: &x\n- name: a\nu: *x # c\nz: 1\n";
    check(
        text,
        "u",
        json!([{"name": "a"}, {"name": "b"}]),
        "x: &x\n- name: a\nu: # c\n- name: a\n- name: b\nz: 1\n",
    );
    check(text, "u.0.name", json!("b"), "x: &x\n- name: a\nu: # c\n- name: b\nz: 1\n");
    assert_eq!(edit(text, "x.0.name", json!("b")), Err((Code::AliasedNode, vec![1, 3])));
    assert_eq!(edit(text, "", json!({"u": [{"name": "a"}], "z": 1})), Err((Code::AliasedNode, vec![1, 3])));
    check(text, "", json!({"x": [{"name": "a"}], "z": 1}), "x: &x\n- name: a\nz: 1\n");
    check("a: [&x b, *x ]\n", "a.1", json!({"c": 1}), "a: [&x b, {c: 1} ]\n");
    check("- &x a\n- *x\n", "1", json!({"b": 1, "c": 2}), "- &x a\n- b: 1\n  c: 2\n");
}

#[test]
fn keys_from_a_merge_are_written_out() {
    let text = "b: &b {p: 1, q: {r: 1}}\nm:\n  <<: *b\n  s: 1\n";
    check(text, "m.q.r", json!(2), "b: &b {p: 1, q: {r: 1}}\nm:\n  <<: *b\n  s: 1\n  q:\n    r: 2\n");
    check(text, "m.s", json!(2), "b: &b {p: 1, q: {r: 1}}\nm:\n  <<: *b\n  s: 2\n");
    assert_eq!(edit(text, "m", json!({"p": 1, "s": 1})), Err((Code::AliasedNode, vec![3, 3])));
    assert_eq!(
        edit("b: &b {p: 1}\nm:\n  p: 2\n  <<: *b\n", "m.p", json!(3)),
        Err((Code::AliasedNode, vec![3, 4]))
    );
}

#[test]
fn block_scalars_around_an_edit_keep_what_they_have() {
    let kept = "a: |+\n  x\n\nb: 1\n\nc: 2\n";
    check(kept, "", json!({"a": "x\n\n", "c": 2}), "a: |+\n  x\n\nc: 2\n");
    check("a: |+\n  x\n\nb: 1", "", json!({"a": "x\n\n"}), "a: |+\n  x\n\n");
    check("a: b # c\n    # deep\nd: 1\n", "a", json!("x\nz"), "a: \"x\\nz\" # c\n    # deep\nd: 1\n");
    check("a:\n\n  - x\nd: 1\n", "a", json!("x\nz"), "a: \"x\\nz\"\n\nd: 1\n");
    check("a: 1\nb: |\n", "a", json!(2), "a: 2\nb: |\n");
}

#[test]
fn a_block_scalar_without_a_last_line_end_keeps_its_text() {
    let two = |b| json!({"a": "one\ntwo", "b": b});
    check("a: |\n  one\n  two", "", two(1), "a: |-\n  one\n  two\nb: 1");
    check("a: |+ # c\n  one\n  two", "", two(1), "a: |- # c\n  one\n  two\nb: 1");
    check("a: |2\n  one\n  two", "", two(1), "a: |2-\n  one\n  two\nb: 1");
    check("a: |+2\n  one\n  two", "", two(1), "a: |2-\n  one\n  two\nb: 1");
    check("a: |-\n  one\n  two", "", two(1), "a: |-\n  one\n  two\nb: 1");
    check("a: |\r\n  one\r\n  two", "", two(1), "a: |-\r\n  one\r\n  two\r\nb: 1");
    check("a: |\n  one\n  two\n", "", json!({"a": "one\ntwo\n", "b": 1}), "a: |\n  one\n  two\nb: 1\n");
    check("- >\n  one\n  two", "", json!(["one two", {"c": 1}]), "- >-\n  one\n  two\n- c: 1");
    check("a: |+\n  one\n  ", "", json!({"a": "one\n", "b": 1}), "a: |+\n  one\nb: 1\n  ");
    check("a: |\n  one\n# c", "", json!({"a": "one\n", "b": 1}), "a: |\n  one\nb: 1\n# c");
    // It stays the last one, or goes.
    check("b: 1\na: |\n  one", "b", json!(2), "b: 2\na: |\n  one");
    check("b: 1\na: |\n  one", "a", json!("x"), "b: 1\na: x");
    check("b: 1\na: |\n  one", "", json!({"b": 1, "c": 2}), "b: 1\nc: 2");
    // Another one becomes the last one.
    check("a: |\n  one\nb: 1", "", json!({"a": "one\n"}), "a: |\n  one\n");
    check("a: b\nc: x", "c", json!("one\ntwo\n"), "a: b\nc: |\n  one\n  two\n");
}

#[test]
fn tabs_that_are_allowed_do_not_hinder() {
    check("a:\t1\t# c\nb:\tx\n", "a", json!(2), "a:\t2\t# c\nb:\tx\n");
    check("- x\t# c\n- z\n", "0", json!({"k": 1}), "- # c\n  k: 1\n- z\n");
}

#[test]
fn a_closing_bracket_below_its_key_does_not_hinder() {
    let text = "a:\n  b: [\n    \"x\",\n  ]\n  c: 1\n";
    check(text, "a.c", json!(2), "a:\n  b: [\n    \"x\",\n  ]\n  c: 2\n");
    check(text, "a.b", json!(["x", "u"]), "a:\n  b: [\n    \"x\",\n    \"u\",\n  ]\n  c: 1\n");
}

#[test]
fn the_same_value_changes_nothing() {
    for text in [
        "",
        "# c\n",
        "a: 1\r\n",
        "a: |+\n  x\n\n",
        "{\"a\": 1.0}",
        "a: 1e3",
        "a: *b\n".replace("*b", "x").as_str(),
    ] {
        let document = Document::read(&"f".into(), 0, 1, text).unwrap();
        assert_eq!(document.rewrite(&FieldPath::root(), document.value()).as_deref(), Ok(text));
    }
    assert_eq!(edit("a: 1.0\n", "a", json!(1.0)), Ok("a: 1.0\n".to_owned()));
    assert!(edit("a: 1\rb: 2\r", "a", json!(2)).is_err());
    assert!(edit("a: [1]\n", "a.5", json!(2)).is_err() && edit("a: 1\n", "a.b", json!(2)).is_err());
}
