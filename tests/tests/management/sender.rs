//! A security server registers its certificate with the registration service, both real.

use std::sync::Arc;

use causeway_tests::testkit::TestKey;
use certs::certificate::Certificate;
use certs::ocsp::OcspResponse;
use certs::trust::TrustStore;
use gateway::Clock;
use gateway::snapshot::{Snapshot, SnapshotCell};
use protocol::configuration::PrivateParameters;
use protocol::fault::Fault;
use protocol::management::Change;
use protocol::time::UtcTime;
use registry::management::{Admission, Declined};
use security_server::management::{ManagementClient, ManagementError, Registration};
use security_server::signer::{BatchSigner, OwnOcsp, SigningKey};

use crate::draft::Kit;
use crate::service::Served;

/// The response that the owner's server keeps.
struct Kept(OcspResponse);

impl OwnOcsp for Kept {
    fn good(&self, _: &Certificate, _: &TrustStore, _: UtcTime) -> Result<OcspResponse, Fault> {
        Ok(self.0.clone())
    }

    fn round(&self) -> u64 {
        0
    }
}

/// What a server knows of the registry.
fn snapshot(served: &mut Served, pinned: Option<Vec<u8>>) -> Arc<SnapshotCell> {
    let kit = &mut served.kit;
    kit.instance.private = Some(PrivateParameters {
        instance: "CW".to_owned(),
        anchors: Vec::new(),
        registration_address: served.registration.clone(),
        registration_certificate: pinned,
        management_service_provider: kit.provider(),
        timestamping_interval_seconds: 60,
    });
    let cell = Arc::new(SnapshotCell::new());
    cell.store(Arc::new(Snapshot::new(Arc::new(kit.instance.configuration()))));
    cell
}

fn client(kit: &Kit, snapshot: Arc<SnapshotCell>, owner: &TestKey) -> ManagementClient {
    let clock = Clock::set_to(kit.instance.now());
    let kept = Kept(kit.instance.ocsp(&owner.certificate));
    let signer = BatchSigner::new(Arc::clone(&snapshot), Arc::new(kept), clock);
    let key = SigningKey {
        key: Arc::clone(&owner.key),
        certificate: owner.certificate.clone(),
        member: kit.server.id.owner().clone(),
        algorithm: owner.key.default_algorithm(),
    };
    signer.set_keys(vec![key]).unwrap();
    ManagementClient::new(kit.server.id.clone(), snapshot, Arc::new(signer))
}

fn registration(kit: &Kit, address: &str, dry_run: bool) -> Registration {
    let TestKey { key, certificate } = kit.server.authentication.clone();
    Registration { key, certificate, address: address.to_owned(), dry_run }
}

#[tokio::test]
async fn a_server_registers_its_certificate() {
    let mut served = Served::new(&Admission::default(), 1000).await;
    let pinned = served.tls.current().certificate().der().to_vec();
    let snapshot = snapshot(&mut served, Some(pinned));
    let kit = &served.kit;
    let client = client(kit, snapshot, &kit.owner);
    client.probe_registration_service().await.unwrap();
    let dry = client.register_auth_certificate(&registration(kit, "ss1.example", true)).await;
    assert_eq!((dry.unwrap(), served.memory.taken().len()), (Some(0), 0));
    let number = client.register_auth_certificate(&registration(kit, "ss1.example", false)).await;
    assert_eq!(number.unwrap(), Some(1));
    let [taken] = &served.memory.taken()[..] else { panic!("one request") };
    assert_eq!(taken.request().server, kit.server.id);
    let Change::AuthCertReg { address, certificate, dry_run: false } = &taken.request().change else {
        panic!("a registration: {taken:?}")
    };
    assert_eq!(address.as_deref(), Some("ss1.example"));
    assert_eq!(certificate[..], kit.server.authentication.certificate.der()[..]);

    let refused = client.register_auth_certificate(&registration(kit, "ss1:5500", false)).await.unwrap_err();
    assert_eq!(refused.fault().map(|fault| fault.code.as_ref()), Some("invalid_request"));
    assert_eq!(refused.registry_code(), None);
    served.memory.decline(Declined { code: "management_request_exists".into(), status: 409 });
    let refused = client.register_auth_certificate(&registration(kit, "ss1", false)).await.unwrap_err();
    assert_eq!(refused.registry_code(), Some("management_request_exists"));
}

#[tokio::test]
async fn nobody_else_is_sent_a_registration() {
    let mut served = Served::new(&Admission::default(), 10).await;
    let other = served.kit.instance.credentials().tls("cs.example").certificate.der().to_vec();
    for (pinned, is_expected) in [
        (
            Some(other),
            (|error| matches!(error, ManagementError::Unreachable(_))) as fn(&ManagementError) -> bool,
        ),
        (None, |error| matches!(error, ManagementError::NotPinned)),
    ] {
        let snapshot = snapshot(&mut served, pinned);
        let client = client(&served.kit, snapshot, &served.kit.owner);
        let refused = client.register_auth_certificate(&registration(&served.kit, "ss1", false)).await;
        assert!(refused.as_ref().is_err_and(is_expected), "{refused:?}");
    }
    assert!(served.memory.taken().is_empty());
    // Calls over the exchange protocol need a server that takes part in it.
    let snapshot = snapshot(&mut served, None);
    let client = client(&served.kit, snapshot, &served.kit.owner);
    let refused = client.disable_maintenance().await.unwrap_err();
    let code = refused.fault().map(|fault| fault.code.as_ref());
    assert_eq!(code, Some("server.clientproxy.ssl_authentication_failed"));
}
