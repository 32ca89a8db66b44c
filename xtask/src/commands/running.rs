//! The system of this checkout that runs, if one does: where it is, who may sign in.

use crate::{cache::Cache, checkout::Checkout};
use anyhow::{Context, Result, bail};
use local_stack::{
    Client, Encoder,
    process::leftover,
    secrets::{Secrets, write_private},
};
use serde::{Deserialize, Serialize};
use shared_types::origin::Health;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::PathBuf,
    time::Duration,
};

/// How long a health check may take.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);

/// The folder of all systems of this checkout: one for each encoder, of which one runs at a time.
#[derive(Clone, Debug)]
pub struct Home {
    folder: PathBuf,
}

/// A system that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// What browsers use.
    pub edge_url: String,
    /// The stack's folder.
    pub folder: PathBuf,
    /// Its processes.
    pub processes: Vec<u32>,
}

/// Held by the `up` that is starting or serving. Its file names the process.
#[derive(Debug)]
pub struct Supervisor {
    _file: File,
}

impl Home {
    pub fn open(checkout: &Checkout) -> Result<Self> {
        let folder = Cache::open()?.path("stacks").join(checkout.name());
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder })
    }

    /// The stack's folder. Vectors of one encoder mean nothing to the other, so each has its own data.
    pub fn stack(&self, encoder: Encoder) -> PathBuf {
        self.folder.join(encoder.name())
    }

    /// The folders of all stacks.
    pub fn stacks(&self) -> [PathBuf; 2] {
        [Encoder::Mpnet, Encoder::Small].map(|encoder| self.stack(encoder))
    }

    /// Becomes the supervisor; the error is the process id of the one that there is.
    pub fn supervise(&self) -> Result<Result<Supervisor, Option<i32>>> {
        let path = self.folder.join("supervisor");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        if file.try_lock().is_err() {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            return Ok(Err(text.trim().parse().ok()));
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(Ok(Supervisor { _file: file }))
    }

    /// Notes what runs.
    pub fn note(&self, running: &Running) -> Result<()> {
        write_private(
            &self.folder.join("running.json"),
            &serde_json::to_vec(running)?,
        )?;
        Ok(())
    }

    /// Notes that nothing runs.
    pub fn forget(&self) -> Result<()> {
        match fs::remove_file(self.folder.join("running.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What was noted, whether it still runs or not.
    pub fn noted(&self) -> Option<Running> {
        let text = fs::read(self.folder.join("running.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The system that runs and answers.
    pub async fn running(&self) -> Result<Running> {
        let Some(running) = self.noted() else {
            bail!("nothing runs: start it with `cargo xtask up`");
        };
        if running.is_healthy().await {
            return Ok(running);
        }
        if leftover::find(&running.folder).is_empty() {
            bail!("nothing runs any more: start it with `cargo xtask up`");
        }
        bail!(
            "the system at {} is not whole any more: `cargo xtask up` starts it anew",
            running.edge_url
        )
    }
}

impl Running {
    /// Whether every process is there, and the edge answers.
    pub async fn is_healthy(&self) -> bool {
        let there: Vec<u32> = leftover::find(&self.folder)
            .iter()
            .map(|process| process.pid.cast_unsigned())
            .collect();
        if !self.processes.iter().all(|process| there.contains(process)) {
            return false;
        }
        let client = Client::new(&self.edge_url);
        let request = client
            .request(reqwest::Method::GET, "/api/health")
            .timeout(HEALTH_PATIENCE);
        let Ok(response) = request.send().await else {
            return false;
        };
        let health = response.json::<Health>().await;
        health.is_ok_and(|health| health.status == "ok")
    }

    /// A client signed in as one of the people of this system.
    pub async fn sign_in(&self, email: &str) -> Result<Client> {
        let secrets = Secrets::load_or_draw(&self.folder)?;
        let Some(password) = secrets.passwords.get(email) else {
            let known: Vec<&str> = secrets.passwords.keys().map(String::as_str).collect();
            bail!(
                "nobody here is called {email}; there are {}",
                known.join(", ")
            );
        };
        Ok(Client::new(&self.edge_url)
            .signed_in(email, password)
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_supervisor_at_a_time_and_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home {
            folder: folder.path().to_owned(),
        };
        let supervisor = home.supervise().unwrap().unwrap();
        assert_eq!(
            home.supervise().unwrap().unwrap_err(),
            Some(std::process::id().cast_signed())
        );
        drop(supervisor);
        assert!(home.supervise().unwrap().is_ok());
    }

    #[test]
    fn what_is_noted_is_found_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home {
            folder: folder.path().to_owned(),
        };
        assert!(home.noted().is_none());
        let running = Running {
            edge_url: "http://127.0.0.1:8787".into(),
            folder: "/stack".into(),
            processes: Vec::new(),
        };
        home.note(&running).unwrap();
        assert_eq!(home.noted().unwrap().edge_url, running.edge_url);
        home.forget().unwrap();
        home.forget().unwrap();
        assert!(home.noted().is_none());
    }
}
