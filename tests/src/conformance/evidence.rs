//! Conformance cases of evidence.
