//! The command as a library, so that tests can use its parts.

pub mod bench;
pub mod ca;
pub mod call;
pub mod cli;
pub mod client;
pub mod configuration;
pub mod doctor;
pub mod logs;
pub mod roles;
pub mod sample;
pub mod service;
pub mod up;
pub mod user;
pub mod verify;
