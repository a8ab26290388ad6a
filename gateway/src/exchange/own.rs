//! Calls that this server makes in the name of its owner, such as management requests.
//!
//! They go the way of every client's call: signed, logged, sent over mutual TLS, and the answer is verified
//! and logged. Only who calls need not be found out, since it is this program.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{Method, Request, header};
use protocol::fault::{Fault, Origin, code};
use protocol::soap::SoapMessage;
use tokio::runtime::Handle;

use super::refusal::Refusal;
use super::summary::Summary;
use super::{clients, consumer};
use crate::node::{Node, Worker};
use crate::ports::Side;

/// Makes such calls.
#[derive(Clone)]
pub struct OwnCalls {
    worker: Arc<Worker>,
    runtime: Handle,
}

impl OwnCalls {
    /// Their connections live on `runtime`.
    pub(crate) fn new(node: Arc<Node>, runtime: Handle) -> Self {
        Self { worker: Arc::new(Worker::new(node)), runtime }
    }

    /// Sends a SOAP message, alone or with attachments, and gives the message that answers it. A call that
    /// has begun runs to its end, whether or not anybody waits for it.
    ///
    /// # Errors
    /// What a client would be answered: the fault of the service, of its server, or of this one. Its client
    /// must be the owner of this server.
    pub async fn call(&self, content_type: &str, body: Bytes) -> Result<SoapMessage, Fault> {
        let request = Request::builder().method(Method::POST).header(header::CONTENT_TYPE, content_type);
        let head = request.body(()).map(|request| request.into_parts().0);
        let head = head.map_err(|_| Fault::new(code::INVALID_CONTENT_TYPE, "malformed content type"))?;
        let worker = Arc::clone(&self.worker);
        let work = self.runtime.spawn(async move { exchange(&worker, &head, body).await });
        work.await.unwrap_or_else(|error| {
            let text = "the exchange could not be finished";
            Err(Refusal::because(code::INTERNAL_ERROR, text, error).tell(Origin::ClientProxy))
        })
    }
}

async fn exchange(
    worker: &Arc<Worker>,
    head: &http::request::Parts,
    body: Bytes,
) -> Result<SoapMessage, Fault> {
    let mut summary = Summary::new(Side::Consumer);
    let answer = match consumer::begin_owners(worker, head, body, &mut summary).await {
        Ok(call) => consumer::complete_owners(call, &mut summary).await,
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok(message) => {
            worker.node.stats.consumer_exchanges();
            summary.tell(None);
            Ok(message)
        }
        Err(refusal) => Err(clients::tell(&worker.node, refusal, &summary)),
    }
}
