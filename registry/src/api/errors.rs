//! Refusals of the domain as answers.

use administration::api::ApiError;

use crate::instance::{Fault, Field, Refusal, Rule};

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        if refusal.status() >= 500 {
            tracing::error!(error = %refusal, "a change was not made");
        }
        let mut error = Self::new(refusal.status(), refusal.code());
        if let Refusal::Validation(faults) = &refusal {
            for fault in faults {
                error = error.with_validation(field(fault), rule(fault.rule));
            }
        }
        refusal.metadata().into_iter().fold(error, Self::with)
    }
}

/// The value that a fault is about, by the name that it has in bodies there.
fn field(fault: &Fault) -> &'static str {
    match fault.field {
        Field::InstanceIdentifier => "instanceIdentifier",
        Field::MemberClass => "memberClass",
        Field::MemberCode => "memberCode",
        Field::MemberName => "memberName",
        Field::SubsystemCode => "subsystemCode",
        Field::SubsystemName => "subsystemName",
        Field::ServerCode => "serverCode",
        Field::GroupCode => "code",
        Field::Description => "description",
        Field::Address => "serverAddress",
        Field::Message => "message",
        Field::KeyLabel => "keyLabel",
        Field::Seconds => "seconds",
        Field::RegistrationUrl => "registrationUrl",
    }
}

/// The rule that was broken, by the name that tools know.
fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Blank => "NotBlank",
        Rule::TooLong => "Size",
        Rule::Characters | Rule::StrictCharacters => "IdentifierChars",
        Rule::Range => "Range",
        Rule::Form => "Form",
    }
}
