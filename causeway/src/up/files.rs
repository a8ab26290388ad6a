//! The files of the pilot's nodes, written the way an operator would write them.

use std::fmt::Write as _;

use super::plan::{ALLOWED, INSTANCE, NODES, Network, Node, SOAP_SERVICE, TEST_SERVICE, class_name};

/// The registry's declarative file. Certificates lie beside it: `ca.pem`, `ocsp.pem`, `tsa.pem`, and
/// `NODE-authentication.pem` for each node. `more_members` fills the instance up, for measurements.
pub fn instance(network: Network, more_members: usize) -> String {
    let mut text = format!(
        "# The pilot instance. A change here is published within a second.
instance = \"{INSTANCE}\"

[settings]
ocsp-freshness-seconds = 3600
timestamping-interval-seconds = 10
ocsp-fetch-interval-seconds = 60

"
    );
    for (code, description) in
        [("GOV", "Government"), ("NDC", "National data centre programme"), ("INT", "International partners")]
    {
        let _ = writeln!(text, "[[member-class]]\ncode = \"{code}\"\ndescription = \"{description}\"\n");
    }
    for node in &NODES {
        let _ = writeln!(
            text,
            "[[member]]\nclass = \"{}\"\ncode = \"{}\"\nname = \"{}\"",
            node.member_class, node.member_code, node.title
        );
        for subsystem in subsystems(node) {
            let _ = writeln!(text, "[[member.subsystem]]\ncode = \"{subsystem}\"");
        }
        text.push('\n');
    }
    for number in 0..more_members {
        let _ = writeln!(
            text,
            "[[member]]\nclass = \"GOV\"\ncode = \"M{number}\"\nname = \"Agency {number}\"\n[[member.subsystem]]\ncode = \"a\"\n[[member.subsystem]]\ncode = \"b\"\n"
        );
    }
    for node in &NODES {
        let clients: Vec<String> =
            subsystems(node).iter().map(|code| format!("\"{}/{code}\"", node.member())).collect();
        let _ = writeln!(
            text,
            "[[security-server]]\nowner = \"{}\"\ncode = \"{}\"\nclass = \"{}\"\naddress = \"{}\"\nauthentication-certificates = [\"{}-authentication.pem\"]\nclients = [{}]\n",
            node.member(),
            node.server_code,
            class_name(node.class),
            node.host(network),
            node.name,
            clients.join(", ")
        );
    }
    let authority = network.authority();
    let _ = writeln!(
        text,
        "[[certification-service]]
name = \"Pilot CA\"
profile = \"{PROFILE}\"
certificate = \"ca.pem\"
[[certification-service.ocsp]]
url = \"http://{authority}/ocsp\"
certificate = \"ocsp.pem\"
cost = \"free\"

[[timestamping-service]]
name = \"Pilot TSA\"
url = \"http://{authority}/tsa\"
certificate = \"tsa.pem\"
cost = \"free\"
"
    );
    text.push_str("# Which class may call which. A pair that is not here is forbidden.\n");
    for (consumer, provider) in ALLOWED {
        let _ = writeln!(
            text,
            "[[class-pair]]\nconsumer = \"{}\"\nprovider = \"{}\"\ntls = \"1.3\"\n",
            class_name(consumer),
            class_name(provider)
        );
    }
    let _ = writeln!(text, "[management]\nprovider = \"{}/management\"", NODES[0].member());
    text
}

/// The authority's file.
pub fn authority(network: Network, operator_token: &str) -> String {
    let listen = network.authority();
    format!(
        "listen = \"{listen}\"
folder = \"state\"
pin-file = \"pin\"
instance = \"{INSTANCE}\"
ocsp-url = \"http://{listen}/ocsp\"
operator-token = \"{operator_token}\"
"
    )
}

/// The registry's file.
pub fn registry(network: Network, address: &str, refresh_seconds: u64) -> String {
    let listen =
        if address.contains(':') { address.to_owned() } else { format!("{}:80", network.registry()) };
    format!(
        "[registry]
state = \"state\"
instance-file = \"instance.toml\"
address = \"{address}\"

[token]
pin-file = \"pin\"

[listen]
http = \"{listen}\"
https = \"off\"

[publication]
period-seconds = {refresh_seconds}
expiry-seconds = 600

[signing]
key = \"P-256\"
"
    )
}

/// A security server's file.
pub fn server(node: &Node, network: Network, refresh_seconds: u64) -> String {
    let mut text = format!(
        "# {}
[server]
instance = \"{INSTANCE}\"
class = \"{}\"
member = \"{}\"
code = \"{}\"
state = \"state\"
anchor = \"anchor.xml\"

[token]
pin-file = \"pin\"

[listen]
address = \"{}\"

[configuration]
refresh-seconds = {}

# The pilot's own addresses: plain HTTP is good enough for trying out.
[[client]]
id = \"{}\"
connection = \"http\"
",
        node.title,
        node.member_class,
        node.member_code,
        node.server_code,
        node.host(network),
        refresh_seconds,
        node.consumer_id()
    );
    let Some((subsystem, service)) = node.provider else { return text };
    let system = node.system(network);
    let _ = write!(
        text,
        "
[[client]]
id = \"{}/{subsystem}\"
connection = \"http\"
[[client.group]]
code = \"everybody\"
description = \"All consumers of the pilot\"
members = [{}]
[[client.service]]
code = \"{service}\"
url = \"http://{system}/{service}\"
[[client.service.allow]]
local-group = \"everybody\"
method = \"GET\"
[[client.service]]
code = \"{TEST_SERVICE}\"
url = \"http://{system}\"
timeout-seconds = 5
[[client.service.allow]]
local-group = \"everybody\"
[[client.service]]
type = \"soap\"
code = \"{SOAP_SERVICE}\"
url = \"http://{system}/soap\"
timeout-seconds = 5
allow = [{{ local-group = \"everybody\" }}]
[[client.service]]
code = \"private\"
url = \"http://{system}\"
[[client.service]]
code = \"closed\"
url = \"http://{system}\"
disabled = \"closed for maintenance until tomorrow\"
[[client.service.allow]]
local-group = \"everybody\"
",
        node.member(),
        NODES.iter().map(|node| format!("\"{}\"", node.consumer_id())).collect::<Vec<_>>().join(", ")
    );
    text
}

/// Certificate profile of the pilot CA.
pub const PROFILE: &str = "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider";

/// All subsystems of a node.
pub fn subsystems(node: &Node) -> Vec<&'static str> {
    let mut all = vec![node.consumer];
    all.extend(node.provider.map(|(subsystem, _)| subsystem));
    if node.name == NODES[0].name {
        all.push("management");
    }
    all
}
