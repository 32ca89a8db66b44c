//! Re-embedding a library in a real Postgres, as an operator does it.
//!
//! Needs `ETUDE_TEST_DATABASE_URL` (see `storage/tests/support`).

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

#[path = "../../storage/tests/support/mod.rs"]
mod support;
mod world;

use shared_types::{claims::Role, documents::Visibility};
use std::process::{Output, Stdio};
use storage::reembedding::{self, Standby};
use support::{Database, MODEL};
use tokio::process::Command;
use world::World;

const NEXT: &str = "@test/next";
/// More than are stored at once, and not a multiple of that.
const PASSAGES: usize = 600;

struct Library {
    db: Database,
    world: World,
}

impl Library {
    async fn new() -> Self {
        let db = Database::new().await;
        let teacher = db.person(Role::Teacher).await;
        let texts: Vec<String> = (0..PASSAGES).map(|n| format!("Passage {n}.")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for (visibility, texts) in [
            (Visibility::Private, &texts[..250]),
            (Visibility::Public, &texts[250..]),
        ] {
            db.ready(&teacher, visibility, texts).await;
        }
        let world = World::new().await;
        Self { db, world }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingest-worker"));
        command
            .arg("reembed")
            .args(words)
            .env_clear()
            .env("DATABASE_URL", self.db.ingest_url())
            .env("CLOUDFLARE_API_BASE", self.world.url("ai").as_str())
            .env("CLOUDFLARE_ACCOUNT_ID", "account")
            .env("CLOUDFLARE_API_TOKEN", "token")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().await.unwrap()
    }

    /// Runs to success; what was printed.
    async fn succeed(&self, words: &[&str]) -> String {
        let output = self.run(words).await;
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {log}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn embedded(&self) -> usize {
        self.world.embedded().concat().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_building_that_is_killed_goes_on_where_it_was() {
    let library = Library::new().await;
    library.world.hold_embedding();
    library.world.allow_embeddings(10);
    let mut killed = library
        .command(&["build", "--to", NEXT])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Two batches into its second page: the first, of eight, is stored.
    for _ in 0..11 {
        library.world.batch_arrived().await;
    }
    killed.kill().await.unwrap();
    let standing = reembedding::standing(&library.db.ingest).await.unwrap();
    assert_eq!(standing.beside, 256);
    assert_eq!(
        standing.live.as_deref(),
        Some(MODEL),
        "and nothing else changed"
    );

    library.world.release_embedding();
    let before = library.embedded();
    let printed = library.succeed(&["build", "--to", NEXT]).await;
    assert!(printed.contains("256 of 600"), "{printed}");
    assert!(printed.contains("600 of 600"), "{printed}");
    assert_eq!(library.embedded() - before, PASSAGES - 256);
    library.succeed(&["build", "--to", NEXT]).await;
    assert_eq!(
        library.embedded() - before,
        PASSAGES - 256,
        "nothing is left to do"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_builds_switches_and_clears() {
    let library = Library::new().await;
    library.succeed(&["build", "--to", NEXT]).await;
    let teacher = library.db.person(Role::Teacher).await;
    library
        .db
        .ready(&teacher, Visibility::Private, &["Uploaded meanwhile."])
        .await;
    let printed = library.succeed(&["status"]).await;
    assert!(
        printed.contains("600 of them have their vector of @test/next#cls"),
        "{printed}"
    );

    library.succeed(&["switch", "--to", NEXT]).await;
    let standing = reembedding::standing(&library.db.ingest).await.unwrap();
    assert_eq!(standing.live.as_deref(), Some("@test/next#cls"));
    assert_eq!(standing.standby, Standby::Former(MODEL.into()));
    assert_eq!(standing.passages, 601);

    let refused = library.run(&["build", "--to", "@test/third"]).await;
    assert!(!refused.status.success());
    let reason = String::from_utf8(refused.stderr).unwrap();
    assert!(
        reason.contains("vectors of @test/encoder#cls are still kept"),
        "{reason}"
    );
    library.succeed(&["clear"]).await;
    let printed = library.succeed(&["status"]).await;
    assert!(
        printed.contains("601 passages are searched by @test/next#cls"),
        "{printed}"
    );
}
