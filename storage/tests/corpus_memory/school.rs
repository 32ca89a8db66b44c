//! A school whose searches in memory are held against PostgreSQL's.

use crate::{
    found, ids, now, snapshot,
    support::{Database, MODEL},
};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::DocumentId,
};
use std::collections::BTreeMap;
use storage::search::{self, CorpusMemory};

/// Two studios, a student of both, one of the first, one of none, and an admin.
pub struct School {
    pub db: Database,
    pub teachers: [AccessClaims; 2],
    pub everybody: Vec<AccessClaims>,
    pub documents: BTreeMap<DocumentId, AccessClaims>,
}

impl School {
    pub async fn new() -> Self {
        let db = Database::new().await;
        let teachers = [
            db.person(Role::Teacher).await,
            db.person(Role::Teacher).await,
        ];
        let mut everybody = teachers.to_vec();
        for taught_by in [&teachers[..], &teachers[..1], &[]] {
            let student = db.person(Role::Student).await;
            for teacher in taught_by {
                db.link(teacher, &student).await;
            }
            everybody.push(student);
        }
        everybody.push(db.person(Role::Admin).await);
        Self {
            db,
            teachers,
            everybody,
            documents: BTreeMap::new(),
        }
    }

    pub fn student_of_both(&self) -> &AccessClaims {
        &self.everybody[2]
    }

    pub async fn upload(
        &mut self,
        teacher: usize,
        visibility: Visibility,
        texts: &[&str],
    ) -> DocumentId {
        let owner = self.teachers[teacher].clone();
        let id = self.db.ready(&owner, visibility, texts).await;
        self.documents.insert(id, owner);
        id
    }

    pub async fn show(&self, document: DocumentId, visibility: Visibility) {
        let owner = &self.documents[&document];
        self.db.show(owner, document, visibility).await;
    }

    pub async fn delete(&mut self, document: DocumentId) {
        self.db.delete(document).await;
        self.documents.remove(&document);
    }

    /// Ends or begins lessons.
    pub async fn meet(&self, teacher: usize, student: usize) {
        let (teacher, student) = (&self.teachers[teacher], &self.everybody[student]);
        let ended = sqlx::query(
            "delete from teacher_student_relationships where teacher_id = $1 and student_id = $2",
        )
        .bind(teacher.sub.0)
        .bind(student.sub.0)
        .execute(&self.db.owner)
        .await
        .unwrap();
        if ended.rows_affected() == 0 {
            self.db.link(teacher, student).await;
        }
    }

    /// Holds what is found in memory, if it is there, against what PostgreSQL finds in the same snapshot. Returns whether
    /// it was there.
    pub async fn compare(
        &self,
        memory: &CorpusMemory,
        claims: &AccessClaims,
        question: &str,
    ) -> bool {
        let mut tx = snapshot(&self.db, claims).await;
        let readable = search::readable(&mut tx).await.unwrap();
        let by_sql = found(&mut tx, readable.clone(), question).await;
        let readable = memory.attach(readable, MODEL, now());
        let is_in_memory = readable.is_in_memory();
        let in_memory = found(&mut tx, readable, question).await;
        assert_eq!(ids(&in_memory), ids(&by_sql));
        let (a, b) = (&in_memory.lists.vector, &by_sql.lists.vector);
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a.score - b.score).abs() < 1e-4, "{a:?} beside {b:?}");
        }
        assert_eq!(in_memory.lists.lexical, by_sql.lists.lexical);
        for (a, b) in in_memory.fused.iter().zip(&by_sql.fused) {
            assert!((a.score - b.score).abs() < 1e-4, "{a:?} beside {b:?}");
        }
        is_in_memory
    }
}
