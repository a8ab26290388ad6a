//! Time-stamping services (registry and administration §1.7).

use protocol::configuration::CostType;

use super::certification::{check_url, common_name, read_certificate};
use super::model::TimestampingService;
use super::record::{Record, RecordKey};
use super::{Desk, Instance, Refusal};

impl Desk {
    /// Approves a time-stamping service. The common name in its certificate becomes its name.
    ///
    /// # Errors
    /// The URL or the certificate is not acceptable; there is a service at this URL already.
    pub fn add_timestamping_service(
        &self,
        url: &str,
        certificate: &[u8],
        cost: CostType,
    ) -> Result<TimestampingService, Refusal> {
        self.change(|draft| {
            check_url(url)?;
            is_free(draft.instance, url, None)?;
            let certificate = read_certificate(certificate)?;
            let id = draft.number(|counters| &mut counters.timestamping);
            let (name, certificate) = (common_name(&certificate), certificate.der().clone());
            let service = TimestampingService { id, name, url: url.to_owned(), certificate, cost };
            draft.put(Record::Timestamping(service.clone()));
            Ok(service)
        })
    }

    /// Changes a time-stamping service. Without a certificate the one that it has stays; its name stays
    /// in any case, since security servers know it by that.
    ///
    /// # Errors
    /// There is no such service; the URL or the certificate is not acceptable.
    pub fn change_timestamping_service(
        &self,
        id: u32,
        url: &str,
        certificate: Option<&[u8]>,
        cost: CostType,
    ) -> Result<TimestampingService, Refusal> {
        self.change(|draft| {
            let known = draft.instance.timestamping.get(&id);
            let known = known.cloned().ok_or(Refusal::TimestampingNotFound(id))?;
            check_url(url)?;
            is_free(draft.instance, url, Some(id))?;
            let certificate = match certificate.filter(|content| !content.is_empty()) {
                Some(content) => read_certificate(content)?.der().clone(),
                None => known.certificate.clone(),
            };
            let service = TimestampingService { url: url.to_owned(), certificate, cost, ..known };
            draft.put(Record::Timestamping(service.clone()));
            Ok(service)
        })
    }

    /// Takes the approval of a time-stamping service back.
    ///
    /// # Errors
    /// There is no such service.
    pub fn delete_timestamping_service(&self, id: u32) -> Result<(), Refusal> {
        self.change(|draft| {
            if !draft.instance.timestamping.contains_key(&id) {
                return Err(Refusal::TimestampingNotFound(id));
            }
            draft.remove(RecordKey::Timestamping(id));
            Ok(())
        })
    }
}

/// Security servers tell services apart by their URL.
fn is_free(instance: &Instance, url: &str, except: Option<u32>) -> Result<(), Refusal> {
    let taken = |service: &TimestampingService| service.url == url && Some(service.id) != except;
    if instance.timestamping.values().any(taken) {
        return Err(Refusal::TimestampingExists(url.to_owned()));
    }
    Ok(())
}
