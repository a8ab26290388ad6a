//! The recorded set-up of a federation, played against servers of ours.
//!
//! A [`Scenario`] is the recording: calls with the answers that X-Road's servers gave. A [`Player`]
//! sends a call over TLS to the server that stands for the recorded host, with the session that this
//! server gave. [`compare`](mod@compare) finds where an answer differs; what must differ (times, ids,
//! hashes) is named one by one by whoever plays, so nothing else can.

mod compare;
mod multipart;
mod player;
mod recorded;

pub use compare::{Differing, compare};
pub use multipart::{Multipart, Part};
pub use player::{Answer, Player};
pub use recorded::{Entry, Scenario, file};
