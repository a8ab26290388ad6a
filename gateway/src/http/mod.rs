//! The HTTP that every listener and every outgoing call of a node shares.

pub mod body;
pub mod fetch;
mod limits;
pub mod server;
mod stall;
pub mod trust;

pub use body::{Aborted, Outgoing, collect};
pub use fetch::{FetchError, Fetcher};
pub use limits::{Connections, Limits};
pub use server::{Service, bind, serve, serve_within};
pub use trust::HttpsTrust;
