//! Calling Tesseract.

#![expect(
    unsafe_code,
    reason = "Tesseract is a C library; what is handed out of this module is owned and checked"
)]

mod symbols;

use crate::{Baseline, Bounds, GrayImage, Line, LoadError, RecognizeError, Word};
use libloading::Library;
use std::{
    ffi::{CStr, CString, c_char, c_int},
    fmt,
    os::unix::ffi::OsStrExt,
    path::Path,
    time::Duration,
};
use symbols::{Api, Functions, Monitor, Results};

/// `OEM_LSTM_ONLY`: the models of the old recogniser are three times as large and worse.
const NEURAL: c_int = 1;
/// `PSM_AUTO`: columns and blocks are found, and text is taken to be upright.
const AUTOMATIC: c_int = 3;
const BLOCK: c_int = 0;
const PARAGRAPH: c_int = 1;
const LINE: c_int = 2;
const WORD: c_int = 3;
/// `ORIENTATION_PAGE_UP`.
const UPRIGHT: c_int = 0;

/// A recogniser with its models. It holds no more than one page's results, and those only while it reads it.
pub struct Tesseract {
    functions: Functions,
    api: Api,
    /// Last: the functions are its own.
    _library: Library,
}

impl fmt::Debug for Tesseract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tesseract").finish_non_exhaustive()
    }
}

impl Drop for Tesseract {
    fn drop(&mut self) {
        // SAFETY: made by `create` and deleted once; the library is still open.
        unsafe { (self.functions.delete)(self.api) }
    }
}

impl Tesseract {
    /// Loads the library and the models of `languages` (`eng`, or `eng+deu`), which are files
    /// `{language}.traineddata` in `models`.
    pub fn load(library: &Path, models: &Path, languages: &str) -> Result<Self, LoadError> {
        let missing = |source| LoadError::Library {
            path: library.to_owned(),
            source,
        };
        // SAFETY: its initialisers are those of Tesseract, Leptonica and the readers of images, which only set up memory
        // of their own.
        let opened = unsafe { Library::new(library) }.map_err(missing)?;
        let functions = Functions::of(&opened).map_err(missing)?;
        // SAFETY: takes nothing.
        let api = unsafe { (functions.create)() };
        if api.is_null() {
            return Err(LoadError::Create);
        }
        let tesseract = Self {
            functions,
            api,
            _library: opened,
        };
        tesseract.init(models, languages)?;
        Ok(tesseract)
    }

    fn init(&self, models: &Path, languages: &str) -> Result<(), LoadError> {
        // What it has to say of a picture is of no use to anybody here.
        self.set(c"debug_file", c"/dev/null");
        let folder = CString::new(models.as_os_str().as_bytes())
            .map_err(|_| LoadError::ZeroByte("the models' folder"))?;
        let names =
            CString::new(languages).map_err(|_| LoadError::ZeroByte("the names of languages"))?;
        // SAFETY: the recogniser is alive, and both strings end with a zero and outlive the call.
        let failed =
            unsafe { (self.functions.init)(self.api, folder.as_ptr(), names.as_ptr(), NEURAL) };
        if failed != 0 {
            return Err(LoadError::Models {
                languages: languages.to_owned(),
                folder: models.to_owned(),
            });
        }
        // Loading models sets variables back.
        self.set(c"debug_file", c"/dev/null");
        // SAFETY: the recogniser is alive.
        unsafe { (self.functions.set_segmentation)(self.api, AUTOMATIC) }
        Ok(())
    }

    fn set(&self, name: &CStr, value: &CStr) {
        // SAFETY: the recogniser is alive, and it copies both strings. An unknown name is no error.
        let _ = unsafe { (self.functions.set_variable)(self.api, name.as_ptr(), value.as_ptr()) };
    }

    /// The lines of text in a picture. What takes longer than `at_most` is given up; finding the lines is not bounded.
    pub fn recognize(
        &mut self,
        image: &GrayImage<'_>,
        at_most: Duration,
    ) -> Result<Vec<Line>, RecognizeError> {
        let side = |pixels: u32| c_int::try_from(pixels).ok().filter(|side| *side > 0);
        let (Some(width), Some(height)) = (side(image.width), side(image.height)) else {
            return Err(RecognizeError::Size);
        };
        if image.pixels.len() as u64 != u64::from(image.width) * u64::from(image.height) {
            return Err(RecognizeError::Size);
        }
        let page = Page { tesseract: self };
        let (functions, api) = (&page.tesseract.functions, page.tesseract.api);
        // SAFETY: the picture has `height` rows of `width` bytes, and the recogniser copies it.
        unsafe { (functions.set_image)(api, image.pixels.as_ptr(), width, height, 1, width) };
        // SAFETY: the recogniser is alive.
        unsafe { (functions.set_resolution)(api, image.dpi.clamp(70, 2_400).cast_signed()) };
        let watch = Watch::new(functions, at_most);
        // SAFETY: recogniser and watch are alive; a picture is set.
        let failed = unsafe { (functions.recognize)(api, watch.monitor) };
        if failed == 0 {
            Ok(page.lines())
        } else {
            Err(RecognizeError::GaveUp(at_most))
        }
    }
}

/// What ends a recognition that takes too long.
struct Watch<'a> {
    functions: &'a Functions,
    monitor: Monitor,
}

impl<'a> Watch<'a> {
    fn new(functions: &'a Functions, at_most: Duration) -> Self {
        // SAFETY: takes nothing. Recognition takes a null pointer as well.
        let monitor = unsafe { (functions.monitor_create)() };
        if !monitor.is_null() {
            let ms = c_int::try_from(at_most.as_millis()).unwrap_or(c_int::MAX);
            // SAFETY: just made.
            unsafe { (functions.monitor_deadline)(monitor, ms) };
        }
        Self { functions, monitor }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.monitor.is_null() {
            // SAFETY: made by `monitor_create`, deleted once.
            unsafe { (self.functions.monitor_delete)(self.monitor) }
        }
    }
}

/// A picture that is being read; it is let go with it.
struct Page<'a> {
    tesseract: &'a Tesseract,
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        // SAFETY: the recogniser is alive, and no iterator of its results outlives the page.
        unsafe { (self.tesseract.functions.clear)(self.tesseract.api) }
    }
}

impl Page<'_> {
    fn lines(&self) -> Vec<Line> {
        let functions = &self.tesseract.functions;
        // SAFETY: recognition has ended well.
        let results = unsafe { (functions.results)(self.tesseract.api) };
        if results.is_null() {
            return Vec::new();
        }
        let cursor = Cursor { functions, results };
        let mut lines: Vec<Line> = Vec::new();
        let (mut block, mut paragraph) = (0, 0);
        loop {
            block += u32::from(cursor.begins(BLOCK));
            paragraph += u32::from(cursor.begins(PARAGRAPH));
            if cursor.begins(LINE) {
                let baseline = cursor.baseline();
                lines.push(Line {
                    block,
                    paragraph,
                    bounds: cursor.bounds(LINE).unwrap_or_default(),
                    baseline,
                    upright: cursor.is_upright() && baseline.is_none_or(Baseline::is_level),
                    words: Vec::new(),
                });
            }
            if let Some(line) = lines.last_mut() {
                line.words.extend(cursor.word());
            }
            if !cursor.next() {
                break;
            }
        }
        lines.retain(|line| !line.words.is_empty());
        lines
    }
}

/// A word of the results.
struct Cursor<'a> {
    functions: &'a Functions,
    results: Results,
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        // SAFETY: given by `results`, deleted once.
        unsafe { (self.functions.results_delete)(self.results) }
    }
}

impl Cursor<'_> {
    /// The same as a place on the page. It is the iterator itself and belongs to it.
    fn place(&self) -> Results {
        // SAFETY: the iterator is alive.
        unsafe { (self.functions.place)(self.results) }
    }

    fn next(&self) -> bool {
        // SAFETY: the iterator is alive.
        unsafe { (self.functions.results_next)(self.results, WORD) != 0 }
    }

    fn begins(&self, level: c_int) -> bool {
        // SAFETY: the iterator is alive.
        unsafe { (self.functions.begins)(self.place(), level) != 0 }
    }

    fn bounds(&self, level: c_int) -> Option<Bounds> {
        let Bounds {
            mut left,
            mut top,
            mut right,
            mut bottom,
        } = Bounds::default();
        // SAFETY: the iterator is alive, and the four numbers outlive the call.
        let found = unsafe {
            (self.functions.bounds)(
                self.place(),
                level,
                &raw mut left,
                &raw mut top,
                &raw mut right,
                &raw mut bottom,
            )
        };
        (found != 0).then_some(Bounds {
            left,
            top,
            right,
            bottom,
        })
    }

    fn baseline(&self) -> Option<Baseline> {
        let (mut start, mut end) = ((0, 0), (0, 0));
        // SAFETY: as in `bounds`.
        let found = unsafe {
            (self.functions.baseline)(
                self.place(),
                LINE,
                &raw mut start.0,
                &raw mut start.1,
                &raw mut end.0,
                &raw mut end.1,
            )
        };
        (found != 0).then_some(Baseline { start, end })
    }

    fn is_upright(&self) -> bool {
        let (mut orientation, mut direction, mut order) = (UPRIGHT, 0, 0);
        let mut skew = 0.0;
        // SAFETY: as in `bounds`. The enumerations of C are as wide as its `int`.
        unsafe {
            (self.functions.orientation)(
                self.place(),
                &raw mut orientation,
                &raw mut direction,
                &raw mut order,
                &raw mut skew,
            );
        }
        orientation == UPRIGHT
    }

    /// The word, unless it is only white space, as what was found in a picture often is.
    fn word(&self) -> Option<Word> {
        // SAFETY: the iterator is alive.
        let text = Text {
            functions: self.functions,
            text: unsafe { (self.functions.text)(self.results, WORD) },
        };
        let text = text.read()?;
        // SAFETY: the iterator is alive.
        let confidence = unsafe { (self.functions.confidence)(self.results, WORD) };
        let confidence = if confidence.is_finite() {
            confidence
        } else {
            0.0
        };
        Some(Word {
            text,
            confidence: confidence.clamp(0.0, 100.0),
            bounds: self.bounds(WORD)?,
        })
    }
}

/// A string that Tesseract made.
struct Text<'a> {
    functions: &'a Functions,
    text: *mut c_char,
}

impl Text<'_> {
    /// Without white space; `None` if nothing is left.
    fn read(&self) -> Option<String> {
        if self.text.is_null() {
            return None;
        }
        // SAFETY: it is not null, ends with a zero, and lives until this is dropped.
        let text = unsafe { CStr::from_ptr(self.text) }.to_string_lossy();
        let text: String = text.split_whitespace().collect();
        (!text.is_empty()).then_some(text)
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        if !self.text.is_null() {
            // SAFETY: made by Tesseract, deleted once.
            unsafe { (self.functions.text_delete)(self.text) }
        }
    }
}
