//! SQL through `psql`: a handful of statements at start do not need a driver.

use crate::{StackError, process::RunAs};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{io::AsyncWriteExt, process::Command};
use url::Url;

/// Runs SQL in one database.
#[derive(Clone, Debug)]
pub struct Psql {
    executable: PathBuf,
    url: Url,
}

impl Psql {
    /// For the database at `url`. The installation's own `psql` can't speak TLS, so that a server elsewhere
    /// is reached with the one in the PATH, where there is one.
    pub fn new(installation: &Path, url: &str) -> Result<Self, StackError> {
        let url = parse(url)?;
        let is_local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        let in_path = || {
            std::env::split_paths(&std::env::var_os("PATH")?)
                .map(|folder| folder.join("psql"))
                .find(|candidate| candidate.is_file())
        };
        let own = installation.join("bin/psql");
        let executable = if is_local {
            own
        } else {
            in_path().unwrap_or(own)
        };
        Ok(Self { executable, url })
    }

    /// The database's URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn for_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.url.set_path(name);
        other
    }

    /// Runs statements, stops at the first error, and returns the rows: one a line, columns parted by `|`.
    pub async fn run(&self, sql: &str) -> Result<String, StackError> {
        let mut address = self.url.clone();
        let password = self.url.password().unwrap_or_default().to_owned();
        // Arguments can be read by everyone on the machine. A URL with a host takes no password error.
        let _ = address.set_password(None);
        let mut child = Command::new(&self.executable)
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                address.as_str(),
            ])
            .env("PGPASSWORD", decoded(&password))
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| StackError::Spawn {
                program: self.executable.display().to_string(),
                source,
            })?;
        if let Some(mut stdin) = child.stdin.take() {
            // It closes its input at the first error; that error is what is reported below.
            let _ = stdin.write_all(sql.as_bytes()).await;
        }
        let output = child
            .wait_with_output()
            .await
            .map_err(StackError::file(&self.executable))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(StackError::Command {
            what: format!(
                "SQL in database {}",
                self.url.path().trim_start_matches('/')
            ),
            status: output.status,
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

/// Runs a program to its end.
pub(super) async fn run(
    executable: &Path,
    arguments: &[OsString],
    run_as: &RunAs,
    folder: &Path,
) -> Result<(), StackError> {
    let mut command = Command::new(executable);
    command
        .args(arguments)
        .current_dir(folder)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let RunAs::Account { uid, gid } = run_as {
        command.uid(*uid).gid(*gid);
    }
    let output = command.output().await.map_err(|source| StackError::Spawn {
        program: executable.display().to_string(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(StackError::Command {
        what: format!(
            "{} {}",
            executable.display(),
            arguments
                .first()
                .map_or("".into(), |word| word.to_string_lossy())
        ),
        status: output.status,
        output: text.trim().to_owned(),
    })
}

/// Reads a database URL.
pub(super) fn parse(url: &str) -> Result<Url, StackError> {
    Url::parse(url).map_err(|source| StackError::Url {
        name: "the database address",
        source,
    })
}

/// Undoes percent encoding.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes
            .get(at + 1..at + 3)
            .and_then(|digits| hex::decode(digits).ok());
        match escape {
            Some(byte) if bytes[at] == b'%' => {
                decoded.extend(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_percent_decoded() {
        assert_eq!(decoded("p%40ss%2Fword%"), "p@ss/word%");
    }

    #[test]
    fn another_database_keeps_server_and_user() {
        let psql = Psql::new(
            Path::new("/pg"),
            "postgres://postgres:secret@127.0.0.1:8791/postgres",
        );
        let other = psql.unwrap().for_database("etude");
        assert_eq!(
            other.url().as_str(),
            "postgres://postgres:secret@127.0.0.1:8791/etude"
        );
    }
}
