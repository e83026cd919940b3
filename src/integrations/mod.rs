//! What integrations share: the objects of a stream, and the session that renders them.

mod session;
mod stream_objects;

pub use session::{IntegrationSession, explain_patch_error};
pub use stream_objects::{STREAM_NAME, StreamObjects, is_from_file, is_function_config};
