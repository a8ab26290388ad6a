//! The requests of the role.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use certs::ca::{CaError, PilotCa, Purpose};
use gateway::Clock;
use gateway::http::{Outgoing, Service, collect};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use protocol::digest::DigestAlgorithm;

use super::Secret;

/// Largest request of any kind.
const LARGEST_BODY: usize = 16 * 1024;
const PEM: &str = "application/x-pem-file";

/// Answers requests to one authority.
pub(super) struct CaService {
    authority: Arc<PilotCa>,
    operator_token: Option<Secret>,
    clock: Clock,
}

/// An answer that is no success: status and text.
type Refusal = (StatusCode, String);
type Answer = Result<(&'static str, Vec<u8>), Refusal>;

impl CaService {
    pub(super) fn new(authority: Arc<PilotCa>, operator_token: Option<Secret>, clock: Clock) -> Self {
        Self { authority, operator_token, clock }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::POST, "/ocsp" | "/ocsp/") => Ok(self.ocsp(&body(request).await?)),
            (&Method::GET, path) if path.starts_with("/ocsp/") => self.ocsp_in_path(path),
            (&Method::POST, "/tsa" | "/tsa/") => {
                let answer = self.authority.timestamp_answer(&body(request).await?, self.clock.now());
                Ok(("application/timestamp-reply", answer))
            }
            (&Method::POST, "/sign") => self.sign(request).await,
            (&Method::POST, "/revoke") => self.revoke(request).await,
            (&Method::GET, "/ca.pem") => Ok((PEM, self.authority.certificate().to_pem().into_bytes())),
            (&Method::GET, "/ocsp.pem") => Ok((PEM, self.authority.ocsp_certificate().to_pem().into_bytes())),
            (&Method::GET, "/tsa.pem") => {
                Ok((PEM, self.authority.timestamp_certificate().to_pem().into_bytes()))
            }
            (_, "/ocsp" | "/tsa" | "/sign" | "/revoke" | "/ca.pem" | "/ocsp.pem" | "/tsa.pem") => {
                refuse(StatusCode::METHOD_NOT_ALLOWED, "this path is not for this method")
            }
            _ => refuse(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    fn ocsp(&self, request: &[u8]) -> (&'static str, Vec<u8>) {
        ("application/ocsp-response", self.authority.ocsp_answer(request, self.clock.now()))
    }

    /// RFC 6960 appendix A.1: the request in base64, percent-encoded, at the end of the path. Some
    /// clients leave a slash of the base64 as it is.
    fn ocsp_in_path(&self, path: &str) -> Answer {
        let encoded = path.strip_prefix("/ocsp/").unwrap_or_default();
        let text: Vec<u8> = percent_decode_str(encoded).collect();
        match STANDARD.decode(&text) {
            Ok(request) => Ok(self.ocsp(&request)),
            Err(_) => refuse(StatusCode::BAD_REQUEST, "the path is no request in base64"),
        }
    }

    async fn sign(&self, request: Request<Incoming>) -> Answer {
        self.permit(&request)?;
        let usage = parameter(&request, "usage").unwrap_or_default();
        let Some(purpose) = Purpose::from_name(&usage) else {
            return refuse(StatusCode::BAD_REQUEST, "usage must be auth, sign or tls");
        };
        let body = body(request).await?;
        let (authority, now) = (Arc::clone(&self.authority), self.clock.now());
        let issued = tokio::task::spawn_blocking(move || authority.issue(&body, purpose, now)).await;
        match issued {
            Ok(Ok(certificate)) => {
                tracing::info!(subject = %certificate.subject_name(), usage, "certificate issued");
                Ok((PEM, certificate.to_pem().into_bytes()))
            }
            Ok(Err(error)) => refused(&error),
            Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "signing was broken off"),
        }
    }

    async fn revoke(&self, request: Request<Incoming>) -> Answer {
        self.permit(&request)?;
        let serial = parameter(&request, "serial").as_deref().and_then(octets);
        let reason = parameter(&request, "reason").map_or(Some(0), |reason| reason.parse().ok());
        // CRLReason 7 is not used, and 8 takes back what only a revocation list can (RFC 5280 §5.3.1).
        let reason = reason.filter(|reason| matches!(reason, 0..=6 | 9 | 10));
        let (Some(serial), Some(reason)) = (serial, reason) else {
            return refuse(StatusCode::BAD_REQUEST, "serial must be hexadecimal and reason a CRLReason");
        };
        let (authority, now) = (Arc::clone(&self.authority), self.clock.now());
        match tokio::task::spawn_blocking(move || authority.revoke(&serial, reason, now)).await {
            Ok(Ok(())) => Ok(("text/plain", b"revoked\n".to_vec())),
            Ok(Err(error)) => refused(&error),
            Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "revoking was broken off"),
        }
    }

    /// Lets only the operator through.
    fn permit(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        let given =
            request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        match (&self.operator_token, given) {
            (Some(token), Some(given)) if is_same(token.text().as_bytes(), given) => Ok(()),
            (None, _) => Err((StatusCode::FORBIDDEN, "no operator token is configured".to_owned())),
            _ => Err((StatusCode::UNAUTHORIZED, "the operator token is needed".to_owned())),
        }
    }
}

/// Compares digests, so that the time it takes tells nothing about the token.
fn is_same(token: &[u8], given: &[u8]) -> bool {
    DigestAlgorithm::Sha256.digest(token) == DigestAlgorithm::Sha256.digest(given)
}

impl Service for CaService {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let (status, kind, body) = match self.answer(request).await {
            Ok((kind, body)) => (StatusCode::OK, kind, body),
            Err((status, text)) => (status, "text/plain", format!("{text}\n").into_bytes()),
        };
        let mut response = Response::new(Outgoing::from(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Refusal> {
    collect(request.into_body(), LARGEST_BODY)
        .await
        .map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))
}

fn parameter(request: &Request<Incoming>, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// The octets of a serial number in hexadecimal.
fn octets(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() > 40 || !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            if pair.starts_with('+') { None } else { u8::from_str_radix(pair, 16).ok() }
        })
        .collect()
}

fn refuse<T>(status: StatusCode, text: &str) -> Result<T, Refusal> {
    Err((status, text.to_owned()))
}

fn refused(error: &CaError) -> Answer {
    let status = match error {
        CaError::Request(_) | CaError::Subject(_) => StatusCode::BAD_REQUEST,
        CaError::UnknownSerial => StatusCode::NOT_FOUND,
        CaError::Exists
        | CaError::Damaged(_)
        | CaError::Token(_)
        | CaError::Key(_)
        | CaError::Certificate(_)
        | CaError::Io(_) => {
            tracing::error!(%error, "the certification authority failed");
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, "the certification authority failed");
        }
    };
    refuse(status, &error.to_string())
}
