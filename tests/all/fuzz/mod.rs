//! The bodies of the fuzz targets, and a bounded run of them.

mod manifests;
mod mutations;
mod readers;
mod smoke;
mod untrusted_input;
