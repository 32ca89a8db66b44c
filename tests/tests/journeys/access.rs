//! `docs/ACCESS.md`, every line of it, against the real system.

use journeys::{PASSWORD, Pupil, School, WALTZ, booklet, journey};
use local_stack::{Client, Role};
use reqwest::{Method, header};
use serde_json::{Value, json};
use shared_types::{
    documents::{Document, Visibility},
    ids::UserId,
    people::CreatedInvitation,
};
use std::{cell::Cell, collections::BTreeMap};

const TABLE: &str = include_str!("../../../docs/ACCESS.md");
const SMALL: &str = "03-articulation-and-touch.pdf";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Nobody,
    Student,
    Teacher,
    Admin,
}

const EVERYBODY: [Who; 4] = [Who::Nobody, Who::Student, Who::Teacher, Who::Admin];

/// A line of the table.
struct Line {
    method: Method,
    template: String,
    of: String,
    /// The status that each is told; none where there can be no such request.
    told: BTreeMap<Who, u16>,
}

fn lines() -> Vec<Line> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [endpoint, of, told @ ..] = &*cells else {
            panic!("{row}");
        };
        let (method, template) = endpoint.trim_matches('`').split_once(' ').unwrap();
        let told = EVERYBODY.into_iter().zip(told);
        Line {
            method: method.parse().unwrap(),
            template: template.to_owned(),
            of: (*of).to_owned(),
            told: told
                .filter(|(_, status)| **status != "–")
                .map(|(who, status)| (who, status.parse().unwrap()))
                .collect(),
        }
    })
    .collect()
}

/// Everybody and everything that a line may be about.
struct Cast<'a> {
    school: &'a School,
    admin: Pupil,
    /// A teacher who invites, and whose students nobody else is.
    inviter: Pupil,
    /// Files: of the teacher, of the admin, of the other teacher, and of the other teacher for everybody.
    files: [Document; 4],
    newcomers: Cell<u32>,
}

/// A request that is about to be sent.
struct Prepared {
    browser: Client,
    path: String,
    body: Value,
}

impl<'a> Cast<'a> {
    async fn of(school: &'a School) -> Self {
        let admin = school.newcomer("admin@school.example", Role::Admin).await;
        let inviter = school
            .newcomer("inviter@school.example", Role::Teacher)
            .await;
        let file = async |owner: &Pupil, visibility| {
            owner
                .browser
                .upload(booklet(SMALL, visibility))
                .await
                .unwrap()
        };
        let teacher = file(&school.teacher, Visibility::Private).await;
        let admins = file(&admin, Visibility::Private).await;
        let strangers = school
            .other_teacher
            .adds(booklet(SMALL, Visibility::Private))
            .await;
        let public = booklet("02-scales-and-arpeggios.pdf", Visibility::Public);
        let public = school.other_teacher.adds(public).await;
        for (owner, document) in [(&school.teacher, &teacher), (&admin, &admins)] {
            let waiting = owner.browser.wait_for(document.id, |_| ());
            assert!(waiting.await.unwrap().failure.is_none());
        }
        Self {
            files: [teacher, admins, strangers, public],
            school,
            admin,
            inviter,
            newcomers: Cell::new(0),
        }
    }

    fn pupil(&self, who: Who) -> Option<&Pupil> {
        match who {
            Who::Nobody => None,
            Who::Student => Some(&self.school.student),
            Who::Teacher => Some(&self.school.teacher),
            Who::Admin => Some(&self.admin),
        }
    }

    fn address(&self) -> String {
        self.newcomers.set(self.newcomers.get() + 1);
        format!("newcomer-{}@school.example", self.newcomers.get())
    }

    async fn newcomer(&self, role: Role) -> Pupil {
        self.school.newcomer(&self.address(), role).await
    }

    /// Somebody in the same role whose account and session nobody else needs.
    async fn passing(&self, who: Who) -> Option<Pupil> {
        let role = match who {
            Who::Nobody => return None,
            Who::Student => Role::Student,
            Who::Teacher => Role::Teacher,
            Who::Admin => Role::Admin,
        };
        Some(self.newcomer(role).await)
    }

    async fn prepare(&self, line: &Line, who: Who) -> Prepared {
        let mut browser = match self.pupil(who) {
            Some(pupil) => pupil.browser.clone(),
            None => self.school.stack.client(),
        };
        let (mut id, mut body) = (String::new(), json!({}));
        match (line.method.as_str(), &*line.template, &*line.of) {
            ("POST", "/api/auth/register", of) => {
                let role = of.split(' ').next_back();
                body = json!({ "email": self.address(), "password": PASSWORD, "role": role });
            }
            (_, "/api/auth/login" | "/api/auth/refresh", _) => {
                let pupil = self.passing(who).await.unwrap();
                let email = &pupil.person.email;
                let session = browser.sign_in(email, PASSWORD).await.unwrap();
                body = if line.template.ends_with("login") {
                    json!({ "email": email, "password": PASSWORD })
                } else {
                    json!({ "refresh_token": session.refresh_token })
                };
            }
            (_, "/api/auth/logout" | "/api/account", _) => {
                if let Some(pupil) = self.passing(who).await {
                    body = json!({ "email": pupil.person.email });
                    browser = pupil.browser;
                }
            }
            (_, "/api/chat/messages/{id}/feedback", _) => {
                id = self.said(line, who).await;
                body = json!({ "rating": "up" });
            }
            (_, "/api/curated-answers/{id}", _) => id = self.said(line, who).await,
            (_, template, _) if template.starts_with("/api/chat/sessions/{id}") => {
                id = self.said(line, who).await;
            }
            ("POST", "/api/curated-answers", _) => {
                body = json!({ "question": WALTZ, "answer": "On beat 2." });
            }
            (_, "/api/chat/query", _) => body = json!({ "query": WALTZ }),
            ("POST", "/api/documents", _) => {
                body = json!({
                    "title": "Announced", "file_name": "announced.pdf", "size_bytes": 9,
                    "sha256": "a0".repeat(32), "visibility": "private",
                });
            }
            (_, template, of) if template.starts_with("/api/documents/{id}") => {
                id = self.document(template, of, who).await;
                if line.method == Method::PATCH {
                    body = json!({ "title": "Renamed" });
                }
            }
            ("POST", "/api/invitations", "to an address") => {
                body = json!({ "email": self.address() });
            }
            (_, "/api/invitations/accept", _) => {
                body = json!({ "code": self.invite(&self.inviter, json!({})).await.code });
            }
            (_, template, of) if template.starts_with("/api/invitations/{id}") => {
                id = self.invitation(of, who).await;
            }
            (_, "/api/students/{id}", of) => {
                let student = self.newcomer(Role::Student).await.person.id;
                if of == "own" {
                    self.link(self.school.teacher.person.id, student).await;
                }
                id = student.to_string();
            }
            (_, "/api/teachers/{id}", of) => {
                let teacher = self.newcomer(Role::Teacher).await.person.id;
                if of == "own" {
                    self.link(teacher, self.school.student.person.id).await;
                }
                id = teacher.to_string();
            }
            (_, "/api/admin/cache/purge", _) => {
                body = json!({ "everything": true, "reason": "a misprint" });
            }
            (_, "/internal/scope/invalidate", _) => body = json!({ "user_ids": [] }),
            _ => {}
        }
        Prepared {
            browser,
            path: line.template.replace("{id}", &id),
            body,
        }
    }

    async fn link(&self, teacher: UserId, student: UserId) {
        let people = self.school.stack.people();
        people.link_student(teacher, student).await.unwrap();
    }

    async fn invite(&self, teacher: &Pupil, body: Value) -> CreatedInvitation {
        let request = teacher.browser.request(Method::POST, "/api/invitations");
        let response = request.json(&body).send().await.unwrap();
        assert_eq!(response.status(), 201);
        response.json().await.unwrap()
    }

    /// A conversation, a question in one, or a teacher's own answer: of the caller or of a stranger.
    async fn said(&self, line: &Line, who: Who) -> String {
        let whose = match (&*line.of, self.pupil(who)) {
            ("own", Some(pupil)) => pupil,
            _ => &self.inviter,
        };
        if line.template.starts_with("/api/curated-answers") {
            let kept = whose.answers_herself(WALTZ, "On beat 2.").await;
            kept.id.to_string()
        } else if line.template.starts_with("/api/chat/messages") {
            whose.asks_in_a_conversation(WALTZ).await.to_string()
        } else {
            let begun = whose.browser.begin_conversation().await.unwrap();
            begun.id.to_string()
        }
    }

    /// One that the caller sent or was sent, or one between strangers.
    async fn invitation(&self, of: &str, who: Who) -> String {
        let (teacher, address) = match (of, who) {
            ("own", Who::Student) => {
                let address = self.school.student.person.email.clone();
                (&self.inviter, address)
            }
            ("own", Who::Teacher) => (&self.school.teacher, self.address()),
            _ => (&self.inviter, self.address()),
        };
        let sent = self.invite(teacher, json!({ "email": address })).await;
        sent.invitation.id.to_string()
    }

    /// A document of the caller, of the caller's teacher, or of a stranger.
    async fn document(&self, template: &str, of: &str, who: Who) -> String {
        let [teachers, admins, strangers, public] = &self.files;
        if template.ends_with("/file") {
            let file = match (of, who) {
                ("own", Who::Admin) => admins,
                ("own" | "teacher's", _) => teachers,
                ("public", _) => public,
                _ => strangers,
            };
            return file.id.to_string();
        }
        let owner = match (of, who) {
            ("own", Who::Admin) => &self.admin,
            ("own" | "teacher's", _) => &self.school.teacher,
            _ => &self.school.other_teacher,
        };
        if template.ends_with("/confirm") && of == "own" {
            let text = format!("%PDF-1.4 {}", self.address());
            let file = journeys::pdf("new.pdf", text.into_bytes(), Visibility::Private);
            let announced = owner.browser.announce(&file).await.unwrap();
            let sending = owner.browser.send_file(&announced, file.bytes);
            sending.await.unwrap();
            return announced.document.id.to_string();
        }
        let (status, failure) = if template.ends_with("/reprocess") {
            ("failed", "'The file is damaged.'")
        } else {
            ("ready", "null")
        };
        let (owner, is_public) = (owner.person.id, of == "public");
        let statement = format!(
            "insert into knowledge_base_docs \
                 (id, owner_id, title, file_name, size_bytes, sha256, is_public, status, failure) \
             values (gen_random_uuid(), '{owner}', 'A book', 'book.pdf', 9, repeat('0', 64), \
                     {is_public}, '{status}', {failure}) \
             returning id"
        );
        let id = self.school.database().run(&statement).await.unwrap();
        id.lines().next().unwrap().trim().to_owned()
    }
}

#[test]
fn everybody_is_told_what_the_table_says_at_every_endpoint() {
    journey(async |school| {
        let cast = Cast::of(school).await;
        let mut wrong = Vec::new();
        let mut sent = 0;
        for line in lines() {
            for (&who, &told) in &line.told {
                let prepared = cast.prepare(&line, who).await;
                let mut request = prepared
                    .browser
                    .request(line.method.clone(), &prepared.path)
                    .header(header::ACCEPT, "application/json");
                if !matches!(line.method, Method::GET | Method::HEAD) {
                    request = request.json(&prepared.body);
                }
                let response = request.send().await.unwrap();
                let status = response.status().as_u16();
                if status != told {
                    let body = response.text().await.unwrap();
                    let Line {
                        method,
                        template,
                        of,
                        ..
                    } = &line;
                    wrong.push(format!(
                        "{method} {template} ({of}) as {who:?}: {status} {body}"
                    ));
                }
                sent += 1;
            }
        }
        assert!(sent > 150, "only {sent} requests stand in the table");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
