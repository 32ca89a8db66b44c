use crate::Error;
use sqlx::postgres::PgListener;

/// The channel that a queued job is announced on.
const CHANNEL: &str = "ingest_jobs";

/// Wakes a worker when a job is queued. Only a hint: what it missed is still in the queue, so a
/// worker also looks from time to time. Needs a connection of its own, straight to PostgreSQL or
/// through a pooler in session mode.
#[derive(Debug)]
pub struct WakeUp(PgListener);

impl WakeUp {
    /// Begins to listen.
    pub async fn listen(url: &str) -> Result<Self, Error> {
        let mut listener = PgListener::connect(url).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// Waits for a job to be queued, or for the connection to have been made anew (what was
    /// announced meanwhile is unknown). Cancel safe.
    pub async fn wait(&mut self) -> Result<(), Error> {
        self.0.try_recv().await?;
        Ok(())
    }
}
