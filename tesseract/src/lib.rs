//! Text recognition with Tesseract 5.
//!
//! The library is loaded at run time from where it is said to be: nothing of it is needed to build. All unsafe code is
//! in one module, which hands out no pointer and no borrowed memory of the library's.

mod api;

pub use api::Tesseract;

use std::{path::PathBuf, time::Duration};
use thiserror::Error;

/// A picture of a page, white being 255.
#[derive(Clone, Copy, Debug)]
pub struct GrayImage<'a> {
    /// One byte each, row by row from the top, without padding.
    pub pixels: &'a [u8],
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pixels per inch of the page.
    pub dpi: u32,
}

/// A box in pixels. The origin is the picture's upper left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Left edge.
    pub left: i32,
    /// Upper edge.
    pub top: i32,
    /// Right edge; exclusive.
    pub right: i32,
    /// Lower edge; exclusive.
    pub bottom: i32,
}

/// Two points of a line's baseline, left and right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// Where it begins.
    pub start: (i32, i32),
    /// Where it ends.
    pub end: (i32, i32),
}

impl Baseline {
    /// Whether it runs across the picture rather than up or down.
    fn is_level(self) -> bool {
        self.start.0.abs_diff(self.end.0) >= self.start.1.abs_diff(self.end.1)
    }
}

/// A word as it was recognised.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Its characters; no white space, and not empty.
    pub text: String,
    /// How sure the recogniser is of it, 0 to 100.
    pub confidence: f32,
    /// Where it stands.
    pub bounds: Bounds,
}

/// A line of text, in the order of reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Lines of one column or one heading have the same number; numbers rise.
    pub block: u32,
    /// Lines of one paragraph have the same number; numbers rise over the whole page.
    pub paragraph: u32,
    /// Where it stands.
    pub bounds: Bounds,
    /// `None` where the recogniser found none.
    pub baseline: Option<Baseline>,
    /// Its letters stand on their feet.
    pub upright: bool,
    /// From left to right; at least one.
    pub words: Vec<Word>,
}

/// Why the recogniser can't be had.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The library or one of its functions is missing.
    #[error("can't load {path}")]
    Library {
        /// Where it was looked for.
        path: PathBuf,
        /// As the dynamic linker says it.
        source: libloading::Error,
    },
    /// The library made no recogniser.
    #[error("the library of Tesseract made no recogniser")]
    Create,
    /// A path or a name that C can't hold.
    #[error("{0} has a zero byte in it")]
    ZeroByte(&'static str),
    /// A language's model is missing or damaged.
    #[error("there is no usable model of {languages} in {folder}")]
    Models {
        /// What was asked for.
        languages: String,
        /// Where.
        folder: PathBuf,
    },
}

/// Why a picture was not read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecognizeError {
    /// No pixels, or not as many as its size says.
    #[error("the picture's pixels are not as many as its size says")]
    Size,
    /// It took longer than this, or Tesseract gave up.
    #[error("nothing was recognised within {0:?}")]
    GaveUp(Duration),
}
