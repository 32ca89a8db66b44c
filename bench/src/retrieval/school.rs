//! Who owns which part of the library and who reads it, at each stage of its becoming public.

use super::corpus::DOCUMENT_PASSAGES;
use shared_types::{
    claims::{AccessClaims, AppMetadata, Role},
    ids::UserId,
};
use uuid::Uuid;

/// Shares of all passages that become readable for an ordinary reader, stage by stage; the last stage is what is
/// left.
pub const STAGES: [f64; 7] = [0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0];
/// The most that such a reader's teachers, or the reader, own of that.
const MAX_PRIVATE: f64 = 0.05;
/// Stages with private parts of their own; later ones share the last.
const LEVELS: usize = 4;
/// The share of the owner of a large private collection, about topics that nobody else writes about.
const LARGE: f64 = 0.2;
/// Teachers of a student of many.
const TEACHERS: usize = 10;

const LIBRARIAN: u128 = 1;
const LARGE_OWNER: u128 = 2;
const OWNERS: u128 = 0x1_0000;
const MANY_TEACHERS: u128 = 0x2_0000;
const STUDENTS: u128 = 0x3_0000;
const STUDENT_OF_ALL: u128 = 0x4_0000;

/// A document to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its number, from 0.
    pub number: u64,
    /// Whose it is.
    pub owner: Uuid,
    /// Its passages.
    pub passages: usize,
    /// Whether it is about topics of the large private collection.
    pub is_hidden: bool,
    /// The stage at which it becomes public; none for a private one.
    pub public_from: Option<usize>,
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Questions {
    /// What the reader's own and the public passages are about as well.
    OnTopic,
    /// What only the large private collection is about, which the reader may not read.
    OffTopic,
    /// Both by turns.
    Mixed,
}

impl Questions {
    pub fn name(self) -> &'static str {
        match self {
            Self::OnTopic => "on topic",
            Self::OffTopic => "off topic",
            Self::Mixed => "mixed",
        }
    }

    /// Whether the nth of them is about the topics of the large private collection.
    pub fn is_hidden(self, nth: u64) -> bool {
        match self {
            Self::OnTopic => false,
            Self::OffTopic => true,
            Self::Mixed => nth.is_multiple_of(2),
        }
    }
}

/// Somebody who asks.
pub struct Caller {
    pub name: &'static str,
    pub claims: AccessClaims,
    pub questions: Questions,
}

/// Every document of a library of this many passages.
pub fn documents(passages: usize) -> Vec<Planned> {
    let mut planned = Vec::new();
    let part = |share: f64| (share * passages as f64).round() as usize;
    add(&mut planned, LARGE_OWNER, part(LARGE), true, None);
    for level in 0..LEVELS {
        let private = part(private_share(level));
        add(&mut planned, OWNERS + level as u128, private, false, None);
        for teacher in 0..TEACHERS {
            let upto = |teacher: usize| private * teacher / TEACHERS;
            let own = upto(teacher + 1) - upto(teacher);
            add(
                &mut planned,
                many_teachers(level, teacher),
                own,
                false,
                None,
            );
        }
    }
    let private: usize = planned.iter().map(|document| document.passages).sum();
    let mut published = 0;
    for (stage, readable) in STAGES.iter().enumerate() {
        let upto = if stage + 1 == STAGES.len() {
            passages - private
        } else {
            part(readable - private_share(stage))
        };
        add(
            &mut planned,
            LIBRARIAN,
            upto - published,
            false,
            Some(stage),
        );
        published = upto;
    }
    planned
}

fn add(
    planned: &mut Vec<Planned>,
    owner: u128,
    passages: usize,
    is_hidden: bool,
    public_from: Option<usize>,
) {
    let mut left = passages;
    while left > 0 {
        let passages = left.min(DOCUMENT_PASSAGES);
        left -= passages;
        planned.push(Planned {
            number: planned.len() as u64,
            owner: Uuid::from_u128(owner),
            passages,
            is_hidden,
            public_from,
        });
    }
}

/// Half of what is readable at a stage is private, as long as that is little.
fn private_share(stage: usize) -> f64 {
    (STAGES[stage.min(LEVELS - 1)] / 2.0).min(MAX_PRIVATE)
}

fn many_teachers(level: usize, teacher: usize) -> u128 {
    MANY_TEACHERS + (level * TEACHERS + teacher) as u128
}

/// Everybody, with their roles.
pub fn people() -> Vec<(Uuid, Role)> {
    let levels = 0..LEVELS;
    let teachers = [LIBRARIAN, LARGE_OWNER].into_iter();
    let teachers = teachers.chain(levels.clone().map(|level| OWNERS + level as u128));
    let teachers = teachers.chain(
        levels
            .clone()
            .flat_map(|level| (0..TEACHERS).map(move |teacher| many_teachers(level, teacher))),
    );
    let students = levels.map(|level| STUDENTS + level as u128);
    let students = students.chain([STUDENT_OF_ALL]);
    let person = |role: Role| move |id: u128| (Uuid::from_u128(id), role);
    teachers
        .map(person(Role::Teacher))
        .chain(students.map(person(Role::Student)))
        .collect()
}

/// Teachers and their students.
pub fn relationships() -> Vec<(UserId, UserId)> {
    let pair = |teacher: u128, student: u128| {
        (
            UserId(Uuid::from_u128(teacher)),
            UserId(Uuid::from_u128(student)),
        )
    };
    let mut pairs: Vec<_> = (0..LEVELS)
        .flat_map(|level| {
            (0..TEACHERS)
                .map(move |teacher| pair(many_teachers(level, teacher), STUDENTS + level as u128))
        })
        .collect();
    let student_of_all = UserId(Uuid::from_u128(STUDENT_OF_ALL));
    pairs.extend(
        people().into_iter().filter_map(|(id, role)| {
            (role == Role::Teacher).then_some((UserId(id), student_of_all))
        }),
    );
    pairs
}

/// Who asks at a stage.
pub fn callers(stage: usize) -> Vec<Caller> {
    let level = stage.min(LEVELS - 1) as u128;
    let caller = |name, id, role, questions| Caller {
        name,
        claims: claims(UserId(Uuid::from_u128(id)), role),
        questions,
    };
    let mut callers = Vec::new();
    for questions in [Questions::OnTopic, Questions::OffTopic] {
        callers.push(caller(
            "one owner",
            OWNERS + level,
            Role::Teacher,
            questions,
        ));
        callers.push(caller(
            "ten owners",
            STUDENTS + level,
            Role::Student,
            questions,
        ));
    }
    if stage + 3 >= STAGES.len() {
        callers.push(caller(
            "large owner",
            LARGE_OWNER,
            Role::Teacher,
            Questions::Mixed,
        ));
    }
    if stage + 1 == STAGES.len() {
        callers.push(caller(
            "all owners",
            STUDENT_OF_ALL,
            Role::Student,
            Questions::Mixed,
        ));
    }
    callers
}

/// What a token would say of somebody.
pub fn claims(id: UserId, role: Role) -> AccessClaims {
    AccessClaims {
        sub: id,
        iss: "https://auth.school.example/auth/v1".to_owned(),
        aud: "authenticated".to_owned(),
        role: "authenticated".to_owned(),
        app_metadata: AppMetadata { role },
        email: None,
        session_id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_passage_has_a_place_and_each_stage_shows_its_share() {
        for passages in [10_000, 100_000] {
            let documents = documents(passages);
            let all: usize = documents.iter().map(|document| document.passages).sum();
            assert_eq!(all, passages);
            for (stage, wanted) in STAGES.iter().enumerate().take(STAGES.len() - 1) {
                let level = stage.min(LEVELS - 1) as u128;
                let readable: usize = documents
                    .iter()
                    .filter(|document| {
                        document.owner == Uuid::from_u128(OWNERS + level)
                            || document.public_from.is_some_and(|from| from <= stage)
                    })
                    .map(|document| document.passages)
                    .sum();
                let share = readable as f64 / passages as f64;
                assert!((share - wanted).abs() < 1e-3, "stage {stage}: {share}");
            }
        }
    }

    #[test]
    fn everybody_who_owns_or_asks_is_there() {
        let people: BTreeMap<Uuid, Role> = people().into_iter().collect();
        for document in documents(10_000) {
            assert_eq!(people[&document.owner], Role::Teacher);
        }
        for caller in (0..STAGES.len()).flat_map(callers) {
            assert_eq!(
                people[&caller.claims.sub.0],
                caller.claims.app_metadata.role
            );
        }
    }
}
