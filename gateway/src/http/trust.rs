//! Whom an outgoing HTTPS connection believes to be the other end.
//!
//! Where the signature of what is fetched is what counts, as for the global configuration, HTTPS only
//! keeps others from reading along, and its checks may be loosened (global configuration and trust §3.3).

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::tls::provider;

/// Longest file of certificates, bytes.
const FILE_LIMIT: u64 = 4 << 20;

/// What is demanded of the certificate of an HTTPS server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpsTrust {
    /// Certificates that are believed besides the platform's: of authorities, or of a server itself,
    /// which is then believed under every name.
    pub roots: Vec<CertificateDer<'static>>,
    /// Whether the platform's authorities are believed.
    pub platform: bool,
    /// Whether the certificate is looked at.
    pub check_certificate: bool,
    /// Whether it must name the host.
    pub check_name: bool,
}

impl Default for HttpsTrust {
    fn default() -> Self {
        Self { roots: Vec::new(), platform: true, check_certificate: true, check_name: true }
    }
}

impl HttpsTrust {
    /// Reads the certificates of a PEM file.
    ///
    /// # Errors
    /// A clause that says what is wrong with the file.
    pub fn read_roots(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
        use std::io::Read as _;
        let mut pem = Vec::new();
        let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
        opened.take(FILE_LIMIT).read_to_end(&mut pem).map_err(|error| error.to_string())?;
        let roots: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("not readable as PEM: {error}"))?;
        if roots.is_empty() {
            return Err("there is no certificate in it".to_owned());
        }
        match roots.iter().find_map(|root| RootCertStore::empty().add(root.clone()).err()) {
            Some(error) => Err(format!("a certificate in it cannot be used: {error}")),
            None => Ok(roots),
        }
    }

    /// The TLS client that demands this.
    pub(super) fn client(&self) -> Arc<ClientConfig> {
        let mut store = RootCertStore::empty();
        if self.platform {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // Unreadable roots of the platform are of no use and no harm.
                let _ = store.add(certificate);
            }
        }
        store.add_parsable_certificates(self.roots.iter().cloned());
        // Without any root nobody can be believed through one.
        let paths = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider()).build().ok();
        let verifier = Verifier { demanded: self.clone(), paths };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Arc::new(config)
    }
}

#[derive(Debug)]
struct Verifier {
    demanded: HttpsTrust,
    paths: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.demanded.check_certificate || self.demanded.roots.iter().any(|root| root == leaf) {
            return Ok(ServerCertVerified::assertion());
        }
        let Some(paths) = &self.paths else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        match paths.verify_server_cert(leaf, intermediates, name, ocsp, now) {
            // The name is judged last, so everything else is in order.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.demanded.check_name => Ok(ServerCertVerified::assertion()),
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::http::Fetcher;

    /// An HTTPS server on 127.0.0.1 that answers every request; its URL.
    async fn serve(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> String {
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a key that fits");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let url = format!("https://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                let _ = stream.shutdown().await;
            }
        });
        url
    }

    #[tokio::test]
    async fn servers_are_believed_as_demanded() {
        let authority_key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).expect("a certificate").der().clone();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().expect("a key");
        let issued = |name: &str| {
            let params = CertificateParams::new(vec![name.to_owned()]).expect("params");
            params.signed_by(&key, &issuer).expect("a certificate").der().clone()
        };
        let good = serve(vec![issued("127.0.0.1")], &key).await;
        let other_name = serve(vec![issued("registry.example")], &key).await;
        let params = CertificateParams::new(vec!["registry.example".to_owned()]).expect("params");
        let own = params.self_signed(&key).expect("a certificate").der().clone();
        let self_signed = serve(vec![own.clone()], &key).await;

        let usual = HttpsTrust::default();
        let by_authority = HttpsTrust { roots: vec![authority], ..usual.clone() };
        let any_name = HttpsTrust { check_name: false, ..by_authority.clone() };
        let pinned = HttpsTrust { roots: vec![own], platform: false, ..usual.clone() };
        let nobody = HttpsTrust { platform: false, ..usual.clone() };
        let names_off = HttpsTrust { check_name: false, ..usual.clone() };
        let anybody = HttpsTrust { check_certificate: false, ..usual.clone() };
        for (name, trust, believed) in [
            ("usual", usual, [false, false, false]),
            ("nobody", nobody, [false, false, false]),
            ("names off", names_off, [false, false, false]),
            ("authority", by_authority, [true, false, false]),
            ("authority, any name", any_name, [true, true, false]),
            ("the certificate itself", pinned, [false, false, true]),
            ("anybody", anybody, [true, true, true]),
        ] {
            let second = std::time::Duration::from_secs(5);
            let fetcher = Fetcher::trusting(second, second, &trust);
            for (url, believed) in [&good, &other_name, &self_signed].into_iter().zip(believed) {
                assert_eq!(fetcher.get(url, None, 10).await.is_ok(), believed, "{name} {url}");
            }
        }
    }
}
