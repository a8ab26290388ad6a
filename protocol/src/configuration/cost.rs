//! Which OCSP responder is asked first, by what it costs (§8, vectors of version 6).

use super::{CaCertificate, CostType, OcspResponder};

/// An operator's preference among responders.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CostPreference {
    /// The order of the file.
    #[default]
    None,
    /// Only those that cost nothing.
    OnlyFree,
    /// Those that cost nothing, then those that cost, then the rest.
    FreeFirst,
    /// Only those that cost.
    OnlyPaid,
    /// Those that cost, then those that do not, then the rest.
    PaidFirst,
}

impl CaCertificate {
    /// The responders to ask, in order.
    pub fn responders(&self, preference: CostPreference) -> Vec<&OcspResponder> {
        let order: &[CostType] = match preference {
            CostPreference::None => return self.ocsp.iter().collect(),
            CostPreference::OnlyFree => &[CostType::Free],
            CostPreference::FreeFirst => &[CostType::Free, CostType::Paid, CostType::Undefined],
            CostPreference::OnlyPaid => &[CostType::Paid],
            CostPreference::PaidFirst => &[CostType::Paid, CostType::Free, CostType::Undefined],
        };
        let with = |cost| self.ocsp.iter().filter(move |responder| responder.cost == cost);
        order.iter().copied().flat_map(with).collect()
    }
}
