//! One document on its way from a file to searchable passages.

use crate::{
    config::Config,
    edge::Edge,
    embedder::{BATCH, Embedder},
    extract::{ExtractError, Extractor, Legible, Pages},
    failure::{JobError, Part, Rejection},
    layout,
    object_store::{FetchError, ObjectStore},
    passages::{self, Embedded},
    recognize::Recognizer,
    sources,
    spool::Spool,
    tokens::TokenCounter,
};
use rag_core::chunking::{Chunk, PageText};
use shared_types::documents::{IngestStage, SourceFormat};
use source_formats::{Charset, Content};
use std::{io, num::NonZero, path::Path, sync::Arc, thread::available_parallelism};
use storage::jobs::{Job, Legibility};
use tokio::sync::{Semaphore, watch};
use tracing::{Instrument, info_span};

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: IngestStage,
    /// Units done.
    pub done: u32,
    /// Units in all; 0 while unknown.
    pub total: u32,
    /// Nothing is done until another document's turn ends.
    pub waits: bool,
}

impl Progress {
    /// Nothing is done yet.
    pub const START: Self = Self {
        stage: IngestStage::Extracting,
        done: 0,
        total: 0,
        waits: false,
    };
}

/// What a document's file was made into.
#[derive(Debug)]
pub struct Passages {
    /// Pages of the file.
    pub page_count: u32,
    /// How well they could be read.
    pub legibility: Legibility,
    /// In which encoding the file is, where it is made of text.
    pub charset: Option<Charset>,
    /// All passages with their vectors, in order; at least one.
    pub chunks: Embedded,
}

/// Everything that a job needs but the queue.
#[derive(Debug)]
pub struct Pipeline {
    /// Where files are.
    pub store: ObjectStore,
    /// Reads PDFs.
    pub extractor: Extractor,
    /// Reads their scanned pages.
    pub recognizer: Recognizer,
    /// Documents whose pages are recognised at a time: each takes all of a processor.
    pub turns: Semaphore,
    /// Counts the encoder's tokens.
    pub tokens: Arc<TokenCounter>,
    /// Makes vectors; of which model, the library says once it has documents.
    pub embedder: Embedder,
    /// Is told when a document became searchable.
    pub edge: Edge,
}

impl Pipeline {
    /// Reads the tokenizer, looks for what recognises text, and prepares the clients; connects to nothing.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        config.recognizer.check()?;
        Ok(Self {
            store: ObjectStore::new(&config.r2)?,
            extractor: config.extractor.clone(),
            recognizer: config.recognizer.clone(),
            turns: Semaphore::new(available_parallelism().map_or(1, NonZero::get)),
            tokens: Arc::new(TokenCounter::from_file(&config.tokenizer_file)?),
            embedder: Embedder::new(&config.embedding)?,
            edge: Edge::new(&config.edge)?,
        })
    }

    /// Fetches, reads, cuts and embeds a document. Changes nothing outside this process.
    pub async fn read(
        &self,
        job: &Job,
        embedder: &Embedder,
        progress: &watch::Sender<Progress>,
    ) -> Result<Passages, JobError> {
        tell(progress, IngestStage::Extracting, 0, 0);
        let file = match self
            .store
            .fetch(&job.file.key(), job.size_bytes, &job.sha256)
            .await
        {
            Ok(file) => file,
            Err(FetchError::Rejected(rejection)) => return Err(rejection.into()),
            Err(error) => return Err(JobError::failed(Part::Files, error)),
        };
        let source = match job.file.format {
            SourceFormat::Pdf => {
                let mut pages = self.pages(&file, progress).await?;
                self.recognize(&file, &mut pages, progress).await?;
                Source::Pages(pages)
            }
            format => Source::Content(self.content(format, &file).await?),
        };
        let charset = source.charset();
        tell(progress, IngestStage::Chunking, 0, 0);
        let Chunked {
            page_count,
            legibility,
            chunks,
        } = self.chunk(source).await?;
        let chunks = embed(chunks, embedder, progress).await?;
        Ok(Passages {
            page_count,
            legibility,
            charset,
            chunks,
        })
    }

    /// What stands in a file that is made of text.
    #[tracing::instrument(name = "ingest.extracting", skip_all)]
    async fn content(&self, format: SourceFormat, file: &Path) -> Result<Content, JobError> {
        let content = self.extractor.read_source(format, file);
        content.await.map_err(extraction_failed)
    }

    /// The pages of a PDF.
    #[tracing::instrument(name = "ingest.extracting", skip_all)]
    async fn pages(
        &self,
        file: &Path,
        progress: &watch::Sender<Progress>,
    ) -> Result<Pages, JobError> {
        let pages = self.extractor.extract(file, |done, total| {
            tell(progress, IngestStage::Extracting, done, total);
        });
        let pages = pages.await.map_err(extraction_failed)?;
        if pages.is_empty() {
            return Err(Rejection::NoPages.into());
        }
        Ok(pages)
    }

    /// Has scanned pages read, if there are any. A document that is mostly scanned must not have more of them than are
    /// read; of any other, the first ones are.
    async fn recognize(
        &self,
        file: &Path,
        pages: &mut Pages,
        progress: &watch::Sender<Progress>,
    ) -> Result<(), JobError> {
        let scanned = pages.legible().filter(|page| page.scanned).count() as u32;
        let most = self.recognizer.max_pages;
        if scanned > most && scanned > pages.len() as u32 / 2 {
            return Err(Rejection::TooManyScannedPages { scanned, most }.into());
        }
        let wanted = scanned.min(most);
        if wanted == 0 {
            return Ok(());
        }
        progress.send_replace(Progress {
            stage: IngestStage::Recognizing,
            done: 0,
            total: wanted,
            waits: true,
        });
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|error| JobError::failed(Part::Extraction, error))?;
        tell(progress, IngestStage::Recognizing, 0, wanted);
        let recognized = self.recognizer.recognize(file, pages, |done, total| {
            tell(progress, IngestStage::Recognizing, done, total);
        });
        let recognized = recognized.instrument(info_span!("ingest.recognizing"));
        let rejection = match recognized.await {
            Ok(()) => return Ok(()),
            Err(ExtractError::Rejected(rejection)) => rejection,
            // They would take as long the next time.
            Err(ExtractError::Overdue(_)) => Rejection::TooComplex,
            Err(error) => return Err(JobError::failed(Part::Extraction, error)),
        };
        // The pages that say their text themselves, and those that were recognised, need not go with one picture that is
        // too much.
        if !pages
            .legible()
            .any(|page| page.has_letters && !page.is_unread())
        {
            return Err(rejection.into());
        }
        let unread = pages.legible().filter(Legible::is_unread).count();
        tracing::warn!(rejection = ?rejection, scanned, unread, "scanned pages were not recognised");
        Ok(())
    }

    /// Off the async threads: a large document takes seconds of computing.
    #[tracing::instrument(name = "ingest.chunking", skip_all)]
    async fn chunk(&self, source: Source) -> Result<Chunked, JobError> {
        let tokens = Arc::clone(&self.tokens);
        let most = self.extractor.limits.max_pages;
        let chunked = tokio::task::spawn_blocking(move || {
            let (unreadable, nothing) = (source.unreadable_pages(), source.rejection());
            let mut tally = Tally::default();
            let pages = source.read(most)?.inspect(|page| {
                if let Ok(page) = page {
                    tally.count(page);
                }
            });
            let chunks = passages::cut(pages, &tokens).map_err(not_kept)?;
            if chunks.is_empty() {
                return Err(JobError::from(nothing));
            }
            Ok(Chunked {
                page_count: tally.pages,
                legibility: tally.legibility(unreadable),
                chunks,
            })
        });
        // As an error of input and output: tokio's own would quote the panic, which may quote the document.
        let chunked = chunked.await.map_err(io::Error::from);
        chunked.map_err(|error| JobError::failed(Part::Extraction, error))?
    }
}

/// What was read of a file.
enum Source {
    Pages(Pages),
    Content(Content),
}

impl Source {
    fn charset(&self) -> Option<Charset> {
        match self {
            Self::Pages(_) => None,
            Self::Content(content) => content.charset,
        }
    }

    /// Pages of which nothing could be read: pictures, and those in fonts that do not say which letters they draw.
    fn unreadable_pages(&self) -> u32 {
        let is_unreadable = |page: &Legible| page.unreadable || page.is_unread();
        match self {
            Self::Pages(pages) => pages.legible().filter(is_unreadable).count() as u32,
            Self::Content(_) => 0,
        }
    }

    /// Why there is no passage, where there is none.
    fn rejection(&self) -> Rejection {
        match self {
            Self::Content(_) => Rejection::NoWords,
            Self::Pages(pages) => match pages.legible().filter(|page| page.unreadable).count() {
                0 => Rejection::NoText,
                pages => Rejection::UnmappedFonts {
                    pages: pages as u32,
                },
            },
        }
    }

    /// The text of its pages, one after another.
    fn read(
        &self,
        most: u32,
    ) -> Result<Box<dyn Iterator<Item = io::Result<PageText>> + '_>, JobError> {
        match self {
            Self::Pages(pages) => {
                let read = layout::read(|| pages.iter()).map_err(not_kept)?;
                Ok(Box::new(read))
            }
            Self::Content(content) => {
                let pages = sources::pages(&content.blocks);
                if pages.len() > most as usize {
                    return Err(Rejection::TooManyPages(most).into());
                }
                Ok(Box::new(pages.into_iter().map(Ok)))
            }
        }
    }
}

/// A document in passages without their vectors.
struct Chunked {
    page_count: u32,
    legibility: Legibility,
    chunks: Spool<Chunk>,
}

/// The pages that were read.
#[derive(Default)]
struct Tally {
    pages: u32,
    /// Those that were recognised, their bytes of text, and those bytes weighted with how sure that is.
    scanned: u32,
    bytes: u64,
    sure_bytes: u64,
}

impl Tally {
    fn count(&mut self, page: &PageText) {
        self.pages += 1;
        if let Some(confidence) = page.confidence {
            let bytes = page.text.len() as u64;
            self.scanned += 1;
            self.bytes += bytes;
            self.sure_bytes += bytes * u64::from(confidence);
        }
    }

    fn legibility(&self, unreadable_pages: u32) -> Legibility {
        let mean = self.sure_bytes.checked_div(self.bytes);
        Legibility {
            scanned_pages: self.scanned,
            scan_confidence: mean.map(|mean| mean as u8),
            unreadable_pages,
        }
    }
}

fn extraction_failed(error: ExtractError) -> JobError {
    match error {
        ExtractError::Rejected(rejection) => rejection.into(),
        error => JobError::failed(Part::Extraction, error),
    }
}

/// What was read can't be kept, or what was kept not be read.
fn not_kept(error: io::Error) -> JobError {
    JobError::failed(Part::Extraction, ExtractError::Spool(error))
}

#[tracing::instrument(name = "ingest.embedding", skip_all)]
async fn embed(
    chunks: Spool<Chunk>,
    embedder: &Embedder,
    progress: &watch::Sender<Progress>,
) -> Result<Embedded, JobError> {
    let mut passages = Embedded::new(chunks).map_err(not_kept)?;
    loop {
        let (done, total) = passages.progress();
        if done == total {
            tell(progress, IngestStage::Storing, 0, total as u32);
            return Ok(passages);
        }
        tell(progress, IngestStage::Embedding, done as u32, total as u32);
        let texts = passages.next_texts(BATCH).map_err(not_kept)?;
        let vectors = embedder.embed(&texts).await;
        let vectors = vectors.map_err(|error| JobError::failed(Part::Embedding, error))?;
        passages.extend(vectors).map_err(not_kept)?;
    }
}

fn tell(progress: &watch::Sender<Progress>, stage: IngestStage, done: u32, total: u32) {
    progress.send_replace(Progress {
        stage,
        done,
        total,
        waits: false,
    });
}
