//! `listClients`: the members and subsystems of an instance (§6.1).

use quick_xml::escape::partial_escape;
use serde::Serialize;

use super::{IDENTIFIERS, XROAD};
use crate::configuration::{Member, SharedParameters};

/// Content type of [`json`].
pub const JSON: &str = "application/json; charset=utf-8";
/// Content type of [`xml`].
pub const XML: &str = "text/xml; charset=UTF-8";

/// The list as JSON: each member, then its subsystems.
pub fn json(parameters: &SharedParameters) -> String {
    let member = entries(parameters)
        .map(|(member, subsystem)| Entry {
            id: Id {
                member_class: member.id.class(),
                member_code: member.id.code(),
                subsystem_code: subsystem.map(|(code, _)| code),
                object_type: object_type(subsystem),
                xroad_instance: member.id.instance(),
            },
            name: &member.name,
            subsystem_name: subsystem.and_then(|(_, name)| name),
        })
        .collect();
    serde_json::to_string(&List { member }).unwrap_or_default()
}

/// The list as an XML document.
pub fn xml(parameters: &SharedParameters) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
         <ns2:clientList xmlns:ns1=\"{IDENTIFIERS}\" xmlns:ns2=\"{XROAD}\""
    );
    if parameters.members.is_empty() {
        out.push_str("/>\n");
        return out;
    }
    out.push_str(">\n");
    for (member, subsystem) in entries(parameters) {
        out.push_str("    <ns2:member>\n        <ns2:id ns1:objectType=\"");
        out.push_str(object_type(subsystem));
        out.push_str("\">\n");
        text(&mut out, 12, "ns1:xRoadInstance", member.id.instance());
        text(&mut out, 12, "ns1:memberClass", member.id.class());
        text(&mut out, 12, "ns1:memberCode", member.id.code());
        if let Some((code, _)) = subsystem {
            text(&mut out, 12, "ns1:subsystemCode", code);
        }
        out.push_str("        </ns2:id>\n");
        text(&mut out, 8, "ns2:name", &member.name);
        if let Some((_, Some(name))) = subsystem {
            text(&mut out, 8, "ns2:subsystemName", name);
        }
        out.push_str("    </ns2:member>\n");
    }
    out.push_str("</ns2:clientList>\n");
    out
}

/// Code and name of a subsystem.
type Named<'a> = (&'a str, Option<&'a str>);

/// Every member, followed by its subsystems, in the order of the parameters.
fn entries(parameters: &SharedParameters) -> impl Iterator<Item = (&Member, Option<Named<'_>>)> {
    parameters.members.iter().flat_map(|member| {
        let subsystems = member.subsystems.iter();
        let subsystems =
            subsystems.map(|subsystem| Some((subsystem.code.as_str(), subsystem.name.as_deref())));
        std::iter::once(None).chain(subsystems).map(move |subsystem| (member, subsystem))
    })
}

fn object_type(subsystem: Option<Named<'_>>) -> &'static str {
    if subsystem.is_some() { "SUBSYSTEM" } else { "MEMBER" }
}

fn text(out: &mut String, indent: usize, name: &str, value: &str) {
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str(&format!("<{name}>{}</{name}>\n", partial_escape(value).replace('\r', "&#13;")));
}

#[derive(Serialize)]
struct List<'a> {
    member: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: Id<'a>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsystem_name: Option<&'a str>,
}

#[derive(Serialize)]
struct Id<'a> {
    member_class: &'a str,
    member_code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsystem_code: Option<&'a str>,
    object_type: &'static str,
    xroad_instance: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Subsystem;
    use crate::id::MemberId;

    fn parameters() -> SharedParameters {
        let subsystem = |code: &str, name: Option<&str>| Subsystem {
            code: code.to_owned(),
            name: name.map(str::to_owned),
        };
        let member = Member {
            id: MemberId::new("CW", "COM", "2002").unwrap(),
            name: "Motors & <Sons> \"\u{e4}\"".to_owned(),
            subsystems: vec![subsystem("registry", Some("Vehicle > registry")), subsystem("b", None)],
        };
        SharedParameters { members: vec![member], ..SharedParameters::default() }
    }

    #[test]
    fn members_come_before_their_subsystems() {
        assert_eq!(
            json(&parameters()),
            "{\"member\":[\
             {\"id\":{\"member_class\":\"COM\",\"member_code\":\"2002\",\"object_type\":\"MEMBER\",\
             \"xroad_instance\":\"CW\"},\"name\":\"Motors & <Sons> \\\"\u{e4}\\\"\"},\
             {\"id\":{\"member_class\":\"COM\",\"member_code\":\"2002\",\"subsystem_code\":\"registry\",\
             \"object_type\":\"SUBSYSTEM\",\"xroad_instance\":\"CW\"},\
             \"name\":\"Motors & <Sons> \\\"\u{e4}\\\"\",\"subsystem_name\":\"Vehicle > registry\"},\
             {\"id\":{\"member_class\":\"COM\",\"member_code\":\"2002\",\"subsystem_code\":\"b\",\
             \"object_type\":\"SUBSYSTEM\",\"xroad_instance\":\"CW\"},\
             \"name\":\"Motors & <Sons> \\\"\u{e4}\\\"\"}]}"
        );
        let written = xml(&parameters());
        assert!(written.contains(
            "        </ns2:id>\n        <ns2:name>Motors &amp; &lt;Sons&gt; \"\u{e4}\"</ns2:name>\n        \
             <ns2:subsystemName>Vehicle &gt; registry</ns2:subsystemName>\n    </ns2:member>\n"
        ));
        assert_eq!(written.matches("<ns2:member>").count(), 3);
        assert_eq!(written.matches("\"SUBSYSTEM\"").count(), 2);
    }

    #[test]
    fn an_instance_without_members_has_an_empty_list() {
        assert_eq!(json(&SharedParameters::default()), "{\"member\":[]}");
        assert!(xml(&SharedParameters::default()).ends_with("xroad.xsd\"/>\n"));
    }
}
