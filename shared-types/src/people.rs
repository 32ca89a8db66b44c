//! Teachers and their students: invitations, the relationships that come of them, and accounts.

use crate::{
    claims::Role,
    ids::{InvitationId, UserId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Students whom one code may bring, at most.
pub const MAX_PLACES: u16 = 50;
/// Invitations of one teacher that are open at a time, at most.
pub const MAX_INVITATIONS: u32 = 200;

/// The part that somebody registers in; there is no other way to choose one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChosenRole {
    /// Asks.
    Student,
    /// Asks, uploads and invites.
    Teacher,
}

/// `POST /api/invitations`: an invitation to one address, or, without an address, by a code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Whom it is for. Whoever signs in with this address finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How many students a code is good for: 1 unless said, [`MAX_PLACES`] at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<u16>,
}

/// An invitation to become a teacher's student. Good for 14 days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The invitation.
    pub id: InvitationId,
    /// Who invites.
    pub teacher_id: UserId,
    /// By which name.
    pub teacher_name: String,
    /// Whom; absent where it is accepted by a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Students who may still accept it.
    pub places: u16,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on nobody may accept it.
    pub expires_at: DateTime<Utc>,
}

/// The reply of `POST /api/invitations` (201).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// What a student accepts it by, where it is to no address. Told this once: only its digest is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// `GET /api/invitations?limit=…&cursor=…`: those that a teacher sent, or a student was sent, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationList {
    /// Those that are open.
    pub invitations: Vec<Invitation>,
    /// The `cursor` that the next ones are asked for with; absent behind the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `POST /api/invitations/accept`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptCode {
    /// The code, as the teacher passed it on.
    pub code: String,
}

/// The other side of a relationship, and the reply to who accepts an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedPerson {
    /// The person.
    pub id: UserId,
    /// The name that the person gave; may be empty.
    pub full_name: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// `GET /api/students?limit=…&cursor=…` and `GET /api/teachers?…`: the newest relationship first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonList {
    /// The people.
    pub people: Vec<LinkedPerson>,
    /// The `cursor` that the next ones are asked for with; absent behind the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What is known of the caller beside what is the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The person.
    pub id: UserId,
    /// The address that the person signs in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The part that the person plays.
    pub role: Role,
    /// The name that the person gave; may be empty.
    pub full_name: String,
    /// When the person registered.
    pub created_at: DateTime<Utc>,
}

/// `DELETE /api/account`: removes the account and all that is the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteAccount {
    /// The caller's own address: nobody does this by mistake.
    pub email: String,
}
