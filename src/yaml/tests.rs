//! Tests of reading: places, limits and messages.

use super::*;

fn read(text: &str) -> Result<Document, Diagnostic> {
    Document::read(&"f.yaml".into(), 0, 1, text)
}

fn label(text: &str, path: &FieldPath, part: EntryPart) -> (usize, usize, usize) {
    let label = read(text).unwrap().label(path, part, "");
    (label.line, label.column, label.width)
}

#[test]
fn labels_are_at_keys_and_values_also_behind_aliases_and_merge_keys() {
    let text = "é: &a\n  b: 'x y' # c\n  c: [1, 22]\nd: *a\ne:\n  <<: *a\n  f:\n";
    let at = |path: FieldPath, part| label(text, &path, part);
    assert_eq!(at(FieldPath::dotted("é.b"), EntryPart::Key), (2, 3, 1));
    assert_eq!(at(FieldPath::dotted("é.b"), EntryPart::Value), (2, 6, 5));
    assert_eq!(at(FieldPath::dotted("d.c").child(1), EntryPart::Key), (3, 10, 2));
    assert_eq!(at(FieldPath::dotted("e.c").child(0), EntryPart::Value), (3, 7, 1));
    assert_eq!(at(FieldPath::dotted("e.f"), EntryPart::Value), (7, 3, 1));
    assert_eq!(at(FieldPath::dotted("e.f.g.h"), EntryPart::Value), (7, 3, 1));
    assert_eq!(at(FieldPath::dotted("no"), EntryPart::Key), (1, 1, 5));
    assert_eq!(label("", &FieldPath::dotted("a"), EntryPart::Key), (1, 1, 1));
}

#[test]
fn nodes_start_and_end_where_they_are_written() {
    let text =
        "a:\n# c - x\n- &q x\n- !!str |+ # c\n  y\n\n\nb: &r\n- >\n z\n\nc:\nd: &e\nf: {g, h: }\ni: &j |\n";
    let document = read(text).unwrap();
    let at = |path: &FieldPath| &text[document.range(path, EntryPart::Value)];
    let a = FieldPath::dotted("a");
    assert_eq!(at(&a), "- &q x\n- !!str |+ # c\n  y\n\n");
    assert_eq!(at(&a.child(1)), "|+ # c\n  y\n\n");
    assert_eq!(at(&FieldPath::dotted("b")), "- >\n z");
    assert_eq!(at(&FieldPath::dotted("f")), "{g, h: }");
    assert_eq!(at(&FieldPath::dotted("i")), "|");
    let empty = |key: &str| document.tree.span(document.find_entry(0, key).unwrap().1);
    assert_eq!(empty("c").start, text.find("\nd:").unwrap());
    assert_eq!(empty("d").start, text.find("\nf:").unwrap());
}

#[test]
fn doubled_keys_are_listed_and_the_last_one_counts() {
    let document = read("a: 1\nb: {x: 1, \"x\": 2}\na: 2\nc: {<<: {y: 1}, y: 2}\n").unwrap();
    assert_eq!(document.value().to_string(), r#"{"a":2,"b":{"x":2},"c":{"true":2}}"#);
    let places: Vec<_> = document.diagnostics().iter().map(|d| (d.spans[0].line, d.spans[1].line)).collect();
    assert_eq!(places, [(2, 2), (3, 1)]);
}

#[test]
fn what_is_built_to_hurt_is_refused_at_once() {
    let code = |text: &str| read(text).unwrap_err().code;
    assert_eq!(code(&"[".repeat(100_000)), Code::NestingTooDeep);
    assert_eq!(code(&"- ".repeat(100_000)), Code::NestingTooDeep);
    assert_eq!(code(&"{a: ".repeat(100_000)), Code::NestingTooDeep);
    assert_eq!(code(&"? ".repeat(100_000)), Code::NestingTooDeep);
    assert_eq!(code(&" ".repeat(64 << 20 | 1)), Code::DocumentTooLarge);
    let chain: String = (1..1000).map(|i| format!("- &a{i} [*a{}]\n", i - 1)).collect();
    assert_eq!(code(&format!("- &a0 x\n{chain}")), Code::NestingTooDeep);
    let bomb: String =
        (1..10).map(|i| format!("- &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "))).collect();
    assert_eq!(code(&format!("- &a0 x\n{bomb}")), Code::AliasBomb);
    let long = format!("- &a {}\n{}", "x".repeat(1 << 20), "- *a\n".repeat(100));
    assert_eq!(code(&long), Code::AliasBomb);
}

#[test]
fn errors_say_where_and_what_to_do() {
    for (text, line, column, message, help) in [
        ("a:\n\tb: 1\n", 2, 1, "tab", "spaces"),
        ("a: 1\n  b: 2\n", 2, 4, "not allowed here", "deeper"),
        ("a: b: c\n", 1, 5, "not allowed here", "quotes"),
        ("a: \"x\nb: 1\n", 1, 4, "quote is not closed", "close the quote"),
        ("a: [1, 2\nb: 1\n", 2, 2, "':'", "missing `]`"),
        ("a: [1, 2\n", 1, 4, "`[` is not closed", "]"),
        ("a: {{ .Values.x }}\n", 1, 5, "this is a template", "render it first"),
        ("a:\n  - x\n - y\n", 3, 2, "", "the items of the list are indented by 2: line this up"),
        ("a:\n- b: 1\n c: 2\n", 3, 2, "", "the entries with `b` are indented by 2"),
        ("a:\n    b:\n        c: 1\n     d: 2\n", 4, 6, "", "the entries with `b` are indented by 4"),
        ("<<<<<<< HEAD\na: 1\n", 2, 2, "merge conflict", "resolve it"),
        ("a: @x\n", 1, 4, "`@`", "quotes"),
        ("a: *x\n", 1, 4, "anchor", "anchor"),
        ("a: \"\\d\"\n", 1, 4, "escape", "backslash"),
        ("a: [b, c?d]\n", 1, 8, "no `?`", "quotes"),
        ("a: {b?: c}\n", 1, 5, "no `?`", "quotes"),
        ("a: {:b: c}\n", 1, 5, "no `:`", "quotes"),
        ("a: [!b]\n", 1, 5, "behind a tag", "remove"),
        ("a: {b:, c: d}\n", 1, 5, "takes this `:`", "quotes"),
        ("a: {b\n  : c}\n", 1, 5, "takes this `:`", "quotes"),
        ("a: [!b, c]\n", 1, 5, "behind a tag", "remove"),
        ("a: [b, :c]\n", 1, 8, "no `:`", "quotes"),
        ("|-\nb\n", 2, 1, "must be indented", "at least one blank"),
        ("# c\n...\n", 2, 1, "has not begun", "remove"),
        ("a: {b\rc: d}\n", 1, 5, "on one line", "join"),
        ("a: x\u{1}y\n", 1, 5, "U+0001", "remove it"),
        ("%YAML 1.1\n", 1, 1, "directives", "remove the line"),
        ("~: 1\n", 1, 1, "`~` cannot be a key", "quotes"),
    ] {
        let found = read(text).unwrap_err();
        let at = (found.spans[0].line, found.spans[0].column);
        let context = format!("{text:?}: {found:?}");
        assert!(
            found.message.contains(message) && found.help.as_ref().is_some_and(|h| h.contains(help)),
            "{context}"
        );
        assert_eq!(at, (line, column), "{context}");
    }
}
