//! The provider's side of an exchange (messages and transport §4.6.3).
//!
//! The request is kept until all of it is there, verified and logged; the service sees none of it
//! before. Answers up to 64 KiB go out in one piece. Larger ones stream to the consumer's
//! server while they are hashed; what they lack there until the answer is logged here is the signature.

mod answer;
mod built_in;
mod built_in_soap;
mod request;

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Request, Response};
use protocol::fault::{Fault, Origin, code};

use self::answer::Received;
use self::request::{Accepted, Verified};
use crate::exchange::refusal::{Refusal, fault_octets, fault_response};
use crate::exchange::summary::Summary;
use crate::http::Outgoing;
use crate::http::server::{Connection, Service};
use crate::node::{Node, Worker};
use crate::peer::Peer;
use crate::ports::Side;

/// One connection of another security server.
pub(crate) struct PeerService {
    worker: Arc<Worker>,
    peer: Result<Peer, Fault>,
}

impl PeerService {
    pub(crate) fn new(worker: Arc<Worker>, connection: &Connection) -> Self {
        let peer = Peer::new(&connection.certificates, connection.tls);
        if connection.legacy {
            worker.node.stats.legacy_connections();
        }
        Self { worker, peer }
    }
}

impl Service for PeerService {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let mut summary = Summary::new(Side::Provider);
        let call = match begin(&self, request, &mut summary).await {
            Ok(call) => call,
            Err(refusal) => return refuse(&self.worker.node, refusal, &summary),
        };
        // From here on the service may act: what follows runs to its end whether or not the other
        // server waits for it.
        tokio::spawn(complete(call, summary)).await.unwrap_or_else(|error| {
            let text = "the exchange could not be finished";
            let refusal = Refusal::because(code::INTERNAL_ERROR, text, error);
            refuse(&self.worker.node, refusal, &Summary::new(Side::Provider))
        })
    }
}

/// The steps up to the moment when the request is to be logged. Until here nothing has happened.
async fn begin(
    connection: &Arc<PeerService>,
    request: Request<Incoming>,
    summary: &mut Summary,
) -> Result<Verified, Refusal> {
    let call = Accepted::new(connection, request)?;
    let call = call.read_head(summary).await?;
    let call = call.check_addressee()?;
    let call = call.check_peer(summary)?;
    let call = call.read_rest().await?;
    let call = call.authorise()?;
    call.verify(summary)
}

/// The steps from the log to the answer.
async fn complete(call: Verified, mut summary: Summary) -> Response<Outgoing> {
    let connection = call.connection();
    let node = &connection.worker.node;
    let called = async {
        let call = call.take(&summary)?;
        let call = call.log(&mut summary).await?;
        call.call().await
    };
    let called = match called.await {
        Ok(called) => called,
        Err(refusal) => return refuse(node, refusal, &summary),
    };
    let soap = called.soap_content_type();
    let answer = match (called.receive(&mut summary).await, soap) {
        (Ok(Received::Whole(answer)), _) => answer,
        (Ok(Received::Long(answer)), _) => return answer.stream(summary),
        (Err(refusal), Some(content_type)) => {
            return answer::fault_in_message(&tell(node, refusal, &summary), content_type);
        }
        (Err(refusal), None) => return refuse(node, refusal, &summary),
    };
    let answer = async {
        let answer = answer.sign().await?;
        answer.log(&mut summary).await
    };
    match answer.await {
        Ok(answer) => answer.send(node, &summary),
        Err(refusal) => refuse(node, refusal, &summary),
    }
}

/// Tells log and counters why there is no answer. Gives the fault as it is written: that of a service
/// unchanged (§2.9).
fn tell(node: &Node, refusal: Refusal, summary: &Summary) -> Bytes {
    node.stats.faults_made();
    let octets = refusal.octets();
    let fault = refusal.tell(Origin::ServerProxy);
    summary.tell(Some(&fault));
    octets.unwrap_or_else(|| fault_octets(&fault))
}

/// A response that is nothing but a fault (§4.7, shape A).
fn refuse(node: &Node, refusal: Refusal, summary: &Summary) -> Response<Outgoing> {
    fault_response(tell(node, refusal, summary))
}
