//! Which role may call what, found out by asking a running registry.

use std::collections::BTreeMap;

use administration::access::Role;
use http::Method;

use crate::document::agree;
use crate::support::{Answer, Office};

/// The roles of a registry with the letters of the table.
const ROLES: [(Role, &str); 4] = [
    (Role::SystemAdministrator, "SYS"),
    (Role::SecurityOfficer, "SO"),
    (Role::RegistrationOfficer, "RO"),
    (Role::ManagementService, "MGMT"),
];

#[tokio::test(flavor = "multi_thread")]
async fn all_roles_ask_everything() {
    let office = Office::start().await;
    office.initialise().await;
    let mut keys = BTreeMap::new();
    for (role, _) in ROLES {
        keys.insert(role, office.api_key(&[role]).await);
    }
    // Strangers, and one who has a key of no use here.
    let observer = office.api_key(&[Role::Observer]).await;
    let operations = registry::api::api().operations;
    let mut table = String::from(
        "# Which role may call what, asked of a running registry. `-`: refused with 403. Without any role\n\
         # everything is refused with 401. tests/tests/registry_api/roles.rs\n",
    );
    let mut asked = 0;
    for operation in &operations {
        let path = filled(operation.path);
        let ask = async |key: Option<&str>| -> Answer {
            let body = if operation.method == Method::GET { None } else { Some("{}") };
            office.ask(key, &operation.method, &path, body).await
        };
        assert_eq!(ask(None).await.status, 401, "{} for a stranger", operation.id);
        assert_eq!(ask(Some("00000000-0000-0000-0000-000000000000")).await.status, 401, "{}", operation.id);
        let open = operation.permissions.is_empty();
        assert_eq!(ask(Some(&observer)).await.status == 403, !open, "{} for an observer", operation.id);
        let mut line = format!("{:<6} {:<95}", operation.method.as_str(), operation.path);
        for (role, letters) in ROLES {
            let status = ask(keys.get(&role).map(String::as_str)).await.status;
            asked += 1;
            assert!(status < 500, "{} answers {status} to {role}", operation.id);
            let shown = if status == 403 { "-" } else { letters };
            line.push_str(&format!(" {shown:<4}"));
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    println!("{} operations, {asked} answers", operations.len());
    agree("registry-permissions.txt", &table);
    office.registry.stop().await;
}

/// A path with something in each place that cannot exist.
fn filled(path: &str) -> String {
    let fill = |segment: &str| match segment {
        "{member_id}" => "DEV:COM:nobody".to_owned(),
        "{client_id}" | "{subsystem_id}" => "DEV:COM:nobody:nothing".to_owned(),
        "{server_id}" => "DEV:COM:nobody:none".to_owned(),
        "{configuration_type}" => "INTERNAL".to_owned(),
        "{code}" | "{group_code}" | "{hash}" | "{sign_key_id}" | "{token_id}" | "{content_identifier}" => {
            "nothing".to_owned()
        }
        id if id.starts_with('{') => "999999".to_owned(),
        fixed => fixed.to_owned(),
    };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}
