//! Both services over TLS.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use causeway_tests::testkit::TestKey;
use certs::key::KeyKind;
use gateway::Clock;
use gateway::http::fetch::Fetched;
use gateway::http::{FetchError, Fetcher, bind, serve};
use gateway::ports::BoxFuture;
use gateway::tls::Identity;
use protocol::management::{Change, check_answer};
use protocol::soap::{Envelope, SoapMessage};
use registry::management::{
    Admission, Checked, Declined, ManagementServices, ManagementTls, Port, RefusedRequest, Registrar, View,
};
use tokio::sync::watch;

use crate::draft::{Kit, multipart};

/// A registry that takes everything that passed the checks, and remembers it.
#[derive(Default)]
pub(crate) struct Memory {
    view: Mutex<Option<Arc<View>>>,
    taken: Mutex<Vec<Checked>>,
    refused: Mutex<Vec<(Port, String)>>,
    declines: Mutex<Option<Declined>>,
    before: AtomicU64,
}

impl Memory {
    pub(crate) fn taken(&self) -> Vec<Checked> {
        self.taken.lock().unwrap().clone()
    }

    pub(crate) fn see(&self, view: View) {
        *self.view.lock().unwrap() = Some(Arc::new(view));
    }

    /// Numbers requests as if so many had been taken before.
    pub(crate) fn number_from(&self, before: u64) {
        self.before.store(before, Ordering::Relaxed);
    }

    /// Declines everything from now on.
    pub(crate) fn decline(&self, declined: Declined) {
        *self.declines.lock().unwrap() = Some(declined);
    }
}

impl Registrar for Memory {
    fn view(&self) -> Option<Arc<View>> {
        self.view.lock().unwrap().clone()
    }

    fn submit(&self, request: Checked) -> BoxFuture<'_, Result<u64, Declined>> {
        let taken = match self.declines.lock().unwrap().clone() {
            Some(declined) => Err(declined),
            None => {
                let mut taken = self.taken.lock().unwrap();
                taken.push(request);
                Ok(self.before.load(Ordering::Relaxed) + taken.len() as u64)
            }
        };
        Box::pin(async move { taken })
    }

    fn refused(&self, refused: RefusedRequest) -> BoxFuture<'_, ()> {
        assert!(refused.fault.detail.is_some(), "there is a trace id");
        self.refused.lock().unwrap().push((refused.port, refused.fault.code.to_string()));
        Box::pin(std::future::ready(()))
    }
}

pub(crate) struct Served {
    pub(crate) kit: Kit,
    pub(crate) memory: Arc<Memory>,
    pub(crate) tls: Arc<ManagementTls>,
    pub(crate) registration: String,
    management: String,
    _stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Served {
    /// With so many requests a minute and address.
    pub(crate) async fn new(admission: &Admission, requests_per_minute: usize) -> Self {
        let kit = Kit::new();
        let memory = Arc::new(Memory::default());
        memory.see(kit.view());
        let folder = tempfile::tempdir().unwrap();
        let tls =
            ManagementTls::open_or_create(folder.path(), KeyKind::P256, "cs.example", kit.instance.now());
        let tls = Arc::new(tls.unwrap());
        let (stop, stopped) = watch::channel(false);
        let mut addresses = Vec::new();
        for port in [Port::Registration, Port::Management] {
            let listener = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
            addresses.push(listener.local_addr().unwrap());
            let clock = Clock::set_to(kit.instance.now());
            let services =
                ManagementServices::new(port, memory.clone(), clock, admission.clone(), requests_per_minute);
            let acceptor = Arc::clone(&tls);
            let make = move |connection| Some(services.visit(connection));
            tokio::spawn(serve(
                listener,
                Some(move || Some(acceptor.current().acceptor())),
                make,
                stopped.clone(),
            ));
        }
        let registration = format!("https://{}/managementservice/", addresses[0]);
        let management = format!("https://{}/managementservice/manage/", addresses[1]);
        Self { kit, memory, tls, registration, management, _stop: stop, _folder: folder }
    }

    /// Sends as servers do: the certificate of the service is pinned.
    async fn send(&self, url: &str, content_type: &str, body: Bytes) -> Result<Fetched, FetchError> {
        self.send_as(None, url, content_type, body).await
    }

    async fn send_as(
        &self,
        identity: Option<&Identity>,
        url: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Fetched, FetchError> {
        let pinned = vec![self.tls.current().certificate().der().clone()];
        let second = Duration::from_secs(10);
        Fetcher::pinned(pinned, identity, second, second).post(url, content_type, body, 1 << 20).await
    }

    fn refused(&self) -> Vec<(Port, String)> {
        std::mem::take(&mut *self.memory.refused.lock().unwrap())
    }
}

fn code(fetched: &Fetched) -> String {
    match Envelope::parse(fetched.body.clone()) {
        Ok(Envelope::Fault(fault)) => fault.fault.code.into_owned(),
        other => panic!("no fault: {other:?}"),
    }
}

fn identity(key: &TestKey) -> Identity {
    Identity::of_key(vec![key.certificate.der().clone()], Arc::clone(&key.key)).unwrap()
}

#[tokio::test]
async fn requests_are_taken_answered_and_refused() {
    let served = Served::new(&Admission::default(), 1000).await;
    let (kit, memory) = (&served.kit, &served.memory);
    let mut draft = kit.registration();
    let (message, _) = draft.parts().unwrap();
    let answered = served.send(&served.registration, &multipart(), draft.body()).await.unwrap();
    assert_eq!(answered.status, 200);
    for (name, value) in [
        ("content-type", "text/xml;charset=utf-8"),
        ("pragma", "no-cache"),
        ("expires", "0"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-xss-protection", "1; mode=block"),
    ] {
        assert_eq!(answered.headers[name], value);
    }
    let answer = SoapMessage::parse(answered.body).unwrap();
    assert_eq!(check_answer(&message, &answer), Ok(Some(1)));
    assert_eq!(memory.taken()[0].request(), &draft.request);

    // Only to be checked.
    if let Change::AuthCertReg { dry_run, .. } = &mut draft.request.change {
        *dry_run = true;
    }
    let (message, _) = draft.parts().unwrap();
    let without_slash = served.registration.trim_end_matches('/');
    let answered = served.send(without_slash, &multipart(), draft.body()).await.unwrap();
    let answer = SoapMessage::parse(answered.body).unwrap();
    assert_eq!(check_answer(&message, &answer), Ok(Some(0)));
    assert_eq!(memory.taken().len(), 1, "nothing more was kept");

    // The registry's own rules.
    let declined = Declined { code: "management_request_exists".into(), status: 409 };
    memory.decline(declined);
    let rename =
        Change::ClientRename { client: kit.instance.client("COM/2002/shop"), subsystem_name: "S".into() };
    let body = kit.signed(rename, &kit.other).body();
    let answered = served.send(&served.management, &multipart(), body).await.unwrap();
    assert_eq!((answered.status.as_u16(), code(&answered)), (500, "internal_error".to_owned()));
    let text = String::from_utf8(answered.body.to_vec()).unwrap();
    assert!(
        text.contains("<faultstring>management_request_exists with statusCode 409</faultstring>"),
        "{text}"
    );
    assert!(text.contains("<faultDetail"), "{text}");

    // No configuration in force.
    *memory.view.lock().unwrap() = None;
    let answered = served.send(&served.registration, &multipart(), kit.registration().body()).await.unwrap();
    assert_eq!((answered.status.as_u16(), code(&answered)), (500, "global_conf_outdated".to_owned()));
    let told = [(Port::Management, "internal_error"), (Port::Registration, "global_conf_outdated")];
    assert_eq!(served.refused(), told.map(|(port, code)| (port, code.to_owned())));
}

#[tokio::test]
async fn heads_are_refused_before_bodies_count() {
    let served = Served::new(&Admission::default(), 1000).await;
    let body = served.kit.registration().body();
    let (registration, management) = (&served.registration, &served.management);
    let other = |url: &str, path: &str| format!("{}{path}", url.split("/managementservice").next().unwrap());
    let large = Bytes::from(vec![b'x'; 50 * 1024 + 1]);
    let xml = "text/xml;charset=UTF-8";
    for (url, content_type, body, status, expected) in [
        (registration.clone(), xml, &body, 415, "invalid_content_type"),
        (registration.clone(), "", &body, 415, "invalid_content_type"),
        (registration.clone(), "multipart/mixed; boundary=x", &body, 415, "invalid_content_type"),
        (registration.clone(), "multipart/related", &body, 500, "invalid_content_type"),
        (registration.clone(), "multipart/related; boundary=other", &body, 500, "missing_soap"),
        (registration.clone(), &*multipart(), &large, 413, "invalid_message"),
        (management.clone(), "application/json", &body, 415, "invalid_content_type"),
        (management.clone(), xml, &large, 413, "invalid_message"),
        (management.clone(), xml, &body, 500, "invalid_soap"),
        (other(registration, "/managementservice/manage/"), xml, &body, 404, "invalid_request"),
        (other(management, "/managementservice/"), xml, &body, 404, "invalid_request"),
        (other(management, "/managementservice/manage/../manage/"), xml, &body, 404, "invalid_request"),
        (other(management, "/"), xml, &body, 404, "invalid_request"),
    ] {
        let answered = served.send(&url, content_type, body.clone()).await.unwrap();
        assert_eq!(
            (answered.status.as_u16(), code(&answered)),
            (status, expected.to_owned()),
            "{url} {content_type}"
        );
        assert_eq!(served.refused().len(), 1, "it is in the audit log");
    }
    for url in [registration, management] {
        let pinned = vec![served.tls.current().certificate().der().clone()];
        let second = Duration::from_secs(10);
        let answered = Fetcher::pinned(pinned, None, second, second).get(url, None, 1 << 20).await.unwrap();
        assert_eq!((answered.status.as_u16(), code(&answered)), (405, "invalid_http_method".to_owned()));
        assert_eq!(answered.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn an_address_has_ten_requests_a_minute() {
    let served = Served::new(&Admission::default(), 10).await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let answered = served.send(&served.registration, "text/plain", Bytes::new()).await.unwrap();
        statuses.push(answered.status.as_u16());
    }
    assert_eq!(statuses, [[415; 10].as_slice(), &[429; 2]].concat());
    assert_eq!(served.refused().len(), 10, "what comes too often does not fill the audit log");
    // The other service counts for itself.
    let answered = served.send(&served.management, "text/plain", Bytes::new()).await.unwrap();
    assert_eq!(answered.status, 415);
}

#[tokio::test]
async fn the_management_service_knows_its_caller() {
    let kit = Kit::new();
    let (known, stranger) =
        (kit.instance.credentials().tls("ss1.example"), kit.instance.credentials().tls("x"));
    let admission = Admission { certificates: vec![known.certificate.der().clone()], networks: Vec::new() };
    let served = Served::new(&admission, 1000).await;
    let client = served.kit.instance.client("COM/2002/shop");
    let body = served.kit.signed(Change::ClientDisable { client }, &served.kit.other).body();
    for (identity, status) in [(None, 403), (Some(identity(&stranger)), 403), (Some(identity(&known)), 200)] {
        let answered =
            served.send_as(identity.as_ref(), &served.management, &multipart(), body.clone()).await.unwrap();
        assert_eq!(answered.status.as_u16(), status);
    }
    let told = served.refused();
    assert_eq!(told, vec![(Port::Management, "access_denied".to_owned()); 2]);
    // Everybody may register.
    let body = served.kit.registration().body();
    assert_eq!(served.send(&served.registration, &multipart(), body).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_new_key_is_shown_at_once() {
    let served = Served::new(&Admission::default(), 10).await;
    let old = served.tls.current().certificate().der().clone();
    served.tls.renew("cs.example", served.kit.instance.now()).unwrap();
    let second = Duration::from_secs(10);
    let fetcher = Fetcher::pinned(vec![old], None, second, second);
    let refused = fetcher.post(&served.registration, "text/plain", Bytes::new(), 1 << 20).await;
    assert!(matches!(refused, Err(FetchError::Connect(_))), "{refused:?}");
    let answered = served.send(&served.registration, "text/plain", Bytes::new()).await.unwrap();
    assert_eq!(answered.status, 415);
}
