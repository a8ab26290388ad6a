//! SOAP through a whole federation: attachments of any size in constant memory, and what is provable.

use causeway::bench::process::{reset_peak, status_kib};
use causeway::up::plan::NODES;
use causeway::up::{evidence, soap};

use crate::support::{Pilot, run};

/// Octets of attachments that one message carries.
const LARGE: usize = 100 * 1024 * 1024;

async fn exchange(pilot: &Pilot, id: &str, attachments: &[&[u8]]) -> soap::Read {
    let call = soap::call(&NODES[0], &NODES[1], id, "001085004321", attachments);
    let url = format!("http://{}/", pilot.clients(0));
    let answer = soap::send(url, call).await.unwrap_or_else(|error| panic!("{id}: {error}"));
    assert_eq!(answer.status, 200);
    soap::read(&answer).unwrap_or_else(|problem| panic!("{id}: {problem}"))
}

#[test]
fn soap_with_attachments() {
    run(async {
        let pilot = Pilot::start(33).await;
        let (trust, many) = {
            let trust = evidence::configuration(&pilot.federation, &NODES[0]).await.expect("a configuration");
            (trust.1, vec![b"many".to_vec(); 200])
        };
        let small: [&[u8]; 3] = [b"", b"one", &[0, 10, 13, 10, 255]];
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        for (id, attachments) in [("plain", &[][..]), ("three", &small), ("many", &many)] {
            let read = exchange(&pilot, id, attachments).await;
            assert!(read.text.contains("H\u{e0} N\u{1ed9}i"), "{}", read.text);
            assert_eq!(read.attachments, attachments, "{id}");
            for only in ["requestOnly", "responseOnly"] {
                let container = evidence::container(&pilot.federation, &NODES[0], id, only).await;
                let container = container.unwrap_or_else(|problem| panic!("{id} {only}: {problem}"));
                let report = certs::evidence::verify_container(&container, &trust, None);
                assert!(report.is_valid(), "{id} {only}: {:?}", report.fault());
                let zip = zip::ZipArchive::new(std::io::Cursor::new(container)).expect("a zip");
                let found = zip.file_names().flatten().filter(|name| name.starts_with("attachment")).count();
                assert_eq!(found, attachments.len(), "{id} {only}");
            }
        }

        let pids = pilot.federation.exchange_pids();
        let memory = |field: &str| pids.iter().filter_map(|pid| status_kib(*pid, field)).max().unwrap_or(0);
        let before = memory("VmRSS");
        pids.iter().for_each(|pid| reset_peak(*pid));
        let large = vec![b'z'; LARGE / 4];
        let read = exchange(&pilot, "large", &[&large[..]; 4]).await;
        assert_eq!(read.attachments.len(), 4);
        assert!(read.attachments.iter().all(|attachment| *attachment == large));
        let growth = memory("VmHWM").saturating_sub(before);
        assert!(growth < 24 * 1024, "memory grew by {growth} KiB for attachments of {} KiB", LARGE / 1024);
        pilot.federation.stop().await;
    });
}
