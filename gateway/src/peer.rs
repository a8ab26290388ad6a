//! Whom the other end of a TLS connection may speak for (global configuration and trust §17).
//!
//! The handshake proves that the other end has the key of a registered certificate, and session
//! resumption repeats not even that look-up. So the chain is validated here, for every connection,
//! resumed or not: path, OCSP responses and registration. The result is kept with the connection until
//! the first of its parts expires or another global configuration comes into force; until then a
//! message costs a few comparisons.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::ocsp::{self, OcspResponse};
use certs::trust::{Path, PathUse};
use protocol::configuration::{CertificateHashes, TlsFloor};
use protocol::fault::{Fault, code};
use protocol::id::{ClientId, SecurityServerId};
use protocol::time::UtcTime;
use rustls::pki_types::CertificateDer;

use crate::snapshot::Snapshot;

/// A chain is validated again after this time even if nothing in it expires.
const LONGEST_BELIEF: Duration = Duration::from_secs(60);

/// The other end of one TLS connection on the message port.
pub(crate) struct Peer {
    chain: Vec<Certificate>,
    hashes: CertificateHashes,
    tls: TlsFloor,
    belief: Mutex<Option<Belief>>,
}

/// Which end of the connection the peer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// It sent us a request.
    Consumer,
    /// We send it a request.
    Provider,
}

/// The result of a validation, and how long it holds.
struct Belief {
    generation: u64,
    instance: String,
    responses: Vec<Bytes>,
    until: UtcTime,
    made: UtcTime,
}

impl Peer {
    /// The end of a connection that showed these certificates, leaf first.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub(crate) fn new(
        shown: &[CertificateDer<'_>],
        version: Option<rustls::ProtocolVersion>,
    ) -> Result<Self, Fault> {
        let refused = |text: &str| Fault::new(code::SSL_AUTHENTICATION_FAILED, text);
        let leaf = shown.first().ok_or_else(|| refused("the security server has no TLS certificate"))?;
        let hashes = CertificateHashes::of(leaf);
        let chain: Result<Vec<_>, _> =
            shown.iter().map(|der| Certificate::from_der(Bytes::copy_from_slice(der))).collect();
        let chain = chain.map_err(|_| refused("the security server's TLS certificate cannot be read"))?;
        let tls = match version {
            Some(rustls::ProtocolVersion::TLSv1_3) => TlsFloor::Tls13,
            _ => TlsFloor::Tls12,
        };
        Ok(Self { chain, hashes, tls, belief: Mutex::new(None) })
    }

    /// The certificates it showed, leaf first.
    pub(crate) fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The TLS version of the connection.
    pub(crate) fn tls(&self) -> TlsFloor {
        self.tls
    }

    /// When the oldest of its OCSP responses was made, if an earlier validation still holds: same
    /// configuration, same instance, the same `responses` when the peer sent any.
    pub(crate) fn still_valid(
        &self,
        snapshot: &Snapshot,
        instance: &str,
        responses: Option<&[Bytes]>,
        now: UtcTime,
    ) -> Option<UtcTime> {
        let belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
        let belief = belief.as_ref()?;
        let same = belief.generation == snapshot.generation()
            && now < belief.until
            && belief.instance == instance
            && responses.is_none_or(|responses| belief.responses == responses);
        same.then_some(belief.made)
    }

    /// Validates its chain for messages of members of `instance`: certificate usage, path and OCSP.
    /// Gives the time at which the oldest of the responses was made.
    ///
    /// # Errors
    /// The inner codes of path and OCSP, not yet below `ssl_authentication_failed`.
    pub(crate) fn validate(
        &self,
        snapshot: &Snapshot,
        instance: &str,
        part: Part,
        responses: &[Bytes],
        now: UtcTime,
    ) -> Result<UtcTime, Fault> {
        let trust = snapshot.trust();
        let leaf = self.chain.first().ok_or_else(|| {
            Fault::new(code::SSL_AUTHENTICATION_FAILED, "the security server has no TLS certificate")
        })?;
        if !leaf.is_authentication() {
            return Err(Fault::new(
                code::SSL_AUTHENTICATION_FAILED,
                "the security server's TLS certificate is no authentication certificate",
            ));
        }
        if part == Part::Consumer && responses.is_empty() {
            return Err(Fault::new(code::SSL_AUTHENTICATION_FAILED, "the message has no OCSP responses"));
        }
        let additional = self.chain.get(1..).unwrap_or_default();
        let used = match part {
            Part::Consumer => PathUse::Consumer { instance },
            Part::Provider => PathUse::Provider { instance },
        };
        let path: Path = trust.validate_path(leaf, additional, used, now)?;
        let parsed: Result<Vec<_>, _> = responses.iter().cloned().map(OcspResponse::parse).collect();
        let parsed = parsed?;
        ocsp::check_path(&path, &parsed, trust, now)?;

        let configuration = snapshot.configuration();
        let freshness = Duration::from_secs(configuration.ocsp_freshness_seconds());
        let made = parsed.iter().map(OcspResponse::this_update).min().unwrap_or(now);
        let until = parsed
            .iter()
            .flat_map(|response| [Some(response.this_update().plus(freshness)), response.next_update()])
            .flatten()
            .chain(path.certificates.iter().map(Certificate::not_after))
            .chain([path.anchor.not_after(), now.plus(LONGEST_BELIEF)])
            .min();
        *self.belief.lock().unwrap_or_else(PoisonError::into_inner) = Some(Belief {
            generation: snapshot.generation(),
            instance: instance.to_owned(),
            responses: responses.to_vec(),
            until: until.unwrap_or(now),
            made,
        });
        Ok(made)
    }

    /// The security server that it is, provided that this server has `party` as owner or client.
    ///
    /// # Errors
    /// `ssl_authentication_failed`.
    pub(crate) fn server_of(&self, snapshot: &Snapshot, party: &ClientId) -> Result<SecurityServerId, Fault> {
        let configuration = snapshot.configuration();
        let found = configuration
            .instance(party.instance())
            .and_then(|instance| instance.server_of_certificate(&self.hashes))
            .filter(|server| configuration.servers_of(party).any(|candidate| candidate.id == server.id));
        if let Some(server) = found {
            return Ok(server.id.clone());
        }
        let text = match configuration.server_of_certificate(&self.hashes) {
            Some(server) => format!("client '{party}' is not registered at security server {}", server.id),
            None => "the authentication certificate is not associated with any security server".to_owned(),
        };
        Err(Fault::new(code::SSL_AUTHENTICATION_FAILED, text))
    }
}
