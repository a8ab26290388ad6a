//! The administration interface of a security server against X-Road's definitions.

use std::path::Path;

use administration::access::{Permission as _, Role};
use security_server::api::{Permission, api};

fn testdata(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/admin-api").join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn roles_have_the_permissions_of_the_table() {
    let sorted = |mut roles: Vec<Role>| {
        roles.sort_unstable();
        roles
    };
    let own: Vec<(&str, Vec<Role>)> = Permission::ALL
        .iter()
        .map(|permission| (permission.name(), sorted(permission.roles().to_vec())))
        .collect();
    let text = testdata("security-server.permissions.txt");
    let mut count = 0;
    for line in text.lines() {
        let mut words = line.split(' ');
        let name = words.next().expect("a name").to_uppercase();
        let roles = sorted(words.map(|word| word.parse().expect("a role")).collect());
        let found = own.iter().find(|(known, _)| *known == name);
        assert_eq!(found.map(|(_, roles)| roles), Some(&roles), "{name}");
        count += 1;
    }
    let more = own.len() - count;
    println!("{count} permissions as in X-Road, and {more} of our own");
    assert!(count >= 98);
}

/// Operations of X-Road's definition that are here; the list of those that are missing may only shrink.
#[test]
fn operations_are_those_of_the_definition() {
    let api = api();
    let text = testdata("security-server.operations.txt");
    let mut missing = Vec::new();
    let mut wrong = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [method, path, id, ..] = words[..] else { panic!("{line}") };
        // Names of parameters are nobody's business.
        let shape = |path: &str| -> Vec<String> {
            let segment = |segment: &str| if segment.starts_with('{') { "{}" } else { segment }.to_owned();
            path.split('/').map(segment).collect()
        };
        let found = api
            .operations
            .iter()
            .find(|operation| operation.method.as_str() == method && shape(operation.path) == shape(path));
        match found {
            None => missing.push(id),
            Some(operation) if operation.id != id => wrong.push((operation.id, id)),
            Some(_) => {}
        }
    }
    println!("{} of {} operations are here", text.lines().count() - missing.len(), text.lines().count());
    println!("missing: {}", missing.join(" "));
    assert_eq!(wrong, []);
    assert!(missing.len() <= 93, "{}", missing.len());
}
