//! Tests of git: trees, refs, remotes, attributes and signatures.

mod attributes;
#[cfg(unix)]
mod embedded_repositories;
mod refs;
mod remotes;
mod repositories;
mod signing;
mod trees;
