//! Node state in the embedded database, behind a trait.
