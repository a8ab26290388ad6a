//! Who takes part in the pilot federation, and where.
//!
//! Every node has a loopback address of its own and the standard ports.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use protocol::configuration::NodeClass;

/// The instance identifier of the pilot.
pub const INSTANCE: &str = "CW";

/// Ports of a node.
pub mod port {
    /// Information systems over HTTP.
    pub const CLIENTS: u16 = 8080;
    /// Information systems over HTTPS.
    pub const CLIENTS_TLS: u16 = 8443;
    /// Messages between security servers.
    pub const MESSAGES: u16 = 5500;
    /// OCSP responses between security servers.
    pub const OCSP: u16 = 5577;
    /// The pilot authority: OCSP, time-stamps, certificates.
    pub const AUTHORITY: u16 = 8888;
    /// A sample information system.
    pub const SYSTEM: u16 = 9000;
    /// Global configuration where port 80 is free and permitted.
    pub const CONFIGURATION: u16 = 80;
    /// Global configuration where port 80 is not.
    pub const CONFIGURATION_OTHERWISE: u16 = 8088;
}

/// The first three octets of all addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network(pub [u8; 3]);

impl Network {
    /// Where `causeway up` runs.
    pub const PILOT: Self = Self([127, 0, 1]);
    /// Where `causeway bench` runs, so that it does not meet a pilot that is up.
    pub const BENCH: Self = Self([127, 0, 2]);

    /// A network as [`Network`] shows it; none if it is not one of loopback addresses.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|number| number.parse::<u8>().ok());
        let octets = [numbers.next()??, numbers.next()??, numbers.next()??];
        (numbers.next().is_none() && octets.first() == Some(&127)).then_some(Self(octets))
    }

    fn host(self, last: u8) -> IpAddr {
        let Self([a, b, c]) = self;
        Ipv4Addr::new(a, b, c, last).into()
    }

    /// The registry's address.
    pub fn registry(self) -> IpAddr {
        self.host(1)
    }

    /// The pilot authority.
    pub fn authority(self) -> SocketAddr {
        (self.host(2), port::AUTHORITY).into()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([a, b, c]) = self;
        write!(f, "{a}.{b}.{c}")
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or("write the first three numbers of a loopback address, such as 127.0.3")
    }
}

/// A member with the one security server it runs and one information system behind it.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Name of its folder and process.
    pub name: &'static str,
    /// Shown to people.
    pub title: &'static str,
    /// Class of its server.
    pub class: NodeClass,
    /// Member class.
    pub member_class: &'static str,
    /// Member code.
    pub member_code: &'static str,
    /// Server code.
    pub server_code: &'static str,
    /// The subsystem that calls.
    pub consumer: &'static str,
    /// The subsystem that offers a service, and the service's code.
    pub provider: Option<(&'static str, &'static str)>,
    /// The last octet of its address; its information system has ten more.
    host: u8,
}

/// The three nodes, one of each class.
pub const NODES: [Node; 3] = [
    Node {
        name: "ministry",
        title: "Ministry of Transport",
        class: NodeClass::State,
        member_class: "GOV",
        member_code: "1001",
        server_code: "ss1",
        consumer: "permits",
        provider: Some(("vehicles", "vehicles")),
        host: 11,
    },
    Node {
        name: "data-centre",
        title: "National Data Centre",
        class: NodeClass::DataCenter,
        member_class: "NDC",
        member_code: "2001",
        server_code: "hub1",
        consumer: "hub",
        provider: Some(("population", "persons")),
        host: 12,
    },
    Node {
        name: "partner",
        title: "Border Agency abroad",
        class: NodeClass::International,
        member_class: "INT",
        member_code: "3001",
        server_code: "edge1",
        consumer: "border",
        provider: None,
        host: 13,
    },
];

impl Node {
    /// The server's address.
    pub fn host(&self, network: Network) -> IpAddr {
        network.host(self.host)
    }

    /// Where its information systems call it.
    pub fn clients(&self, network: Network) -> SocketAddr {
        (self.host(network), port::CLIENTS).into()
    }

    /// Where its own information system listens.
    pub fn system(&self, network: Network) -> SocketAddr {
        (network.host(self.host + 10), port::SYSTEM).into()
    }

    /// `instance/class/member`
    pub fn member(&self) -> String {
        format!("{INSTANCE}/{}/{}", self.member_class, self.member_code)
    }

    /// The calling subsystem.
    pub fn consumer_id(&self) -> String {
        format!("{}/{}", self.member(), self.consumer)
    }

    /// The service for tests that it offers.
    pub fn test_service_id(&self) -> Option<String> {
        self.provider.map(|(subsystem, _)| format!("{}/{subsystem}/{TEST_SERVICE}", self.member()))
    }

    /// The service over SOAP that it offers.
    pub fn soap_service_id(&self) -> Option<String> {
        self.provider.map(|(subsystem, _)| format!("{}/{subsystem}/{SOAP_SERVICE}", self.member()))
    }

    /// The service it offers.
    pub fn service_id(&self) -> Option<String> {
        self.provider.map(|(subsystem, service)| format!("{}/{subsystem}/{service}", self.member()))
    }
}

/// Code of the service that every provider of the pilot offers besides its own, for tests and
/// measurements: it reaches all of [`crate::sample`].
pub const TEST_SERVICE: &str = "test";

/// Code of the service over SOAP that every provider of the pilot offers: it looks for a key in its
/// registers, and gives attachments back.
pub const SOAP_SERVICE: &str = "query";

/// The class as files and people write it.
pub fn class_name(class: NodeClass) -> &'static str {
    match class {
        NodeClass::State => "state",
        NodeClass::DataCenter => "data-center",
        NodeClass::International => "international",
    }
}

/// An exchange of the demonstration.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Index of the calling node.
    pub from: usize,
    /// Index of the called node.
    pub to: usize,
    /// Path below the service.
    pub path: &'static str,
    /// What it is about, for people.
    pub story: &'static str,
    /// Whether class policy allows it.
    pub allowed: bool,
}

/// One for each pair of classes that the pilot's policy allows, and one that it forbids.
pub const SAMPLES: [Sample; 5] = [
    Sample {
        from: 0,
        to: 1,
        path: "/079200001234",
        story: "the ministry asks who a person is",
        allowed: true,
    },
    Sample {
        from: 1,
        to: 0,
        path: "/29A-123.45",
        story: "the data centre refreshes its copy of a vehicle",
        allowed: true,
    },
    Sample {
        from: 0,
        to: 0,
        path: "/30K-678.90",
        story: "two systems of the ministry exchange a record",
        allowed: true,
    },
    Sample {
        from: 2,
        to: 1,
        path: "/048190009876",
        story: "the partner abroad checks a traveller",
        allowed: true,
    },
    Sample {
        from: 2,
        to: 0,
        path: "/29A-123.45",
        story: "the partner abroad asks the ministry directly",
        allowed: false,
    },
];

/// The pairs of classes, consumer first, that the pilot's policy allows.
pub const ALLOWED: [(NodeClass, NodeClass); 4] = [
    (NodeClass::State, NodeClass::DataCenter),
    (NodeClass::DataCenter, NodeClass::State),
    (NodeClass::State, NodeClass::State),
    (NodeClass::International, NodeClass::DataCenter),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (text, expected) in [
            ("127.0.1", Some(Network::PILOT)),
            ("127.0.256", None),
            ("127.0", None),
            ("127.0.1.1", None),
            ("10.0.1", None),
            ("", None),
        ] {
            assert_eq!(Network::parse(text), expected, "{text}");
        }
        assert_eq!(Network::PILOT.to_string(), "127.0.1");
    }

    #[test]
    fn the_samples_walk_the_policy() {
        for sample in SAMPLES {
            let pair = (NODES[sample.from].class, NODES[sample.to].class);
            assert_eq!(ALLOWED.contains(&pair), sample.allowed, "{sample:?}");
            assert!(NODES[sample.to].provider.is_some());
        }
        for pair in ALLOWED {
            assert!(SAMPLES.iter().any(|s| (NODES[s.from].class, NODES[s.to].class) == pair), "{pair:?}");
        }
    }
}
