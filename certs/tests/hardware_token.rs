//! Keys on a PKCS#11 device: SoftHSM, which keeps its tokens in folders, so that they can be taken away.
//!
//! `tests/kits/softhsm.sh` makes two tokens and runs this; without them nothing is tested, which is said on
//! standard error. What it gives: `SOFTHSM2_CONF`, `CAUSEWAY_PKCS11_LIBRARY`, `CAUSEWAY_PKCS11_TOKENS` (the
//! folder of the tokens). The tokens are called `one` and `two`, their user PINs are `1234` and `5678`.

#![cfg(feature = "pkcs11")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

extern crate causeway_certs as certs;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use certs::certificate::CertificateUsage;
use certs::key::{KeyKind, SignatureForm, verify};
use certs::token::{HardwareToken, HardwareTokenSettings, SlotChoice, Token, TokenError};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use zeroize::Zeroizing;

/// SoftHSM counts as one device: while its tokens are away, no other test may use them.
static DEVICE: Mutex<()> = Mutex::new(());

struct SoftHsm {
    library: PathBuf,
    tokens: PathBuf,
}

impl SoftHsm {
    fn find() -> Option<Self> {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        let found = path("CAUSEWAY_PKCS11_LIBRARY").zip(path("CAUSEWAY_PKCS11_TOKENS"));
        if found.is_none() {
            eprintln!("NOT RUN: no PKCS#11 device; tests/kits/softhsm.sh makes one");
        }
        found.map(|(library, tokens)| Self { library, tokens })
    }

    fn token(&self, folder: &tempfile::TempDir, label: &str, pin: &str) -> HardwareToken {
        let settings = HardwareTokenSettings {
            name: label.to_owned(),
            library: self.library.clone(),
            slot: SlotChoice::Label(label.to_owned()),
            pin: Zeroizing::new(pin.to_owned()),
        };
        HardwareToken::open(folder.path(), settings).unwrap()
    }

    fn away(&self) -> PathBuf {
        self.tokens.with_extension("away")
    }

    fn take_away(&self) {
        std::fs::rename(&self.tokens, self.away()).unwrap();
        std::fs::create_dir(&self.tokens).unwrap();
    }

    fn bring_back(&self) {
        std::fs::remove_dir(&self.tokens).unwrap();
        std::fs::rename(self.away(), &self.tokens).unwrap();
    }
}

fn algorithms(kind: KeyKind) -> Vec<SignatureAlgorithm> {
    let schemes: &[SignatureScheme] = match kind {
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => &[SignatureScheme::Ecdsa],
        _ => &[SignatureScheme::RsaPkcs1, SignatureScheme::RsaPss],
    };
    let digests = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];
    schemes
        .iter()
        .flat_map(|scheme| digests.iter().map(|digest| SignatureAlgorithm::new(*scheme, *digest)))
        .collect()
}

#[test]
fn every_kind_of_key_signs_on_the_device() {
    let Some(hsm) = SoftHsm::find() else { return };
    let _device = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let token = hsm.token(&folder, "one", "1234");
    let mut count = 0;
    for kind in KeyKind::ALL {
        let made = token.generate(kind, CertificateUsage::Signing, kind.name()).unwrap();
        assert_eq!(made.key.kind(), kind);
        assert!(made.key.pkcs8().is_none() && made.key.to_pem().is_none(), "it does not leave the device");
        for algorithm in algorithms(kind) {
            for form in [SignatureForm::Raw, SignatureForm::Der] {
                let signature = made.key.sign(algorithm, b"octets", form).unwrap();
                assert!(verify(made.key.public_key(), algorithm, b"octets", &signature, form));
                assert!(!verify(made.key.public_key(), algorithm, b"else", &signature, form));
                count += 1;
            }
        }
    }
    eprintln!("hardware token: {count} of {count} signatures of {} kinds of key", KeyKind::ALL.len());
    // The list is found again, and another process finds the same keys.
    let again = hsm.token(&folder, "one", "1234");
    assert_eq!(again.keys().len(), KeyKind::ALL.len());
    // Keys that are on the device and not on the list can be taken over.
    let empty = tempfile::tempdir().unwrap();
    let other = hsm.token(&empty, "one", "1234");
    let adopted = other.adopt_keys(CertificateUsage::Signing).unwrap();
    assert!(adopted.len() >= KeyKind::ALL.len());
    assert!(other.adopt_keys(CertificateUsage::Signing).unwrap().is_empty(), "once is enough");
    for key in token.keys() {
        token.remove_key(&key.id).unwrap();
        assert!(key.key.sign(key.key.default_algorithm(), b"octets", SignatureForm::Raw).is_err());
    }
    assert!(token.keys().is_empty());
}

#[test]
fn a_wrong_pin_is_tried_once() {
    let Some(hsm) = SoftHsm::find() else { return };
    let _device = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let token = hsm.token(&folder, "two", "0000");
    assert!(matches!(token.log_in(), Err(TokenError::WrongPin)));
    // SoftHSM says in the flags of the token that a try was lost, and no more when the next one is good.
    for _ in 0..10 {
        assert!(matches!(token.log_in(), Err(TokenError::WrongPin)));
        assert!(!token.is_active());
    }
    let good = hsm.token(&folder, "two", "5678");
    good.log_in().unwrap();
    let absent = hsm.token(&folder, "three", "5678");
    assert!(matches!(absent.log_in(), Err(TokenError::Device { .. })));
}

#[test]
fn several_members_sign_on_two_tokens_at_once() {
    let Some(hsm) = SoftHsm::find() else { return };
    let _device = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let tokens = [hsm.token(&folders[0], "one", "1234"), hsm.token(&folders[1], "two", "5678")];
    let keys: Vec<_> = tokens
        .iter()
        .flat_map(|token| (0..2).map(|_| token.generate(KeyKind::P256, CertificateUsage::Signing, "member")))
        .collect::<Result<_, _>>()
        .unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for key in &keys {
            for _ in 0..2 {
                scope.spawn(move || {
                    for number in 0..100_u32 {
                        let octets = number.to_be_bytes();
                        let algorithm = key.key.default_algorithm();
                        let signature = key.key.sign(algorithm, &octets, SignatureForm::Raw).unwrap();
                        let public_key = key.key.public_key();
                        assert!(verify(public_key, algorithm, &octets, &signature, SignatureForm::Raw));
                    }
                });
            }
        }
    });
    eprintln!(
        "hardware token: 800 signatures with 4 keys on 2 tokens by 8 threads in {:?}",
        started.elapsed()
    );
    for (token, keys) in tokens.iter().zip(keys.chunks(2)) {
        keys.iter().for_each(|key| token.remove_key(&key.id).unwrap());
    }
}

#[test]
fn a_token_that_was_lost_comes_back() {
    let Some(hsm) = SoftHsm::find() else { return };
    let _device = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let token = hsm.token(&folder, "one", "1234");
    let made = token.generate(KeyKind::P256, CertificateUsage::Signing, "member").unwrap();
    let signs = || made.key.sign(made.key.default_algorithm(), b"octets", SignatureForm::Raw);
    #[track_caller]
    fn within(seconds: u64, holds: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(seconds);
        while !holds() {
            assert!(Instant::now() < until, "not within {seconds} s");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    for round in 0..2 {
        assert!(token.is_active() && signs().is_ok(), "round {round}");
        hsm.take_away();
        within(20, || !token.is_active() && signs().is_err());
        assert_eq!(token.keys().len(), 1, "the list is there without the device");
        hsm.bring_back();
        within(20, || token.is_active() && signs().is_ok());
    }
    token.remove_key(&made.id).unwrap();
}
