//! Every kind of key with every other: consumer's key, provider's key, signature algorithm, TLS version.
//!
//! In each row both servers authenticate and sign with keys of their kind. What is counted are whole
//! exchanges: two verified signatures, and a handshake made with both authentication keys.

use std::sync::Arc;

use certs::certificate::{Certificate, CertificateUsage};
use certs::key::{KeyKind, PrivateKey};
use gateway::tls::CipherSuites;
use protocol::digest::DigestAlgorithm;
use protocol::signature::{Rules, SignatureAlgorithm, SignatureDocument, SignatureScheme};

use crate::federation::{Federation, Wishes, certify, member, ocsp_response};
use crate::parts::SigningKey;

const ECHO: &str = "/r1/CW/COM/2/service/echo/x";

fn algorithms(kind: KeyKind) -> Vec<SignatureAlgorithm> {
    let schemes: &[SignatureScheme] = match kind {
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => &[SignatureScheme::Ecdsa],
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => {
            &[SignatureScheme::RsaPkcs1, SignatureScheme::RsaPss]
        }
    };
    let digests = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];
    let all = schemes
        .iter()
        .flat_map(|scheme| digests.iter().map(|digest| SignatureAlgorithm::new(*scheme, *digest)));
    all.collect()
}

/// A key with both certificates of one server.
struct Pair {
    key: Arc<PrivateKey>,
    authentication: Certificate,
    signing: SigningKey,
}

impl Pair {
    fn of(federation: &Federation, number: usize, key: &Arc<PrivateKey>) -> Self {
        let node = [&federation.consumer, &federation.provider][number];
        let certificate = |usage| certify(&federation.ca, &node.id, usage, key);
        let signing = certificate(CertificateUsage::Signing);
        Self {
            key: Arc::clone(key),
            authentication: certificate(CertificateUsage::Authentication),
            signing: SigningKey {
                key: Arc::clone(key),
                response: ocsp_response(&federation.ca, &signing),
                certificate: signing,
                algorithm: key.default_algorithm(),
            },
        }
    }
}

impl Federation {
    fn authenticate_with(&self, pairs: [&Pair; 2]) {
        for (number, pair) in pairs.into_iter().enumerate() {
            let hash = pair.authentication.hashes().sha256.bytes().to_vec();
            self.shared.lock().unwrap().servers[number].certificate_hashes = vec![hash];
        }
        self.publish();
        for (node, pair) in [&self.consumer, &self.provider].into_iter().zip(pairs) {
            node.authenticate_with(&self.ca, &pair.key, &pair.authentication);
        }
    }

    fn sign_with(&self, number: usize, pair: &Pair, algorithm: SignatureAlgorithm) {
        let node = [&self.consumer, &self.provider][number];
        let signing = SigningKey { algorithm, ..pair.signing.clone() };
        node.keys.keys.lock().unwrap().insert(member(["1", "2"][number]), signing);
    }

    /// One exchange; gives the algorithms of the two signatures that the consumer has logged.
    async fn exchange(&self) -> Vec<SignatureAlgorithm> {
        let answer = self.call("POST", ECHO, "some body".to_owned()).await;
        assert_eq!((answer.status, answer.error()), (200, ""), "{:?}", answer.body);
        let entries = std::mem::take(&mut *self.consumer.log.entries.lock().unwrap());
        let signatures = entries.iter().map(|(entry, _)| {
            let document = SignatureDocument::parse(entry.signed.document.clone(), Rules::Message);
            document.unwrap().algorithm()
        });
        signatures.collect()
    }
}

/// Exchanges with every pair of kinds over one version of TLS.
async fn run(version: &str, suites: &[&str], keys: &[Arc<PrivateKey>]) -> usize {
    let suites = CipherSuites::from_names(suites.iter().copied()).unwrap();
    let federation = Federation::with(Wishes { suites, ..Wishes::default() });
    let pairs = |number| -> Vec<Pair> { keys.iter().map(|key| Pair::of(&federation, number, key)).collect() };
    let (consumers, providers) = (pairs(0), pairs(1));
    let mut total = 0;
    for consumer in &consumers {
        for provider in &providers {
            federation.authenticate_with([consumer, provider]);
            let before = federation.consumer.counts().peer_connections;
            let (of_consumer, of_provider) =
                (algorithms(consumer.key.kind()), algorithms(provider.key.kind()));
            let rows = of_consumer.len().max(of_provider.len());
            for row in 0..rows {
                let wanted = [of_consumer[row % of_consumer.len()], of_provider[row % of_provider.len()]];
                federation.sign_with(0, consumer, wanted[0]);
                federation.sign_with(1, provider, wanted[1]);
                assert_eq!(federation.exchange().await, wanted);
            }
            // The keys were used in a handshake, not an open connection of the pair before.
            assert!(federation.consumer.counts().peer_connections > before);
            total += rows;
        }
        let (kind, pairs) = (consumer.key.kind().name(), providers.len());
        let signatures = algorithms(consumer.key.kind()).len();
        eprintln!(
            "TLS {version}: consumer {kind}, {signatures} algorithms, with {pairs} kinds of provider: ok"
        );
    }
    federation.stop().await;
    total
}

#[tokio::test]
async fn every_key_talks_to_every_other() {
    let keys: Vec<_> =
        KeyKind::ALL.into_iter().map(|kind| Arc::new(PrivateKey::generate(kind).unwrap())).collect();
    let tls12 = ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"];
    let counts = [run("1.3", &["TLS_AES_256_GCM_SHA384"], &keys).await, run("1.2", &tls12, &keys).await];
    let total: usize = counts.iter().sum();
    eprintln!(
        "matrix: {} consumer keys x {} provider keys x their signature algorithms x 2 versions of TLS: \
         {total} of {total} exchanges",
        keys.len(),
        keys.len()
    );
    // 9 pairs of curves with 3 algorithms, 27 pairs with RSA with 6.
    assert_eq!(counts, [189, 189]);
}
