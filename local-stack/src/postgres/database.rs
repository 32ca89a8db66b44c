//! A database with the migrations, and one URL for each role that the system connects as.

use super::{Psql, psql::parse};
use crate::{StackError, random};
use nix::unistd::Uid;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// Roles that processes connect as. The first two come from the migrations, the third from Supabase or
/// from its local stand-in.
const LOGIN_ROLES: [&str; 3] = ["etude_origin", "etude_ingest", "supabase_auth_admin"];

/// What makes a database ready.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// The checkout, for the migrations and the bootstrap.
    pub repository: PathBuf,
    /// The binary that runs the migrations.
    pub origin_binary: PathBuf,
}

/// A database that is ready.
#[derive(Clone, Debug)]
pub struct Database {
    owner: Psql,
    role_secret: String,
    drop_with: Option<Psql>,
}

impl Database {
    /// Prepares the database at `owner`, which exists: what Supabase provides by itself where it is missing,
    /// the migrations, and passwords for the login roles.
    ///
    /// Passwords derive from `role_secret`: all stacks on one server share its roles, so they must arrive at
    /// the same ones.
    pub async fn prepare(
        owner: Psql,
        role_secret: &str,
        preparation: &Preparation,
    ) -> Result<Self, StackError> {
        let has_auth = owner
            .run("select count(*) from pg_namespace where nspname = 'auth'")
            .await?;
        let is_bare = has_auth == "0";
        if is_bare {
            let path = preparation.bootstrap();
            let sql = fs::read_to_string(&path).map_err(StackError::file(&path))?;
            owner.run(&sql).await?;
        }
        preparation.migrate(owner.url().as_str()).await?;
        let database = Self {
            owner,
            role_secret: role_secret.to_owned(),
            drop_with: None,
        };
        database.set_passwords(is_bare).await?;
        Ok(database)
    }

    /// Creates `name` on the server at `admin` unless it is there, and prepares it.
    pub async fn named(
        admin: &Psql,
        name: &str,
        preparation: &Preparation,
    ) -> Result<Self, StackError> {
        let count = format!("select count(*) from pg_database where datname = '{name}'");
        if admin.run(&count).await? == "0" {
            admin.run(&format!("create database {name}")).await?;
        }
        Self::prepare(
            admin.for_database(name),
            &superuser_password(admin),
            preparation,
        )
        .await
    }

    /// A new database, cloned from a template that the first caller prepares. It is dropped by
    /// [`Database::discard`].
    pub async fn cloned(admin: &Psql, preparation: &Preparation) -> Result<Self, StackError> {
        let fingerprint = preparation.fingerprint()?;
        let template = format!("etude_template_{}", &fingerprint[..12]);
        let count = format!("select count(*) from pg_database where datname = '{template}'");
        if admin.run(&count).await? == "0" {
            let lock = lock(&template)?;
            if admin.run(&count).await? == "0" {
                let unfinished = format!("{template}_unfinished");
                admin
                    .run(&format!(
                        "drop database if exists {unfinished} with (force)"
                    ))
                    .await?;
                Self::named(admin, &unfinished, preparation).await?;
                admin
                    .run(&format!("alter database {unfinished} rename to {template}"))
                    .await?;
            }
            drop(lock);
        }
        let name = format!(
            "etude_{}",
            random::hex(6).map_err(StackError::file("/dev/urandom"))?
        );
        admin
            .run(&format!(
                "create database {name} template {template} strategy file_copy"
            ))
            .await?;
        Ok(Self {
            owner: admin.for_database(&name),
            role_secret: superuser_password(admin),
            drop_with: Some(admin.clone()),
        })
    }

    /// SQL as the owner.
    #[must_use]
    pub fn owner(&self) -> &Psql {
        &self.owner
    }

    /// The URL for the origin.
    #[must_use]
    pub fn origin_url(&self) -> String {
        self.url_of(LOGIN_ROLES[0])
    }

    /// The URL for the ingest worker.
    #[must_use]
    pub fn ingest_url(&self) -> String {
        self.url_of(LOGIN_ROLES[1])
    }

    /// The URL for the stand-in of Supabase Auth.
    #[must_use]
    pub fn auth_url(&self) -> String {
        self.url_of(LOGIN_ROLES[2])
    }

    /// Drops the database, if it is a clone.
    pub async fn discard(&self) -> Result<(), StackError> {
        let Some(admin) = &self.drop_with else {
            return Ok(());
        };
        let name = self.owner.url().path().trim_start_matches('/');
        admin
            .run(&format!("drop database if exists {name} with (force)"))
            .await?;
        Ok(())
    }

    fn url_of(&self, role: &str) -> String {
        let mut url = self.owner.url().clone();
        // Neither fails on a URL with a host, which this is.
        let _ = url.set_username(role);
        let _ = url.set_password(Some(&self.password_of(role)));
        url.into()
    }

    fn password_of(&self, role: &str) -> String {
        hex::encode(Sha256::digest(format!("{role}:{}", self.role_secret)))
    }

    /// `with_auth` on a server where the sign-in service's role is ours: the password of a real
    /// Supabase's own role is never touched.
    async fn set_passwords(&self, with_auth: bool) -> Result<(), StackError> {
        let roles = LOGIN_ROLES
            .iter()
            .filter(|role| with_auth || role.starts_with("etude_"));
        let statements: Vec<String> = roles
            .map(|role| {
                let password = self.password_of(role);
                format!(
                    "do $$ begin if exists (select from pg_roles where rolname = '{role}') then \
                     alter role {role} login password '{password}'; end if; end $$;\n"
                )
            })
            .collect();
        self.owner.run(&statements.concat()).await?;
        Ok(())
    }
}

impl Preparation {
    fn bootstrap(&self) -> PathBuf {
        self.repository.join("local-cloud/supabase/bootstrap.sql")
    }

    async fn migrate(&self, owner_url: &str) -> Result<(), StackError> {
        parse(owner_url)?;
        let output = Command::new(&self.origin_binary)
            .arg("migrate")
            .env("MIGRATION_DATABASE_URL", owner_url)
            .env("LOG_FORMAT", "text")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| StackError::Spawn {
                program: self.origin_binary.display().to_string(),
                source,
            })?;
        if output.status.success() {
            return Ok(());
        }
        Err(StackError::Command {
            what: "running the migrations".into(),
            status: output.status,
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Changes whenever a prepared database would come out different.
    fn fingerprint(&self) -> Result<String, StackError> {
        let folder = self.repository.join("migrations");
        let mut files: Vec<PathBuf> = fs::read_dir(&folder)
            .map_err(StackError::file(&folder))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
            .collect();
        files.sort();
        files.push(self.bootstrap());
        let mut digest = Sha256::new();
        for path in files {
            digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
            digest.update(fs::read(&path).map_err(StackError::file(&path))?);
        }
        Ok(hex::encode(digest.finalize()))
    }
}

fn superuser_password(admin: &Psql) -> String {
    admin.url().password().unwrap_or_default().to_owned()
}

/// Held by whoever prepares the template; the others wait.
fn lock(template: &str) -> Result<File, StackError> {
    let name = format!("{template}.{}.lock", Uid::effective());
    let path: &Path = &std::env::temp_dir().join(name);
    let file = File::create(path).map_err(StackError::file(path))?;
    file.lock().map_err(StackError::file(path))?;
    Ok(file)
}
