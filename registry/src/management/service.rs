//! One request over HTTP: what is looked at before its content counts, and how it is answered (§3.1).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway::Clock;
use gateway::http::server::Connection;
use gateway::http::{Outgoing, Service, collect};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use protocol::fault::{Fault, code};
use protocol::id::{ClientId, SecurityServerId};
use protocol::management::{ManagementRequest, Received, RequestType, accept};
use protocol::soap::SoapMessage;
use uuid::Uuid;

use super::pace::Pace;
use super::{Admission, Checked, Port, RefusedRequest, Registrar, answer, check};

/// Longest body, octets.
const LONGEST_BODY: usize = 50 * 1024;
/// Longest time for a body to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// One of the two services.
pub struct ManagementServices {
    port: Port,
    registrar: Arc<dyn Registrar>,
    clock: Clock,
    admission: Admission,
    pace: Pace,
}

/// A connection to a service.
pub struct Visit {
    services: Arc<ManagementServices>,
    connection: Connection,
}

/// What of a request is known so far, for whoever is told that it was refused.
#[derive(Default)]
struct Known {
    request_type: Option<RequestType>,
    server: Option<SecurityServerId>,
    client: Option<ClientId>,
    message_id: Option<String>,
}

/// Why there is no answer, and with which status.
struct Refusal {
    status: StatusCode,
    fault: Fault,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, fault }
    }
}

impl ManagementServices {
    /// The service of a port, which takes so many requests in a minute from one address.
    pub fn new(
        port: Port,
        registrar: Arc<dyn Registrar>,
        clock: Clock,
        admission: Admission,
        requests_per_minute: usize,
    ) -> Arc<Self> {
        Arc::new(Self { port, registrar, clock, admission, pace: Pace::new(requests_per_minute) })
    }

    /// The service for a connection.
    pub fn visit(self: &Arc<Self>, connection: Connection) -> Arc<Visit> {
        Arc::new(Visit { services: Arc::clone(self), connection })
    }

    /// Answers what was sent in the body of a request, whoever sent it.
    async fn answer(&self, content_type: &str, body: Bytes, known: &mut Known) -> Result<SoapMessage, Fault> {
        let view = self.registrar.view().ok_or_else(|| {
            Fault::new(code::GLOBAL_CONF_OUTDATED, "the registry has no configuration in force")
        })?;
        let received = Received::read(content_type, body)?;
        known.learn(&received);
        let checked = check(&received, self.port, &view, self.clock.now())?;
        let message = received.message();
        if checked.is_dry_run() {
            tracing::info!(server = %checked.request().server, "a registration would be taken");
            return accept(message, 0);
        }
        // Made before anything is kept, so that what is kept can be answered.
        accept(message, 0)?;
        let told = (checked.request().server.clone(), received.request_type());
        let number = self.submit(checked).await?;
        tracing::info!(server = %told.0, request = told.1.service_code(), number, "management request taken");
        accept(message, number)
    }

    /// What was begun runs to its end, whether or not the sender waits for it.
    async fn submit(&self, checked: Checked) -> Result<u64, Fault> {
        let registrar = Arc::clone(&self.registrar);
        match tokio::spawn(async move { registrar.submit(checked).await }).await {
            Ok(taken) => Ok(taken?),
            Err(error) => {
                tracing::error!(%error, "a management request could not be finished");
                Err(Fault::new(code::INTERNAL_ERROR, "the request could not be finished"))
            }
        }
    }
}

impl Known {
    /// Reads as much as can be read.
    fn learn(&mut self, received: &Received) {
        let message = received.message();
        self.request_type = Some(received.request_type());
        self.message_id = Some(message.id().to_owned());
        if let Ok(request) = ManagementRequest::of(message) {
            self.client = request.change.client().cloned();
            self.server = Some(request.server);
        }
    }
}

impl Service for Visit {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let services = &self.services;
        let address = self.connection.remote.ip();
        if !services.pace.admits(address, Instant::now()) {
            // Not told to the audit log: whoever causes these must not fill it.
            tracing::debug!(%address, "too many management requests");
            return too_many();
        }
        let mut known = Known::default();
        match self.serve(request, &mut known).await {
            Ok(message) => answer::with(StatusCode::OK, message.octets().clone()),
            Err(refusal) => self.refuse(refusal, known, address).await,
        }
    }
}

impl Visit {
    async fn serve(&self, request: Request<Incoming>, known: &mut Known) -> Result<SoapMessage, Refusal> {
        let services = &self.services;
        let (head, body) = request.into_parts();
        if services.port == Port::Management {
            let registered = services.registrar.view();
            let registered = registered.as_ref().map(|view| view.provider_addresses.as_slice());
            if !services.admission.admits(&self.connection, registered.unwrap_or_default()).await {
                let text = "only the server that offers the management services is served here";
                return Err(refused(StatusCode::FORBIDDEN, code::ACCESS_DENIED, text));
            }
        }
        let content_type = check_head(services.port, &head)?;
        let body = match tokio::time::timeout(BODY_TIME, collect(body, LONGEST_BODY)).await {
            Ok(Ok(body)) => body,
            Ok(Err(gateway::http::body::CollectError::TooLong(_))) => {
                let text = "a management request has 50 kB at most";
                return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, code::INVALID_MESSAGE, text));
            }
            Ok(Err(_)) | Err(_) => {
                let text = "the request broke off or was too slow";
                return Err(refused(StatusCode::REQUEST_TIMEOUT, code::IO_ERROR, text));
            }
        };
        Ok(services.answer(&content_type, body, known).await?)
    }

    async fn refuse(&self, refusal: Refusal, known: Known, address: IpAddr) -> Response<Outgoing> {
        let Refusal { status, fault } = refusal;
        let fault = fault.with_detail(|| Uuid::new_v4().to_string());
        let Known { request_type, server, client, message_id } = known;
        let (port, told) = (self.services.port, fault.clone());
        let refused = RefusedRequest { port, address, request_type, server, client, message_id, fault: told };
        self.services.registrar.refused(refused).await;
        let mut response = answer::refusal(status, &fault);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// Path, method and content type; the last is given back.
fn check_head(port: Port, head: &http::request::Parts) -> Result<String, Refusal> {
    let path = head.uri.path();
    let known = match port {
        Port::Registration => "/managementservice",
        Port::Management => "/managementservice/manage",
    };
    if path.strip_suffix('/').unwrap_or(path) != known {
        return Err(refused(StatusCode::NOT_FOUND, code::INVALID_REQUEST, "nothing is offered at this path"));
    }
    if head.method != Method::POST {
        let text = "management requests are sent by POST";
        return Err(refused(StatusCode::METHOD_NOT_ALLOWED, code::INVALID_HTTP_METHOD, text));
    }
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_taken = match port {
        Port::Registration => essence == "multipart/related",
        Port::Management => essence == "multipart/related" || essence == "text/xml",
    };
    if !is_taken {
        let text = "this content type is not that of a management request";
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::INVALID_CONTENT_TYPE, text));
    }
    Ok(content_type.to_owned())
}

fn refused(status: StatusCode, code: &'static str, text: &str) -> Refusal {
    Refusal { status, fault: Fault::new(code, text) }
}

fn too_many() -> Response<Outgoing> {
    let fault = Fault::new(code::ACCESS_DENIED, "too many requests, try again in a minute");
    let mut response = answer::refusal(StatusCode::TOO_MANY_REQUESTS, &fault);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    response
}
