//! One program with a fuzz target for each parser of foreign bytes; the environment names the target.
//!
//! A target must not panic, must not run long, and where a format has one form only, what was read and
//! written again must be the same bytes.

#![no_main]

mod configuration;
mod nodes;
mod pki;
mod wire;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// What is done with one input.
type Target = fn(&[u8]);

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(init: {
    let name = std::env::var("CAUSEWAY_FUZZ_TARGET").expect("CAUSEWAY_FUZZ_TARGET names the target");
    let all = [wire::TARGETS, configuration::TARGETS, pki::TARGETS, nodes::TARGETS];
    let found = all.into_iter().flatten().find(|(found, _)| *found == name);
    TARGET.set(found.unwrap_or_else(|| panic!("there is no target {name}")).1).expect("init runs once");
}, |data: &[u8]| {
    (TARGET.get().expect("init ran"))(data);
});
