//! Management requests: how security servers and the registry's administrators register, change and
//! take away what the instance has (registry and administration §2).
//!
//! Three types wait for approval: certificate registration, client registration, owner change. The
//! others take effect as they come. A registration that both origins ask for is one registration:
//! their two requests are twins with one status. [`add`] has the checks, [`effects`] what happens,
//! [`decide`] who lets it happen.

mod add;
mod decide;
mod difference;
mod effects;
mod model;
#[cfg(test)]
mod tests;

pub use decide::Decision;
pub use difference::{Difference, FieldDifference};
pub use model::{Content, Origin, Request, RequestType, Status};

pub(crate) use add::{record_deletion, register};
