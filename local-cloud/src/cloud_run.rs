//! Stands for Cloud Run jobs: `projects.locations.jobs.run` (REST, v2) starts the job's command as a process of this
//! machine, and `…/executions` lists what was started.

use crate::{
    faults::{Faults, Target},
    host, http,
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::{
    process::Stdio,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::process::Command;

/// Executions that are remembered.
const REMEMBERED: usize = 10_000;
/// Executions of a job at a time where it does not say.
const AT_MOST: usize = 2;

/// A job and what it runs.
#[derive(Clone, Debug)]
pub struct CloudRunJob {
    /// `projects/…/locations/…/jobs/…`.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables beside this process's own.
    pub environment: Vec<(String, String)>,
    /// Executions at a time; one more is refused as the real service refuses when a quota is used up.
    pub at_most: usize,
}

/// A text that names no job.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a job is written projects/…/locations/…/jobs/…=program argument …")]
pub struct CloudRunJobError;

impl FromStr for CloudRunJob {
    type Err = CloudRunJobError;

    /// `name=program argument …`, parted at spaces.
    fn from_str(text: &str) -> Result<Self, CloudRunJobError> {
        let (name, command) = text.split_once('=').ok_or(CloudRunJobError)?;
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if command.is_empty() || name.split('/').count() != 6 {
            return Err(CloudRunJobError);
        }
        Ok(Self {
            name: name.to_owned(),
            command,
            environment: Vec::new(),
            at_most: AT_MOST,
        })
    }
}

/// The service.
pub(crate) struct CloudRun {
    jobs: Vec<CloudRunJob>,
    faults: Arc<Faults>,
    executions: Mutex<Vec<Execution>>,
}

struct Execution {
    name: String,
    job: String,
    begun: DateTime<Utc>,
    ended: Option<DateTime<Utc>>,
    succeeded: bool,
}

impl CloudRun {
    pub(crate) fn new(jobs: Vec<CloudRunJob>, faults: Arc<Faults>) -> Self {
        Self {
            jobs,
            faults,
            executions: Mutex::default(),
        }
    }

    fn executions(&self) -> MutexGuard<'_, Vec<Execution>> {
        self.executions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a new execution, unless there are as many as there may be.
    fn begin(&self, job: &CloudRunJob) -> Option<String> {
        let mut executions = self.executions();
        let running = executions
            .iter()
            .filter(|execution| execution.job == job.name && execution.ended.is_none())
            .count();
        if running >= job.at_most || executions.len() >= REMEMBERED {
            return None;
        }
        let short = job.name.rsplit('/').next().unwrap_or_default();
        let suffix = &host::new_id().simple().to_string()[..5];
        let name = format!("{}/executions/{short}-{suffix}", job.name);
        executions.push(Execution {
            name: name.clone(),
            job: job.name.clone(),
            begun: host::now(),
            ended: None,
            succeeded: false,
        });
        Some(name)
    }

    fn end(&self, name: &str, succeeded: bool) {
        let mut executions = self.executions();
        if let Some(execution) = executions.iter_mut().find(|own| own.name == name) {
            execution.ended = Some(host::now());
            execution.succeeded = succeeded;
        }
    }

    /// Runs the job's command; with other arguments, where the call overrides them.
    fn start(self: &Arc<Self>, job: &CloudRunJob, name: String, overrides: &Value) {
        let own = job.command[1..].iter().cloned();
        let arguments: Vec<String> = match overrides["containerOverrides"][0]["args"].as_array() {
            Some(others) => others
                .iter()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect(),
            None => own.collect(),
        };
        let mut command = Command::new(&job.command[0]);
        command
            .args(arguments)
            .envs(job.environment.iter().map(|(name, value)| (name, value)))
            .env("CLOUD_RUN_EXECUTION", &name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let cloud_run = Arc::clone(self);
        tokio::spawn(async move {
            let succeeded = match command.status().await {
                Ok(status) => status.success(),
                Err(error) => {
                    tracing::error!(execution = name, error = %error, "an execution did not start");
                    false
                }
            };
            cloud_run.end(&name, succeeded);
        });
    }
}

/// `/run/v2`.
pub(crate) fn router(cloud_run: Arc<CloudRun>) -> Router {
    Router::new()
        .route(
            "/run/v2/projects/{project}/locations/{location}/jobs/{call}",
            post(run),
        )
        .route(
            "/run/v2/projects/{project}/locations/{location}/jobs/{job}/executions",
            get(list),
        )
        .with_state(cloud_run)
}

async fn run(
    State(cloud_run): State<Arc<CloudRun>>,
    Path((project, location, call)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Err(refusal) = http::admit(&cloud_run.faults, Target::CloudRun, &headers).await {
        return refusal;
    }
    let place = format!("projects/{project}/locations/{location}");
    let job = call
        .strip_suffix(":run")
        .map(|job| format!("{place}/jobs/{job}"));
    let Some(job) = cloud_run
        .jobs
        .iter()
        .find(|own| Some(&own.name) == job.as_ref())
    else {
        return http::google_error(404, "NOT_FOUND", "Resource was not found.");
    };
    let Some(execution) = cloud_run.begin(job) else {
        let reason = "Quota exceeded for running executions.";
        return http::google_error(429, "RESOURCE_EXHAUSTED", reason);
    };
    cloud_run.start(job, execution.clone(), &body["overrides"]);
    Json(json!({
        "name": format!("{place}/operations/{}", host::new_id()),
        "metadata": {
            "@type": "type.googleapis.com/google.cloud.run.v2.Execution",
            "name": execution,
            "job": job.name.rsplit('/').next(),
            "createTime": host::now(),
            "taskCount": 1,
        },
        "done": false,
    }))
    .into_response()
}

async fn list(
    State(cloud_run): State<Arc<CloudRun>>,
    Path((project, location, job)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = http::admit(&cloud_run.faults, Target::CloudRun, &headers).await {
        return refusal;
    }
    let job = format!("projects/{project}/locations/{location}/jobs/{job}");
    let executions: Vec<Value> = cloud_run
        .executions()
        .iter()
        .filter(|execution| execution.job == job)
        .map(|execution| {
            let count = |is: bool| u8::from(is);
            let has_ended = execution.ended.is_some();
            json!({
                "name": execution.name,
                "startTime": execution.begun,
                "completionTime": execution.ended,
                "runningCount": count(!has_ended),
                "succeededCount": count(has_ended && execution.succeeded),
                "failedCount": count(has_ended && !execution.succeeded),
            })
        })
        .collect();
    Json(json!({ "executions": executions })).into_response()
}
