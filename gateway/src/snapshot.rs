//! The global configuration in force: an immutable snapshot behind an atomic pointer.
