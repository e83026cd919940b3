//! Which SidecarSets could select a workload, judged by the words in its text, before it is parsed.
//!
//! A set is ruled out only when a label key or value that its selector demands stands nowhere in the text.

use crate::model::selector::{Operator, Selector};
use aho_corasick::{AhoCorasick, MatchKind};
use std::collections::BTreeMap;

/// Words that make a document worth parsing whatever the selectors say: what was injected earlier may have to
/// go, launch priorities act without any set, and escapes or `!!binary` could hide every other word.
const ALWAYS: &[&str] = &[
    "kruise.io/sidecarset-injected-list",
    "KRUISE_CONTAINER_PRIORITY",
    "apps.kruise.io/container-launch-priority",
    "\\",
    "binary",
];

/// All the words that any selector demands, looked for in one pass over the text.
#[derive(Debug)]
pub(super) struct Needles {
    words: AhoCorasick,
    /// For each set, the words that must all be there.
    demands: Vec<Vec<usize>>,
    /// For each word, the sets that demand it; the words of `ALWAYS` come first and have none.
    demanded_by: Vec<Vec<usize>>,
    /// Sets that demand no word.
    undemanding: Vec<usize>,
}

/// Words of which one is looked for.
#[derive(Debug)]
pub struct AnyOf(AhoCorasick);

impl AnyOf {
    /// Takes words; None where there are none, or too many for an automaton.
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return None;
        }
        // Escapes hide words.
        AhoCorasick::new(words.into_iter().chain(["\\"])).ok().map(Self)
    }

    /// Returns whether a text has one of them.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl Needles {
    /// Collects the words of all selectors, in the order of the sets.
    pub(super) fn new<'a>(selectors: impl Iterator<Item = &'a Selector>) -> Self {
        let mut index: BTreeMap<&str, usize> = BTreeMap::new();
        let mut words: Vec<&str> = ALWAYS.to_vec();
        let mut demands: Vec<Vec<usize>> = Vec::new();
        let selectors: Vec<&Selector> = selectors.collect();
        for selector in &selectors {
            let mut demand: Vec<usize> = demanded(selector)
                .into_iter()
                .map(|word| {
                    *index.entry(word).or_insert_with(|| {
                        words.push(word);
                        words.len() - 1
                    })
                })
                .collect();
            demand.sort_unstable();
            demand.dedup();
            demands.push(demand);
        }
        let mut demanded_by = vec![Vec::new(); words.len()];
        for (set, demand) in demands.iter().enumerate() {
            demand.iter().for_each(|word| demanded_by[*word].push(set));
        }
        let undemanding = (0..demands.len()).filter(|set| demands[*set].is_empty()).collect();
        let words = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&words)
            .expect("label keys and values are far from the limits of the automaton");
        Self { words, demands, demanded_by, undemanding }
    }

    /// Tells whether a document with this text has to be parsed: some set could select it, or it holds
    /// something that injection acts on without a set.
    pub(super) fn are_in(&self, text: &str) -> bool {
        if !self.undemanding.is_empty() {
            return true;
        }
        let mut seen = vec![false; self.demanded_by.len()];
        for found in self.words.find_overlapping_iter(text) {
            let word = found.pattern().as_usize();
            if word < ALWAYS.len() {
                return true;
            }
            if !std::mem::replace(&mut seen[word], true)
                && self.demanded_by[word].iter().any(|set| self.demands[*set].iter().all(|w| seen[*w]))
            {
                return true;
            }
        }
        false
    }
}

/// The words that must stand in the text of every pod template the selector matches.
fn demanded(selector: &Selector) -> Vec<&str> {
    let mut words = Vec::new();
    for (key, value) in &selector.match_labels {
        words.extend([key.as_str(), value.as_str()]);
    }
    for requirement in &selector.match_expressions {
        match &requirement.operator {
            Operator::Exists => words.push(&requirement.key),
            Operator::In(values) => {
                words.push(&requirement.key);
                // One value must be there as it is; of several, any.
                words.extend(values.iter().filter(|_| values.len() == 1).map(String::as_str));
            }
            Operator::NotIn(_) | Operator::DoesNotExist => {}
        }
    }
    words.retain(|word| is_written_as_is(word));
    words
}

/// Tells whether a word has one spelling in YAML without escapes. A key that is read as a number or boolean
/// (`0x8`, `yes`) has several; a word that starts with a letter and is no boolean has not.
fn is_written_as_is(word: &str) -> bool {
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
        let needles = Needles::new(sets.iter());
        assert!(needles.are_in("labels: {team/log: enabled}"));
        assert!(!needles.are_in("labels: {team/log: none, mesh: istio}"));
        assert!(needles.are_in("labels: {\"me\\x73h\": x}"), "an escape could hide a word");
    }

    #[test]
    fn a_set_that_demands_nothing_asks_for_every_document() {
        let absent = Requirement { key: "a".into(), operator: Operator::DoesNotExist };
        let set = Selector { match_labels: BTreeMap::new(), match_expressions: vec![absent] };
        assert!(Needles::new([&set, &labels(&[("a", "true")])].into_iter()).are_in("x"));
        assert!(!Needles::new(std::iter::empty()).are_in("x"));
    }
}
