//! Tests of the integrations: their templates, and what an application cannot override.

#[cfg(unix)]
mod remote_bases;
#[cfg(unix)]
mod root_configuration;
mod templates;
