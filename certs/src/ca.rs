//! The pilot certification authority with its OCSP responder and time-stamping authority.
