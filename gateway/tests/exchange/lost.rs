//! A request is never sent twice, unless nothing of it was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::http::bind;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsAcceptor;

use crate::craft::identity;
use crate::federation::{Federation, PEER_PORT};
use crate::service::showing;

const ECHO: &str = "/r1/CW/COM/2/service/echo/x";

/// A server with the provider's certificate that reads the beginning of each request and is gone.
#[tokio::test]
async fn a_request_that_was_seen_is_not_sent_again() {
    let mut federation = Federation::start();
    federation.provider.gateway.take().unwrap().stop().await;
    let config = showing(&identity(&federation.provider));
    let listener = bind(federation.provider.address(PEER_PORT), false).unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(config);
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut some = [0; 64];
                if stream.read(&mut some).await.is_ok_and(|length| length > 0) {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    for round in 1..=3 {
        let answer = federation.call("POST", ECHO, "abc".to_owned()).await;
        assert_eq!((answer.status, answer.error()), (500, "server.clientproxy.network_error"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(seen.load(Ordering::Relaxed), round, "sent again");
    }
    // The request is in the consumer's log, since nobody knows what was done with it.
    assert_eq!(federation.consumer.log.len(), 3);
}
