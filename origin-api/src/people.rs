//! Teachers and their students: invited, listed, parted.

use crate::{
    error::ApiError,
    extract::part::Part,
    host,
    library::{as_json, changed},
};
use email_address::{EmailAddress, Options};
use rag_core::invitation::InvitationCode;
use shared_types::{
    claims::{AccessClaims, Role},
    ids::{InvitationId, UserId},
    origin::Changed,
    people::{
        CreatedInvitation, Invitation, InvitationList, Invite, LinkedPerson, MAX_INVITATIONS,
        MAX_PLACES, PersonList,
    },
    problem::ProblemKind,
};
use storage::{
    Listed, PgPool,
    invitations::{self, Chosen, Way},
    people, reader,
};

/// The longest address that can be written to (RFC 5321, 4.5.3.1.3).
const MAX_EMAIL_CHARS: usize = 254;

/// Refuses whoever is in another role.
pub fn only(claims: &AccessClaims, role: Role, detail: &'static str) -> Result<(), ApiError> {
    if claims.app_metadata.role == role {
        Ok(())
    } else {
        Err(ApiError::refused(ProblemKind::Forbidden, detail))
    }
}

/// Makes an invitation of the caller, who is a teacher.
pub async fn invite(
    pool: &PgPool,
    claims: &AccessClaims,
    invite: Invite,
) -> Result<CreatedInvitation, ApiError> {
    let wanted = Wanted::try_from(invite)
        .map_err(|detail| ApiError::refused(ProblemKind::BodyInvalid, detail))?;
    let id = InvitationId(host::new_id());
    let (invitation, code) = match wanted {
        Wanted::Address(email) => (create(pool, claims, id, Way::Address(&email)).await?, None),
        Wanted::Code { places } => {
            let code = InvitationCode::from_random(host::random());
            let digest = &*code.digest();
            let way = Way::Code { digest, places };
            (create(pool, claims, id, way).await?, Some(code.to_string()))
        }
    };
    Ok(CreatedInvitation { invitation, code })
}

async fn create(
    pool: &PgPool,
    claims: &AccessClaims,
    id: InvitationId,
    way: Way<'_>,
) -> Result<Invitation, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    match invitations::create(&mut reader, id, way).await {
        Ok(invitation) => {
            reader.commit().await?;
            Ok(invitation)
        }
        Err(storage::Error::Conflict) => Err(ApiError::refused(
            ProblemKind::Conflict,
            format!("At most {MAX_INVITATIONS} invitations are open at a time. Take some back."),
        )),
        Err(error) => Err(error.into()),
    }
}

/// The open invitations that a teacher sent, or a student was sent.
pub async fn invitations(
    pool: &PgPool,
    claims: &AccessClaims,
    part: Part,
) -> Result<InvitationList, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let listed = invitations::list(&mut reader, part.behind, part.limit).await?;
    Ok(InvitationList {
        invitations: listed.items,
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    })
}

/// Takes an invitation of the caller back, or declines one to the caller.
pub async fn withdraw(
    pool: &PgPool,
    claims: &AccessClaims,
    id: InvitationId,
) -> Result<(), ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    invitations::withdraw(&mut reader, id).await?;
    Ok(reader.commit().await?)
}

/// Makes the caller, who is a student, the student of whoever invites.
pub async fn accept(
    pool: &PgPool,
    claims: &AccessClaims,
    chosen: Chosen<'_>,
) -> Result<Changed, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    match invitations::accept(&mut reader, chosen).await {
        Ok(teacher) => {
            reader.commit().await?;
            Ok(changed(as_json(&teacher), vec![claims.sub]))
        }
        Err(storage::Error::NotFound) => Err(ApiError::refused(
            ProblemKind::NotFound,
            "There is no such invitation, or it has ended. Ask your teacher for another.",
        )),
        Err(error) => Err(error.into()),
    }
}

/// The same, by a code as somebody typed it.
pub async fn accept_code(
    pool: &PgPool,
    claims: &AccessClaims,
    code: &str,
) -> Result<Changed, ApiError> {
    let code: InvitationCode = code.parse().map_err(|_| {
        let detail = "A code has ten letters and digits, such as 7K3QX-0M9TR.";
        ApiError::refused(ProblemKind::BodyInvalid, detail)
    })?;
    accept(pool, claims, Chosen::Code(&code.digest())).await
}

/// The caller's students, the newest first.
pub async fn students(
    pool: &PgPool,
    claims: &AccessClaims,
    part: Part,
) -> Result<PersonList, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let listed = people::students(&mut reader, part.behind, part.limit).await?;
    Ok(person_list(listed))
}

/// The caller's teachers, the newest first.
pub async fn teachers(
    pool: &PgPool,
    claims: &AccessClaims,
    part: Part,
) -> Result<PersonList, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let listed = people::teachers(&mut reader, part.behind, part.limit).await?;
    Ok(person_list(listed))
}

fn person_list(listed: Listed<LinkedPerson>) -> PersonList {
    PersonList {
        people: listed.items,
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }
}

/// Ends what is between the caller and somebody: the student of the two reads no private document of the other's
/// any more.
pub async fn end(pool: &PgPool, claims: &AccessClaims, other: UserId) -> Result<Changed, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    people::end_relationship(&mut reader, other).await?;
    reader.commit().await?;
    let student = match claims.app_metadata.role {
        Role::Student => claims.sub,
        Role::Teacher | Role::Admin => other,
    };
    Ok(changed(String::new(), vec![student]))
}

/// An [`Invite`] that can be made.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Address(String),
    Code { places: u16 },
}

impl TryFrom<Invite> for Wanted {
    type Error = String;
    fn try_from(invite: Invite) -> Result<Self, String> {
        match (invite.email, invite.places) {
            (Some(_), Some(_)) => {
                Err("An address is one student's: leave out the places.".to_owned())
            }
            // Addresses are kept in small letters, as the sign-in service keeps them.
            (Some(email), None) => match email.trim().to_lowercase() {
                email if is_address(&email) => Ok(Self::Address(email)),
                _ => Err("This is no e-mail address.".to_owned()),
            },
            (None, places) => match places.unwrap_or(1) {
                places @ 1..=MAX_PLACES => Ok(Self::Code { places }),
                _ => Err(format!("A code is good for 1 to {MAX_PLACES} students.")),
            },
        }
    }
}

fn is_address(text: &str) -> bool {
    let options = Options::default()
        .with_required_tld()
        .without_display_text()
        .without_domain_literal();
    text.chars().count() <= MAX_EMAIL_CHARS
        && EmailAddress::parse_with_options(text, options).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(email: Option<&str>, places: Option<u16>) -> Result<Wanted, String> {
        let email = email.map(ToOwned::to_owned);
        Wanted::try_from(Invite { email, places })
    }

    #[test]
    fn an_invitation_is_to_an_address_or_by_a_code() {
        let address = Wanted::Address("pupil@school.example".to_owned());
        assert_eq!(wanted(Some(" Pupil@School.example "), None), Ok(address));
        assert_eq!(wanted(None, None), Ok(Wanted::Code { places: 1 }));
        assert_eq!(wanted(None, Some(50)), Ok(Wanted::Code { places: 50 }));
    }

    #[test]
    fn anything_else_is_refused_in_words_that_help() {
        let long = format!("{}@school.example", "p".repeat(250));
        for (email, places, words) in [
            (Some("pupil"), None, "no e-mail address"),
            (Some("pupil@school"), None, "no e-mail address"),
            (Some("a b@school.example"), None, "no e-mail address"),
            (
                Some("Pupil <pupil@school.example>"),
                None,
                "no e-mail address",
            ),
            (Some(&*long), None, "no e-mail address"),
            (
                Some("pupil@school.example"),
                Some(2),
                "leave out the places",
            ),
            (None, Some(0), "1 to 50 students"),
            (None, Some(51), "1 to 50 students"),
        ] {
            let refused = wanted(email, places).unwrap_err();
            assert!(refused.contains(words), "{email:?}: {refused}");
        }
    }
}
