//! Conformance cases of messages.
