//! Writes rendered files to standard output, to a folder or in place: all of them or none.

mod diff;
mod folder;
mod stream;

pub use diff::unified_diff;
pub(crate) use folder::{FolderReader, OutputFolder, PresentFile, replace_files};
pub(crate) use stream::OutputStream;

/// What went wrong outside the user's manifests.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be written.
    #[error("`{path}` cannot be written: {source}")]
    Write {
        /// What was to be written.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Standard output is gone or full.
    #[error("standard output cannot be written: {0}")]
    Stdout(std::io::Error),
    /// No place for the output while it is collected.
    #[error("the output cannot be kept in the temporary folder: {0}")]
    Spool(std::io::Error),
}
