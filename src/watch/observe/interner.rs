//! Shares equal texts among observed objects.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Bytes of the longest shared text.
const MAX_SHARED_BYTES: usize = 1 << 10;

/// Known texts, each once.
#[derive(Debug, Default)]
pub(super) struct Interner {
    texts: BTreeSet<Arc<str>>,
    /// Number of texts from which unused ones are dropped.
    limit: usize,
}

impl Interner {
    /// Returns the shared copy of a text.
    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        // A long text rarely occurs again, and would stay after its last use.
        if text.len() > MAX_SHARED_BYTES {
            return Arc::from(text);
        }
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        if self.texts.len() >= self.limit {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.limit = 2 * self.texts.len() + 1024;
        }
        let text: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&text));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_let_go() {
        let mut interner = Interner::default();
        let kept = interner.intern("kept");
        assert!(Arc::ptr_eq(&kept, &interner.intern("kept")));
        for number in 0..100_000 {
            interner.intern(&number.to_string());
        }
        assert!(interner.texts.len() < 2_000);
        assert!(Arc::ptr_eq(&kept, &interner.intern("kept")));
    }
}
