//! Who vouches for a commit?

/// Whether and how commits are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing(());

impl Signing {
    /// Commits are not signed: the same parts are the same commit everywhere.
    pub fn off() -> Self {
        Self(())
    }
}
