//! The interface to information systems that call (messages and transport §5.1 to §5.4, §3.11).

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use protocol::fault::{Fault, Origin, code};
use protocol::message::error_body;
use protocol::transport::MessageType;

use super::refusal::{Refusal, fault_octets, fault_response};
use super::summary::Summary;
use super::{client_list, consumer, documents, wsdl};
use crate::http::Outgoing;
use crate::http::server::{Connection, Service};
use crate::node::{Node, Worker};
use crate::ports::Side;
use crate::service::{discard, header_value};

/// One connection of an information system.
pub(crate) struct ClientService {
    worker: Arc<Worker>,
    connection: Connection,
}

impl ClientService {
    pub(crate) fn new(worker: Arc<Worker>, connection: Connection) -> Self {
        Self { worker, connection }
    }
}

impl Service for ClientService {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let (head, body) = request.into_parts();
        // The target may stand in absolute form; only its path and query count.
        let path = head.uri.path();
        match (&head.method, path) {
            _ if path.starts_with("/r1/") => self.exchange(MessageType::Rest, head, body).await,
            (&Method::GET, "/listClients") => {
                discard(body);
                let query = head.uri.query().unwrap_or_default();
                client_list::answer(&self.worker.node, query, &head.headers)
                    .unwrap_or_else(|refusal| self.refuse_soap(refusal, &Summary::new(Side::Consumer)))
            }
            (&Method::GET, "/wsdl") => {
                discard(body);
                // As in an exchange, what was begun runs to its end.
                let service = Arc::clone(&self);
                let work = tokio::spawn(async move { service.wsdl(&head.uri).await });
                work.await.unwrap_or_else(|error| {
                    let text = "the exchange could not be finished";
                    let refusal = Refusal::because(code::INTERNAL_ERROR, text, error);
                    self.refuse_soap(refusal, &Summary::new(Side::Consumer))
                })
            }
            (&Method::GET, "/asic") => {
                documents::containers(&self.worker.node, &self.connection, &head.uri).await
            }
            (&Method::GET, "/verificationconf") => documents::verification_configuration(&self.worker.node),
            (method, _) if method != Method::POST => {
                discard(body);
                self.refuse_soap(client_list::not_post(method), &Summary::new(Side::Consumer))
            }
            _ => self.exchange(MessageType::Soap, head, body).await,
        }
    }
}

impl ClientService {
    async fn exchange(
        self: Arc<Self>,
        protocol: MessageType,
        head: http::request::Parts,
        body: Incoming,
    ) -> Response<Outgoing> {
        let mut summary = Summary::new(Side::Consumer);
        let mut body = Some(body);
        let accept = accepted_types(&head);
        let (worker, connection) = (&self.worker, &self.connection);
        let call = consumer::begin(worker, connection, protocol, &head, &mut body, &mut summary).await;
        let call = match call {
            Ok(call) => call,
            Err(refusal) => {
                if let Some(body) = body {
                    discard(body);
                }
                return self.refuse(protocol, refusal, &summary, &accept);
            }
        };
        // What follows leaves evidence, here and elsewhere. It runs to its end whether or not the client
        // waits for it.
        let service = Arc::clone(&self);
        let work = tokio::spawn(async move {
            match consumer::complete(call, &mut summary).await {
                Ok(response) => {
                    service.worker.node.stats.consumer_exchanges();
                    summary.tell(None);
                    response
                }
                Err(refusal) => service.refuse(protocol, refusal, &summary, &accept),
            }
        });
        work.await.unwrap_or_else(|error| {
            let text = "the exchange could not be finished";
            let refusal = Refusal::because(code::INTERNAL_ERROR, text, error);
            self.refuse(protocol, refusal, &Summary::new(Side::Consumer), &[])
        })
    }

    async fn wsdl(&self, uri: &Uri) -> Response<Outgoing> {
        let mut summary = Summary::new(Side::Consumer);
        let query = uri.query().unwrap_or_default();
        match wsdl::answer(&self.worker, &self.connection, query, &mut summary).await {
            Ok(response) => {
                self.worker.node.stats.consumer_exchanges();
                summary.tell(None);
                response
            }
            Err(refusal) => self.refuse_soap(refusal, &summary),
        }
    }

    /// Tells a client that did not call over REST why there is no answer.
    fn refuse_soap(&self, refusal: Refusal, summary: &Summary) -> Response<Outgoing> {
        let octets = refusal.octets();
        let fault = tell(&self.worker.node, refusal, summary);
        fault_response(octets.unwrap_or_else(|| fault_octets(&fault)))
    }

    fn refuse(
        &self,
        protocol: MessageType,
        refusal: Refusal,
        summary: &Summary,
        accept: &[HeaderValue],
    ) -> Response<Outgoing> {
        match protocol {
            MessageType::Rest => self.refuse_rest(refusal, summary, accept),
            MessageType::Soap => self.refuse_soap(refusal, summary),
        }
    }

    /// Tells a client that called over REST why there is no answer.
    fn refuse_rest(&self, refusal: Refusal, summary: &Summary, accept: &[HeaderValue]) -> Response<Outgoing> {
        let fault = tell(&self.worker.node, refusal, summary);
        let accept = accept.iter().filter_map(|value| value.to_str().ok());
        let (content_type, body) = error_body::render(&fault, accept);
        let mut response = Response::new(Outgoing::from(body));
        *response.status_mut() = StatusCode::from_u16(error_body::status(&fault.code))
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        // A peer's code may hold anything; what HTTP cannot carry is left out, the header is not.
        let shown: String = fault.code.chars().filter(|character| !character.is_control()).collect();
        let shown = header_value(&shown).unwrap_or_else(|| HeaderValue::from_static(""));
        headers.insert(HeaderName::from_static("x-road-error"), shown);
        if let Ok(content_type) = HeaderValue::from_str(&content_type) {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        response
    }
}

/// Tells log and counters why there is no answer.
pub(super) fn tell(node: &Node, refusal: Refusal, summary: &Summary) -> Fault {
    if refusal.is_foreign() {
        node.stats.faults_received();
    } else {
        node.stats.faults_made();
    }
    let fault = refusal.tell(Origin::ClientProxy);
    summary.tell(Some(&fault));
    fault
}

fn accepted_types(head: &http::request::Parts) -> Vec<HeaderValue> {
    head.headers.get_all(header::ACCEPT).iter().cloned().collect()
}

/// Answers load balancers (§5.8): any path and method.
pub(crate) struct HealthService(pub(crate) Arc<Node>);

impl Service for HealthService {
    async fn call(self: Arc<Self>, _request: Request<Incoming>) -> Response<Outgoing> {
        match self.0.illness() {
            None => Response::new(Outgoing::Empty),
            Some(reason) => {
                let mut response = Response::new(Outgoing::from(format!("{reason}\n")));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                let text = HeaderValue::from_static("text/plain; charset=UTF-8");
                response.headers_mut().insert(header::CONTENT_TYPE, text);
                response
            }
        }
    }
}
