//! Whom to believe: the approved CAs of all known instances, and the paths that end in them.
//!
//! Global configuration and trust §15 and §17; signatures and evidence §5.4. A [`TrustStore`] is made
//! once from a global configuration and never changes. OCSP is `ocsp`'s matter, which asks here for
//! issuers and responders.

mod authority;
mod path;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use protocol::configuration::{GlobalConfiguration, Instance, RegisteredServer};
use protocol::fault::{Fault, code};
use protocol::id::{ClientId, SecurityServerId};
use protocol::time::UtcTime;

use authority::Issued;
pub use authority::{CertificationAuthority, OcspResponder, TimestampingAuthority};
pub use path::{Path, PathUse};

use crate::certificate::{Certificate, DistinguishedName};
use crate::ocsp::VerifiedResponses;
use crate::profile::member_of;

/// No chain of this field is longer; more is not followed.
const LONGEST_CHAIN: usize = 8;

/// The trust anchors and services of a global configuration, parsed once.
///
/// Certificates that cannot be read are left out and told by [`TrustStore::problems`]; what depends on
/// them is then refused.
pub struct TrustStore {
    configuration: Arc<GlobalConfiguration>,
    authorities: Vec<CertificationAuthority>,
    by_subject: HashMap<DistinguishedName, Vec<usize>>,
    timestamping: Vec<TimestampingAuthority>,
    problems: Vec<String>,
    issued: Issued,
    verified_responses: VerifiedResponses,
}

/// On which side of the connection a peer is (§17.2, §17.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// We called it: the anchor is the CA of its leaf.
    Provider,
    /// It called us: the anchor is the CA of the last certificate that it sent.
    Consumer,
}

/// A peer whose certificate is registered to a server that may speak for the client. Its OCSP responses
/// are still to be checked, for every certificate of the path.
#[derive(Clone, Debug)]
pub struct AuthenticatedPeer {
    /// The security server.
    pub server: SecurityServerId,
    /// The path of its authentication certificate.
    pub path: Path,
}

impl TrustStore {
    /// Parses the certificates of all CAs, OCSP responders and time-stamping services, the own instance
    /// first.
    pub fn new(configuration: Arc<GlobalConfiguration>) -> Self {
        let mut instances: Vec<&Arc<Instance>> = configuration.instances.values().collect();
        instances.sort_by_key(|instance| {
            (instance.identifier != configuration.own_instance, instance.identifier.clone())
        });
        let mut problems = Vec::new();
        let mut authorities = Vec::new();
        let mut timestamping = Vec::new();
        for instance in instances {
            authority::read(instance, &mut authorities, &mut problems);
            authority::read_timestamping(instance, &mut timestamping, &mut problems);
        }
        let mut by_subject: HashMap<_, Vec<usize>> = HashMap::new();
        for (index, authority) in authorities.iter().enumerate() {
            by_subject.entry(authority.certificate().subject().clone()).or_default().push(index);
        }
        let (issued, verified_responses) = (Issued::default(), VerifiedResponses::default());
        Self { configuration, authorities, by_subject, timestamping, problems, issued, verified_responses }
    }

    /// The parameters it was made from.
    pub fn configuration(&self) -> &GlobalConfiguration {
        &self.configuration
    }

    /// The same, to be kept.
    pub fn shared_configuration(&self) -> Arc<GlobalConfiguration> {
        Arc::clone(&self.configuration)
    }

    /// OCSP responses whose signature was found good. They are remembered here because a new global
    /// configuration may approve other responders.
    pub(crate) fn verified_responses(&self) -> &VerifiedResponses {
        &self.verified_responses
    }

    /// What could not be read, one sentence each, for the log.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// All CAs, top and intermediate, of all instances; the own instance first, else in the order of
    /// the files.
    pub fn authorities(&self) -> &[CertificationAuthority] {
        &self.authorities
    }

    /// All approved time-stamping services, in the same order.
    pub fn timestamping_authorities(&self) -> &[TimestampingAuthority] {
        &self.timestamping
    }

    /// Certificates that are listed as signers of OCSP responses, with the CA they are listed for.
    pub fn ocsp_certificates(&self) -> impl Iterator<Item = (&CertificationAuthority, &Certificate)> {
        self.authorities.iter().flat_map(|authority| {
            authority
                .responders()
                .iter()
                .filter_map(move |responder| Some((authority, responder.certificate.as_ref()?)))
        })
    }

    /// The approved CAs of this name, in one instance or in all.
    pub fn authorities_named<'a>(
        &'a self,
        subject: &DistinguishedName,
        instance: Option<&'a str>,
    ) -> impl Iterator<Item = &'a CertificationAuthority> {
        self.by_subject
            .get(subject)
            .into_iter()
            .flatten()
            .filter_map(|index| self.authorities.get(*index))
            .filter(move |authority| instance.is_none_or(|instance| authority.instance() == instance))
    }

    /// The approved CA that issued a certificate (§15.1): its name is the issuer's and its key verifies.
    /// Of several CAs with one name the one whose key verifies is taken.
    pub fn issuer_of(
        &self,
        certificate: &Certificate,
        instance: Option<&str>,
    ) -> Option<&CertificationAuthority> {
        self.by_subject
            .get(certificate.issuer())?
            .iter()
            .filter_map(|index| Some((*index, self.authorities.get(*index)?)))
            .filter(|(_, authority)| instance.is_none_or(|instance| authority.instance() == instance))
            .find(|(index, authority)| self.issued.by(certificate, *index, authority.certificate()))
            .map(|(_, authority)| authority)
    }

    /// The chain of an own certificate as it is shown to peers (§15.2): the certificate and the CA
    /// certificates up to the trust anchor, which is left out. Empty when no approved CA of the own
    /// instance issued it.
    pub fn own_chain(&self, certificate: &Certificate) -> Vec<Certificate> {
        let own = Some(self.configuration.own_instance.as_str());
        let mut chain = vec![certificate.clone()];
        while let Some(last) = chain.last().filter(|last| !last.is_self_issued()) {
            let Some(issuer) = self.issuer_of(last, own) else { break };
            if chain.contains(issuer.certificate()) || chain.len() > LONGEST_CHAIN {
                break;
            }
            chain.push(issuer.certificate().clone());
        }
        chain.pop(); // the trust anchor; alone it is no chain
        chain
    }

    /// Builds and checks the path from `leaf` to the trust anchor of its use (§15.3). `additional` are
    /// the certificates that came with it, in the order in which they came. Revocation is not looked at.
    ///
    /// # Errors
    /// `cannot_create_cert_path` when the leaf does not lead to the anchor, `invalid_cert_path` when it
    /// does and the path breaks a rule; `internal_error` when there is no anchor for a consumer.
    pub fn validate_path(
        &self,
        leaf: &Certificate,
        additional: &[Certificate],
        used: PathUse<'_>,
        at: UtcTime,
    ) -> Result<Path, Fault> {
        path::validate(self, leaf, additional, used, at)
    }

    /// Checks that a signing certificate is one of the signer's member (signatures and evidence §5.1 step
    /// 7): decoded by the profile of the CA that issued it, in the signer's instance.
    ///
    /// # Errors
    /// `incorrect_certificate` when it names someone else, nobody, or when its CA may issue only
    /// authentication certificates (§15.5, stricter than X-Road); `internal_error` when no approved CA of
    /// the signer's instance issued it.
    pub fn member_of_signing_certificate(
        &self,
        certificate: &Certificate,
        signer: &ClientId,
    ) -> Result<(), Fault> {
        let authority = self.issuer_of(certificate, Some(signer.instance())).ok_or_else(|| {
            Fault::new(
                code::INTERNAL_ERROR,
                "Certificate is not issued by approved certification service provider",
            )
        })?;
        if authority.is_authentication_only() {
            let text = "the certification service may issue authentication certificates only";
            return Err(Fault::new(code::INCORRECT_CERTIFICATE, text));
        }
        let member = member_of(authority.profile(), certificate, signer.instance())?;
        if member != *signer.member() {
            let text = format!("the signing certificate names {member}, not {}", signer.member());
            return Err(Fault::new(code::INCORRECT_CERTIFICATE, text));
        }
        Ok(())
    }

    /// The server that an authentication certificate is registered to, in any instance.
    pub fn server_of(&self, certificate: &Certificate) -> Option<&RegisteredServer> {
        self.configuration.server_of_certificate(certificate.hashes())
    }

    /// Checks everything about a peer's chain, leaf first, except OCSP (§17.2, §17.3): it is an
    /// authentication certificate with a valid path, and it is registered to a server that has `client`
    /// as owner or client. The server is looked up in the client's own instance, where alone it can be
    /// registered for it.
    ///
    /// # Errors
    /// `ssl_authentication_failed`, followed by the code of the path when that is the reason; for a
    /// consumer whose last certificate has no approved issuer `internal_error` (§4.6.3 of messages and
    /// transport).
    pub fn verify_authentication(
        &self,
        chain: &[Certificate],
        client: &ClientId,
        peer: Peer,
        at: UtcTime,
    ) -> Result<AuthenticatedPeer, Fault> {
        let refused = |text: String| Fault::new(code::SSL_AUTHENTICATION_FAILED, text);
        let Some((leaf, additional)) = chain.split_first() else {
            return Err(refused("the peer has shown no certificate".to_owned()));
        };
        if !leaf.is_authentication() {
            return Err(refused("the peer certificate is not an authentication certificate".to_owned()));
        }
        let used = match peer {
            Peer::Provider => PathUse::Provider { instance: client.instance() },
            Peer::Consumer => PathUse::Consumer { instance: client.instance() },
        };
        let path = self.validate_path(leaf, additional, used, at).map_err(|fault| {
            if fault.code == code::INTERNAL_ERROR {
                fault
            } else {
                fault.within(code::SSL_AUTHENTICATION_FAILED)
            }
        })?;
        let registered = self
            .configuration
            .instance(client.instance())
            .and_then(|instance| instance.server_of_certificate(leaf.hashes()));
        let Some(server) = registered else {
            let text = match self.server_of(leaf) {
                Some(server) => not_there(client, &server.id),
                None => {
                    format!("authentication certificate {leaf} is not associated with any security server")
                }
            };
            return Err(refused(text));
        };
        if ClientId::from(server.id.owner().clone()) != *client && !server.clients.contains(client) {
            return Err(refused(not_there(client, &server.id)));
        }
        Ok(AuthenticatedPeer { server: server.id.clone(), path })
    }
}

fn not_there(client: &ClientId, server: &SecurityServerId) -> String {
    format!("client '{client}' is not registered at security server {server}")
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustStore")
            .field("own_instance", &self.configuration.own_instance)
            .field("authorities", &self.authorities.len())
            .field("timestamping", &self.timestamping.len())
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
