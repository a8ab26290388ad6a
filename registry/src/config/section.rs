//! `[administration]`: the interface for administrators, and the rules by which they administer.

use std::path::{Path, PathBuf};

use administration::settings::{Settings, Written};

use super::{obeys, set, socket};
use crate::fields::{At, Table};
use crate::instance::Rules;
use crate::state::rules;

/// Reads the section; what of it are rules goes into `decided`.
pub(super) fn read(
    root: &mut Table<'_, '_>,
    declared: bool,
    folder: &Path,
    state_folder: &Path,
    decided: &mut Rules,
) -> Option<Settings> {
    let mut table = root.table("administration")?;
    let settings = interface(&mut table, folder, state_folder);
    let before = decided.clone();
    decide(&mut table, decided);
    if declared && *decided != before {
        table.problem(
            "has rules, which are of no use to a declared instance: leave them or instance-file out",
        );
    }
    table.finish();
    settings
}

/// The interface for administrators.
fn interface(table: &mut Table<'_, '_>, folder: &Path, state_folder: &Path) -> Option<Settings> {
    let listen = table.text("listen");
    let path = |at: Option<At<String>>| at.map(|at| PathBuf::from(at.value));
    let texts = |all: Vec<At<String>>| -> Option<Vec<String>> {
        (!all.is_empty()).then(|| all.into_iter().map(|at| at.value).collect())
    };
    let most = u64::from(u32::MAX);
    let number = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
    let written = Written {
        listen: listen.and_then(|at| socket(table, &at)),
        certificate: path(table.text("certificate")),
        key: path(table.text("key")),
        users_file: path(table.text("users-file")),
        addresses: texts(table.texts("addresses")),
        key_addresses: texts(table.texts("key-addresses")),
        requests_per_second: number(table.number("requests-per-second", 1, most)),
        requests_per_minute: number(table.number("requests-per-minute", 1, most)),
    };
    match written.check(folder, state_folder) {
        Ok(settings) => Some(settings),
        Err(problems) => {
            problems.into_iter().for_each(|problem| table.problem(problem));
            None
        }
    }
}

/// The rules by which an instance is administered.
fn decide(table: &mut Table<'_, '_>, decided: &mut Rules) {
    let Rules {
        approve_certificates,
        approve_clients,
        approve_owner_changes,
        second_person,
        strict_identifiers,
        trusted_anchors,
        pin_policy,
        parts,
    } = decided;
    for mut part in table.tables("configuration-part") {
        let identifier = part.needed_text("identifier");
        let identifier = identifier.filter(|at| obeys(&part, at, rules::part_identifier));
        let name = part.needed_text("file-name").filter(|at| obeys(&part, at, rules::part_file_name));
        part.finish();
        let Some((identifier, name)) = identifier.zip(name) else { continue };
        if parts.iter().any(|(known, file)| *known == identifier.value || *file == name.value) {
            table.problem_at(&identifier.place, "is there already, or its file name is");
        }
        parts.push((identifier.value, name.value));
    }
    set(approve_certificates, table.boolean("auto-approve-certificates"));
    set(approve_clients, table.boolean("auto-approve-clients"));
    set(approve_owner_changes, table.boolean("auto-approve-owner-changes"));
    set(second_person, table.boolean("second-person"));
    set(strict_identifiers, table.boolean("strict-identifier-checks"));
    set(trusted_anchors, table.boolean("trusted-anchors-allowed"));
    set(pin_policy, table.boolean("enforce-pin-policy"));
    if *second_person && (*approve_certificates || *approve_clients || *approve_owner_changes) {
        table.problem(
            "two persons cannot decide what a rule approves: leave second-person or auto-approve-* out",
        );
    }
}
