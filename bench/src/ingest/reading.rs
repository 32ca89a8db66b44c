//! One reading of one file, each in a process of its own.

use anyhow::{Context, anyhow, ensure};
use clap::{Args, ValueEnum};
use ingest_worker::{
    extract::{ExtractError, Extractor, Limits},
    layout, passages,
    recognize::Recognizer,
    tokens::TokenCounter,
};
use nix::sys::resource::{UsageWho, getrusage};
use pdfium_render::prelude::*;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};
use tokio::{process::Command, time::Instant};

/// How long a file may take.
const DEADLINE: Duration = Duration::from_mins(10);

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reader {
    /// The child process, its protocol, the layout with boxes, and passages counted in the encoder's tokens
    Etude,
    /// `pdfium-render` alone: every character with its box, in one process
    Pdfium,
    /// LangChain's PyPDFLoader and RecursiveCharacterTextSplitter
    LangChain,
    /// PyMuPDF's text
    PyMuPdf,
    /// Poppler's pdftotext
    PdfToText,
}

impl Reader {
    pub fn name(self) -> &'static str {
        match self {
            Self::Etude => "Etude: extract, boxes, passages",
            Self::Pdfium => "bare pdfium: characters, boxes",
            Self::LangChain => "LangChain: pypdf, passages",
            Self::PyMuPdf => "PyMuPDF: text",
            Self::PdfToText => "pdftotext: text",
        }
    }
}

/// What the readers in Rust are made of.
#[derive(Args, Clone, Debug)]
pub struct Tools {
    /// The program that reads PDFs
    #[arg(long, env = "ETUDE_INGEST_WORKER")]
    pub ingest_worker: PathBuf,
    /// `libpdfium.so`
    #[arg(long, env = "PDFIUM_LIBRARY")]
    pub pdfium: PathBuf,
    /// Tesseract's library
    #[arg(long, env = "TESSERACT_LIBRARY")]
    pub tesseract: PathBuf,
    /// The folder of its models
    #[arg(long, env = "TESSDATA_DIR")]
    pub tessdata: PathBuf,
    /// The encoder's `tokenizer.json`
    #[arg(long, env = "ETUDE_TOKENIZER")]
    pub tokenizer: PathBuf,
}

impl Tools {
    /// As the worker has it.
    pub fn extractor(&self) -> Extractor {
        Extractor {
            program: self.ingest_worker.clone(),
            library: self.pdfium.clone(),
            limits: Limits::default(),
            deadline: DEADLINE,
        }
    }

    /// As the worker has it.
    pub fn recognizer(&self) -> Recognizer {
        Recognizer {
            program: self.ingest_worker.clone(),
            pdfium: self.pdfium.clone(),
            tesseract: self.tesseract.clone(),
            models: self.tessdata.clone(),
            languages: "eng".to_owned(),
            max_pages: u32::MAX,
            memory_bytes: Recognizer::MEMORY_BYTES,
            page_cpu_s: Recognizer::PAGE_CPU_S,
            deadline: DEADLINE,
        }
    }
}

#[derive(Args)]
pub struct ReadOptions {
    #[arg(value_enum)]
    reader: Reader,
    file: PathBuf,
    #[command(flatten)]
    tools: Tools,
}

/// What a reading showed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reading {
    /// Pages of the file.
    pub pages: usize,
    /// From opening the file to the end, without the start of the process.
    pub seconds: f64,
    /// Peak resident memory of all its processes, in KiB.
    pub peak_kb: i64,
    /// The text of each page.
    pub texts: Vec<String>,
    /// The same without fonts that draw music; none of a page that has no such font. Of PyMuPDF alone.
    #[serde(default)]
    pub printed: Vec<Option<String>>,
}

/// Reads a file in this process and prints the [`Reading`].
pub async fn read(options: &ReadOptions) -> anyhow::Result<ExitCode> {
    let reading = match options.reader {
        Reader::Etude => etude(&options.tools, &options.file).await?,
        Reader::Pdfium => pdfium(&options.tools, &options.file)?,
        other => return Err(anyhow!("{} is a program of its own", other.name())),
    };
    serde_json::to_writer(std::io::stdout().lock(), &reading)?;
    Ok(ExitCode::SUCCESS)
}

async fn etude(tools: &Tools, file: &Path) -> anyhow::Result<Reading> {
    let tokens = TokenCounter::from_file(&tools.tokenizer)?;
    let extractor = tools.extractor();
    let start = Instant::now();
    let pages = extractor
        .extract(file, |_, _| {})
        .await
        .map_err(|error| match error {
            ExtractError::Rejected(rejection) => anyhow!("rejected: {rejection}"),
            other => anyhow::Error::from(other),
        })?;
    let passages = passages::cut(layout::read(|| pages.iter())?, &tokens)?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(!passages.is_empty(), "there are no passages");
    // The child has a peak of its own while this process goes on: together they take at most the sum.
    let child_kb = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    let peak_kb = peak_kb()? + child_kb;
    let read = layout::read(|| pages.iter())?;
    Ok(Reading {
        pages: pages.len(),
        seconds,
        peak_kb,
        texts: read.map(|page| Ok(page?.text)).collect::<io::Result<_>>()?,
        printed: Vec::new(),
    })
}

fn pdfium(tools: &Tools, file: &Path) -> anyhow::Result<Reading> {
    let bindings = Pdfium::bind_to_library(&tools.pdfium);
    let pdfium = Pdfium::new(bindings.map_err(|error| anyhow!("pdfium: {error:?}"))?);
    let start = Instant::now();
    let document = pdfium.load_pdf_from_file(file, None);
    let document = document.map_err(|error| anyhow!("{}: {error:?}", file.display()))?;
    let mut texts = Vec::new();
    for page in document.pages().iter() {
        let mut text_of_page = String::new();
        if let Ok(text) = page.text() {
            for char in text.chars().iter() {
                text_of_page.extend(char.unicode_char());
                // What is measured is the making of it.
                let _ = std::hint::black_box(char.loose_bounds());
            }
        }
        texts.push(text_of_page);
    }
    Ok(Reading {
        pages: texts.len(),
        seconds: start.elapsed().as_secs_f64(),
        peak_kb: peak_kb()?,
        texts,
        printed: Vec::new(),
    })
}

/// Peak resident memory of this process. `getrusage` would say that of the one that started it, where that is more.
fn peak_kb() -> anyhow::Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next());
    Ok(kb.context("status names the peak")?.parse()?)
}

/// Starts readers.
pub struct Readers {
    pub tools: Tools,
    pub script: PathBuf,
    pub packages: PathBuf,
    pub pdftotext: PathBuf,
    pub pdftotext_libraries: Option<PathBuf>,
}

impl Readers {
    /// Reads a file once.
    pub async fn read(&self, reader: Reader, file: &Path) -> anyhow::Result<Reading> {
        let output = match reader {
            Reader::Etude => self.here("etude", file).await?,
            Reader::Pdfium => self.here("pdfium", file).await?,
            Reader::LangChain => self.python(&["langchain"], &[file]).await?,
            Reader::PyMuPdf => self.python(&["pymupdf"], &[file]).await?,
            Reader::PdfToText => return self.pdftotext(file).await,
        };
        serde_json::from_slice(&output)
            .with_context(|| format!("{} of {}", reader.name(), file.display()))
    }

    async fn here(&self, reader: &str, file: &Path) -> anyhow::Result<Vec<u8>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["read", reader]).arg(file);
        command
            .arg("--ingest-worker")
            .arg(&self.tools.ingest_worker);
        command.arg("--pdfium").arg(&self.tools.pdfium);
        command.arg("--tesseract").arg(&self.tools.tesseract);
        command.arg("--tessdata").arg(&self.tools.tessdata);
        command.arg("--tokenizer").arg(&self.tools.tokenizer);
        output(&mut command).await
    }

    /// What `pages.py` writes.
    pub async fn python(&self, words: &[&str], files: &[&Path]) -> anyhow::Result<Vec<u8>> {
        let mut command = Command::new("python3");
        command.arg(&self.script).args(words).args(files);
        command.env("PYTHONPATH", &self.packages);
        output(&mut command).await
    }

    /// The text of each page as pdftotext reads it, but for what is in fonts that draw music.
    pub async fn unmusical(&self, file: &Path) -> anyhow::Result<Vec<String>> {
        let boxes = tempfile::NamedTempFile::new()?;
        let words = output(&mut self.poppler(&["-bbox-layout"], file)).await?;
        fs::write(boxes.path(), words)?;
        let texts = self.python(&["unmusical"], &[file, boxes.path()]).await?;
        Ok(serde_json::from_slice(&texts)?)
    }

    fn poppler(&self, options: &[&str], file: &Path) -> Command {
        let mut command = Command::new(&self.pdftotext);
        command
            .args(["-enc", "UTF-8"])
            .args(options)
            .arg(file)
            .arg("-");
        if let Some(libraries) = &self.pdftotext_libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    async fn pdftotext(&self, file: &Path) -> anyhow::Result<Reading> {
        let start = Instant::now();
        let text = output(&mut self.poppler(&[], file)).await?;
        let seconds = start.elapsed().as_secs_f64();
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut texts: Vec<String> = text.split('\u{c}').map(str::to_owned).collect();
        // Each page ends with a form feed.
        texts.pop();
        Ok(Reading {
            pages: texts.len(),
            seconds,
            peak_kb: 0,
            texts,
            printed: Vec::new(),
        })
    }
}

async fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let name = format!("{:?}", command.as_std());
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| name.clone())?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{name}: {}: {complaints}",
        output.status
    );
    Ok(output.stdout)
}
