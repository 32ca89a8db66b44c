//! What can be typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use local_stack::{Encoder, LanguageModel, Ports};
use std::{ffi::OsString, path::PathBuf};

/// The commands of this repository.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = false
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Brings up the whole system, asks it one question, and serves until Ctrl-C
    Up(UpOptions),
    /// Stops a running system, and whatever a killed one left behind
    Down,
    /// Asks the running system
    Ask(AskOptions),
    /// Uploads documents to the running system and waits until they are searchable
    Add(AddOptions),
    /// Prints an access token for the running system
    Token {
        /// Who signs in
        email: String,
    },
    /// Runs every test
    Test {
        /// Handed to the test runner: a part of a test's name, or its options
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs a benchmark and prints its table
    Bench {
        /// Which one
        name: String,
        #[command(flatten)]
        options: BenchOptions,
    },
    /// Runs the fuzz targets under libFuzzer
    Fuzz {
        /// Which one; all of them without
        target: Option<String>,
        /// How long each of them runs
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Runs every check: formatting, lints, docs, licences, migrations, tests, a dry deployment
    Ci,
}

#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct BenchOptions {
    /// Fail, and name every target that is missed
    #[arg(long)]
    check: bool,
    /// Fewer and shorter runs: good for development, too few to judge by
    #[arg(long)]
    quick: bool,
    /// Of `retrieval`: 1,000,000 passages as well, which takes hours
    #[arg(long)]
    million: bool,
    /// Of `load`: the specification's own length, which takes an hour, in place of minutes
    #[arg(long)]
    long: bool,
    /// Of `load`: how long the soak takes
    #[arg(long)]
    soak_minutes: Option<u32>,
    /// Of `retrieval`: `quality`, `speed` or `throughput` alone; of `load`: `load`, `hits`, `soak`, `overload` or `chaos`
    #[arg(long)]
    only: Option<String>,
    /// Of `retrieval`: the folder of the Cranfield collection with its vectors; left out without
    #[arg(long, env = "ETUDE_CRANFIELD")]
    cranfield: Option<PathBuf>,
}

impl BenchOptions {
    /// As the package `bench` takes them.
    pub fn words(&self) -> Vec<OsString> {
        let flags = [
            (self.check, "--check"),
            (self.quick, "--quick"),
            (self.million, "--million"),
            (self.long, "--long"),
        ];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set);
        let mut words: Vec<OsString> = flags.map(|(_, flag)| flag.into()).collect();
        if let Some(part) = &self.only {
            words.extend(["--only".into(), part.into()]);
        }
        if let Some(minutes) = self.soak_minutes {
            words.extend(["--soak-minutes".into(), minutes.to_string().into()]);
        }
        if let Some(folder) = &self.cranfield {
            words.extend(["--cranfield".into(), folder.into()]);
        }
        words
    }
}

#[derive(Args)]
pub struct UpOptions {
    /// Return once the system serves; `cargo xtask down` stops it
    #[arg(long)]
    pub detach: bool,
    /// What answers questions
    #[arg(long, value_enum, default_value = "extractive")]
    pub llm: LlmOption,
    /// What turns text into vectors
    #[arg(long, value_enum, default_value = "mpnet")]
    pub encoder: EncoderOption,
    /// Throw the data of earlier runs away first
    #[arg(long)]
    pub fresh: bool,
    /// Start Prometheus beside it and show the main figures live; its port is the eighth in the row
    #[arg(long)]
    pub observe: bool,
    #[command(flatten)]
    pub ports: PortOptions,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum LlmOption {
    /// Sentences of the passages, quoted: instant and always grounded
    Extractive,
    /// A small language model on this machine's CPU; fetches 1.1 GB
    Qwen,
}

impl From<LlmOption> for LanguageModel {
    fn from(option: LlmOption) -> Self {
        match option {
            LlmOption::Extractive => Self::Extractive,
            LlmOption::Qwen => Self::Qwen,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum EncoderOption {
    /// all-mpnet-base-v2: finds better; fetches 404 MB
    Mpnet,
    /// all-MiniLM-L6-v2: five times faster
    Small,
}

impl From<EncoderOption> for Encoder {
    fn from(option: EncoderOption) -> Self {
        match option {
            EncoderOption::Mpnet => Self::Mpnet,
            EncoderOption::Small => Self::Small,
        }
    }
}

#[derive(Args)]
pub struct PortOptions {
    /// First of seven ports in a row: edge, origin, local-cloud, objects, PostgreSQL, metrics of origin and ingest worker
    #[arg(long, env = "ETUDE_PORT_BASE", default_value_t = 8787,
          value_parser = clap::value_parser!(u16).range(1..=65528))]
    port_base: u16,
    /// Port of the edge, which browsers use
    #[arg(long)]
    edge_port: Option<u16>,
    /// Port of the origin
    #[arg(long)]
    origin_port: Option<u16>,
    /// Port of the stand-ins for managed services
    #[arg(long)]
    local_cloud_port: Option<u16>,
    /// Port of the S3 face of the buckets
    #[arg(long)]
    objects_port: Option<u16>,
    /// Port of PostgreSQL
    #[arg(long)]
    postgres_port: Option<u16>,
    /// Port of the origin's metrics
    #[arg(long)]
    origin_metrics_port: Option<u16>,
    /// Port of the ingest worker's metrics
    #[arg(long)]
    ingest_metrics_port: Option<u16>,
    /// Port of Prometheus, with --observe
    #[arg(long)]
    prometheus_port: Option<u16>,
}

impl PortOptions {
    /// Of Prometheus.
    pub fn prometheus(&self) -> u16 {
        self.prometheus_port.unwrap_or(self.port_base + 7)
    }

    pub fn ports(&self) -> Ports {
        let row = Ports::from_base(self.port_base);
        Ports {
            edge: self.edge_port.unwrap_or(row.edge),
            origin: self.origin_port.unwrap_or(row.origin),
            local_cloud: self.local_cloud_port.unwrap_or(row.local_cloud),
            objects: self.objects_port.unwrap_or(row.objects),
            postgres: self.postgres_port.unwrap_or(row.postgres),
            origin_metrics: self.origin_metrics_port.unwrap_or(row.origin_metrics),
            ingest_metrics: self.ingest_metrics_port.unwrap_or(row.ingest_metrics),
        }
    }
}

#[derive(Args)]
pub struct AskOptions {
    /// The question
    pub question: String,
    /// Who asks; by default the student of the sample library
    #[arg(long = "as", value_name = "EMAIL")]
    pub email: Option<String>,
    /// Print the answer as one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct AddOptions {
    /// PDF files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Who uploads; by default the first teacher of the sample library
    #[arg(long = "as", value_name = "EMAIL")]
    pub email: Option<String>,
    /// Let everybody read them
    #[arg(long)]
    pub public: bool,
    /// The title; by default the file's name
    #[arg(long)]
    pub title: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn one_port_can_be_moved_out_of_the_row() {
        let words = [
            "xtask",
            "up",
            "--port-base",
            "9000",
            "--objects-port",
            "9100",
        ];
        let Command::Up(options) = Arguments::parse_from(words).command else {
            panic!("`up` was typed");
        };
        let ports = options.ports.ports();
        assert_eq!(
            (ports.edge, ports.objects, ports.postgres),
            (9000, 9100, 9004)
        );
    }

    #[test]
    fn options_of_the_test_runner_pass_through() {
        let words = ["xtask", "test", "-p", "tests", "--no-capture"];
        let Command::Test { arguments } = Arguments::parse_from(words).command else {
            panic!("`test` was typed");
        };
        assert_eq!(arguments, ["-p", "tests", "--no-capture"]);
    }
}
