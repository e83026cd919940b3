//! Compiles regular expressions in Go's dialect (RE2 as Go's package regexp reads it) for the crate `regex`.
//!
//! A pattern is parsed by Go's rules and rewritten in a form that both read alike. Patterns that Go refuses are refused.
//! Patterns that both accept but read differently (`[a&&b]`, `\<a`) are refused too, with the form that both read alike:
//! the author cannot have meant both.

mod class;
mod pattern;
mod unicode_names;

use regex::bytes::{Regex, RegexBuilder};
use std::fmt;

/// The bytes that a compiled pattern may take: Go's own bound is larger, and no list of names needs it.
const MAX_COMPILED_BYTES: usize = 32 << 20;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PatternError {
    /// What is wrong with it.
    pub(crate) message: String,
    /// What to write instead, where that is known.
    pub(crate) suggestion: Option<String>,
}

impl PatternError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), suggestion: None }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Compiles a pattern with the meaning that it has in Go.
///
/// # Errors
/// When Go refuses it, when other readers of regular expressions read it differently, or when it is too large.
pub(crate) fn compile(pattern: &str) -> Result<Regex, PatternError> {
    let read = pattern::parse_pattern(pattern)?;
    if !read.edits.is_empty() && Regex::new(pattern).is_ok() {
        let suggestion = apply_edits(pattern, &read.edits);
        return Err(PatternError {
            message: format!(
                "Go and other readers of regular expressions read `{}` differently",
                read.first_edit(pattern)
            ),
            suggestion: Some(suggestion),
        });
    }
    RegexBuilder::new(&read.translated)
        .size_limit(MAX_COMPILED_BYTES)
        .build()
        .map_err(|_| PatternError::new("it is too large or nested too deeply"))
}

/// Writes the parts that are read differently in the form that is read alike.
fn apply_edits(pattern: &str, edits: &[class::PatternEdit]) -> String {
    let mut out = String::with_capacity(pattern.len() + 2 * edits.len());
    let mut at = 0;
    for edit in edits {
        out.push_str(&pattern[at..edit.from]);
        out.push_str(&edit.text);
        at = edit.to;
    }
    out.push_str(&pattern[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, name: &str) -> bool {
        compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}")).is_match(name.as_bytes())
    }

    #[test]
    fn refuses_what_go_refuses() {
        for pattern in [
            "a++",
            "a**",
            "a?*",
            "a*??",
            "a{2}{3}",
            "x{1}{1}",
            "(?:a){2}{3}",
            "a{1001}",
            "a{1,1001}",
            "a{3,2}",
            "(a{500}){3}",
            "((a{10}){10}){11}",
            "(?x)a",
            "(?R)a",
            "(?u)a",
            "(?-u)a",
            "(?i-i-)",
            "(?-)",
            "(?i",
            "(?",
            "(?=a)",
            "(?<=a)",
            "(?!a)",
            "(?P=n)",
            "(?P<n",
            "(?P<>a)",
            "(?P<n-m>a)",
            "(?'n'a)",
            "(?#a)",
            "[[:foo:]]",
            "[[:alpha:]",
            r"\u0041",
            "[a--b]",
            r"\p{Script=Greek}",
            r"\p{sc=Greek}",
            r"\p{Alphabetic}",
            r"\p{Grek}",
            r"\p",
            r"\p{",
            r"\pQ",
            r"\p{^}",
            "(",
            ")",
            "a)",
            "(a",
            "*",
            "a|*",
            "(*)",
            "+",
            "?",
            "^|+",
            "[",
            "[]",
            "[a",
            "[^]",
            "[b-a]",
            r"[a-\d]",
            r"[\b]",
            r"[\Q]\E]",
            r"\",
            r"\1",
            r"\8",
            r"\9",
            r"\C",
            r"\Z",
            r"\y",
            r"\é",
            r"\x",
            r"\x4",
            r"\xg0",
            r"\x{}",
            r"\x{110000}",
            r"\x{4g}",
            "(?i)*",
            "{2}{2}",
            "a{2}*",
            "a*{2}",
            "a{2}+",
            "(?:*)",
        ] {
            assert!(compile(pattern).is_err_and(|e| e.suggestion.is_none()), "{pattern}");
        }
        assert!(compile(&"(".repeat(100_000)).is_err());
        assert!(compile(&format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000))).is_err());
        assert!(compile(&"(?:a|b".repeat(100_000)).is_err());
    }

    #[test]
    fn accepts_what_go_accepts_with_its_meaning() {
        for (pattern, yes, no) in [
            ("a{,3}", "a{,3}", "aaa"),
            ("a{", "a{", "a"),
            ("a{1", "a{1", "a1"),
            ("{", "{", "a"),
            ("^a{2,}$", "aaa", "a"),
            ("^a{2,3}?$", "aa", "aaaa"),
            ("^x{0}$", "", "x"),
            ("[[]", "[", "a"),
            ("^[[]a]$", "[a]", "a"),
            (r"^\Qa.b\E$", "a.b", "axb"),
            (r"\QaE", "aE", "a"),
            (r"^\Qab\E*$", "abbb", "aab"),
            (r"^[\d-z]$", "-", "5a"),
            (r"^[\w-a]$", "-", "+"),
            (r"^\0$", "\0", "0"),
            (r"^\07$", "\u{7}", "7"),
            (r"^\12$", "\n", "12"),
            (r"^\1011$", "A1", "1"),
            (r"^\p{^Greek}$", "a", "α"),
            (r"^\P{^Greek}$", "α", "a"),
            (r"^\p{Greek}$", "α", "a"),
            (r"^\p{greek}$", "α", "a"),
            (r"^\p{Old_Italic}|a$", "a", "b"),
            (r"^\p{Lu}$", "A", "a"),
            (r"^\pL$", "a", "1"),
            (r"^\p{Letter}$", "a", "1"),
            (r"^\p{uppercase letter}$", "A", "a"),
            (r"^\PL$", "1", "a"),
            (r"^\p{Any}$", "1", ""),
            (r"^\PN[\pN\P{L}]$", "a1", "1a"),
            (r"^\p{Cs}|b$", "b", "a"),
            ("^(?P<1a>x)$", "x", "y"),
            ("^(?P<n>a)(?P<n>b)$", "ab", "a"),
            ("^(?<n>a)$", "a", "b"),
            ("^(?)a$", "a", "A"),
            ("^(?i)A-b$", "a-B", "ab"),
            ("^(?i:A)b$", "ab", "aB"),
            ("^(?i)[^a]$", "b", "A"),
            ("^(?i)[a-c]X$", "Bx", "dx"),
            ("^(a(?i)b|C)d$", "cd", "cD"),
            ("^a(?i)*$", "aaa", "aA"),
            ("^(?i-i)A$", "A", "a"),
            (r"^\d$", "1", "١"),
            (r"^\w$", "a", "é"),
            (r"^\W$", "é", "a"),
            (r"^[^\D]$", "1", "a"),
            (r"^[\D5]$", "5", "4"),
            (r"\bapp\b", "my-app", "apps"),
            (r"\Bpp\B", "apps", "app"),
            (r"^\b{2}a$", "a", "b"),
            ("^[]a]$", "]", "b"),
            ("^[^]a]$", "b", "]"),
            ("^[-a]$", "-", "b"),
            ("^[--]$", "-", "a"),
            ("^[---]$", "-", "a"),
            ("^[---a]$", "a", "."),
            ("^[a-]$", "-", "b"),
            ("^[!-[]$", "A", "a"),
            ("^[[:alpha:]-]$", "-", "1"),
            ("^[[:^alpha:]]$", "1", "a"),
            ("^[[:word:]]$", "_", "-"),
            ("^[:alpha:]$", "p", "b"),
            ("^[a&]$", "&", "b"),
            (r"^[a\&&]$", "&", "b"),
            (r"^[\[\]]$", "[", "a"),
            (r"^[\<]$", "<", "a"),
            (r"^\_\-\.\/\ $", "_-./ ", "a"),
            (r"^\x41\x{42}$", "AB", "ab"),
            ("^.$", "é", "\n"),
            ("^(?s).$", "\n", ""),
            ("^(?s-s).$", "a", "\n"),
            (r"(?m)^a$", "b\na", "b"),
            (r"\Aa\z", "a", "b\na"),
            ("a$", "ba", "a\n"),
            ("^(|a)$", "", "b"),
            ("^(?:a|)$", "a", "b"),
            ("^a||b$", "", "\u{0}nothing is wrong here, an empty alternative matches all\u{0}"),
            ("(?U)^a+$", "aa", "b"),
            ("^[^a]$", "\n", "a"),
            (r"^\pZ\x20$", "  ", "a"),
            ("^$*$", "", "a"),
            ("#a b", "#a b", "ab"),
            ("(((((a)))))", "a", "b"),
        ] {
            assert!(is_match(pattern, yes), "{pattern} is to match {yes:?}");
            let matches_all = no.starts_with('\0');
            assert!(matches_all || !is_match(pattern, no), "{pattern} is not to match {no:?}");
        }
    }

    #[test]
    fn what_is_read_differently_is_refused_with_what_is_read_alike() {
        for (pattern, suggestion) in [
            (r"\<a", "<a"),
            (r"a\>", "a>"),
            (r"\b{start}a", r"\b\{start}a"),
            ("[a&&b]", r"[a\&&b]"),
            ("[a&&&b]", r"[a\&\&&b]"),
            ("[--a]", r"[\--a]"),
            ("[+--]", r"[+-\-]"),
            ("[-----a]", r"[---\--a]"),
            ("[a-c--z]", r"[a-c\--z]"),
            ("[a-c---]", r"[a-c\--\-]"),
            ("[a-c--]", r"[a-c\--]"),
            ("[a~~b]", r"[a\~~b]"),
            ("[[a]]", r"[\[a]]"),
            ("[[a]b]", r"[\[a]b]"),
            ("[a[b]]", r"[a\[b]]"),
            ("[[.a.]]", r"[\[.a.]]"),
            ("[[=a=]]", r"[\[=a=]]"),
        ] {
            let refused = compile(pattern).expect_err(pattern);
            assert_eq!(refused.suggestion.as_deref(), Some(suggestion), "{pattern}");
            assert!(compile(suggestion).is_ok(), "{suggestion}");
        }
    }
}
