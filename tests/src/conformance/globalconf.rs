//! Conformance cases of globalconf.
