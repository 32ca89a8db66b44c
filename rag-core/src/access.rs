//! Who may do what. The database's policies state the same rule; tests hold the two together.

use shared_types::{
    claims::Role,
    documents::{DocumentStatus, Visibility},
    ids::UserId,
};
use std::collections::BTreeSet;

/// Somebody who reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The person.
    pub user_id: UserId,
    /// The person's role.
    pub role: Role,
    /// The person's teachers, where the person is a student.
    pub teachers: BTreeSet<UserId>,
}

/// What decides who may read a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentAccess {
    /// Who uploaded it.
    pub owner_id: UserId,
    /// Whom the owner lets read it.
    pub visibility: Visibility,
}

/// Whether the reader may see a single word of the document.
#[must_use]
pub fn may_read(reader: &Reader, document: &DocumentAccess) -> bool {
    document.visibility == Visibility::Public
        || document.owner_id == reader.user_id
        || match reader.role {
            Role::Admin => true,
            Role::Student => reader.teachers.contains(&document.owner_id),
            Role::Teacher => false,
        }
}

/// Whether the reader may have the document's file. Its owner and admins may as soon as it is
/// confirmed; others, as its words, once it is searchable.
#[must_use]
pub fn may_open(reader: &Reader, document: &DocumentAccess, status: DocumentStatus) -> bool {
    match status {
        DocumentStatus::Uploading => false,
        DocumentStatus::Ready => may_read(reader, document),
        DocumentStatus::Queued | DocumentStatus::Processing | DocumentStatus::Failed => {
            document.owner_id == reader.user_id || reader.role == Role::Admin
        }
    }
}

/// Whether somebody in this role may add documents.
#[must_use]
pub fn may_upload(role: Role) -> bool {
    matches!(role, Role::Teacher | Role::Admin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn reader(role: Role, teachers: &[u128]) -> Reader {
        Reader {
            user_id: UserId(Uuid::from_u128(1)),
            role,
            teachers: teachers
                .iter()
                .map(|id| UserId(Uuid::from_u128(*id)))
                .collect(),
        }
    }

    fn document(owner: u128, visibility: Visibility) -> DocumentAccess {
        DocumentAccess {
            owner_id: UserId(Uuid::from_u128(owner)),
            visibility,
        }
    }

    #[test]
    fn a_student_reads_her_own_teachers_private_document_and_no_others() {
        let student = reader(Role::Student, &[7]);
        assert!(may_read(&student, &document(7, Visibility::Private)));
        assert!(!may_read(&student, &document(8, Visibility::Private)));
        assert!(may_read(&student, &document(8, Visibility::Public)));
    }

    #[test]
    fn a_teacher_reads_no_private_document_of_a_colleague_even_as_a_former_student() {
        let teacher = reader(Role::Teacher, &[7]);
        assert!(!may_read(&teacher, &document(7, Visibility::Private)));
        assert!(may_read(&teacher, &document(1, Visibility::Private)));
    }

    #[test]
    fn a_file_is_its_owners_alone_until_its_words_can_be_read() {
        let (owner, student) = (reader(Role::Teacher, &[]), reader(Role::Student, &[7]));
        let own = document(1, Visibility::Public);
        let teachers = document(7, Visibility::Public);
        assert!(!may_open(&owner, &own, DocumentStatus::Uploading));
        assert!(may_open(&owner, &own, DocumentStatus::Failed));
        assert!(!may_open(&student, &teachers, DocumentStatus::Processing));
        assert!(may_open(&student, &teachers, DocumentStatus::Ready));
    }

    #[test]
    fn an_admin_reads_everything() {
        assert!(may_read(
            &reader(Role::Admin, &[]),
            &document(9, Visibility::Private)
        ));
    }
}
