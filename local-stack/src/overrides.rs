//! Real services in place of stand-ins, chosen by environment variables.

use crate::StackError;

/// Real services in place of stand-ins. Each is absent unless its variables are set.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `DATABASE_URL`, as the owner.
    pub database_url: Option<String>,
    /// Supabase.
    pub supabase: Option<Supabase>,
    /// Workers AI.
    pub workers_ai: Option<WorkersAi>,
    /// R2 or another S3 service.
    pub objects: Option<Objects>,
    /// Variables that choose the language model, handed to the origin as they are.
    pub language_model: Vec<(&'static str, String)>,
}

/// A Supabase project.
#[derive(Clone, Debug)]
pub struct Supabase {
    /// `SUPABASE_URL`.
    pub url: String,
    /// `SUPABASE_ANON_KEY`.
    pub anon_key: String,
    /// `SUPABASE_SERVICE_ROLE_KEY`.
    pub service_role_key: String,
}

/// A Cloudflare account.
#[derive(Clone, Debug)]
pub struct WorkersAi {
    /// `CLOUDFLARE_ACCOUNT_ID`.
    pub account_id: String,
    /// `CLOUDFLARE_API_TOKEN`.
    pub api_token: String,
}

/// An S3 endpoint.
#[derive(Clone, Debug)]
pub struct Objects {
    /// `R2_ENDPOINT`.
    pub endpoint: String,
    /// `R2_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `R2_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
}

/// Variables that choose the language model, and say what it costs.
pub(crate) const LANGUAGE_MODEL_VARIABLES: [&str; 21] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "FALLBACK_CACHE_READ_PRICE_MICROUSD",
    "FALLBACK_CACHE_WRITE_PRICE_MICROUSD",
    "FALLBACK_INPUT_PRICE_MICROUSD",
    "FALLBACK_LOCATION",
    "FALLBACK_MODEL",
    "FALLBACK_OUTPUT_PRICE_MICROUSD",
    "FALLBACK_PROVIDER",
    "GCE_METADATA_HOST",
    "GEMINI_THINKING_BUDGET",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "LLM_CACHE_READ_PRICE_MICROUSD",
    "LLM_CACHE_WRITE_PRICE_MICROUSD",
    "LLM_INPUT_PRICE_MICROUSD",
    "LLM_MODEL",
    "LLM_OUTPUT_PRICE_MICROUSD",
    "LLM_PROVIDER",
    "VERTEX_BASE_URL",
    "VERTEX_LOCATION",
    "VERTEX_PROJECT",
];

impl Overrides {
    /// Reads them through `lookup`, which answers with a variable's value. A service of which only some
    /// variables are set is an error that names the missing ones.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, StackError> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let supabase = group(
            &lookup,
            [
                "SUPABASE_URL",
                "SUPABASE_ANON_KEY",
                "SUPABASE_SERVICE_ROLE_KEY",
            ],
        )?;
        let workers_ai = group(&lookup, ["CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN"])?;
        let objects = group(
            &lookup,
            ["R2_ENDPOINT", "R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY"],
        )?;
        Ok(Self {
            database_url: lookup("DATABASE_URL"),
            supabase: supabase.map(|[url, anon_key, service_role_key]| Supabase {
                url,
                anon_key,
                service_role_key,
            }),
            workers_ai: workers_ai.map(|[account_id, api_token]| WorkersAi {
                account_id,
                api_token,
            }),
            objects: objects.map(|[endpoint, access_key_id, secret_access_key]| Objects {
                endpoint,
                access_key_id,
                secret_access_key,
            }),
            language_model: LANGUAGE_MODEL_VARIABLES
                .iter()
                .filter_map(|&name| Some((name, lookup(name)?)))
                .collect(),
        })
    }

    /// The names of the real services in use, for a line on the terminal.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let named = [
            (self.database_url.is_some(), "PostgreSQL at DATABASE_URL"),
            (self.supabase.is_some(), "Supabase"),
            (self.workers_ai.is_some(), "Workers AI"),
            (self.objects.is_some(), "R2"),
            (self.chooses_language_model(), "the language model"),
        ];
        named
            .into_iter()
            .filter_map(|(real, name)| real.then_some(name))
            .collect()
    }

    /// Whether the origin is to use a real language model.
    #[must_use]
    pub fn chooses_language_model(&self) -> bool {
        self.language_model
            .iter()
            .any(|(name, _)| matches!(*name, "ANTHROPIC_API_KEY" | "VERTEX_PROJECT"))
    }
}

fn group<const N: usize>(
    lookup: &dyn Fn(&str) -> Option<String>,
    names: [&str; N],
) -> Result<Option<[String; N]>, StackError> {
    let values = names.map(lookup);
    let missing: Vec<&str> = names
        .iter()
        .zip(&values)
        .filter_map(|(name, value)| value.is_none().then_some(*name))
        .collect();
    if missing.len() == N {
        return Ok(None);
    }
    if !missing.is_empty() {
        return Err(StackError::Setting(format!(
            "{} belong together; not set: {}",
            names.join(", "),
            missing.join(", ")
        )));
    }
    Ok(Some(values.map(Option::unwrap_or_default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Overrides, StackError> {
        Overrides::read(&|name| {
            set.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_variables_every_service_is_a_stand_in() {
        assert!(read(&[]).unwrap().names().is_empty());
        assert!(
            read(&[("ANTHROPIC_API_KEY", "")])
                .unwrap()
                .names()
                .is_empty()
        );
    }

    #[test]
    fn a_service_is_real_once_all_its_variables_are_set() {
        let half = read(&[("SUPABASE_URL", "https://auth.school.example")]).unwrap_err();
        assert!(
            half.to_string().contains("SUPABASE_SERVICE_ROLE_KEY"),
            "{half}"
        );

        let whole = read(&[
            ("CLOUDFLARE_ACCOUNT_ID", "a"),
            ("CLOUDFLARE_API_TOKEN", "t"),
        ])
        .unwrap();
        assert_eq!(whole.names(), ["Workers AI"]);
    }

    #[test]
    fn an_anthropic_key_makes_the_language_model_real() {
        let overrides = read(&[("ANTHROPIC_API_KEY", "k"), ("LLM_MODEL", "m")]).unwrap();
        assert!(overrides.chooses_language_model());
        assert_eq!(overrides.language_model.len(), 2);
    }
}
