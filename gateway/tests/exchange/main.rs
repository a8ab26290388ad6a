//! Exchanges between two gateways over real TLS on loopback, with keeping of messages, signing and
//! access rights in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

extern crate causeway_gateway as gateway;

mod calls;
mod catalogue;
mod choice;
mod craft;
mod federation;
mod interface;
#[cfg(feature = "legacy-transport")]
mod legacy;
mod limits;
mod lost;
mod matrix;
mod metadata;
mod own;
mod parts;
mod refusals;
mod replays;
mod requests;
mod responses;
mod rest;
mod service;
mod smuggling;
mod soap;
mod soap_tls;
mod streams;
mod trusting;
