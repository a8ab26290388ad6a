//! Every operation of the interface definition is answered, or absent with a reason.

use std::collections::BTreeMap;
use std::path::Path;

use registry::api;

/// Operations that are answered by the layer below, or not at all, each with the reason.
const ELSEWHERE: &[(&str, &str)] = &[("downloadOpenApi", "answered for every interface by the layer below")];
const ABSENT: &[(&str, &str)] = &[
    ("getBackups", BACKUPS),
    ("addBackup", BACKUPS),
    ("uploadBackup", BACKUPS),
    ("deleteBackup", BACKUPS),
    ("downloadBackup", BACKUPS),
    ("restoreBackup", BACKUPS),
];
const BACKUPS: &str = "archives of the registry are not made yet; its state folder is backed up as a whole";

/// Statuses that the real servers give in place of the documented ones (registry and administration §9).
const REAL: &[(&str, u16)] = &[
    ("initCentralServer", 200),
    ("addKey", 200),
    ("revokeManagementRequest", 200),
    ("generateCertificateRequest", 200),
];

struct Documented {
    method: String,
    path: String,
    id: String,
    statuses: Vec<u16>,
}

fn documented() -> Vec<Documented> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/admin-api/central-server.operations.txt");
    let text = std::fs::read_to_string(file).expect("the list of operations");
    let line = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let mut next = || words.next().expect("a word");
        let (method, path, id) = (next(), next(), next());
        Documented { method, path, id, statuses: words.map(|word| word.parse().expect("a status")).collect() }
    };
    text.lines().map(line).collect()
}

#[test]
fn every_operation_of_the_definition_is_answered() {
    let api = api::api();
    let own: BTreeMap<&str, _> = api.operations.iter().map(|operation| (operation.id, operation)).collect();
    assert_eq!(own.len(), api.operations.len(), "two operations have one id");
    let (mut answered, mut absent) = (0, 0);
    let documented = documented();
    for asked in &documented {
        if let Some((_, reason)) = ABSENT.iter().find(|(id, _)| *id == asked.id) {
            assert!(!own.contains_key(asked.id.as_str()), "{} is there: {reason}", asked.id);
            println!("absent {} {}: {reason}", asked.method, asked.path);
            absent += 1;
            continue;
        }
        answered += 1;
        if ELSEWHERE.iter().any(|(id, _)| *id == asked.id) {
            continue;
        }
        let found = own.get(asked.id.as_str()).unwrap_or_else(|| panic!("{} is not answered", asked.id));
        let route = (found.method.as_str(), found.path);
        assert_eq!(route, (asked.method.as_str(), asked.path.as_str()), "{}", asked.id);
        // It succeeds with a status that the definition has, or the one that the real server gives.
        let real = REAL.iter().find(|(id, _)| *id == asked.id).map(|(_, status)| *status);
        let good = found.statuses.iter().filter(|status| **status < 300);
        for status in good {
            let known = match real {
                Some(real) => *status == real,
                None => asked.statuses.contains(status) || *status == 202,
            };
            assert!(known, "{} answers {status}", asked.id);
        }
    }
    let more = own.keys().filter(|id| !documented.iter().any(|asked| asked.id == **id));
    for id in more {
        println!("beside it: {} {} ({id})", own[id].method, own[id].path);
    }
    println!("{} operations in the definition: {answered} answered, {absent} absent", documented.len());
    assert_eq!((documented.len(), absent), (102, ABSENT.len()));
}

#[test]
fn whatever_changes_something_is_in_the_audit_log() {
    // They only look, with a body.
    const LOOKS: [&str; 3] = ["findGlobalGroupMembers", "previewTrustedAnchor", "checkCall"];
    for operation in &api::api().operations {
        let looks = operation.method == http::Method::GET || LOOKS.contains(&operation.id);
        assert_eq!(operation.event.is_none(), looks, "{}", operation.id);
        assert!(looks || !operation.permissions.is_empty(), "{} changes without a permission", operation.id);
    }
}
