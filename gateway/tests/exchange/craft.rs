//! Messages made by hand, and both ends of the message port without a gateway.

use std::sync::Arc;

use bytes::Bytes;
use gateway::Clock;
use gateway::http::Outgoing;
use gateway::ports::{Signed, Signer};
use gateway::tls::Identity;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper_util::rt::TokioIo;
use protocol::digest::DigestAlgorithm;
use protocol::fault::Fault;
use protocol::message::RestResponse;
use protocol::transport::{Decoder, Direction, Encoder, Event, Limits, PartHeaders, PartKind, ResponseHead};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::federation::{Federation, Node, PEER_PORT, ocsp_response};
use crate::trusting::trusting;

pub(crate) const BOUNDARY: &str = "xtopAbCdEfGhIjKlMnOpQrStUvWxYzAbCd";

/// A message between servers, to be spoiled before it is sent.
#[derive(Clone)]
pub(crate) struct Crafted {
    pub(crate) method: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) parts: Vec<(String, Bytes)>,
    /// What stands behind the last part.
    pub(crate) ending: String,
}

impl Crafted {
    /// The bytes of the HTTP body.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(BOUNDARY);
        let mut body = Vec::new();
        for (content_type, bytes) in &self.parts {
            body.extend_from_slice(&encoder.soap(&PartHeaders::new(content_type).unwrap()));
            body.extend_from_slice(bytes);
        }
        body.extend_from_slice(self.ending.as_bytes());
        body
    }

    pub(crate) fn set_header(&mut self, name: &'static str, value: Option<&str>) {
        self.headers.retain(|(candidate, _)| *candidate != name);
        self.headers.extend(value.map(|value| (name, value.to_owned())));
    }

    /// The number of the part of this type.
    pub(crate) fn place(&self, content_type: &str) -> usize {
        self.parts.iter().position(|(candidate, _)| candidate == content_type).unwrap()
    }
}

pub(crate) fn kind(kind: PartKind) -> String {
    kind.content_type().to_owned()
}

/// The request that the consumer's server would send.
pub(crate) async fn request(federation: &Federation, blob: &str, body: Option<&str>) -> Crafted {
    let node = &federation.consumer;
    let (blob, body) = (Bytes::from(blob.to_owned()), body.map(|body| Bytes::from(body.to_owned())));
    let signed = sign(node, &blob, body.as_ref()).await;
    let mut parts = vec![
        (kind(PartKind::Ocsp), ocsp_response(&federation.ca, &node.authentication.1)),
        (kind(PartKind::RestRequest), blob),
    ];
    parts.extend(body.map(|body| (kind(PartKind::RestBody), body)));
    parts.extend(evidence(signed));
    let headers = vec![
        ("content-type", format!("multipart/mixed; charset=UTF-8; boundary={BOUNDARY}")),
        ("x-hash-algorithm", "SHA-512".to_owned()),
        ("x-road-request-id", "request-1".to_owned()),
        ("x-proxy-version", "7.8.0".to_owned()),
        ("x-road-message-type", "REST".to_owned()),
    ];
    Crafted { method: "POST", headers, parts, ending: format!("\r\n--{BOUNDARY}--\r\n") }
}

pub(crate) async fn sign(node: &Node, blob: &Bytes, body: Option<&Bytes>) -> Signed {
    let digests =
        [Some(blob), body].into_iter().flatten().map(|part| DigestAlgorithm::Sha512.digest(part)).collect();
    node.keys.sign(node.id.owner(), digests).await.unwrap()
}

pub(crate) fn evidence(signed: Signed) -> Vec<(String, Bytes)> {
    [
        signed.hash_chain_result.map(|bytes| (kind(PartKind::HashChainResult), bytes)),
        signed.hash_chain.map(|bytes| (kind(PartKind::HashChain), bytes)),
        Some((kind(PartKind::Signature), signed.document)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// An open connection to the provider's server with the consumer's certificate.
pub(crate) struct Raw(hyper::client::conn::http1::SendRequest<Outgoing>);

pub(crate) async fn connect(federation: &Federation) -> Raw {
    Raw::open(federation, &identity(&federation.consumer)).await.unwrap()
}

/// What a server authenticates itself with.
pub(crate) fn identity(node: &Node) -> Identity {
    let (key, certificate) = &node.authentication;
    Identity::new(vec![certificate.der().clone()], &key.pkcs8().unwrap()).unwrap()
}

/// TLS to the port of the provider's server where messages are taken, with nothing said yet.
pub(crate) async fn secured(
    federation: &Federation,
    identity: &Identity,
) -> Result<TlsStream<TcpStream>, String> {
    let config = trusting().with_client_cert_resolver(identity.client_resolver());
    let address = federation.provider.address(PEER_PORT);
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(address.ip().into(), stream).await.map_err(|error| error.to_string())
}

impl Raw {
    pub(crate) async fn open(federation: &Federation, identity: &Identity) -> Result<Self, String> {
        let stream = secured(federation, identity).await?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a message; the answer is the blob of a signed response, or a fault.
    pub(crate) async fn send(&mut self, message: &Crafted) -> Result<RestResponse, Fault> {
        self.send_bytes(message, message.body()).await
    }

    pub(crate) async fn send_bytes(
        &mut self,
        message: &Crafted,
        body: Vec<u8>,
    ) -> Result<RestResponse, Fault> {
        Ok(RestResponse::parse(self.head_of_answer(message, body).await?.unwrap()).unwrap())
    }

    /// The octets of the signed head of the answer.
    async fn head_of_answer(&mut self, message: &Crafted, body: Vec<u8>) -> Result<Option<Bytes>, Fault> {
        let mut request = Request::builder().method(message.method).uri("/");
        for (name, value) in &message.headers {
            request = request.header(*name, value);
        }
        self.0.ready().await.unwrap();
        let request = request.body(Outgoing::from(Bytes::from(body))).unwrap();
        let (head, body) = self.0.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let head = ResponseHead::read(head.status.as_u16(), header)?;
        let mut decoder = Decoder::new(&head.content_type, Direction::Response, Limits::default())?;
        decoder.push(body);
        let mut blob = None;
        while let Some(event) = decoder.next()? {
            match event {
                Event::Rest(bytes) => blob = Some(bytes),
                Event::Soap { message, .. } => blob = Some(message.octets().clone()),
                Event::Fault(fault) => return Err(fault.fault),
                _ => {}
            }
        }
        if let Some(Event::Fault(fault)) = decoder.finish()? {
            return Err(fault.fault);
        }
        Ok(blob)
    }

    /// Sends a message; the code of the fault that answers it, if one does.
    pub(crate) async fn fault(&mut self, message: &Crafted) -> Option<String> {
        let answer = self.head_of_answer(message, message.body()).await;
        answer.err().map(|fault| fault.code.into_owned())
    }
}

/// The blob of a request to a service, with these header lines.
pub(crate) fn blob(method: &str, path: &str, lines: &str) -> String {
    format!(
        "{method}\r\n/r1/CW/COM/2/service/{path}\r\n{lines}x-road-request-id:request-1\r\nx-road-id:id-1\r\n"
    )
}

/// `X-Road-Client` of the consumer.
pub(crate) const CLIENT: &str = "x-road-client:CW/COM/1/client\r\n";

/// The node's time.
pub(crate) fn now() -> protocol::time::UtcTime {
    Clock::system().now()
}
