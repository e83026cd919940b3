//! Rules out SidecarSets by the words in the text of a workload, before it is parsed.
//!
//! A SidecarSet is ruled out only if a label key or value that its selector requires is nowhere in the text.

use crate::model::selector::{Selector, SelectorOperator};
use aho_corasick::{AhoCorasick, MatchKind};
use std::collections::BTreeMap;

/// Words of documents that are parsed whatever the selectors require: an earlier injection may have to be removed,
/// launch priorities act without any set, and escapes or `!!binary` could hide every other word.
const UNCONDITIONAL_KEYWORDS: &[&str] = &[
    "kruise.io/sidecarset-injected-list",
    "KRUISE_CONTAINER_PRIORITY",
    "apps.kruise.io/container-launch-priority",
    "\\",
    "binary",
];

/// The words that any selector requires, found in one pass over the text.
#[derive(Debug)]
pub(super) struct SelectorPrefilter {
    automaton: AhoCorasick,
    /// For each set, the words that must all be there.
    required_words: Vec<Vec<usize>>,
    /// For each word, the sets that require it; those of [`UNCONDITIONAL_KEYWORDS`] come first and have none.
    sets_by_word: Vec<Vec<usize>>,
    /// Sets that require no word.
    unconditional_sets: Vec<usize>,
}

/// Finds whether a text has one of some words.
#[derive(Debug)]
pub(crate) struct KeywordMatcher(AhoCorasick);

impl KeywordMatcher {
    /// Builds the matcher of some words. None: there is no word, or too many.
    pub(crate) fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return None;
        }
        // Escapes hide words.
        AhoCorasick::new(words.into_iter().chain(["\\"])).ok().map(Self)
    }

    /// Returns whether a text has one of them.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl SelectorPrefilter {
    /// Collects the words of all selectors, in the order of the sets.
    pub(super) fn new<'a>(selectors: impl Iterator<Item = &'a Selector>) -> Self {
        let mut index: BTreeMap<&str, usize> = BTreeMap::new();
        let mut words: Vec<&str> = UNCONDITIONAL_KEYWORDS.to_vec();
        let mut required_words: Vec<Vec<usize>> = Vec::new();
        let selectors: Vec<&Selector> = selectors.collect();
        for selector in &selectors {
            let mut required: Vec<usize> = required_keywords(selector)
                .into_iter()
                .map(|word| {
                    *index.entry(word).or_insert_with(|| {
                        words.push(word);
                        words.len() - 1
                    })
                })
                .collect();
            required.sort_unstable();
            required.dedup();
            required_words.push(required);
        }
        let mut sets_by_word = vec![Vec::new(); words.len()];
        for (set, required) in required_words.iter().enumerate() {
            required.iter().for_each(|word| sets_by_word[*word].push(set));
        }
        let without_words = (0..required_words.len()).filter(|set| required_words[*set].is_empty()).collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&words)
            .expect("label keys and values are far from the limits of the automaton");
        Self { automaton, required_words, sets_by_word, unconditional_sets: without_words }
    }

    /// Returns whether a document with this text has to be parsed: some set could select it, or it holds
    /// something that injection acts on without a set.
    pub(super) fn may_match(&self, text: &str) -> bool {
        if !self.unconditional_sets.is_empty() {
            return true;
        }
        let mut seen = vec![false; self.sets_by_word.len()];
        for found in self.automaton.find_overlapping_iter(text) {
            let word = found.pattern().as_usize();
            if word < UNCONDITIONAL_KEYWORDS.len() {
                return true;
            }
            if !std::mem::replace(&mut seen[word], true)
                && self.sets_by_word[word]
                    .iter()
                    .any(|set| self.required_words[*set].iter().all(|w| seen[*w]))
            {
                return true;
            }
        }
        false
    }
}

/// Returns the words that must be in the text of every pod template that the selector matches.
fn required_keywords(selector: &Selector) -> Vec<&str> {
    let mut words = Vec::new();
    for (key, value) in &selector.match_labels {
        words.extend([key.as_str(), value.as_str()]);
    }
    for requirement in &selector.match_expressions {
        match &requirement.operator {
            SelectorOperator::Exists => words.push(&requirement.key),
            SelectorOperator::In(values) => {
                words.push(&requirement.key);
                // One value must be there as it is; of several, any.
                words.extend(values.iter().filter(|_| values.len() == 1).map(String::as_str));
            }
            SelectorOperator::NotIn(_) | SelectorOperator::DoesNotExist => {}
        }
    }
    words.retain(|word| has_one_spelling(word));
    words
}

/// Returns whether a word has one spelling in YAML without escapes. A key that is read as a number or boolean
/// (`0x8`, `yes`) has several; a word that starts with a letter and is not a boolean has only one.
fn has_one_spelling(word: &str) -> bool {
    word.len() > 1
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
        && !matches!(word, "true" | "false" | "null" | "yes" | "no" | "on" | "off")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::selector::Requirement;

    fn labels(pairs: &[(&str, &str)]) -> Selector {
        Selector {
            match_labels: pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            match_expressions: Vec::new(),
        }
    }

    #[test]
    fn every_word_of_one_set_must_be_there() {
        let sets = [labels(&[("team/log", "enabled")]), labels(&[("mesh", "istio"), ("tier", "web")])];
        let needles = SelectorPrefilter::new(sets.iter());
        assert!(needles.may_match("labels: {team/log: enabled}"));
        assert!(!needles.may_match("labels: {team/log: none, mesh: istio}"));
        assert!(needles.may_match("labels: {\"me\\x73h\": x}"), "an escape could hide a word");
    }

    #[test]
    fn a_set_without_words_lets_every_document_be_parsed() {
        let absent = Requirement { key: "a".into(), operator: SelectorOperator::DoesNotExist };
        let set = Selector { match_labels: BTreeMap::new(), match_expressions: vec![absent] };
        assert!(SelectorPrefilter::new([&set, &labels(&[("a", "true")])].into_iter()).may_match("x"));
        assert!(!SelectorPrefilter::new(std::iter::empty()).may_match("x"));
    }
}
