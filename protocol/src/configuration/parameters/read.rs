//! Reads shared parameters (§6.1 to §6.6).

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::schema::{self, Children, Misfit, Node, certificate_der};
use super::super::{
    AcmeServer, ApprovedCa, CaCertificate, CostType, CsrFormat, GlobalGroup, Member, OcspResponder,
    RegisteredServer, SharedParameters, Source, Subsystem, TimestampingService,
};
use crate::id::{ClientId, GlobalGroupId, MemberId, SecurityServerId};

/// What an `id` attribute stands for.
type Ids<'a> = HashMap<&'a str, ClientId>;

pub(super) fn shared(bytes: &[u8], version: u8) -> Result<SharedParameters, Misfit> {
    let document = schema::parse(bytes)?;
    let mut children = schema::root(&document, schema::XROAD, "conf")?.children()?;
    let instance = children.required("instanceIdentifier")?.text()?.into_owned();
    let mut ids = Ids::new();
    let parameters = SharedParameters {
        sources: if version > 2 { sources(&mut children)? } else { Vec::new() },
        approved_cas: children
            .many("approvedCA")
            .map(|ca| approved_ca(ca, version))
            .collect::<Result<_, _>>()?,
        timestamping_services: children
            .many("approvedTSA")
            .map(|service| timestamping_service(service, version))
            .collect::<Result<_, _>>()?,
        members: children
            .many("member")
            .map(|element| member(element, version, &instance, &mut ids))
            .collect::<Result<_, _>>()?,
        servers: children
            .many("securityServer")
            .map(|element| server(element, version, &ids))
            .collect::<Result<_, _>>()?,
        groups: children
            .many("globalGroup")
            .map(|element| group(element, &instance))
            .collect::<Result<_, _>>()?,
        instance: instance.clone(),
        ..SharedParameters::default()
    };
    children.many("centralService").for_each(drop); // a relic that nobody reads
    let mut settings = children.required("globalSettings")?.children()?;
    let member_classes = settings.many("memberClass").map(member_class).collect::<Result<_, _>>()?;
    let ocsp_freshness_seconds = settings.required("ocspFreshnessSeconds")?.number()?;
    settings.end()?;
    if version == 2 {
        children.end()?; // later versions may be followed by anything
    }
    Ok(SharedParameters { member_classes, ocsp_freshness_seconds, ..parameters })
}

fn sources(children: &mut Children<'_>) -> Result<Vec<Source>, Misfit> {
    // The schema asks for at least one; whoever calls this decides whether none will do.
    children
        .many("source")
        .map(|source| {
            let mut children = source.children()?;
            let read = Source {
                address: children.required("address")?.token()?,
                internal_verification_certs: children
                    .many("internalVerificationCert")
                    .map(Node::base64)
                    .collect::<Result<_, _>>()?,
                external_verification_certs: children
                    .many("externalVerificationCert")
                    .map(Node::base64)
                    .collect::<Result<_, _>>()?,
            };
            children.end()?;
            Ok(read)
        })
        .collect()
}

fn approved_ca(element: Node<'_>, version: u8) -> Result<ApprovedCa, Misfit> {
    let mut children = element.children()?;
    let name = children.required("name")?.text()?.into_owned();
    let authentication_only =
        children.optional("authenticationOnly").map(Node::boolean).transpose()?.unwrap_or(false);
    let top = ca_certificate(children.required("topCA")?, version)?;
    let intermediates = children
        .many("intermediateCA")
        .map(|element| ca_certificate(element, version))
        .collect::<Result<_, _>>()?;
    let certificate_profile = children.required("certificateProfileInfo")?.token()?;
    let format = if version >= 6 { children.optional("defaultCsrFormat") } else { None };
    let default_csr_format = format
        .map(|format| match &*format.text()? {
            "PEM" => Ok(CsrFormat::Pem),
            "DER" => Ok(CsrFormat::Der),
            _ => Err("'defaultCsrFormat' is neither PEM nor DER".to_owned()),
        })
        .transpose()?;
    let acme = if version >= 3 { children.optional("acmeServer") } else { None };
    let acme = acme.map(|server| acme_server(server, version)).transpose()?;
    children.end()?;
    Ok(ApprovedCa {
        name,
        authentication_only,
        top,
        intermediates,
        certificate_profile,
        default_csr_format,
        acme,
    })
}

fn acme_server(element: Node<'_>, version: u8) -> Result<AcmeServer, Misfit> {
    let mut children = element.children()?;
    let directory = children.required("directoryURL")?.token()?;
    let mut optional = |name: &str, since: u8| -> Result<Option<String>, Misfit> {
        let element = if version >= since { children.optional(name) } else { None };
        Ok(element.map(Node::text).transpose()?.map(Cow::into_owned))
    };
    let server = AcmeServer {
        directory,
        ip_address: optional("ipAddress", 3)?,
        authentication_profile: optional("authenticationCertificateProfileId", 4)?,
        signing_profile: optional("signingCertificateProfileId", 4)?,
    };
    children.end()?;
    Ok(server)
}

fn ca_certificate(element: Node<'_>, version: u8) -> Result<CaCertificate, Misfit> {
    let mut children = element.children()?;
    let certificate = certificate_der(children.required("cert")?.base64()?);
    let ocsp = children
        .many("ocsp")
        .map(|responder| {
            let mut children = responder.children()?;
            let url = children.required("url")?.token()?;
            let certificate = children.optional("cert").map(Node::base64).transpose()?.map(certificate_der);
            let cost = cost(&mut children, version)?;
            children.end()?;
            Ok(OcspResponder { url, certificate, cost })
        })
        .collect::<Result<_, Misfit>>()?;
    children.end()?;
    Ok(CaCertificate { certificate, ocsp })
}

fn timestamping_service(element: Node<'_>, version: u8) -> Result<TimestampingService, Misfit> {
    let mut children = element.children()?;
    let service = TimestampingService {
        name: children.required("name")?.text()?.into_owned(),
        url: children.required("url")?.token()?,
        certificate: certificate_der(children.required("cert")?.base64()?),
        cost: cost(&mut children, version)?,
    };
    children.end()?;
    Ok(service)
}

fn cost(children: &mut Children<'_>, version: u8) -> Result<CostType, Misfit> {
    let element = if version >= 6 { children.optional("costType") } else { None };
    match element.map(Node::text).transpose()?.as_deref() {
        None | Some("UNDEFINED") => Ok(CostType::Undefined),
        Some("FREE") => Ok(CostType::Free),
        Some("PAID") => Ok(CostType::Paid),
        Some(_) => Err("'costType' has a value that is not known".to_owned()),
    }
}

fn member_class(element: Node<'_>) -> Result<(String, String), Misfit> {
    let mut children = element.children()?;
    let code = children.required("code")?.text()?.into_owned();
    let description = children.required("description")?.text()?.into_owned();
    children.end()?;
    Ok((code, description))
}

fn member<'a>(element: Node<'a>, version: u8, instance: &str, ids: &mut Ids<'a>) -> Result<Member, Misfit> {
    let mut children = element.children_in("", &[("", "id")])?;
    let (class, _) = member_class(children.required("memberClass")?)?;
    let code = children.required("memberCode")?.text()?;
    let id = MemberId::new(instance, &class, &code).map_err(|error| error.to_string())?;
    let name = children.required("name")?.text()?.into_owned();
    remember(element, ClientId::from(id.clone()), ids)?;
    let subsystems = children
        .many("subsystem")
        .map(|element| {
            let mut children = element.children_in("", &[("", "id")])?;
            let code = children.required("subsystemCode")?.text()?.into_owned();
            let name = if version >= 5 { children.optional("subsystemName") } else { None };
            let name = name.map(Node::text).transpose()?.map(Cow::into_owned);
            children.end()?;
            let subsystem = ClientId::new(id.clone(), Some(&code)).map_err(|error| error.to_string())?;
            remember(element, subsystem, ids)?;
            Ok(Subsystem { code, name })
        })
        .collect::<Result<_, Misfit>>()?;
    children.end()?;
    Ok(Member { id, name, subsystems })
}

fn remember<'a>(element: Node<'a>, client: ClientId, ids: &mut Ids<'a>) -> Result<(), Misfit> {
    match element.attribute("", "id").map(|id| ids.insert(id.trim(), client)) {
        Some(Some(_)) => Err("an id that occurs twice".to_owned()),
        Some(None) | None => Ok(()),
    }
}

fn server(element: Node<'_>, version: u8, ids: &Ids<'_>) -> Result<RegisteredServer, Misfit> {
    let refer = |element: Node<'_>| {
        let id = element.token()?;
        ids.get(id.as_str())
            .cloned()
            .ok_or_else(|| format!("'{}' refers to an id that does not exist", element.name()))
    };
    let mut children = element.children()?;
    let owner = refer(children.required("owner")?)?;
    if owner.subsystem().is_some() {
        return Err("'owner' is a subsystem".to_owned());
    }
    let code = children.required("serverCode")?.text()?;
    let id = SecurityServerId::new(owner.member().clone(), &code).map_err(|error| error.to_string())?;
    let address = children.optional("address").map(Node::token).transpose()?;
    let certificate_hashes = children.many("authCertHash").map(Node::base64).collect::<Result<_, _>>()?;
    let clients = children.many("client").map(refer).collect::<Result<_, _>>()?;
    let maintenance = if version >= 5 { children.optional("inMaintenanceMode") } else { None };
    let maintenance = maintenance
        .map(|element| {
            let mut children = element.children()?;
            let message = children.optional("message").map(Node::text).transpose()?.unwrap_or_default();
            children.end()?;
            Ok::<_, Misfit>(message.into_owned())
        })
        .transpose()?;
    children.end()?;
    Ok(RegisteredServer {
        id,
        address: address.filter(|address| !address.is_empty()),
        certificate_hashes,
        clients,
        maintenance,
    })
}

fn group(element: Node<'_>, instance: &str) -> Result<GlobalGroup, Misfit> {
    let mut children = element.children()?;
    let code = children.required("groupCode")?.text()?;
    let group = GlobalGroup {
        id: GlobalGroupId::new(instance, &code).map_err(|error| error.to_string())?,
        description: children.required("description")?.text()?.into_owned(),
        members: children.many("groupMember").map(Node::client_id).collect::<Result<_, _>>()?,
    };
    children.end()?;
    Ok(group)
}
