//! Questions about the sample library with the pages that answer them, and how well a ranking does by them.

use serde::Deserialize;
use shared_types::documents::Visibility;
use std::{fs, path::Path};

/// `data/questions.toml`, `data/follow-ups.toml` and what they refer to of `sample-library/library.toml`.
#[derive(Clone, Debug)]
pub struct Questions {
    /// The people of the sample library.
    pub people: Vec<Member>,
    /// Its documents.
    pub documents: Vec<Booklet>,
    /// The questions.
    pub questions: Vec<Question>,
    /// Those that lean on others.
    pub follow_ups: Vec<FollowUp>,
}

/// Somebody of the sample library.
#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    /// The e-mail address, which stands for the person elsewhere.
    pub email: String,
    /// `teacher` or `student`.
    pub role: String,
    /// Whose student this is.
    pub teacher: Option<String>,
}

/// A document of the sample library.
#[derive(Clone, Debug, Deserialize)]
pub struct Booklet {
    /// The name of its file, which stands for the document elsewhere.
    pub file: String,
    /// Its title.
    pub title: String,
    /// Whose it is.
    pub owner: String,
    /// Whether everybody may read it.
    pub public: bool,
}

/// A question of somebody.
#[derive(Clone, Debug, Deserialize)]
pub struct Question {
    /// What is asked.
    pub text: String,
    /// Who asks.
    pub asker: String,
    /// Where it is answered, each place by itself. Nowhere in what the asker may read, if empty.
    pub answers: Vec<Place>,
}

/// A question of somebody that is not to be understood without those before it.
#[derive(Clone, Debug, Deserialize)]
pub struct FollowUp {
    /// What was asked before, in the order of asking.
    pub before: Vec<String>,
    /// The question.
    #[serde(flatten)]
    pub question: Question,
}

/// A page that answers a question.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The document.
    pub document: String,
    /// From 1.
    pub page: u32,
    /// Words on that page that the answer rests on.
    pub words: String,
}

#[derive(Deserialize)]
struct Library {
    person: Vec<Member>,
    document: Vec<Booklet>,
}

#[derive(Deserialize)]
struct Asked {
    question: Vec<Question>,
}

#[derive(Deserialize)]
struct Followed {
    follow_up: Vec<FollowUp>,
}

impl Questions {
    /// Reads all files.
    ///
    /// # Panics
    /// Where one is not there or not as it should be.
    #[must_use]
    pub fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = |path: &str| {
            fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        let library = toml::from_str(&text("../sample-library/library.toml"));
        let Library { person, document } =
            library.unwrap_or_else(|error| panic!("library.toml: {error}"));
        let asked = toml::from_str(&text("data/questions.toml"));
        let Asked { question } = asked.unwrap_or_else(|error| panic!("questions.toml: {error}"));
        let followed = toml::from_str(&text("data/follow-ups.toml"));
        let Followed { follow_up } =
            followed.unwrap_or_else(|error| panic!("follow-ups.toml: {error}"));
        Self {
            people: person,
            documents: document,
            questions: question,
            follow_ups: follow_up,
        }
    }

    /// Whether somebody may read a document.
    #[must_use]
    pub fn may_read(&self, asker: &str, document: &str) -> bool {
        let teacher = self
            .people
            .iter()
            .find(|person| person.email == asker)
            .and_then(|person| person.teacher.as_deref());
        self.documents.iter().any(|booklet| {
            let is_of_asker = booklet.owner == asker || Some(booklet.owner.as_str()) == teacher;
            booklet.file == document && (booklet.public || is_of_asker)
        })
    }
}

impl Booklet {
    /// Who may read it.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        if self.public {
            Visibility::Public
        } else {
            Visibility::Private
        }
    }
}

impl Question {
    /// Whether a passage from one page to another of a document touches a page that answers.
    #[must_use]
    pub fn is_answered_by(&self, document: &str, pages: std::ops::RangeInclusive<u32>) -> bool {
        self.answers
            .iter()
            .any(|place| place.document == document && pages.contains(&place.page))
    }
}

/// How well rankings did: one entry a question, the rank of the first passage that answers it, from 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranks(pub Vec<Option<usize>>);

impl Ranks {
    /// The share of questions with an answer among the first so many passages.
    #[must_use]
    pub fn hits_at(&self, depth: usize) -> f64 {
        let is_hit = |rank: &&Option<usize>| rank.is_some_and(|rank| rank <= depth);
        self.0.iter().filter(is_hit).count() as f64 / self.0.len().max(1) as f64
    }

    /// The mean of one over the rank, a question without an answer counting as nothing.
    #[must_use]
    pub fn mean_reciprocal(&self) -> f64 {
        let sum: f64 = self.0.iter().flatten().map(|rank| 1.0 / *rank as f64).sum();
        sum / self.0.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_counts_as_a_hit_down_to_the_depth_and_by_its_reciprocal() {
        let ranks = Ranks(vec![Some(1), Some(4), None, Some(3)]);
        assert!((ranks.hits_at(3) - 0.5).abs() < 1e-12);
        assert!((ranks.mean_reciprocal() - (1.0 + 0.25 + 1.0 / 3.0) / 4.0).abs() < 1e-12);
        assert!(Ranks::default().mean_reciprocal().abs() < 1e-12);
    }

    #[test]
    fn a_handbook_is_for_its_owner_and_her_students() {
        let library = Questions::read();
        let handbook = "06-studio-handbook-first-teacher.pdf";
        let readers: Vec<&str> = library
            .people
            .iter()
            .map(|person| person.email.as_str())
            .filter(|email| library.may_read(email, handbook))
            .collect();
        assert_eq!(
            readers,
            ["first-teacher@etude.example", "student@etude.example"]
        );
    }
}
