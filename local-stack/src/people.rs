//! Making people known: accounts through the sign-in service's admin API, relationships in the database.

use crate::{StackError, client::answer, postgres::Psql};
use serde::Deserialize;
use serde_json::json;
use shared_types::ids::UserId;

pub use shared_types::claims::Role;

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub id: UserId,
    /// The e-mail address.
    pub email: String,
}

/// Makes people known to one system.
#[derive(Clone, Debug)]
pub struct People {
    http: reqwest::Client,
    supabase_url: String,
    service_role_key: String,
    database: Psql,
}

#[derive(Deserialize)]
struct Account {
    id: UserId,
    #[serde(default)]
    email: Option<String>,
}

#[derive(Deserialize)]
struct Accounts {
    users: Vec<Account>,
}

impl People {
    pub(crate) fn new(supabase_url: String, service_role_key: String, database: Psql) -> Self {
        Self {
            http: crate::client::http(),
            supabase_url,
            service_role_key,
            database,
        }
    }

    /// Makes an account.
    pub async fn create(
        &self,
        email: &str,
        password: &str,
        full_name: &str,
        role: Role,
    ) -> Result<Person, StackError> {
        let body = json!({
            "email": email,
            "password": password,
            "email_confirm": true,
            "app_metadata": { "role": role },
            "user_metadata": { "full_name": full_name },
        });
        let what = format!("making the account of {email}");
        let account: Account = self
            .admin(&what, self.http.post(self.url()).json(&body))
            .await?;
        Ok(Person {
            id: account.id,
            email: email.to_owned(),
        })
    }

    /// Finds an account.
    pub async fn find(&self, email: &str) -> Result<Option<Person>, StackError> {
        let accounts: Accounts = self
            .admin(
                "listing accounts",
                self.http.get(self.url()).query(&[("per_page", "1000")]),
            )
            .await?;
        let found = accounts.users.into_iter().find(|account| {
            account
                .email
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(email))
        });
        Ok(found.map(|account| Person {
            id: account.id,
            email: email.to_owned(),
        }))
    }

    /// Lets a student read a teacher's private documents. Doing it again changes nothing.
    pub async fn link_student(&self, teacher: UserId, student: UserId) -> Result<(), StackError> {
        let sql = format!(
            "insert into teacher_student_relationships (teacher_id, student_id) \
             values ('{teacher}', '{student}') on conflict do nothing"
        );
        self.database.run(&sql).await?;
        Ok(())
    }

    /// Takes a teacher's private documents away from a student.
    pub async fn unlink_student(&self, teacher: UserId, student: UserId) -> Result<(), StackError> {
        let sql = format!(
            "delete from teacher_student_relationships \
             where teacher_id = '{teacher}' and student_id = '{student}'"
        );
        self.database.run(&sql).await?;
        Ok(())
    }

    fn url(&self) -> String {
        format!("{}/auth/v1/admin/users", self.supabase_url)
    }

    async fn admin<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<T, StackError> {
        let response = request
            .bearer_auth(&self.service_role_key)
            .header("apikey", &self.service_role_key)
            .send()
            .await
            .map_err(StackError::http(what))?;
        answer(what, response).await
    }
}
