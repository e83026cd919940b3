//! Computes the bytes that git stores for a file: the line ends follow the `.gitattributes` of the tree.
//!
//! Only files of the tree count: the configuration of a machine (`core.autocrlf`, `core.attributesFile`,
//! `info/attributes`) must not change a commit. `ident` and `working-tree-encoding` are irrelevant: they affect a
//! checkout, and pillion's texts come from blobs or are UTF-8.

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::collections::BTreeMap;

/// The name of attribute files.
pub(super) const GITATTRIBUTES: &[u8] = b".gitattributes";

/// The setting of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AttributeState {
    Set,
    Unset,
    Unspecified,
    Value(String),
}

/// One line: a pattern and its attributes, in order.
struct AttributeRule {
    pattern: Gitignore,
    attributes: Vec<(String, AttributeState)>,
}

/// One `.gitattributes` file.
pub(super) struct GitAttributes {
    rules: Vec<AttributeRule>,
    macros: BTreeMap<String, Vec<(String, AttributeState)>>,
}

/// How git stores a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BlobConversion {
    /// Byte for byte.
    AsIs,
    /// With LF for each CRLF.
    Lf,
    /// With LF for each CRLF, when it looks like text and has no CRLF in git yet.
    Auto,
    /// Converted by a program, as by git-lfs and git-crypt.
    Filter(String),
}

impl GitAttributes {
    /// Parses a file; invalid lines are ignored, as in git.
    pub(super) fn parse(text: &[u8], is_root: bool) -> Self {
        let text = String::from_utf8_lossy(text);
        let mut read = Self { rules: Vec::new(), macros: BTreeMap::new() };
        for line in text.trim_start_matches('\u{feff}').lines() {
            let line = line.trim_matches([' ', '\t', '\r']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((pattern, rest)) = split_pattern(line) else { continue };
            let says: Vec<_> = rest.split_ascii_whitespace().filter_map(parse_attribute).collect();
            match pattern.strip_prefix("[attr]") {
                Some(name) if is_root => drop(read.macros.insert(name.to_owned(), says)),
                Some(_) => {}
                None => read.rules.extend(
                    build_matcher(&pattern).map(|pattern| AttributeRule { pattern, attributes: says }),
                ),
            }
        }
        read
    }

    /// Applies the rules to the undecided attributes of a file. The path is relative to the folder of these rules.
    fn apply_rules(
        &self,
        path: &str,
        macros: &AttributeMacros<'_>,
        decided: &mut BTreeMap<String, AttributeState>,
    ) {
        for rule in self.rules.iter().rev() {
            if rule.pattern.matched(path, false).is_ignore() {
                apply_attributes(&rule.attributes, macros, decided);
            }
        }
    }
}

type AttributeMacros<'a> = BTreeMap<&'a str, &'a [(String, AttributeState)]>;

// git attr.c fill_one: the last setting wins, so decided attributes stay; a macro that is set adds its own
// attributes.
fn apply_attributes(
    says: &[(String, AttributeState)],
    macros: &AttributeMacros<'_>,
    decided: &mut BTreeMap<String, AttributeState>,
) {
    for (name, state) in says.iter().rev() {
        if decided.contains_key(name) {
            continue;
        }
        decided.insert(name.clone(), state.clone());
        if *state == AttributeState::Set
            && let Some(more) = macros.get(name.as_str())
        {
            apply_attributes(more, macros, decided);
        }
    }
}

/// Returns how git stores the file of a path, by the rules of the folders above it: the deepest last, each with
/// the length of its folder's path (with the slash).
pub(super) fn blob_conversion(path: &str, folders: &[(usize, &GitAttributes)]) -> BlobConversion {
    // `binary` is built into git.
    let unset = |name: &str| (name.to_owned(), AttributeState::Unset);
    let binary = [unset("diff"), unset("merge"), unset("text")];
    let mut macros: AttributeMacros<'_> = BTreeMap::from([("binary", binary.as_slice())]);
    macros.extend(folders.iter().flat_map(|(_, r)| &r.macros).map(|(n, s)| (n.as_str(), s.as_slice())));
    let mut decided = BTreeMap::new();
    for (length, rules) in folders.iter().rev() {
        rules.apply_rules(&path[*length..], &macros, &mut decided);
    }
    match decided.get("filter") {
        Some(AttributeState::Value(name)) => return BlobConversion::Filter(name.clone()),
        Some(AttributeState::Set) => return BlobConversion::Filter(String::new()),
        _ => {}
    }
    line_end_conversion(&decided)
}

// git convert.c convert_attrs, for a machine that sets nothing.
fn line_end_conversion(decided: &BTreeMap<String, AttributeState>) -> BlobConversion {
    let action = |name: &str| match decided.get(name) {
        Some(AttributeState::Set) => Some(BlobConversion::Lf),
        Some(AttributeState::Unset) => Some(BlobConversion::AsIs),
        Some(AttributeState::Value(v)) if v == "input" => Some(BlobConversion::Lf),
        Some(AttributeState::Value(v)) if v == "auto" => Some(BlobConversion::Auto),
        _ => None,
    };
    let has_eol = matches!(decided.get("eol"), Some(AttributeState::Value(v)) if v == "lf" || v == "crlf");
    // `crlf` is the old name of `text`; `eol` alone makes a file text.
    match action("text").or_else(|| action("crlf")) {
        Some(action) => action,
        None if has_eol => BlobConversion::Lf,
        None => BlobConversion::AsIs,
    }
}

/// Returns the bytes that git would store for a file, or none if they are the same; `old` reads the current blob.
pub(super) fn convert_blob<E>(
    storing: &BlobConversion,
    bytes: &[u8],
    old: impl FnOnce() -> Result<Option<Vec<u8>>, E>,
) -> Result<Option<Vec<u8>>, E> {
    if !has_crlf(bytes) {
        return Ok(None);
    }
    match storing {
        BlobConversion::AsIs | BlobConversion::Filter(_) => return Ok(None),
        BlobConversion::Lf => {}
        BlobConversion::Auto if looks_binary(bytes) => return Ok(None),
        // git convert.c has_crlf_in_index: a file that was committed with CRLF keeps it until it is renormalised.
        BlobConversion::Auto => {
            if old()?.is_some_and(|o| has_crlf(&o) && !looks_binary(&o)) {
                return Ok(None);
            }
        }
    }
    let mut kept = Vec::with_capacity(bytes.len());
    for (n, byte) in bytes.iter().enumerate() {
        if *byte != b'\r' || bytes.get(n + 1) != Some(&b'\n') {
            kept.push(*byte);
        }
    }
    Ok(Some(kept))
}

fn has_crlf(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|w| w == b"\r\n")
}

// git convert.c gather_stats, convert_is_binary.
fn looks_binary(bytes: &[u8]) -> bool {
    let (mut printable, mut control) = (0usize, 0usize);
    let text = bytes.strip_suffix(b"\x1a").unwrap_or(bytes);
    for (n, byte) in text.iter().enumerate() {
        match byte {
            0 => return true,
            b'\r' if bytes.get(n + 1) != Some(&b'\n') => return true,
            b'\r' | b'\n' => {}
            0x08 | b'\t' | 0x0c | 0x1b | 0x20..=0x7e | 0x80.. => printable += 1,
            _ => control += 1,
        }
    }
    (printable >> 7) < control
}

/// Splits a line into its pattern and the rest; none for a pattern that git refuses.
fn split_pattern(line: &str) -> Option<(String, &str)> {
    let (pattern, rest) = if line.starts_with('"') {
        unquote(line)?
    } else if let Some(name) = line.strip_prefix("[attr]") {
        // A space between `[attr]` and the name is allowed.
        let name = name.trim_start();
        let end = name.find([' ', '\t']).unwrap_or(name.len());
        (format!("[attr]{}", &name[..end]), &name[end..])
    } else {
        let end = line.find([' ', '\t']).unwrap_or(line.len());
        (line[..end].to_owned(), &line[end..])
    };
    (!pattern.is_empty() && !pattern.starts_with('!')).then_some((pattern, rest))
}

// git quote.c unquote_c_style.
fn unquote(line: &str) -> Option<(String, &str)> {
    let mut bytes = Vec::new();
    let text = line.as_bytes();
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'"' => return Some((String::from_utf8_lossy(&bytes).into_owned(), &line[at + 1..])),
            b'\\' => {
                let escaped = *text.get(at + 1)?;
                at += 1;
                bytes.push(match escaped {
                    b'a' => 7,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 11,
                    b'\\' | b'"' => escaped,
                    b'0'..=b'3' => {
                        let octal = std::str::from_utf8(text.get(at..at + 3)?).ok()?;
                        at += 2;
                        u8::from_str_radix(octal, 8).ok()?
                    }
                    _ => return None,
                });
            }
            byte => bytes.push(byte),
        }
        at += 1;
    }
}

/// Returns a matcher for paths; `.gitignore` has the same patterns.
fn build_matcher(pattern: &str) -> Option<Gitignore> {
    // `{a,b}` means itself to git, and `#` only begins a comment where a line begins.
    let mut plain = String::with_capacity(pattern.len() + 2);
    if pattern.starts_with('#') {
        plain.push('\\');
    }
    let mut is_escaped = false;
    for c in pattern.chars() {
        if matches!(c, '{' | '}') && !is_escaped {
            plain.push('\\');
        }
        is_escaped = c == '\\' && !is_escaped;
        plain.push(c);
    }
    let mut builder = GitignoreBuilder::new("");
    builder.add_line(None, &plain).ok()?;
    builder.build().ok()
}

/// Reads one word: `name`, `-name`, `!name` or `name=value`.
fn parse_attribute(word: &str) -> Option<(String, AttributeState)> {
    let (name, state) = if let Some(name) = word.strip_prefix('-') {
        (name, AttributeState::Unset)
    } else if let Some(name) = word.strip_prefix('!') {
        (name, AttributeState::Unspecified)
    } else if let Some((name, value)) = word.split_once('=') {
        (name, AttributeState::Value(value.to_owned()))
    } else {
        (word, AttributeState::Set)
    };
    let is_name = !name.is_empty()
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    is_name.then(|| (name.to_owned(), state))
}
