//! Approving, declining and revoking requests (§2.2), by one person or by two.
//!
//! Where two persons decide, the first is whoever added the request, or else whoever approved it
//! first; the request waits until somebody else approves it. Declining needs one person.

use super::effects;
use super::model::{Origin, Request, Status};
use crate::instance::draft::Draft;
use crate::instance::record::Record;
use crate::instance::{Actor, Desk, Refusal};

/// What an approval did.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The request took effect.
    Approved(Request),
    /// The approval counts; the request waits for another person's.
    FirstApproval(Request),
}

impl Decision {
    /// The request as it stands now.
    pub fn request(&self) -> &Request {
        match self {
            Self::Approved(request) | Self::FirstApproval(request) => request,
        }
    }
}

impl Desk {
    /// Approves a request.
    ///
    /// # Errors
    /// There is none of this number, or it is not pending; its effect is not possible any more; another
    /// person has to approve it.
    pub fn approve_request(&self, actor: &Actor, id: u32) -> Result<Decision, Refusal> {
        self.change(|draft| {
            let request = draft.instance.requests().get(&id).cloned().ok_or(Refusal::RequestNotFound(id))?;
            if !request.is_pending() {
                return Err(Refusal::NotApprovable(id));
            }
            approve(draft, actor, request)
        })
    }

    /// Takes a request back that an administrator added, or declines one that a server has a part in.
    ///
    /// # Errors
    /// There is none of this number; it is not pending, or of a type that never is.
    pub fn revoke_request(&self, actor: &Actor, id: u32) -> Result<Request, Refusal> {
        self.change(|draft| {
            let request = draft.instance.requests().get(&id).cloned().ok_or(Refusal::RequestNotFound(id))?;
            if !request.kind().needs_approval() {
                return Err(Refusal::NotSupported(id));
            }
            if !request.is_pending() {
                return Err(Refusal::NotRevocable(id));
            }
            let own = request.origin == Origin::Center && request.twin.is_none();
            let status = if own { Status::Revoked } else { Status::Declined };
            Ok(close(draft, request, status, actor))
        })
    }
}

/// Approves a pending request, which may be one that this very change adds.
pub(super) fn approve(
    draft: &mut Draft<'_>,
    actor: &Actor,
    mut request: Request,
) -> Result<Decision, Refusal> {
    if draft.rules.second_person {
        let twin = request.twin.and_then(|id| draft.instance.requests().get(&id));
        let first = [Some(&request), twin]
            .into_iter()
            .flatten()
            .find_map(|known| known.added_by.as_ref().or(known.first_approval.as_ref()));
        match first {
            None => {
                effects::approve(&mut draft.rehearsal(), &request)?;
                request.first_approval = actor.person().map(str::to_owned);
                request.changed = draft.now;
                draft.put(Record::Request(Box::new(request.clone())));
                return Ok(Decision::FirstApproval(request));
            }
            Some(first) if actor.person() == Some(first) => {
                return Err(Refusal::SecondPerson(first.clone()));
            }
            Some(_) => {}
        }
    }
    effects::approve(draft, &request)?;
    Ok(Decision::Approved(close(draft, request, Status::Approved, actor)))
}

/// Gives a request its last status, and its twin the same.
pub(super) fn close(draft: &mut Draft<'_>, mut request: Request, status: Status, actor: &Actor) -> Request {
    let decided_by = actor.person().map(str::to_owned);
    if let Some(twin) = request.twin.and_then(|id| draft.instance.requests().get(&id)) {
        let (decided_by, twin_of) = (decided_by.clone(), Some(request.id));
        let (status, changed) = (Some(status), draft.now);
        let twin = Request { status, changed, decided_by, twin: twin_of, ..twin.clone() };
        draft.put(Record::Request(Box::new(twin)));
    }
    request.status = Some(status);
    request.changed = draft.now;
    request.decided_by = decided_by;
    draft.put(Record::Request(Box::new(request.clone())));
    request
}
