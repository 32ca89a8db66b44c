//! Many clients on few connections, through PgBouncer in transaction mode: nobody ever acts with the
//! claims of another, and no prepared statement is missed or mistaken for another's.
//!
//! Needs `ETUDE_TEST_POOLER_URL`: ten connections, as production has them.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use shared_types::{
    chat::SearchFilters,
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::ChunkId,
};
use sqlx::{Executor, error::DatabaseError};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use storage::{
    PgPool, PoolSettings, ReaderTx, documents, passages, reader, scope,
    search::{self, SearchRequest, SearchSettings},
};
use support::{Database, MODEL, embedding, leave_after};
use tokio::time::timeout;
use uuid::Uuid;

const CLIENTS: usize = 64;
const TRANSACTIONS_OF_EACH: usize = 60;
/// Of the pooler.
const CONNECTIONS: i64 = 10;

const TEXT: &str = "Curve the fingers and drop the wrist.";

/// Somebody, and the passages that they and nobody else may read.
struct Person {
    claims: AccessClaims,
    readable: BTreeSet<ChunkId>,
}

struct School {
    db: Database,
    pooled: PgPool,
    people: Vec<Person>,
    /// Whom each connection to the server has served.
    served: Mutex<BTreeMap<i32, BTreeSet<Uuid>>>,
    /// How many statements were left before their end.
    left_early: AtomicU32,
}

impl School {
    /// Six teachers with a private document each, and a student of each.
    async fn new() -> Self {
        let db = Database::new().await;
        let mut everybody = Vec::new();
        for _ in 0..6 {
            let teacher = db.person(Role::Teacher).await;
            let student = db.person(Role::Student).await;
            db.link(&teacher, &student).await;
            db.ready(&teacher, Visibility::Private, &[TEXT]).await;
            everybody.extend([(teacher.sub, teacher.clone()), (teacher.sub, student)]);
        }
        let mut people = Vec::new();
        for (owner, claims) in everybody {
            let ids: Vec<Uuid> =
                sqlx::query_scalar("select id from document_chunks where owner_id = $1")
                    .bind(owner.0)
                    .fetch_all(&db.owner)
                    .await
                    .unwrap();
            let readable = ids.into_iter().map(ChunkId).collect();
            people.push(Person { claims, readable });
        }
        let settings = PoolSettings {
            max_connections: CLIENTS as u32,
            acquire_timeout: Duration::from_mins(1),
            ..PoolSettings::default()
        };
        let pooled = storage::connect(db.pooler_url().as_str(), settings)
            .await
            .unwrap();
        Self {
            db,
            pooled,
            people,
            served: Mutex::default(),
            left_early: AtomicU32::default(),
        }
    }

    async fn begin(&self, person: &Person) -> ReaderTx {
        let mut tx = reader::begin(&self.pooled, &person.claims).await.unwrap();
        self.check(&mut tx, person).await;
        tx
    }

    /// Whom the database takes the caller for.
    async fn check(&self, tx: &mut ReaderTx, person: &Person) {
        let (role, user, connection): (String, Option<Uuid>, i32) =
            sqlx::query_as("select current_user::text, auth.uid(), pg_backend_pid()")
                .fetch_one(tx.connection())
                .await
                .unwrap();
        assert_eq!(
            (role.as_str(), user),
            ("authenticated", Some(person.claims.sub.0))
        );
        let mut served = self.served.lock().unwrap();
        served
            .entry(connection)
            .or_default()
            .insert(person.claims.sub.0);
    }

    /// One client: transactions of one person after the other, of every kind, each followed by a
    /// statement outside of any.
    async fn client(&self, client: usize) {
        for turn in 0..TRANSACTIONS_OF_EACH {
            let person = &self.people[(client * 7 + turn * 5) % self.people.len()];
            // Each client comes to its statements in an order of its own, so that the driver gives the
            // same name to different ones.
            match (client + turn) % 7 {
                0 => self.search(person).await,
                1 => self.read(person).await,
                2 => self.write_and_take_back(person).await,
                3 => self.fail_midway(person).await,
                4 => self.give_up_midway(person).await,
                5 if turn % 10 == 0 => self.vanish_midway(person).await,
                6 => self.give_up_beginning(person).await,
                _ => self.ask(person).await,
            }
            self.check_that_nothing_stayed().await;
        }
    }

    async fn search(&self, person: &Person) {
        let mut tx = self.begin(person).await;
        let embedding = embedding(TEXT);
        let request = SearchRequest {
            query: "fingers",
            embedding: Some(&embedding),
            embedding_model: MODEL,
        };
        let lists = search::hybrid(
            &mut tx,
            &request,
            &SearchFilters::default(),
            &SearchSettings::default(),
        )
        .await
        .unwrap();
        for list in [&lists.vector, &lists.lexical] {
            let found: BTreeSet<_> = list.iter().map(|hit| hit.chunk_id).collect();
            assert_eq!(found, person.readable);
        }
        self.check(&mut tx, person).await;
        tx.commit().await.unwrap();
    }

    async fn read(&self, person: &Person) {
        let mut tx = reader::begin_snapshot(&self.pooled, &person.claims)
            .await
            .unwrap();
        let everything: Vec<ChunkId> = self
            .people
            .iter()
            .flat_map(|person| person.readable.iter().copied())
            .collect();
        let shown = passages::by_ids(&mut tx, &everything).await.unwrap();
        let shown: BTreeSet<_> = shown.iter().map(|passage| passage.chunk_id).collect();
        assert_eq!(shown, person.readable);
        self.check(&mut tx, person).await;
        tx.end_reading();
    }

    async fn write_and_take_back(&self, person: &Person) {
        let mut tx = self.begin(person).await;
        for stored in documents::list(&mut tx, None, 200).await.unwrap().items {
            documents::set_visibility(&mut tx, stored.document.id, Visibility::Public)
                .await
                .unwrap();
        }
        // No commit: what one person published for a moment, the others must not find.
    }

    async fn fail_midway(&self, person: &Person) {
        let mut tx = self.begin(person).await;
        let failed = tx.connection().execute("select 1 / 0").await.unwrap_err();
        let code = failed.as_database_error().and_then(DatabaseError::code);
        assert_eq!(code.as_deref(), Some("22012"), "{failed}");
    }

    /// The caller goes away before the database says that it began.
    async fn give_up_beginning(&self, person: &Person) {
        for polls in 1..=2 {
            leave_after(polls, reader::begin(&self.pooled, &person.claims)).await;
        }
    }

    /// The caller goes away while the database works.
    async fn give_up_midway(&self, person: &Person) {
        let mut tx = self.begin(person).await;
        let slow = sqlx::query("select pg_sleep($1)")
            .bind(0.02_f64)
            .execute(tx.connection());
        self.leave_early(slow).await;
    }

    /// The whole process goes away while the database works.
    async fn vanish_midway(&self, person: &Person) {
        // Out of the pool's hands it is closed where it is dropped.
        let mut connection = self.pooled.acquire().await.unwrap().detach();
        let claims = serde_json::to_string(&person.claims).unwrap();
        connection.execute("begin").await.unwrap();
        sqlx::query(
            "select set_config('role', 'authenticated', true), \
                    set_config('request.jwt.claims', $1, true)",
        )
        .bind(claims)
        .execute(&mut connection)
        .await
        .unwrap();
        let slow = connection.execute("select pg_sleep(0.02)");
        self.leave_early(slow).await;
    }

    /// Drops what takes twenty milliseconds after two. On a busy machine, two may be twenty: such a one is not counted.
    async fn leave_early(&self, slow: impl Future) {
        if timeout(Duration::from_millis(2), slow).await.is_err() {
            self.left_early.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn ask(&self, person: &Person) {
        let mut tx = self.begin(person).await;
        scope::facts(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn check_that_nothing_stayed(&self) {
        let (role, claims): (String, Option<String>) = sqlx::query_as(
            "select current_user::text, nullif(current_setting('request.jwt.claims', true), '')",
        )
        .fetch_one(&self.pooled)
        .await
        .unwrap();
        assert_eq!((role.as_str(), claims), ("etude_origin", None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_on_ten_connections_never_meet_the_claims_of_another() {
    let school = Arc::new(School::new().await);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let school = Arc::clone(&school);
            tokio::spawn(async move { school.client(client).await })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }

    let connections: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity \
         where datname = current_database() and usename = 'etude_origin'",
    )
    .fetch_one(&school.db.owner)
    .await
    .unwrap();
    // One more came straight from the support code, which links people.
    let direct = i64::from(school.db.origin.size());
    assert!(
        connections - direct <= CONNECTIONS,
        "{connections} connections, {direct} of them past the pooler"
    );
    assert!(school.left_early.load(Ordering::Relaxed) > 0);
    let served = school.served.lock().unwrap();
    assert!(
        served
            .values()
            .any(|people| people.len() == school.people.len()),
        "no connection served everybody"
    );
}
