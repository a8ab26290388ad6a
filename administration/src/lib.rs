//! What both servers need to be administered, and nothing about what they are administered for: no
//! members, no clients, no services (registry and administration, chapters 5, 6, 9 and 10).

pub mod access;
pub mod api;
pub mod audit;
pub mod server;
pub mod settings;
pub mod store;
pub mod views;
