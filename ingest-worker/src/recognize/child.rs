//! The child process: draws pages with pdfium and has Tesseract read them.
//!
//! It is as poor and as limited as the one that extracts: see [`crate::extract::child`].

use super::lines;
use crate::{
    extract::{
        Limits,
        child::{ChildError, open, pdfium, say},
        limits,
        protocol::{Count, Message},
    },
    layout::{self, RawPage},
};
use pdfium_render::prelude::*;
use std::{
    io::{BufWriter, Write},
    path::PathBuf,
    time::Duration,
};
use tesseract::{GrayImage, Tesseract};

/// Pixels per inch: what Tesseract is trained for.
const DPI: u32 = 300;
/// Pixels of a page's longer side at most: A4 has 3,508.
const MAX_SIDE: f32 = 4_000.0;
/// Pixels of a page's shorter side at least.
const MIN_SIDE: u32 = 16;
/// Pages after which the document is opened anew: pdfium keeps their pictures until then.
const PAGES_PER_OPENING: usize = 8;
/// After so long a page is no text: a photograph's grain is taken for letters without end.
pub(super) const PAGE_AT_MOST: Duration = Duration::from_secs(40);

/// What the child is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Path of libpdfium.so.
    #[arg(long)]
    pub library: PathBuf,
    /// Path of Tesseract's library.
    #[arg(long)]
    pub tesseract: PathBuf,
    /// The folder of its models.
    #[arg(long)]
    pub models: PathBuf,
    /// Languages of the document, as in `eng+deu`.
    #[arg(long)]
    pub languages: String,
    /// The process that started this one; the child ends with it.
    #[arg(long)]
    pub parent: Option<i32>,
    /// Limits of this process.
    #[command(flatten)]
    pub limits: Limits,
    /// Numbers of the pages, from 1.
    #[arg(long, value_delimiter = ',', required = true)]
    pub pages: Vec<u32>,
    /// The PDF.
    pub file: PathBuf,
}

/// Recognises pages of `options.file` and writes [`Message`]s to `output`, each in its frame.
pub fn run(options: &Options, output: impl Write) -> Result<(), ChildError> {
    limits::die_with_parent(options.parent)?;
    // Loaded first, the models too: they are ours, and the file gets what is left.
    let pdfium = pdfium(&options.library)?;
    let mut tesseract = Tesseract::load(&options.tesseract, &options.models, &options.languages)?;
    limits::apply(&options.limits)?;
    let mut output = BufWriter::new(output);
    let count = Count {
        pages: options.pages.len() as u32,
    };
    say(&mut output, &Message::Header(count))?;
    for numbers in options.pages.chunks(PAGES_PER_OPENING) {
        let Ok(document) = open(&pdfium, &options.file) else {
            // It opened a moment ago: the stream ends without its trailer.
            return Ok(output.flush()?);
        };
        for number in numbers {
            let page = page(&document, *number, &mut tesseract);
            say(&mut output, &Message::Page(page))?;
            // Each takes seconds, and somebody watches.
            output.flush()?;
        }
    }
    say(&mut output, &Message::Trailer(count))?;
    output.flush()?;
    Ok(())
}

/// One page; one that can't be drawn or read is an empty one, since the others may be sound.
fn page(document: &PdfDocument<'_>, number: u32, tesseract: &mut Tesseract) -> RawPage {
    let mut raw = RawPage {
        page: number,
        ..RawPage::default()
    };
    let index = number.saturating_sub(1).cast_signed();
    let Ok(page) = document.pages().get(index) else {
        return raw;
    };
    let (width, height) = (page.width().value, page.height().value);
    let Some(picture) = Picture::of(&page, width, height) else {
        return raw;
    };
    // The page is let go before the recogniser takes its share of the memory.
    drop(page);
    let scale = picture.scale(width, height);
    let Ok(found) = tesseract.recognize(&picture.gray(), PAGE_AT_MOST) else {
        return raw;
    };
    let mut text = lines::words(&found, scale);
    // Of the two ways in which a page may lie on its side, the recogniser knows one. Turned by half, the other is that
    // one, and what stood on its head stands upright.
    if lines::are_doubtful(&found) {
        let picture = picture.turned_by_half();
        if let Ok(found) = tesseract.recognize(&picture.gray(), PAGE_AT_MOST) {
            let found = lines::turned_back(found, picture.width, picture.height);
            let turned = lines::words(&found, scale);
            if turned.letters() > text.letters() {
                text = turned;
            }
        }
    }
    raw.confidence = text.confidence;
    raw.runs = layout::group(text.words);
    raw
}

/// A page as drawn.
struct Picture {
    pixels: Vec<u8>,
    width: u32,
    height: u32,
}

impl Picture {
    fn of(page: &PdfPage<'_>, width: f32, height: f32) -> Option<Self> {
        let longer = width.max(height);
        if !(longer.is_finite() && longer > 0.0) {
            return None;
        }
        let scale = (DPI as f32 / 72.0).min(MAX_SIDE / longer);
        // pdfium pads rows to four bytes.
        let across = ((width * scale).round() as u32).next_multiple_of(4);
        let down = (height * scale).round() as u32;
        if across < MIN_SIDE || down < MIN_SIDE {
            return None;
        }
        let mut pixels = vec![u8::MAX; across as usize * down as usize];
        let (w, h) = (across.cast_signed(), down.cast_signed());
        let mut bitmap = PdfBitmap::from_bytes(w, h, PdfBitmapFormat::Gray, &mut pixels).ok()?;
        // Of gray there is one byte, and pdfium draws neither images nor small letters where it is told to turn bytes around.
        let config = PdfRenderConfig::new()
            .set_fixed_size(w, h)
            .set_reverse_byte_order(false);
        page.render_into_bitmap_with_config(&mut bitmap, &config)
            .ok()?;
        drop(bitmap);
        Some(Self {
            pixels,
            width: across,
            height: down,
        })
    }

    fn turned_by_half(mut self) -> Self {
        self.pixels.reverse();
        self
    }

    fn gray(&self) -> GrayImage<'_> {
        GrayImage {
            pixels: &self.pixels,
            width: self.width,
            height: self.height,
            // Of a page that is larger than paper as well: its letters are then as large as those of paper.
            dpi: DPI,
        }
    }

    fn scale(&self, width: f32, height: f32) -> lines::Scale {
        lines::Scale {
            x: width / self.width as f32,
            y: height / self.height as f32,
            height,
        }
    }
}
