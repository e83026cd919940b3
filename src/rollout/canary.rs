//! `updateStrategy.selector`: restricts an update to matching units.

use super::LabelMap;
use crate::model::selector::Selector;

/// Returns whether a unit may be updated. Without a selector every unit may; an empty selector matches everything.
pub(crate) fn is_in_canary(selector: Option<&Selector>, labels: &LabelMap) -> bool {
    selector.is_none_or(|s| s.matches(labels))
}
