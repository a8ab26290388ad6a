//! The management services: what they refuse and why, over the wire and beside it. The registry's own
//! rules stand behind a trait and are not asked here.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "management/draft.rs"]
mod draft;
#[path = "management/recorded.rs"]
mod recorded;
#[path = "management/refusals.rs"]
mod refusals;
#[path = "management/sender.rs"]
mod sender;
#[path = "management/service.rs"]
mod service;
