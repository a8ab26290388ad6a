//! Verdicts of this implementation on the vectors of the specification.
pub mod evidence;
pub mod globalconf;
pub mod live;
pub mod messages;
