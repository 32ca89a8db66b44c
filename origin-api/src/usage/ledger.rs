//! Puts on record what each call of a model used, on the account of whoever it was made for.
//!
//! Nothing waits for the record: a task of its own keeps it, one entry after the other, so it takes one connection
//! however many answers end at once. What it can't keep in time is lost to the sums, never to the reader.

use crate::{error::chain, metrics::metrics};
use shared_types::{chat::Usage, claims::AccessClaims};
use std::{sync::Arc, time::Duration};
use storage::{PgPool, reader};
use tokio::{
    sync::{
        mpsc::{Receiver, Sender, channel},
        oneshot,
    },
    time::timeout,
};

/// Entries that wait to be kept; one more is lost.
const WAITING: usize = 1_024;
/// For keeping one entry, whatever it waits for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where calls are put on record; cheap to clone.
#[derive(Clone)]
pub struct Ledger(Sender<Entry>);

/// What is written into a [`Ledger`].
pub(crate) enum Entry {
    /// A call has ended.
    Call(Box<AccessClaims>, Usage),
    /// Somebody wants to know that all before it is kept.
    Mark(oneshot::Sender<()>),
}

impl Ledger {
    /// A ledger that is kept in the database behind `pool`. Connects with the first entry.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let (ledger, entries) = Self::kept_by_hand();
        tokio::spawn(keep(entries, pool));
        ledger
    }

    /// A ledger, and what is written into it.
    pub(crate) fn kept_by_hand() -> (Self, Receiver<Entry>) {
        let (sender, entries) = channel(WAITING);
        (Self(sender), entries)
    }

    /// Has one call put on the account of whoever `claims` name. Returns at once.
    pub fn record(&self, claims: AccessClaims, usage: Usage) {
        let user_id = claims.sub;
        if let Err(error) = self.0.try_send(Entry::Call(claims.into(), usage)) {
            metrics().usage_recorded(false);
            tracing::error!(%user_id, cause = %error, "usage was not recorded");
        }
    }

    /// An open account of one call that is about to be made for whoever `claims` name.
    #[must_use]
    pub fn open(&self, claims: AccessClaims) -> Account {
        Account {
            ledger: self.clone(),
            claims: Some(claims),
            model: Arc::from("unknown"),
            usage: None,
        }
    }

    /// Resolves once every entry so far is kept or lost.
    pub async fn settled(&self) {
        let (mark, reached) = oneshot::channel();
        if self.0.send(Entry::Mark(mark)).await.is_ok() {
            // Left unanswered, it says the same: nobody keeps entries any more.
            let _ = reached.await;
        }
    }
}

/// What one call has used so far. Dropped, it goes on record: at the call's end, where it breaks off, and where nobody
/// listens any more. A call of which nothing is known leaves no record.
pub struct Account {
    ledger: Ledger,
    /// Taken by the drop.
    claims: Option<AccessClaims>,
    model: Arc<str>,
    usage: Option<Usage>,
}

impl Account {
    /// Which model answers.
    pub fn by(&mut self, model: Arc<str>) {
        self.model = model;
    }

    /// The call has used so much by now.
    pub fn count(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let (Some(claims), Some(usage)) = (self.claims.take(), self.usage) {
            metrics().used(&self.model, &usage);
            self.ledger.record(claims, usage);
        }
    }
}

async fn keep(mut entries: Receiver<Entry>, pool: PgPool) {
    while let Some(entry) = entries.recv().await {
        match entry {
            Entry::Call(claims, usage) => {
                let user_id = claims.sub;
                match timeout(PATIENCE, put_down(&pool, &claims, &usage)).await {
                    Ok(Ok(())) => metrics().usage_recorded(true),
                    Ok(Err(error)) => {
                        metrics().usage_recorded(false);
                        tracing::error!(%user_id, cause = chain(&error), "usage was not recorded");
                    }
                    Err(_) => {
                        metrics().usage_recorded(false);
                        tracing::error!(%user_id, cause = "timed out", "usage was not recorded");
                    }
                }
            }
            Entry::Mark(mark) => {
                // Whoever asked may have left.
                let _ = mark.send(());
            }
        }
    }
}

async fn put_down(
    pool: &PgPool,
    claims: &AccessClaims,
    usage: &Usage,
) -> Result<(), storage::Error> {
    let mut reader = reader::begin(pool, claims).await?;
    storage::usage::record(&mut reader, usage).await?;
    reader.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{requests::lines::Lines, usage::payer::payer};
    use sqlx::postgres::PgPoolOptions;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn what_can_not_be_kept_in_time_is_given_up_and_logged() {
        let (lines, _guard) = Lines::of_this_thread();
        // Nobody listens there; a pool tries again for half a minute.
        let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
        let ledger = Ledger::new(PgPoolOptions::new().connect_lazy(nowhere).unwrap());
        let asked = Instant::now();
        ledger.record(payer(1), Usage::default());
        assert_eq!(asked.elapsed(), Duration::ZERO);
        ledger.settled().await;
        assert!(asked.elapsed() < PATIENCE + Duration::from_secs(1));
        let lines = lines.read();
        let lost: Vec<_> = lines
            .iter()
            .filter(|line| line["message"] == "usage was not recorded")
            .collect();
        assert_eq!(lost.len(), 1, "{lines:?}");
        assert_eq!(lost[0]["user_id"], payer(1).sub.to_string());
        assert_eq!(lost[0]["cause"], "timed out");
    }

    #[tokio::test]
    async fn more_than_can_wait_is_lost_and_holds_up_nobody() {
        let (lines, _guard) = Lines::of_this_thread();
        let (ledger, entries) = Ledger::kept_by_hand();
        for _ in 0..=WAITING {
            ledger.record(payer(1), Usage::default());
        }
        assert_eq!(entries.len(), WAITING);
        assert_eq!(lines.read().len(), 1);
    }
}
