//! SOAP over TLS: from the client's system, and to the provider's.

use std::sync::Arc;

use gateway::ports::{ConnectionType, LocalClient};

use crate::calls::call_over_tls;
use crate::federation::{client, provider, self_signed};
use crate::soap::{PLAIN, Soap, code, code_free, envelope, request};

#[tokio::test]
async fn clients_show_their_certificate() {
    let soap = Soap::start();
    let (identity, other) = (self_signed(), self_signed());
    let local = LocalClient {
        id: client(),
        connection_type: ConnectionType::Https,
        certificates: vec![identity.chain()[0].clone()],
    };
    soap.federation.consumer.directory.clients.lock().unwrap().insert(client(), Arc::new(local));
    let refused = "server.clientproxy.ssl_authentication_failed";
    for shown in [None, Some(&other)] {
        let message = request(PLAIN, envelope("query", ""));
        assert_eq!(code(&call_over_tls(&soap.federation, shown, message).await), refused);
    }
    assert_eq!(code(&soap.call(PLAIN, envelope("query", "")).await), refused, "without TLS");
    assert_eq!((soap.calls(), soap.federation.consumer.log.len()), (0, 0));

    let message = request(PLAIN, envelope("query", ""));
    let answer = call_over_tls(&soap.federation, Some(&identity), message).await;
    assert_eq!(code_free(&answer), 200);
    assert!(String::from_utf8_lossy(&answer.body).contains("queryResponse"));
    assert_eq!((soap.calls(), soap.federation.consumer.log.len()), (1, 2));
}

#[tokio::test]
async fn services_show_the_certificate_that_is_known() {
    let identity = self_signed();
    let soap = Soap::start_with(Some(&identity));
    let refused = "server.serverproxy.service_failed.ssl_authentication_failed";
    for (known, expected) in [(None, refused), (Some(self_signed()), refused), (Some(identity), "")] {
        let certificates = known.map(|known| known.chain()[0].clone()).into_iter().collect();
        let local = LocalClient { id: provider(), connection_type: ConnectionType::Http, certificates };
        soap.federation.provider.directory.clients.lock().unwrap().insert(provider(), Arc::new(local));
        let sent = envelope("query", "");
        let answer = soap.call(PLAIN, sent.clone()).await;
        if expected.is_empty() {
            assert_eq!(code_free(&answer), 200);
            assert_eq!(soap.last_seen().2, sent);
        } else {
            assert_eq!(code(&answer), expected);
            assert_eq!(soap.calls(), 0);
        }
    }
}
