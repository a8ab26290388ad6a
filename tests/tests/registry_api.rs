//! The administration interface of the registry: its table against the facts about X-Road's, and a
//! running registry over TLS.

#[path = "registry_api/additions.rs"]
mod additions;
#[path = "registry_api/coverage.rs"]
mod coverage;
#[path = "registry_api/document.rs"]
mod document;
#[path = "registry_api/permissions.rs"]
mod permissions;
#[path = "registry_api/replay.rs"]
mod replay;
#[path = "registry_api/roles.rs"]
mod roles;
#[path = "registry_api/scale.rs"]
mod scale;
#[path = "registry_api/support.rs"]
mod support;
