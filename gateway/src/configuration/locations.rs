//! Where the configuration of an instance can be fetched, and in which order (§5.2).

use std::sync::Arc;

use protocol::configuration::{Anchor, Instance, Source};

/// A place with the certificates whose keys may sign what it serves. They are never shared between
/// places.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// URL of the signed directory.
    pub url: String,
    /// The certificates, DER.
    pub certificates: Arc<Vec<Vec<u8>>>,
}

/// All places to try, in order: those that the cached shared parameters name, which know keys that the
/// anchor has never heard of (§11.3), then those of the anchor. Within each list HTTPS comes first; the
/// order among equals is random, so that the nodes of a registry share the load.
pub(super) fn locations(anchor: &Anchor, cached: Option<&Instance>, random: &mut Random) -> Vec<Location> {
    let cached = cached.map(|instance| of_shared_parameters(anchor, instance)).unwrap_or_default();
    let mut ordered = in_order(cached, random);
    ordered.extend(in_order(of_anchor(anchor), random));
    ordered
}

/// The places of the cached shared parameters in the order of the file, first all with `https`.
pub fn of_shared_parameters(anchor: &Anchor, cached: &Instance) -> Vec<Location> {
    let Some(folder) = anchor.sources.iter().find_map(|source| folder(&source.download_url)) else {
        return Vec::new();
    };
    let places = |scheme: &'static str| {
        cached.shared.sources.iter().map(move |source| Location {
            url: format!("{scheme}://{}/{folder}", source.address),
            certificates: Arc::new(certificates(source, folder)),
        })
    };
    places("https").chain(places("http")).collect()
}

fn of_anchor(anchor: &Anchor) -> Vec<Location> {
    let location = |source: &protocol::configuration::AnchorSource| Location {
        url: source.download_url.clone(),
        certificates: Arc::new(source.verification_certs.clone()),
    };
    anchor.sources.iter().map(location).collect()
}

fn certificates(source: &Source, folder: &str) -> Vec<Vec<u8>> {
    let (internal, external) = (&source.internal_verification_certs, &source.external_verification_certs);
    match folder {
        "internalconf" => internal.clone(),
        "externalconf" => external.clone(),
        _ => internal.iter().chain(external).cloned().collect(), // a configuration proxy
    }
}

/// What stands behind the host of a URL.
fn folder(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let (host, folder) = rest.split_once('/')?;
    (!host.is_empty()).then_some(folder)
}

/// HTTPS places, among them a twin of each plain one on the standard port, then the plain ones.
fn in_order(places: Vec<Location>, random: &mut Random) -> Vec<Location> {
    let (plain, mut secure): (Vec<_>, Vec<_>) =
        places.into_iter().partition(|place| place.url.starts_with("http://"));
    for place in &plain {
        if let Some(url) = twin(&place.url)
            && !secure.iter().any(|known| known.url == url)
        {
            secure.push(Location { url, certificates: Arc::clone(&place.certificates) });
        }
    }
    let mut plain = plain;
    random.shuffle(&mut secure);
    random.shuffle(&mut plain);
    secure.extend(plain);
    secure
}

/// The same place over HTTPS. A port of its own speaks plain HTTP, so there is no twin of it.
fn twin(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://")?;
    let host = rest.split('/').next()?;
    let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    match port {
        None => Some(format!("https://{rest}")),
        Some("80") => Some(format!("https://{}", rest.replacen(":80", "", 1))),
        Some(_) => None,
    }
}

/// A small generator for the order of places; nothing secret depends on it.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap_or_default()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::configuration::{AnchorSource, SharedParameters};
    use protocol::time::UtcTime;

    use super::*;

    fn anchor(urls: &[&str]) -> Anchor {
        let source = |url: &&str| AnchorSource {
            download_url: (*url).to_owned(),
            verification_certs: vec![b"anchor".to_vec()],
        };
        Anchor { generated_at: None, instance: "I".to_owned(), sources: urls.iter().map(source).collect() }
    }

    fn cached(addresses: &[&str]) -> Instance {
        let source = |address: &&str| Source {
            address: (*address).to_owned(),
            internal_verification_certs: vec![b"internal".to_vec()],
            external_verification_certs: vec![b"external".to_vec()],
        };
        let shared = SharedParameters {
            instance: "I".to_owned(),
            sources: addresses.iter().map(source).collect(),
            ..SharedParameters::default()
        };
        Instance::new(shared, 6, UtcTime::from_millis(0))
    }

    #[track_caller]
    fn check(urls: &[&str], cached_at: Option<&[&str]>, expected: &[(&str, usize)]) {
        let cached = cached_at.map(cached);
        let got = locations(&anchor(urls), cached.as_ref(), &mut Random::new(7));
        let got: Vec<_> = got.iter().map(|place| (place.url.as_str(), place.certificates.len())).collect();
        assert_eq!(got, expected, "{urls:?} {cached_at:?}");
    }

    #[test]
    fn cached_places_come_first_and_https_before_http() {
        let plain = ["http://cs/internalconf"];
        check(&plain, None, &[("https://cs/internalconf", 1), ("http://cs/internalconf", 1)]);
        check(
            &plain,
            Some(&["node1"]),
            &[
                ("https://node1/internalconf", 1),
                ("http://node1/internalconf", 1),
                ("https://cs/internalconf", 1),
                ("http://cs/internalconf", 1),
            ],
        );
        check(
            &["http://cs:8088/PROXY/conf"],
            Some(&["cs:8088"]),
            &[
                ("https://cs:8088/PROXY/conf", 2),
                ("http://cs:8088/PROXY/conf", 2),
                ("http://cs:8088/PROXY/conf", 1),
            ],
        );
        // An anchor with nothing but HTTPS is used as it is, where X-Road downloads nothing.
        check(&["https://cs/internalconf"], None, &[("https://cs/internalconf", 1)]);
        check(
            &["http://notMatchFormat"],
            Some(&["node1"]),
            &[("https://notMatchFormat", 1), ("http://notMatchFormat", 1)],
        );
        check(
            &["http://cs:80/internalconf"],
            None,
            &[("https://cs/internalconf", 1), ("http://cs:80/internalconf", 1)],
        );
    }
}
