//! Invitations: a member gets a file with which its server joins, and a secret that works once.
//!
//! The registry keeps a digest of the secret, never the secret: whoever reads the store cannot join with
//! it. Redeeming binds an invitation to a server, so that whoever decides about the server's registration
//! sees that it is the invited one. It decides nothing by itself.

use protocol::digest::DigestAlgorithm;
use protocol::id::{MemberId, SecurityServerId};
use protocol::time::UtcTime;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::identifiers::{self, Field, Rule};
use super::model::{Invitation, InvitationState};
use super::record::Record;
use super::{Actor, Desk, Instance, Refusal};
use crate::random;

/// Longest time for which an invitation is good.
const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);

/// Octets of a secret: more than anybody can try.
const SECRET: usize = 32;

impl Invitation {
    /// Whether it can be redeemed.
    pub fn is_open(&self, now: UtcTime) -> bool {
        self.state == InvitationState::Open && now < self.expires
    }
}

impl Instance {
    /// The invitation that a server was redeemed with.
    pub fn invitation_of(&self, server: &SecurityServerId) -> Option<&Invitation> {
        let is_its = |invitation: &&Invitation| matches!(&invitation.state, InvitationState::Redeemed { server: by, .. } if by == server);
        self.invitations.values().find(is_its)
    }
}

impl Desk {
    /// Invites a member's server, and gives the secret that nobody can get again.
    ///
    /// # Errors
    /// There is no such member; the server code or the time is not acceptable.
    pub fn invite(
        &self,
        actor: &Actor,
        member: &MemberId,
        server_code: Option<&str>,
        valid: Duration,
    ) -> Result<(Invitation, Zeroizing<String>), Refusal> {
        let octets: Zeroizing<[u8; SECRET]> =
            Zeroizing::new(random::bytes().map_err(|error| Refusal::KeyNotMade(error.to_string()))?);
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(octets.as_slice()));
        let invitation = self.change(|draft| {
            if draft.instance.member(member).is_none() {
                return Err(Refusal::MemberNotFound(member.clone()));
            }
            if let Some(code) = server_code {
                identifiers::part(Field::ServerCode, code, draft.rules.strict_identifiers)?;
            }
            if valid.is_zero() || valid > LONGEST {
                return Err(Refusal::fault(Field::Seconds, Rule::Range));
            }
            let invitation = Invitation {
                id: draft.number(|counters| &mut counters.invitation),
                member: member.clone(),
                server_code: server_code.map(str::to_owned),
                secret_digest: digest(&secret),
                created: draft.now,
                created_by: actor.person().unwrap_or_default().to_owned(),
                expires: draft.now.plus(valid),
                state: InvitationState::Open,
            };
            draft.put(Record::Invitation(invitation.clone()));
            Ok(invitation)
        })?;
        Ok((invitation, secret))
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// There is none of this number, or it was redeemed or taken back already.
    pub fn revoke_invitation(&self, id: u32) -> Result<Invitation, Refusal> {
        self.change(|draft| {
            let known = draft.instance.invitations.get(&id).cloned();
            let known = known.ok_or(Refusal::InvitationNotFound)?;
            if known.state != InvitationState::Open {
                return Err(Refusal::InvitationUsed);
            }
            let invitation = Invitation { state: InvitationState::Revoked, ..known };
            draft.put(Record::Invitation(invitation.clone()));
            Ok(invitation)
        })
    }

    /// Redeems an invitation for a server. It works once.
    ///
    /// # Errors
    /// Nobody was invited with this secret, or not this server, or it is too late; which of these is not
    /// told, since whoever guesses should learn nothing.
    pub fn redeem_invitation(&self, secret: &str, server: &SecurityServerId) -> Result<Invitation, Refusal> {
        let digest = digest(secret);
        self.change(|draft| {
            let now = draft.now;
            let fits = |invitation: &&Invitation| {
                invitation.secret_digest == digest
                    && invitation.is_open(now)
                    && invitation.member == *server.owner()
                    && invitation.server_code.as_deref().is_none_or(|code| code == server.code())
            };
            let known = draft.instance.invitations.values().find(fits).cloned();
            let known = known.ok_or(Refusal::InvitationNotFound)?;
            let state = InvitationState::Redeemed { server: server.clone(), at: now };
            let invitation = Invitation { state, ..known };
            draft.put(Record::Invitation(invitation.clone()));
            Ok(invitation)
        })
    }
}

/// What is kept of a secret. It has 256 random bits, so one digest is as good as many.
fn digest(secret: &str) -> String {
    DigestAlgorithm::Sha256.digest(secret.as_bytes()).to_hex()
}
