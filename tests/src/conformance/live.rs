//! Conformance cases of live.
