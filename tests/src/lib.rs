//! Journeys through the real processes: what a test needs to begin in the middle of a story.

pub mod questions;
pub mod telling;

use local_stack::{
    Client, Person, Role, Stack, StackConfig, StackError, client::NewDocument, postgres::Psql,
};
use shared_types::{
    chat::ChatQuery,
    documents::{Document, DocumentStatus, Visibility},
    feedback::CuratedAnswer,
    ids::MessageId,
};
use std::{
    fs,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    time::Duration,
};

/// The password of everybody in a journey.
pub const PASSWORD: &str = "correct-horse-battery";

/// A booklet on pedalling, and a question that its page 5 answers.
pub const PEDALLING: &str = "04-pedalling.pdf";
/// Beat 2, says the booklet.
pub const WALTZ: &str = "On which beat do I release the pedal in a light waltz?";

/// A school: one stack of its own with two teachers and a student of the first.
#[derive(Debug)]
pub struct School {
    /// The running system.
    pub stack: Stack,
    /// The student's teacher.
    pub teacher: Pupil,
    /// A teacher who does not teach the student.
    pub other_teacher: Pupil,
    /// The student.
    pub student: Pupil,
}

/// Somebody in a school, signed in.
#[derive(Clone, Debug)]
pub struct Pupil {
    /// The account.
    pub person: Person,
    /// The signed-in browser.
    pub browser: Client,
}

/// Runs a journey through a school of its own and clears up behind it, whether it ends well or not.
///
/// # Panics
/// With the journey's own panic, or where the school can't be opened.
pub fn journey<F>(story: F)
where
    F: AsyncFnOnce(&mut School),
{
    journey_with(|config| config, story);
}

/// The same through a school that is set up otherwise.
///
/// # Panics
/// As [`journey`] does.
pub fn journey_with<F>(change: impl FnOnce(StackConfig) -> StackConfig, story: F)
where
    F: AsyncFnOnce(&mut School),
{
    let folder = tempfile::Builder::new().prefix("etude-journey-").tempdir();
    let folder = folder.expect("a temporary folder can be made");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let ended = runtime.block_on(async {
        let config = StackConfig::for_test(folder.path()).expect("the tests' set-up was done");
        let mut school = School::open(change(config))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let ended = catch(story(&mut school)).await;
        if ended.is_err() {
            school.print_logs();
        }
        school.stack.stop().await;
        ended
    });
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

async fn catch(story: impl Future<Output = ()>) -> Result<(), Box<dyn std::any::Any + Send>> {
    let mut story = std::pin::pin!(story);
    std::future::poll_fn(|context| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| story.as_mut().poll(context))) {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(())) => std::task::Poll::Ready(Ok(())),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    })
    .await
}

impl School {
    async fn open(config: StackConfig) -> Result<Self, StackError> {
        let stack = Stack::start(config).await?;
        let teacher = join(&stack, "teacher@school.example", Role::Teacher).await?;
        let other_teacher = join(&stack, "other-teacher@school.example", Role::Teacher).await?;
        let student = join(&stack, "student@school.example", Role::Student).await?;
        stack
            .people()
            .link_student(teacher.person.id, student.person.id)
            .await?;
        Ok(Self {
            stack,
            teacher,
            other_teacher,
            student,
        })
    }

    /// Has the teacher show [`PEDALLING`] to everybody.
    ///
    /// # Panics
    /// Where it does not become searchable.
    pub async fn shows_pedalling(&self) {
        self.teacher
            .adds_booklet(PEDALLING, Visibility::Public)
            .await;
    }

    /// Somebody more, signed in.
    ///
    /// # Panics
    /// Where the account can't be made.
    pub async fn newcomer(&self, email: &str, role: Role) -> Pupil {
        join(&self.stack, email, role)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Direct sight of the database, as its owner.
    #[must_use]
    pub fn database(&self) -> &Psql {
        self.stack.database().owner()
    }

    /// Waits until a worker has removed the file of the one document that was deleted. It looks once more in an hour.
    ///
    /// # Panics
    /// Where the file stays.
    pub async fn sees_one_file_removed(&self) {
        let removed = "select count(*) from discarded_files where due_at > now()";
        let mut patience = 120;
        loop {
            let count = self.database().run(removed).await;
            if count.unwrap_or_else(|error| panic!("{error}")).trim() == "1" {
                return;
            }
            assert!(patience > 0, "the file is still there");
            patience -= 1;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    fn print_logs(&self) {
        let entries = fs::read_dir(self.stack.logs())
            .into_iter()
            .flatten()
            .flatten();
        for path in entries.map(|entry| entry.path()) {
            let log = fs::read_to_string(&path).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(25).collect();
            eprintln!("--- {}", path.display());
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

async fn join(stack: &Stack, email: &str, role: Role) -> Result<Pupil, StackError> {
    let person = stack.people().create(email, PASSWORD, email, role).await?;
    let browser = stack.client().signed_in(email, PASSWORD).await?;
    Ok(Pupil { person, browser })
}

impl Pupil {
    /// Asks in a conversation of its own, and waits until the answer is written down.
    ///
    /// # Panics
    /// Where it is not.
    pub async fn asks_in_a_conversation(&self, question: &str) -> MessageId {
        let session = self.browser.begin_conversation().await;
        let session = session.unwrap_or_else(|error| panic!("{error}"));
        let query = ChatQuery {
            query: question.to_owned(),
            session_id: Some(session.id),
            ..ChatQuery::default()
        };
        let answer = self.browser.ask_json_query(&query).await;
        let answer = answer.unwrap_or_else(|error| panic!("{error}"));
        self.browser
            .sees_answers_in(session.id)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let turn = answer.turn.expect("it belongs to a conversation");
        turn.message_id
    }

    /// Answers a question herself, for her students.
    ///
    /// # Panics
    /// Where that is refused.
    pub async fn answers_herself(&self, question: &str, answer: &str) -> CuratedAnswer {
        let kept = self.browser.curate(question, answer).await;
        kept.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Uploads a file and waits until it is searchable or has failed.
    ///
    /// # Panics
    /// Where the upload itself is refused.
    pub async fn adds(&self, file: NewDocument) -> Document {
        let announced = self
            .browser
            .upload(file)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        self.browser
            .wait_for(announced.id, |_| ())
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Uploads a booklet of the sample library; it becomes searchable.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn adds_booklet(&self, file_name: &str, visibility: Visibility) -> Document {
        self.adds_readable(booklet(file_name, visibility)).await
    }

    /// Uploads a file; it becomes searchable.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn adds_readable(&self, file: NewDocument) -> Document {
        let document = self.adds(file).await;
        assert_eq!(
            document.status,
            DocumentStatus::Ready,
            "{:?}",
            document.failure
        );
        document
    }
}

/// A booklet of the sample library.
///
/// # Panics
/// Where there is none of that name.
#[must_use]
pub fn booklet(file_name: &str, visibility: Visibility) -> NewDocument {
    let bytes = fs::read(booklet_path(file_name)).expect("the sample library has that booklet");
    pdf(file_name, bytes, visibility)
}

/// Where a booklet of the sample library is.
#[must_use]
pub fn booklet_path(file_name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../sample-library/pdf")
        .join(file_name)
}

/// Bytes under a PDF's name.
#[must_use]
pub fn pdf(file_name: &str, bytes: Vec<u8>, visibility: Visibility) -> NewDocument {
    NewDocument {
        title: file_name.trim_end_matches(".pdf").to_owned(),
        file_name: file_name.to_owned(),
        bytes,
        visibility,
    }
}
