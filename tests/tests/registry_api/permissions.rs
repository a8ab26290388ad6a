//! Permissions and the roles that have them.

use std::path::Path;

use administration::access::{Permission as _, Role};
use registry::api::Permission;

#[test]
fn roles_have_the_permissions_of_the_table() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/admin-api/central-server.permissions.txt");
    let text = std::fs::read_to_string(file).expect("the table");
    let mut table: Vec<(String, Vec<Role>)> = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let name = words.next().expect("a name").to_owned();
        let mut roles: Vec<Role> = words.map(|word| word.parse().expect("a role")).collect();
        roles.sort_unstable();
        table.push((name, roles));
    }
    let own: Vec<(String, Vec<Role>)> = Permission::ALL
        .iter()
        .map(|permission| {
            let mut roles = permission.roles().to_vec();
            roles.sort_unstable();
            (permission.name().to_owned(), roles)
        })
        .collect();
    for entry in &table {
        assert!(own.contains(entry), "{} differs", entry.0);
    }
    let more = own.iter().filter(|(name, _)| !table.iter().any(|(known, _)| known == name));
    let more: Vec<_> = more.map(|(name, _)| name.as_str()).collect();
    println!("{} permissions as in X-Road, beside them {}", table.len(), more.join(" "));
    assert_eq!(table.len(), 90);
}

/// Each permission guards something.
#[test]
fn no_permission_is_without_use() {
    // Of operations that are not here, of the layer below, or of the interface for people.
    const ELSEWHERE: &[&str] = &[
        "BACKUP_CONFIGURATION",
        "RESTORE_CONFIGURATION",
        "VIEW_CONFIGURATION",
        "VIEW_CONFIGURATION_MANAGEMENT",
        "VIEW_TLS_CERTIFICATES",
        "VIEW_APPROVED_TSA_DETAILS",
        "IMPERSONATE_SECURITY_SERVER",
        "CREATE_API_KEY",
        "VIEW_API_KEYS",
        "UPDATE_API_KEY",
        "REVOKE_API_KEY",
    ];
    let api = registry::api::api();
    for permission in Permission::ALL {
        let used = api.operations.iter().any(|operation| operation.permissions.contains(permission));
        let name = permission.name();
        assert_eq!(used, !ELSEWHERE.contains(&name), "{name}");
    }
}
