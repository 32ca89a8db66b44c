//! Who asks what: the questions of `tests/data/questions.toml`, each by its own asker, and new ones made of them.

use crate::library::{Member, PASSWORD};
use anyhow::{Context, ensure};
use journeys::questions::Questions;
use local_stack::{Client, Stack};
use serde_json::{Value, json};
use shared_types::claims::Role;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Seven questions in ten have been asked before ("Cache Hit Rate Validation").
const REPEATED_OF_TEN: u32 = 7;

/// Everybody who asks.
#[derive(Clone)]
pub struct Crowd {
    people: BTreeMap<String, Client>,
    teacher: String,
    /// A text, and the address of its asker.
    questions: Arc<Vec<(String, String)>>,
    asked: Arc<AtomicU32>,
    next_new: Arc<AtomicU32>,
}

/// A question of somebody.
#[derive(Clone)]
pub struct Question {
    pub text: String,
    pub asker: Client,
}

impl Crowd {
    /// All questions that the library answers.
    pub fn new(questions: &Questions, members: &BTreeMap<String, Member>) -> anyhow::Result<Self> {
        let people = members.iter();
        let answered = questions.questions.iter();
        let answered = answered.filter(|question| !question.answers.is_empty());
        let questions: Vec<_> = answered
            .map(|question| (question.text.clone(), question.asker.clone()))
            .collect();
        ensure!(
            questions
                .iter()
                .all(|(_, asker)| members.contains_key(asker)),
            "every asker is a person of the library"
        );
        let mut teachers = members.iter();
        let teacher = teachers.find(|(_, member)| member.role == Role::Teacher);
        let (teacher, _) = teacher.context("the library has a teacher")?;
        Ok(Self {
            teacher: teacher.clone(),
            people: people
                .map(|(email, member)| (email.clone(), member.browser.clone()))
                .collect(),
            questions: Arc::new(questions),
            asked: Arc::default(),
            next_new: Arc::default(),
        })
    }

    /// Signs everybody in again: a token lives for an hour, and a long run takes more.
    pub async fn sign_in(&mut self, stack: &Stack) -> anyhow::Result<()> {
        for (email, browser) in &mut self.people {
            *browser = stack.client().signed_in(email, PASSWORD).await?;
        }
        Ok(())
    }

    /// Somebody who may upload.
    pub fn teacher(&self) -> &Client {
        &self.people[&self.teacher]
    }

    /// The next question: one that was asked before, or in three cases of ten a new one.
    pub fn next(&self) -> Question {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        // Three and ten have no common factor: each ten questions hold three new ones, and not in a row.
        if number.wrapping_mul(3) % 10 < REPEATED_OF_TEN {
            let (text, asker) = self.origin(number);
            self.question(text.clone(), asker)
        } else {
            self.fresh()
        }
    }

    /// Every question of the file.
    pub fn all_known(&self) -> Vec<Question> {
        let questions = self.questions.iter();
        questions
            .map(|(text, asker)| self.question(text.clone(), asker))
            .collect()
    }

    /// A question that nobody has asked before.
    pub fn fresh(&self) -> Question {
        let number = self.next_new.fetch_add(1, Ordering::Relaxed);
        self.question(self.new_text(number), &self.origin(number).1)
    }

    /// The texts of the next new questions.
    pub fn coming(&self, number: u32) -> Vec<String> {
        let next = self.next_new.load(Ordering::Relaxed);
        let numbers = next..next.saturating_add(number);
        numbers.map(|number| self.new_text(number)).collect()
    }

    fn new_text(&self, number: u32) -> String {
        format!("{} ({number})", self.origin(number).0)
    }

    /// Puts the numbers of new questions from here to so many further aside, for somebody else to ask.
    pub fn reserve(&self, number: u32) -> u32 {
        self.next_new.fetch_add(number, Ordering::Relaxed)
    }

    /// As `bench/load/rag.js` reads it.
    pub fn to_json(&self) -> Value {
        let questions = self.questions.iter();
        questions
            .map(|(text, asker)| json!({ "text": text, "token": self.people[asker].token() }))
            .collect()
    }

    fn origin(&self, number: u32) -> &(String, String) {
        &self.questions[number as usize % self.questions.len()]
    }

    fn question(&self, text: String, asker: &str) -> Question {
        Question {
            text,
            asker: self.people[asker].clone(),
        }
    }
}
