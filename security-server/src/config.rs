//! The node's configuration file.
