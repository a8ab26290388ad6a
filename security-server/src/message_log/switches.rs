//! Which bodies are logged (signatures and evidence §6.3).

use std::collections::HashSet;

use bytes::Bytes;
use gateway::ports::{Direction, Side};
use protocol::id::{ClientId, ServiceId};
use protocol::soap::SoapMessage;
use protocol::transport::MessageType;

/// What happens to a body that is longer than the limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Oversize {
    /// Length and digest are logged. The signature covers the body all the same.
    #[default]
    DigestOnly,
    /// The message is refused, as the reference product does by default.
    Refuse,
    /// The first octets up to the limit are logged.
    Truncate,
}

/// Settings of body logging.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BodySettings {
    /// Whether bodies are logged. Without a body a record cannot be verified any more; its chain still
    /// proves signature and time.
    pub logging: bool,
    /// Subsystems whose services, offered here, are treated the other way.
    pub local_exceptions: HashSet<ClientId>,
    /// Subsystems whose services, called from here, are treated the other way.
    pub remote_exceptions: HashSet<ClientId>,
    /// Longest body that is logged, octets; 0 logs none.
    pub limit: u64,
    /// What happens beyond the limit.
    pub oversize: Oversize,
}

impl Default for BodySettings {
    fn default() -> Self {
        Self {
            logging: true,
            local_exceptions: HashSet::new(),
            remote_exceptions: HashSet::new(),
            limit: 10 << 20,
            oversize: Oversize::DigestOnly,
        }
    }
}

impl BodySettings {
    /// The longest body of which the log wants all octets; 0 if it never wants any.
    pub fn longest(&self) -> u64 {
        let never = !self.logging && self.local_exceptions.is_empty() && self.remote_exceptions.is_empty();
        match self.oversize {
            _ if never || self.limit == 0 => 0,
            // The log cuts what comes.
            Oversize::Truncate => u64::MAX,
            Oversize::DigestOnly | Oversize::Refuse => self.limit,
        }
    }

    /// Whether the message is logged as it is, rather than reduced. The service decides, and the node's
    /// side which list counts.
    pub fn logs_body(&self, side: Side, service: &ServiceId) -> bool {
        let exceptions = match side {
            Side::Provider => &self.local_exceptions,
            Side::Consumer => &self.remote_exceptions,
        };
        self.logging != exceptions.contains(service.provider())
    }
}

/// A message without what the parties said to each other. Of one that cannot be read nothing remains.
pub(super) fn reduced(
    message: &Bytes,
    protocol: MessageType,
    direction: Direction,
    service: &ServiceId,
) -> Bytes {
    match protocol {
        MessageType::Rest => reduced_rest(message, direction, service),
        MessageType::Soap => reduced_soap(message.clone(), direction, service).unwrap_or_default(),
    }
}

/// The envelope with its header, and an empty element of the service's name in the body.
fn reduced_soap(message: Bytes, direction: Direction, service: &ServiceId) -> Option<Bytes> {
    let kind = match direction {
        Direction::Request => "",
        Direction::Response => "Response",
    };
    let message = SoapMessage::parse(message).ok()?;
    let reduced = message.answer(&format!("<{}{kind}/>", service.code())).ok()?;
    Some(reduced.octets().clone())
}

/// Verb and service of a request, status of a response, and the headers of the protocol.
fn reduced_rest(message: &[u8], direction: Direction, service: &ServiceId) -> Bytes {
    let Ok(text) = str::from_utf8(message) else { return Bytes::new() };
    let mut lines = text.split_inclusive("\r\n");
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return Bytes::new() };
    let mut kept = first.to_owned();
    match direction {
        Direction::Request => {
            kept.push_str("/r1/");
            kept.push_str(&service.encoded());
            kept.push_str("\r\n");
        }
        Direction::Response => kept.push_str(second),
    }
    for line in lines {
        if line.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("x-road-")) {
            kept.push_str(line);
        }
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(text: &str) -> ServiceId {
        ServiceId::parse_encoded(text).unwrap()
    }

    #[test]
    fn the_other_way_round_for_exceptions() {
        let listed = service("XX/GOV/1/a/s");
        let other = service("XX/GOV/1/b/s");
        let mut settings = BodySettings::default();
        settings.local_exceptions.insert(listed.provider().clone());
        for logging in [true, false] {
            settings.logging = logging;
            for (side, service, expected) in [
                (Side::Provider, &listed, !logging),
                (Side::Consumer, &listed, logging),
                (Side::Provider, &other, logging),
            ] {
                assert_eq!(settings.logs_body(side, service), expected, "{side:?} {service} {logging}");
            }
        }
    }

    #[test]
    fn reduced_messages() {
        let service = service("XX/GOV/1/a/s");
        for (direction, message, expected) in [
            (
                Direction::Request,
                "POST\r\n/r1/XX/GOV/1/a/s/people/7?q=secret\r\nAccept:x\r\nX-Road-Id:1\r\n",
                "POST\r\n/r1/XX/GOV/1/a/s\r\nX-Road-Id:1\r\n",
            ),
            (Direction::Response, "200\r\nOK\r\nCookie:c\r\nx-road-id:1\r\n", "200\r\nOK\r\nx-road-id:1\r\n"),
            (Direction::Request, "<soap/>", ""),
        ] {
            let message = Bytes::from_static(message.as_bytes());
            assert_eq!(reduced(&message, MessageType::Rest, direction, &service), expected);
        }
    }

    #[test]
    fn reduced_soap_messages() {
        let service = service("XX/GOV/1/a/s");
        let party = |kind: &str, more: &str| {
            format!(
                "<x:{kind} i:objectType='{}'><i:xRoadInstance>XX</i:xRoadInstance>\
                 <i:memberClass>GOV</i:memberClass><i:memberCode>1</i:memberCode>\
                 <i:subsystemCode>a</i:subsystemCode>{more}</x:{kind}>",
                if kind == "client" { "SUBSYSTEM" } else { "SERVICE" }
            )
        };
        let envelope = |body: &str| {
            format!(
                "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/' \
                 xmlns:x='http://x-road.eu/xsd/xroad.xsd' xmlns:i='http://x-road.eu/xsd/identifiers'>\
                 <e:Header>{}{}<x:id>1</x:id><x:protocolVersion>4.0</x:protocolVersion></e:Header>\
                 <e:Body>{body}</e:Body></e:Envelope>",
                party("client", ""),
                party("service", "<i:serviceCode>s</i:serviceCode>"),
            )
        };
        for (direction, body, expected) in [
            (Direction::Request, "<p:s xmlns:p='urn:p'>secret</p:s>", envelope("<s/>")),
            (Direction::Response, "<sResponse><a>secret</a></sResponse>", envelope("<sResponse/>")),
            (Direction::Request, "secret", String::new()),
        ] {
            let reduced = reduced(&envelope(body).into(), MessageType::Soap, direction, &service);
            assert_eq!(reduced, expected);
        }
    }
}
