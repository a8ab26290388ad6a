//! Reads certification and time-stamping services, and certificates wherever they are named.

use std::collections::HashSet;

use certs::certificate::Certificate;
use protocol::configuration::{
    AcmeServer, ApprovedCa, CaCertificate, CostType, OcspResponder, TimestampingService,
};

use super::Reading;
use crate::fields::{At, Table};
use crate::state::rules;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

impl<'r, 't> Reading<'r, 't> {
    pub(super) fn certification_services(&mut self, root: &mut Table<'r, 't>) -> Vec<ApprovedCa> {
        let mut seen = HashSet::new();
        let mut services = Vec::new();
        for mut table in root.tables("certification-service") {
            let name = table.needed_text("name");
            let profile = table.needed_text("profile").and_then(|at| self.obeys(&at, rules::profile));
            let authentication_only = table.boolean("authentication-only").unwrap_or(false);
            let acme = self.acme(&mut table);
            let format = table.text("default-csr-format").and_then(|at| self.obeys(&at, rules::csr_format));
            let intermediates = table.tables("intermediate");
            let top = self.ca_certificate(&mut table, &mut seen);
            table.finish();
            let mut below = Vec::new();
            for mut intermediate in intermediates {
                below.extend(self.ca_certificate(&mut intermediate, &mut seen));
                intermediate.finish();
            }
            if let (Some(name), Some(profile), Some(top)) = (name, profile, top) {
                services.push(ApprovedCa {
                    name: name.value,
                    authentication_only,
                    top,
                    intermediates: below,
                    certificate_profile: profile,
                    default_csr_format: format,
                    acme,
                });
            }
        }
        services
    }

    /// What `acme-directory` and the keys around it say.
    fn acme(&self, table: &mut Table<'r, 't>) -> Option<AcmeServer> {
        let directory = table.text("acme-directory").filter(|at| self.obeys(at, rules::url).is_some());
        let mut more = |key| {
            let at = table.text(key)?;
            if directory.is_none() {
                self.reader.problem(&at.place, "is of no use without acme-directory");
            }
            Some(at.value)
        };
        let ip_address = more("acme-ip-addresses");
        let authentication_profile = more("acme-authentication-profile");
        let signing_profile = more("acme-signing-profile");
        let directory = directory?.value;
        Some(AcmeServer { directory, ip_address, authentication_profile, signing_profile })
    }

    fn ca_certificate(
        &mut self,
        table: &mut Table<'r, 't>,
        seen: &mut HashSet<Vec<u8>>,
    ) -> Option<CaCertificate> {
        let file = table.needed_text("certificate");
        let mut ocsp = Vec::new();
        for mut responder in table.tables("ocsp") {
            let url = responder.needed_text("url").filter(|at| self.obeys(at, rules::url).is_some());
            let certificate =
                responder.text("certificate").and_then(|at| self.certificate(&at, Part::Service));
            let cost = self.cost(&mut responder);
            responder.finish();
            if let Some(url) = url {
                ocsp.push(OcspResponder { url: url.value, certificate, cost });
            }
        }
        let file = file?;
        let certificate = self.certificate(&file, Part::Authority)?;
        self.is_first(seen, certificate.clone(), &file.place, "CA certificate");
        Some(CaCertificate { certificate, ocsp })
    }

    pub(super) fn timestamping_services(&mut self, root: &mut Table<'r, 't>) -> Vec<TimestampingService> {
        let mut seen = HashSet::new();
        let mut services = Vec::new();
        for mut table in root.tables("timestamping-service") {
            let name = table.needed_text("name");
            let url = table.needed_text("url").filter(|at| self.obeys(at, rules::url).is_some());
            let certificate =
                table.needed_text("certificate").and_then(|at| self.certificate(&at, Part::Service));
            let cost = self.cost(&mut table);
            table.finish();
            if let (Some(name), Some(url), Some(certificate)) = (name, url, certificate)
                && self.is_first(&mut seen, url.value.clone(), &url.place, "time-stamping service")
            {
                services.push(TimestampingService { name: name.value, url: url.value, certificate, cost });
            }
        }
        services
    }

    fn cost(&self, table: &mut Table<'r, 't>) -> CostType {
        table.text("cost").and_then(|at| self.obeys(&at, rules::cost)).unwrap_or_default()
    }

    /// The certificate in a file. What would make it useless now is a warning: a registered certificate
    /// that ends one day must not keep the rest of the state from being changed.
    pub(super) fn certificate(&mut self, file: &At<String>, part: Part) -> Option<Vec<u8>> {
        let content = self.files.content(&file.value).and_then(|content| one_certificate(&content));
        let certificate = match content {
            Ok(certificate) => certificate,
            Err(text) => {
                self.reader.problem(&file.place, text);
                return None;
            }
        };
        if part == Part::Authentication && !certificate.is_authentication() {
            let text = format!("{} is no authentication certificate by its key usage", file.value);
            self.reader.problem(&file.place, text);
            return None;
        }
        if part == Part::Authority && !certificate.is_ca() {
            self.warn(file, "is not marked as the certificate of a CA");
        }
        if self.now > certificate.not_after() {
            self.warn(file, &format!("ended at {}", certificate.not_after()));
        } else if self.now < certificate.not_before() {
            self.warn(file, &format!("is not valid before {}", certificate.not_before()));
        }
        Some(certificate.der().to_vec())
    }

    pub(super) fn warn(&mut self, file: &At<String>, text: &str) {
        self.warnings.push(format!("{}: {} {text}", file.place, file.value));
    }
}

/// What a certificate is for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Part {
    Authentication,
    Authority,
    Service,
}

fn one_certificate(content: &[u8]) -> Result<Certificate, String> {
    if content.windows(BEGIN.len()).filter(|window| *window == BEGIN).count() > 1 {
        return Err("has more than one certificate; give the one that is meant".into());
    }
    Certificate::from_pem_or_der(content).map_err(|error| format!("is no certificate: {error}"))
}
