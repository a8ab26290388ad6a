//! The consumer's side of an exchange (messages and transport §4.6.1, §4.6.2).
//!
//! Bodies and attachments up to 64 KiB are taken before anything is sent. Larger ones stream to the provider's
//! server while they are hashed; what they lack there until the request is logged here is the
//! signature, without which the provider's server does nothing. The answer is kept until it is
//! verified and logged; the client sees none of it before.

mod answer;
mod client;
mod outgoing;
mod request;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::body::Incoming;
use protocol::soap::SoapMessage;
use protocol::transport::MessageType;

use self::client::Client;
pub(super) use self::outgoing::Hashed;
use self::request::Accepted;
pub(super) use self::request::identify;
use crate::exchange::passage::Source;
use crate::exchange::refusal::Refusal;
use crate::exchange::summary::Summary;
use crate::http::Outgoing;
use crate::http::server::Connection;
use crate::node::Worker;

/// The steps up to the moment when body or attachments are hashed. Until here the client may go away and nothing
/// has happened.
pub(super) async fn begin(
    worker: &Arc<Worker>,
    connection: &Connection,
    protocol: MessageType,
    head: &http::request::Parts,
    body: &mut Option<Incoming>,
    summary: &mut Summary,
) -> Result<Hashed, Refusal> {
    let call = Accepted::new(worker)?;
    let mut source = call.source(protocol, head, body)?;
    let call = call.read(protocol, head, &mut source, summary).await?;
    let call = call.identify(connection)?;
    let call = call.resolve()?;
    let call = call.reach(summary).await?;
    call.hash(&mut source).await
}

/// The steps of [`begin`] for a SOAP request that this server makes itself.
pub(super) async fn begin_own(
    worker: &Arc<Worker>,
    connection: &Connection,
    request: SoapMessage,
    summary: &mut Summary,
) -> Result<Hashed, Refusal> {
    let call = Accepted::new(worker)?;
    let call = call.own(request, summary)?;
    let call = call.identify(connection)?;
    let call = call.resolve()?;
    let call = call.reach(summary).await?;
    call.hash(&mut Source::nothing(Client::new(&mut None, Duration::ZERO))).await
}

/// The steps of [`complete`] for a request that this server made itself: the first attachment of the answer.
pub(super) async fn complete_own(call: Hashed, summary: &mut Summary) -> Result<Option<Outgoing>, Refusal> {
    let call = call.sign().await?;
    let call = call.log(summary).await?;
    let answer = call.send().await?;
    let answer = answer.verify(summary)?;
    let answer = answer.log(summary).await?;
    answer.attachment(summary)
}

/// The steps of [`begin`] for a message that this server sends in the name of its owner.
pub(super) async fn begin_owners(
    worker: &Arc<Worker>,
    head: &http::request::Parts,
    body: Bytes,
    summary: &mut Summary,
) -> Result<Hashed, Refusal> {
    let call = Accepted::new(worker)?;
    let mut source = call.held(head, body)?;
    let call = call.read(MessageType::Soap, head, &mut source, summary).await?;
    let call = call.identify_owner()?;
    let call = call.resolve()?;
    let call = call.reach(summary).await?;
    call.hash(&mut source).await
}

/// The steps of [`complete`] for a message that this server sent itself: the message that answers it.
pub(super) async fn complete_owners(call: Hashed, summary: &mut Summary) -> Result<SoapMessage, Refusal> {
    let call = call.sign().await?;
    let call = call.log(summary).await?;
    let answer = call.send().await?;
    let answer = answer.verify(summary)?;
    let answer = answer.log(summary).await?;
    answer.message(summary)
}

/// The steps from the signature to the answer. They run to their end whether or not the client waits.
pub(super) async fn complete(call: Hashed, summary: &mut Summary) -> Result<Response<Outgoing>, Refusal> {
    let call = call.sign().await?;
    let call = call.log(summary).await?;
    let answer = call.send().await?;
    let answer = answer.verify(summary)?;
    let answer = answer.log(summary).await?;
    answer.release(summary)
}
