//! A Prometheus beside the stack: scrapes both processes, and judges them by the rules that are deployed.

use crate::{
    Lifetime, Stack, StackError, client,
    ports::ReservedPort,
    process::{Process, Program, Readiness, RunAs},
    stack::Part,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// A running Prometheus. Dropping it kills it, unless it was left.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    url: String,
    http: reqwest::Client,
}

/// One series of an answer: its labels and its value now.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The labels, the metric's name apart.
    pub labels: Value,
    /// The value; NaN where there is nothing to divide by.
    pub value: f64,
}

impl Prometheus {
    /// Starts `program` on `port` of 127.0.0.1 (0 for any free one), with data in the stack's folder. It looks every
    /// `every_s` seconds at what `stack` tells and judges it by `rules`, files of recording and alerting rules.
    pub async fn start(
        stack: &Stack,
        program: &Path,
        rules: &[&Path],
        port: u16,
        every_s: u32,
        lifetime: Lifetime,
    ) -> Result<Self, StackError> {
        let folder = stack.folder().join("prometheus");
        fs::create_dir_all(&folder).map_err(StackError::file(&folder))?;
        let jobs = stack.metrics_urls().map(|(part, url)| {
            let target = url
                .trim_start_matches("http://")
                .trim_end_matches("/metrics")
                .to_owned();
            json!({"job_name": part.name(), "static_configs": [{"targets": [target]}]})
        });
        debug_assert_eq!(
            Part::IngestWorker.name(),
            "ingest-worker",
            "the rules' name of the job"
        );
        let every = format!("{every_s}s");
        // JSON is YAML.
        let config = json!({
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": rules,
            "scrape_configs": jobs,
        });
        let config_file = folder.join("prometheus.yml");
        fs::write(&config_file, config.to_string()).map_err(StackError::file(&config_file))?;
        let reserved = ReservedPort::reserve(port).map_err(|_| StackError::PortInUse {
            port,
            part: "Prometheus",
            holder: crate::ports::holder(port),
            flag: "--prometheus-port",
        })?;
        let port = reserved.release();
        let program = Program {
            name: "prometheus",
            executable: program.to_owned(),
            arguments: vec![
                format!("--config.file={}", config_file.display()).into(),
                format!("--storage.tsdb.path={}", folder.join("data").display()).into(),
                format!("--web.listen-address=127.0.0.1:{port}").into(),
                "--enable-feature=exemplar-storage".into(),
                "--log.level=warn".into(),
            ],
            environment: vec![stack.marker()],
            hidden: Vec::new(),
            folder,
            run_as: RunAs::Caller,
            stop_signal: Signal::SIGTERM,
            readiness: Readiness::Port(port),
        };
        let mut process = Process::start(program, &stack.logs(), lifetime)?;
        process.ready().await?;
        Ok(Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
            http: client::http(),
        })
    }

    /// Where its pages are.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The answer to an instant query; none while Prometheus is still starting. A query that it does not understand is an
    /// error.
    pub async fn query(&self, query: &str) -> Result<Vec<Sample>, StackError> {
        let what = "asking Prometheus";
        let url = format!("{}/api/v1/query", self.url);
        let asked = self.http.get(url).query(&[("query", query)]).send().await;
        let reply: Value = client::answer(what, asked.map_err(StackError::http(what))?).await?;
        let results = reply["data"]["result"].as_array().cloned();
        let samples = results
            .unwrap_or_default()
            .into_iter()
            .map(|mut result| Sample {
                value: result["value"][1]
                    .as_str()
                    .and_then(|it| it.parse().ok())
                    .unwrap_or(f64::NAN),
                labels: result["metric"].take(),
            });
        Ok(samples.collect())
    }

    /// Stops it in good order.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }

    /// Lets it run on. Only for a detached one.
    pub fn leave(mut self) {
        self.process.leave();
    }
}
