//! As whom the embedded server runs. `PostgreSQL` refuses to run as root.

use crate::{StackError, process::RunAs};
use nix::unistd::{Gid, Uid, User, chown};
use sha2::{Digest, Sha256};
use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where a server's files are and how its programs are called.
#[derive(Clone, Debug)]
pub(super) struct Accommodation {
    /// `PostgreSQL`'s installation, readable by whoever runs it.
    pub(super) installation: PathBuf,
    /// A folder that whoever runs it may write to.
    pub(super) folder: PathBuf,
    /// As whom it runs.
    pub(super) run_as: RunAs,
    prefix: Vec<OsString>,
}

impl Accommodation {
    /// An ordinary user runs it in `folder`. Root runs it in a user namespace, in which root is called
    /// 1000; where those are forbidden, as another account, whose files then stand in `/var/tmp`: it may
    /// not look into root's home.
    pub(super) fn choose(
        installation: &Path,
        folder: &Path,
        password: &str,
    ) -> Result<Self, StackError> {
        fs::create_dir_all(folder).map_err(StackError::file(folder))?;
        let at_home = |prefix: &[&str]| Self {
            installation: installation.to_owned(),
            folder: folder.to_owned(),
            run_as: RunAs::Caller,
            prefix: prefix.iter().map(OsString::from).collect(),
        };
        if !Uid::effective().is_root() {
            return Ok(at_home(&[]));
        }
        let namespace = ["unshare", "-U", "--map-user=1000", "--map-group=1000"];
        if succeeds(&[&namespace[..], &["true"]].concat()) {
            return Ok(at_home(&namespace));
        }
        Self::with_account(installation, folder, password)
    }

    fn with_account(
        installation: &Path,
        folder: &Path,
        password: &str,
    ) -> Result<Self, StackError> {
        let user = ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .ok_or_else(|| {
                StackError::Setting(
                    "PostgreSQL refuses to run as root, user namespaces are forbidden here, and there is \
                     neither an account `postgres` nor `nobody`: run as an ordinary user"
                        .into(),
                )
            })?;
        let root = installation_root(installation);
        let copy = Path::new("/var/tmp").join(format!("etude-postgresql-{}", digest(root, "")));
        if !copy.join("complete").exists() {
            copy_tree(root, &copy)?;
            fs::write(copy.join("complete"), "").map_err(StackError::file(&copy))?;
        }
        // A folder whose secrets were drawn anew is a new one.
        let data = Path::new("/var/tmp").join(format!("etude-data-{}", digest(folder, password)));
        fs::create_dir_all(&data).map_err(StackError::file(&data))?;
        own(&data, user.uid, user.gid)?;
        Ok(Self {
            installation: copy.join(installation.strip_prefix(root).unwrap_or(Path::new(""))),
            folder: data,
            run_as: RunAs::Account {
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
            },
            prefix: Vec::new(),
        })
    }

    /// The executable and arguments that run `bin/{program}`.
    pub(super) fn command(
        &self,
        program: &str,
        arguments: Vec<OsString>,
    ) -> (PathBuf, Vec<OsString>) {
        let program = self.installation.join("bin").join(program).into_os_string();
        let mut words: Vec<OsString> = self.prefix.clone();
        words.push(program);
        words.extend(arguments);
        let executable = PathBuf::from(words.remove(0));
        (executable, words)
    }

    /// Gives a file in the folder to whoever runs the server.
    pub(super) fn hand_over(&self, path: &Path) -> Result<(), StackError> {
        match self.run_as {
            RunAs::Caller => Ok(()),
            RunAs::Account { uid, gid } => own(path, Uid::from_raw(uid), Gid::from_raw(gid)),
        }
    }
}

/// The wheel's libraries stand in a folder beside the installation and must stay there.
fn installation_root(installation: &Path) -> &Path {
    installation.ancestors().nth(2).unwrap_or(installation)
}

fn digest(path: &Path, salt: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(path.as_os_str().as_bytes());
    digest.update([0]);
    digest.update(salt);
    hex::encode(digest.finalize())[..12].to_owned()
}

fn own(path: &Path, uid: Uid, gid: Gid) -> Result<(), StackError> {
    chown(path, Some(uid), Some(gid))
        .map_err(|error| StackError::file(path)(io::Error::from(error)))
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), StackError> {
    fs::create_dir_all(to).map_err(StackError::file(to))?;
    for entry in fs::read_dir(from).map_err(StackError::file(from))? {
        let entry = entry.map_err(StackError::file(from))?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(StackError::file(from))?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).map_err(StackError::file(&target))?;
        }
    }
    Ok(())
}

fn succeeds(words: &[&str]) -> bool {
    Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
