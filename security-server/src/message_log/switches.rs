//! Which bodies are logged (signatures and evidence §6.3).

use std::collections::HashSet;

use bytes::Bytes;
use gateway::ports::{Direction, Side};
use protocol::id::{ClientId, ServiceId};

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

/// A REST message without what the parties said to each other: verb and service of a request, status of
/// a response, and the headers of the protocol. Of anything else nothing remains.
pub(super) fn reduced(message: &[u8], direction: Direction, service: &ServiceId) -> Bytes {
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
            assert_eq!(reduced(message.as_bytes(), direction, &service), expected);
        }
    }
}
