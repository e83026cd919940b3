//! `updateStrategy.selector`: which units an update is meant for.

use super::LabelMap;
use crate::model::selector::Selector;

/// Tells whether a unit may be updated. Without a selector every unit may; an empty one selects everything.
pub fn is_in_canary(selector: Option<&Selector>, labels: &LabelMap) -> bool {
    selector.is_none_or(|s| s.matches(labels))
}
