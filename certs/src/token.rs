//! The software token: keys encrypted at rest under a PIN.
