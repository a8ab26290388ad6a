//! The body of a call, as the information system sends it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use protocol::fault::{Fault, code};
use tokio::time::timeout;

use crate::exchange::passage::Input;
use crate::exchange::refusal::{Refusal, chain};

/// The body. What is not read of it is left for whoever discards it.
pub(super) struct Client<'a> {
    body: &'a mut Option<Incoming>,
    silence: Duration,
}

impl<'a> Client<'a> {
    /// `silence` is the longest time that the client may be silent.
    pub(super) fn new(body: &'a mut Option<Incoming>, silence: Duration) -> Self {
        Self { body, silence }
    }
}

impl Input for Client<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let Some(incoming) = self.body else { return Ok(None) };
            let frame = timeout(self.silence, incoming.frame()).await.map_err(|_| {
                Fault::new(code::IO_ERROR, "the client was silent for too long in the middle of its request")
            })?;
            match frame {
                None => {
                    *self.body = None;
                    return Ok(None);
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(Some(data)),
                    Ok(_) | Err(_) => {}
                },
                Some(Err(error)) => {
                    *self.body = None;
                    return Err(Refusal::because(code::IO_ERROR, "the request broke off", chain(&error)));
                }
            }
        }
    }
}
