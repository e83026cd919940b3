//! Files and standard input become texts with a name. What they mean is found out elsewhere.

mod file;
mod parallel;
mod walk;

pub use file::{MAX_FILE, read_file, read_stream};
pub use parallel::in_order;
pub use walk::{Found, Skips, Walk, walk};
