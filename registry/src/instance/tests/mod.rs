//! Tables of what commands do and refuse.

mod declared;
mod kill;
mod life;
mod things;
pub(crate) mod town;
mod trust;
