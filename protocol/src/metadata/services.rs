//! `listMethods` and `allowedMethods`: the services of a provider (§6.2, §6.3).

use serde::Serialize;

use crate::id::ServiceId;

/// A REST service as a provider tells of it.
#[derive(Clone, Debug)]
pub struct RestService<'a> {
    /// Its identifier; REST services have no version.
    pub id: &'a ServiceId,
    /// `REST` or `OPENAPI`.
    pub service_type: &'a str,
    /// Method and path of its endpoints, the base endpoint left out.
    pub endpoints: Vec<(&'a str, &'a str)>,
}

/// The list of REST services as JSON, in their order.
pub fn rest_list(services: &[RestService<'_>]) -> String {
    let service = services
        .iter()
        .map(|service| Entry {
            member_class: service.id.provider().member().class(),
            member_code: service.id.provider().member().code(),
            subsystem_code: service.id.provider().subsystem(),
            service_code: service.id.code(),
            endpoint_list: service.endpoints.iter().map(|(method, path)| Endpoint { method, path }).collect(),
            object_type: "SERVICE",
            service_type: service.service_type,
            xroad_instance: service.id.provider().instance(),
        })
        .collect();
    serde_json::to_string(&List { service }).unwrap_or_default()
}

#[derive(Serialize)]
struct List<'a> {
    service: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    member_class: &'a str,
    member_code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsystem_code: Option<&'a str>,
    service_code: &'a str,
    endpoint_list: Vec<Endpoint<'a>>,
    object_type: &'static str,
    service_type: &'a str,
    xroad_instance: &'a str,
}

#[derive(Serialize)]
struct Endpoint<'a> {
    method: &'a str,
    path: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_services_are_listed_with_their_endpoints() {
        let id = ServiceId::parse_encoded("CW/COM/2/registry/vehicles").unwrap();
        let service = RestService { id: &id, service_type: "OPENAPI", endpoints: vec![("GET", "/v2/*")] };
        assert_eq!(
            rest_list(&[service]),
            "{\"service\":[{\"member_class\":\"COM\",\"member_code\":\"2\",\"subsystem_code\":\"registry\",\
             \"service_code\":\"vehicles\",\"endpoint_list\":[{\"method\":\"GET\",\"path\":\"/v2/*\"}],\
             \"object_type\":\"SERVICE\",\"service_type\":\"OPENAPI\",\"xroad_instance\":\"CW\"}]}"
        );
        assert_eq!(rest_list(&[]), "{\"service\":[]}");
    }
}
