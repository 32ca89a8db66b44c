//! The secrets of a stack: drawn once, kept in its folder for nobody but its user.

use crate::{StackError, random};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The secrets of a stack.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// What the edge and the origin prove themselves with.
    pub edge_token: String,
    /// The superuser of the stack's own database server.
    pub database_password: String,
    /// The key that browsers send to the sign-in service.
    pub anon_key: String,
    /// The key that opens the sign-in service's admin endpoints.
    pub service_role_key: String,
    /// The S3 key's name.
    pub objects_key_id: String,
    /// The S3 key.
    pub objects_key: String,
    /// Passwords of the people that were made for this stack, by e-mail address.
    #[serde(default)]
    pub passwords: BTreeMap<String, String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// The secrets kept in `folder`, drawn and kept there at the first call.
    pub fn load_or_draw(folder: &Path) -> Result<Self, StackError> {
        let path = folder.join("secrets.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| StackError::StaleData {
                path: folder.to_owned(),
                found: format!("something else (secrets.json: {error})"),
                expected: "this version".into(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let drawn = Self::draw().map_err(StackError::file("/dev/urandom"))?;
                drawn.keep(folder)?;
                Ok(drawn)
            }
            Err(error) => Err(StackError::file(path)(error)),
        }
    }

    /// Writes them to `folder`, readable by the user alone.
    pub fn keep(&self, folder: &Path) -> Result<(), StackError> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| StackError::Setting(format!("secrets can't be written: {error}")))?;
        write_private(&folder.join("secrets.json"), &json)
    }

    /// The password of this person, drawn at the first call.
    pub fn password_of(&mut self, email: &str) -> Result<String, StackError> {
        if let Some(password) = self.passwords.get(email) {
            return Ok(password.clone());
        }
        let password = random::hex(12).map_err(StackError::file("/dev/urandom"))?;
        self.passwords.insert(email.to_owned(), password.clone());
        Ok(password)
    }

    fn draw() -> io::Result<Self> {
        Ok(Self {
            edge_token: random::hex(32)?,
            database_password: random::hex(16)?,
            anon_key: random::hex(24)?,
            service_role_key: random::hex(24)?,
            objects_key_id: random::hex(16)?,
            objects_key: random::hex(32)?,
            passwords: BTreeMap::new(),
        })
    }
}

/// Replaces a file in one step; only the user may read it.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), StackError> {
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        fs::rename(&temporary, path)
    };
    write().map_err(StackError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn secrets_are_drawn_once_and_only_their_user_may_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Secrets::load_or_draw(folder.path()).unwrap();
        let password = first.password_of("teacher@etude.example").unwrap();
        first.keep(folder.path()).unwrap();

        let mut again = Secrets::load_or_draw(folder.path()).unwrap();
        assert_eq!(again.edge_token, first.edge_token);
        assert_eq!(
            again.password_of("teacher@etude.example").unwrap(),
            password
        );
        let mode = fs::metadata(folder.path().join("secrets.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(&first.edge_token));
    }
}
