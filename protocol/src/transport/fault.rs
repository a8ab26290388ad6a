//! SOAP faults between security servers, whatever the message protocol (§4.7, messages and transport §2.9).

use quick_xml::escape::escape;

use crate::fault::Fault;

/// The body of a fault of ours, in the bytes that peers write.
pub fn write_fault(fault: &Fault) -> String {
    let detail = fault.detail.as_deref().map_or(String::new(), |detail| {
        format!("<detail><faultDetail xmlns=\"\">{}</faultDetail></detail>", escape(carried(detail)))
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>{}</faultcode><faultstring>{}</faultstring>\
         <faultactor></faultactor>{detail}</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>",
        escape(carried(&fault.code)),
        escape(carried(&fault.text)),
    )
}

/// Replaces what XML cannot carry.
fn carried(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\t' | '\n' | '\r' => ' ',
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            character => character,
        })
        .collect()
}
