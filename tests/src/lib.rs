//! Tests of the whole: conformance with recordings, federations over real sockets, fuzzing, benches.

pub mod conformance;
pub mod scenario;
pub mod testkit;
