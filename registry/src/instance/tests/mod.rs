//! Tables of what commands do and refuse.

mod things;
pub(crate) mod town;
mod trust;
