//! Private keys and signatures: ring where it can, aws-lc-rs for the rest.
