//! Certificates, parsed once.
