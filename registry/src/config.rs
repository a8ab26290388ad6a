//! The registry's configuration file.
