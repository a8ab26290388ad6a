//! The HTTP that every listener and every outgoing call of a node shares.

pub mod body;
pub mod fetch;
pub mod server;
pub mod trust;

pub use body::{Aborted, Outgoing, collect};
pub use fetch::{FetchError, Fetcher};
pub use server::{Service, bind, serve};
pub use trust::HttpsTrust;
