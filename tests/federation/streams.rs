//! Large bodies pass in constant memory, and their evidence covers every byte.

use bytes::Bytes;
use causeway::bench::process::{reset_peak, status_kib};
use http::Method;

use crate::support::{Pilot, run, test_service};

const BODY: usize = 64 * 1024 * 1024;

#[test]
fn large_bodies_stream() {
    run(async {
        let pilot = Pilot::start(13).await;
        // Once for buffers and connections that stay.
        let warm = pilot.get(0, &test_service(1, "/bytes/1000000")).await;
        assert_eq!(warm.body.len(), 1_000_000);
        let pids = pilot.federation.exchange_pids();
        assert_eq!(pids.len(), 2);
        let memory = |field: &str| pids.iter().filter_map(|pid| status_kib(*pid, field)).max().unwrap_or(0);
        let before = memory("VmRSS");
        pids.iter().for_each(|pid| reset_peak(*pid));

        let down = pilot.get(0, &test_service(1, &format!("/bytes/{BODY}"))).await;
        assert_eq!((down.status.as_u16(), down.body.len()), (200, BODY));
        drop(down);
        let path = format!("/r1/{}", test_service(1, "/sink"));
        let up = pilot.send(0, Method::POST, &path, &[], Bytes::from(vec![b'y'; BODY])).await;
        assert_eq!(up.body, format!("{{\"bytes\":{BODY}}}"));

        let growth = memory("VmHWM").saturating_sub(before);
        assert!(growth < 24 * 1024, "memory grew by {growth} KiB for a body of {} KiB", BODY / 1024);
        pilot.federation.stop().await;
    });
}
