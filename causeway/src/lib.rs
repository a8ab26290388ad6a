//! What the `causeway` command is made of: the roles it can run.

pub mod ca;
