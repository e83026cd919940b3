//! Workloads that no rollout moves: who holds them, since when, and what they carry.

use super::super::state::State;
use super::super::step::Course;
use crate::model::ledger::{Ledger, Line, Name, name_text};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// A workload that no rollout moves, or whose hold is over.
#[derive(Debug, Clone)]
pub struct Held {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// A name for the reason, where the workload cannot take the template; None: its line says why.
    pub code: Option<&'static str>,
    /// Why.
    pub reason: Arc<str>,
    /// What it carries.
    pub revision: Name,
    /// Its line, as it counts.
    pub line: Option<Line>,
    /// Whether the hold lasts.
    pub lasts: Lasts,
}

/// Whether a hold lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// It does.
    Yes,
    /// It does, and no SidecarSet selects the workload any more.
    Unselected,
    /// Its last day is over.
    Ended,
    /// The workload is no longer in git; the next step drops its line.
    Gone,
}

/// Returns what a ledger says of holds, in the order of keys. `today` is `YYYY-MM-DD`, in UTC.
pub fn holds(course: &Course<'_>, ledger: &Ledger, today: Option<&str>) -> Vec<Held> {
    let mut found = Vec::new();
    for (key, written) in ledger.lines.iter().filter(|(_, line)| line.held.is_some()) {
        let unit = course.fleet.find(key);
        let line = match unit {
            Some(unit) => unit.line(ledger),
            // A line of the planner is for a template that is no longer there.
            None => Some(Cow::Borrowed(written)).filter(|l| l.is_held_by_person()),
        };
        let Some(line) = line.map(Cow::into_owned) else { continue };
        let lasts = match unit {
            None if course.held_unselected.contains(key) => Lasts::Unselected,
            None => Lasts::Gone,
            Some(_) if line.has_ended(today) => Lasts::Ended,
            Some(_) => Lasts::Yes,
        };
        found.push(Held::written(key, line, lasts));
    }
    found
}

/// Workloads that a plan does not move: those that cannot take the template, and those that are held.
pub(super) fn of_plan(
    course: &Course<'_>,
    state: &State<'_>,
    ledger: &Ledger,
    today: Option<&str>,
) -> Vec<Held> {
    let of_state = state.held.iter().map(|held| Held {
        key: Arc::clone(held.unit.key()),
        code: held.code,
        reason: Arc::clone(&held.reason),
        revision: held.carries.clone(),
        line: held.elsewhere.or(held.line.as_deref()).cloned(),
        lasts: Lasts::Yes,
    });
    let is_elsewhere = |held: &Held| matches!(held.lasts, Lasts::Gone | Lasts::Unselected);
    of_state.chain(holds(course, ledger, today).into_iter().filter(is_elsewhere)).collect()
}

impl Held {
    fn written(key: &Arc<str>, line: Line, lasts: Lasts) -> Self {
        Self {
            key: Arc::clone(key),
            code: None,
            reason: line.held.clone().unwrap_or_default(),
            revision: line.revision.clone(),
            line: Some(line),
            lasts,
        }
    }

    /// Returns whether a person holds it, and not what it is.
    pub fn is_by_person(&self) -> bool {
        self.code.is_none() && self.line.as_ref().is_some_and(Line::is_held_by_person)
    }

    /// Returns the word for its row: `held`, or `ended` where the hold is over.
    pub fn word(&self) -> &'static str {
        match self.lasts {
            Lasts::Yes | Lasts::Unselected => "held",
            Lasts::Ended | Lasts::Gone => "ended",
        }
    }

    /// Returns why it is held, by whom, since when and until when, and what it carries.
    pub fn words(&self) -> String {
        let line = self.line.as_ref().filter(|_| self.is_by_person());
        let Some(line) = line else { return format!("never: {}", self.reason) };
        let carries = self.carries();
        let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
        match self.lasts {
            Lasts::Gone => {
                format!(
                    "its hold by {} ends: the workload is no longer in git ({})",
                    text(&line.by),
                    self.reason
                )
            }
            Lasts::Ended => {
                format!(
                    "its hold by {} ended on {} ({}); on {carries}",
                    text(&line.by),
                    text(&line.until),
                    self.reason
                )
            }
            Lasts::Yes | Lasts::Unselected => {
                let mut words = format!("held by {}", text(&line.by));
                let _ = line.since.as_ref().map(|since| write!(words, " since {since}"));
                let _ = line.until.as_ref().map(|until| write!(words, " until {until}"));
                let where_it_is = match self.lasts {
                    Lasts::Unselected => "no SidecarSet selects it now".to_owned(),
                    _ => format!("on {carries}"),
                };
                format!("{words}: {}; {where_it_is}", self.reason)
            }
        }
    }

    /// Returns what it carries: the revision, and emergency images.
    pub fn carries(&self) -> String {
        carries(&self.revision, self.line.as_ref())
    }

    /// Returns it as data.
    pub fn json(&self) -> Value {
        let mut value = json!({
            "workload": &*self.key,
            "code": self.code,
            "reason": &*self.reason,
            "revision": name_text(&self.revision),
        });
        if let Some(line) = self.line.as_ref().filter(|_| self.is_by_person()) {
            value["by"] = json!(line.by.as_deref());
            value["since"] = json!(line.since.as_deref());
            value["until"] = json!(line.until.as_deref());
            value["images"] = json!(line.images);
        }
        match self.lasts {
            Lasts::Yes => {}
            Lasts::Unselected => value["unselected"] = json!(true),
            Lasts::Gone => value["ended"] = json!("Gone"),
            Lasts::Ended => value["ended"] = json!("Date"),
        }
        value
    }
}

/// Returns a revision and the emergency images of a line, for people.
pub fn carries(revision: &Name, line: Option<&Line>) -> String {
    let images = line.iter().flat_map(|l| &l.images).map(|(name, image)| format!("{name}={image}"));
    let images: Vec<String> = images.collect();
    let revision = revision.as_deref().unwrap_or("nothing");
    if images.is_empty() { revision.to_owned() } else { format!("{revision} with {}", images.join(", ")) }
}
