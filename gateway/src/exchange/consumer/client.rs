//! The body of a call, as the information system sends it, or as this server made it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use protocol::fault::{Fault, code};
use tokio::time::timeout;

use crate::exchange::pace::Pace;
use crate::exchange::passage::Input;
use crate::exchange::refusal::{Refusal, chain};

/// The body. What is not read of it is left for whoever discards it.
pub(super) struct Client<'a> {
    body: &'a mut Option<Incoming>,
    pace: Pace,
}

impl<'a> Client<'a> {
    /// `silence` is the longest time that the client may be silent.
    pub(super) fn new(body: &'a mut Option<Incoming>, silence: Duration) -> Self {
        Self { body, pace: Pace::new(silence) }
    }
}

/// A body that is in memory.
pub(super) struct Held(Option<Bytes>);

impl Held {
    pub(super) fn new(body: Bytes) -> Self {
        Self(Some(body).filter(|body| !body.is_empty()))
    }
}

impl Input for Held {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        Ok(self.0.take())
    }
}

impl Input for Client<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let Some(incoming) = self.body else { return Ok(None) };
            let Ok(frame) = timeout(self.pace.wait(), incoming.frame()).await else {
                // Nothing more is waited for: the connection closes behind the answer.
                *self.body = None;
                let text = "the client was too slow in the middle of its request";
                return Err(Fault::new(code::IO_ERROR, text).into());
            };
            match frame {
                None => {
                    *self.body = None;
                    return Ok(None);
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => {
                        self.pace.came(data.len());
                        return Ok(Some(data));
                    }
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
