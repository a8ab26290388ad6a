//! The optional part `CAUSEWAY-NODE-CLASSES`: the class of every server, and which classes may talk.
//!
//! An X-Road security server keeps the file and does not look into it. It has a namespace of its own,
//! so that its schema can grow by a new namespace:
//!
//! ```xml
//! <nodeClasses xmlns="urn:causeway:node-classes:1" instance="CW">
//!     <server memberClass="GOV" memberCode="1" serverCode="SS1" class="state"/>
//!     <pair consumer="state" provider="international" tls="1.3" ocspLiveSeconds="60"
//!         synchronousTimestamp="true"/>
//! </nodeClasses>
//! ```
//!
//! A part that cannot be read makes the whole configuration unreadable: to leave it out would open what
//! the policy forbids.

use std::collections::HashMap;

use super::schema::{self, Misfit, Node};
use super::writer::Writer;
use super::{ClassPolicy, ConfigurationError, NodeClass, NodeClasses, PairTerms, TlsFloor};
use crate::id::{MemberId, SecurityServerId};

/// The content identifier of the part.
pub const CONTENT_IDENTIFIER: &str = "CAUSEWAY-NODE-CLASSES";
/// The name of its file.
pub const FILE_NAME: &str = "causeway-node-classes.xml";

const NAMESPACE: &str = "urn:causeway:node-classes:1";

impl NodeClass {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::State, Self::DataCenter, Self::International];

    /// The name in files and settings: `state`, `data-center` or `international`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::DataCenter => "data-center",
            Self::International => "international",
        }
    }

    /// The class of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl TlsFloor {
    /// The name in files and settings: `1.2` or `1.3`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }

    /// The floor of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Tls12, Self::Tls13].into_iter().find(|floor| floor.name() == name)
    }
}

/// Reads the part of this instance.
///
/// # Errors
/// `malformed_optional_parts_conf` for everything that is not understood to the last attribute, for a
/// server or pair that occurs twice, and for the part of another instance.
pub fn parse(bytes: &[u8], instance: &str) -> Result<NodeClasses, ConfigurationError> {
    read(bytes, instance).map_err(ConfigurationError::OptionalPart)
}

fn read(bytes: &[u8], instance: &str) -> Result<NodeClasses, Misfit> {
    let document = schema::parse(bytes)?;
    let root = schema::root(&document, NAMESPACE, "nodeClasses")?;
    if root.attribute("", "instance") != Some(instance) {
        return Err("the node classes are those of another instance".to_owned());
    }
    let mut children = root.children_in(NAMESPACE, &[("", "instance")])?;
    let mut servers = HashMap::new();
    for server in children.many("server") {
        let names = ["memberClass", "memberCode", "serverCode", "class"];
        let [class, code, server_code, node_class] = attributes(server, names)?;
        let id = MemberId::new(instance, class, code)
            .and_then(|owner| SecurityServerId::new(owner, server_code))
            .map_err(|error| error.to_string())?;
        let node_class = NodeClass::from_name(node_class).ok_or("a node class that is not known")?;
        if servers.insert(id, node_class).is_some() {
            return Err("a server that occurs twice".to_owned());
        }
    }
    let mut pairs = HashMap::new();
    for pair in children.many("pair") {
        let (classes, terms) = terms(pair)?;
        if pairs.insert(classes, terms).is_some() {
            return Err("a pair that occurs twice".to_owned());
        }
    }
    children.end()?;
    Ok(NodeClasses { servers, policy: ClassPolicy { pairs } })
}

fn terms(pair: Node<'_>) -> Result<((NodeClass, NodeClass), PairTerms), Misfit> {
    let names = ["consumer", "provider", "tls", "synchronousTimestamp", "ocspLiveSeconds"];
    let allowed = names.map(|name| ("", name));
    pair.children_in(NAMESPACE, &allowed)?.end()?;
    let class = |name| {
        pair.attribute("", name)
            .and_then(NodeClass::from_name)
            .ok_or_else(|| format!("'{name}' is no node class"))
    };
    let terms = PairTerms {
        tls: match pair.attribute("", "tls") {
            None => TlsFloor::Tls12,
            Some(name) => TlsFloor::from_name(name).ok_or("'tls' is neither 1.2 nor 1.3")?,
        },
        ocsp_live_seconds: pair
            .attribute("", "ocspLiveSeconds")
            .map(|text| text.parse().map_err(|_| "'ocspLiveSeconds' is not a number"))
            .transpose()?,
        synchronous_timestamp: match pair.attribute("", "synchronousTimestamp") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err("'synchronousTimestamp' is not true or false".to_owned()),
        },
    };
    Ok(((class("consumer")?, class("provider")?), terms))
}

fn attributes<'d, const N: usize>(node: Node<'d>, names: [&str; N]) -> Result<[&'d str; N], Misfit> {
    let allowed = names.map(|name| ("", name));
    node.children_in(NAMESPACE, &allowed)?.end()?;
    let mut values = [""; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = node.attribute("", name).ok_or_else(|| format!("'{name}' is missing"))?;
    }
    Ok(values)
}

/// The file of the part; servers and pairs stand in a fixed order, so that equal values give equal bytes.
pub fn write(classes: &NodeClasses, instance: &str) -> Vec<u8> {
    let mut writer = Writer::bare();
    writer.start_with("nodeClasses", &[("xmlns", NAMESPACE), ("instance", instance)]);
    let mut servers: Vec<_> = classes.servers.iter().collect();
    servers.sort();
    for (server, class) in servers {
        let owner = server.owner();
        writer.empty(
            "server",
            &[
                ("memberClass", owner.class()),
                ("memberCode", owner.code()),
                ("serverCode", server.code()),
                ("class", class.name()),
            ],
        );
    }
    let mut pairs: Vec<_> = classes.policy.pairs.iter().collect();
    pairs.sort_by_key(|(classes, _)| **classes);
    for ((consumer, provider), terms) in pairs {
        let live = terms.ocsp_live_seconds.map(|seconds| seconds.to_string());
        let mut attributes = vec![
            ("consumer", consumer.name()),
            ("provider", provider.name()),
            ("tls", terms.tls.name()),
            ("synchronousTimestamp", if terms.synchronous_timestamp { "true" } else { "false" }),
        ];
        attributes.extend(live.as_deref().map(|seconds| ("ocspLiveSeconds", seconds)));
        writer.empty("pair", &attributes);
    }
    writer.finish()
}
