//! SOAP faults as others write them (§2.9).

use bytes::Bytes;

use crate::fault::Fault;

/// A fault envelope of a provider, a peer or, by mistake, a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SoapFault {
    /// What it says, in texts of bounded length.
    pub fault: Fault,
    /// The envelope as it came. The faults of providers travel in these octets (§2.9).
    pub octets: Bytes,
}

impl SoapFault {
    /// The fault that answers a client that sent a fault: the same code in lower case, without origin.
    pub fn refused(self) -> Fault {
        Fault { code: self.fault.code.to_lowercase().into(), ..self.fault }
    }
}

/// Longest texts that are kept of a fault, octets.
pub(super) const CODE_LIMIT: usize = 500;
pub(super) const TEXT_LIMIT: usize = 8000;

/// Appends as much as the limit leaves room for.
pub(super) fn add(kept: &mut String, more: &str, limit: usize) {
    let mut room = limit.saturating_sub(kept.len()).min(more.len());
    while !more.is_char_boundary(room) {
        room -= 1;
    }
    kept.push_str(more.get(..room).unwrap_or_default());
}

/// Foreign text in a message of ours: short, and nothing but printable ASCII.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|character| matches!(character, ' '..='~')).take(80).collect()
}
