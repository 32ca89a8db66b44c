//! Whether what text recognition needs is there: looked at when a worker starts, not when the first scan comes.

use super::Recognizer;
use std::{
    io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Something that text recognition needs and that can't be had.
#[derive(Debug, Error)]
pub enum NotInstalled {
    /// Tesseract itself.
    #[error(
        "TESSERACT_LIBRARY: can't open {}. Install Tesseract 5 (Debian: libtesseract5) and set TESSERACT_LIBRARY to the \
         path of its library, or set MAX_SCANNED_PAGES to 0 to read no scanned pages",
        .path.display()
    )]
    Library {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The model of a language.
    #[error(
        "OCR_LANGUAGES names {language}: can't open its model {}. Install it (Debian: tesseract-ocr-{language}), set \
         TESSDATA_DIR to the folder that holds it, or leave {language} out of OCR_LANGUAGES",
        .path.display()
    )]
    Model {
        /// Its name in `OCR_LANGUAGES`.
        language: String,
        /// Where its model was looked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Recognizer {
    /// Looks for Tesseract's library and for the model of each language, and opens them. Of no use where no page is
    /// recognised: then there is nothing to look for. A library without a folder is the dynamic linker's to find.
    pub fn check(&self) -> Result<(), NotInstalled> {
        if self.max_pages == 0 {
            return Ok(());
        }
        let library = &self.tesseract;
        if library.components().nth(1).is_some() {
            open(library).map_err(|source| NotInstalled::Library {
                path: library.clone(),
                source,
            })?;
        }
        for language in self.languages.split('+') {
            let path = self.models.join(format!("{language}.traineddata"));
            open(&path).map_err(|source| NotInstalled::Model {
                language: language.to_owned(),
                path,
                source,
            })?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_file() {
        Ok(())
    } else {
        Err(io::Error::other("it is no file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, time::Duration};

    fn recognizer(folder: &Path, languages: &str) -> Recognizer {
        Recognizer {
            program: "ingest-worker".into(),
            pdfium: "libpdfium.so".into(),
            tesseract: folder.join("libtesseract.so"),
            models: folder.to_owned(),
            languages: languages.into(),
            max_pages: 100,
            memory_bytes: Recognizer::MEMORY_BYTES,
            page_cpu_s: Recognizer::PAGE_CPU_S,
            deadline: Duration::from_mins(1),
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_setting_its_file_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::write(at.join("eng.traineddata"), "a model").unwrap();
        let missing = |recognizer: &Recognizer| recognizer.check().unwrap_err().to_string();

        let error = missing(&recognizer(at, "eng"));
        let library = at.join("libtesseract.so");
        let start = format!("TESSERACT_LIBRARY: can't open {}.", library.display());
        assert!(
            error.starts_with(&start) && error.contains("Install"),
            "{error}"
        );

        fs::write(&library, "a library").unwrap();
        recognizer(at, "eng").check().unwrap();
        fs::create_dir(at.join("deu.traineddata")).unwrap();
        for language in ["lat", "deu"] {
            let error = missing(&recognizer(at, &format!("eng+{language}")));
            let path = at.join(format!("{language}.traineddata"));
            let start = format!(
                "OCR_LANGUAGES names {language}: can't open its model {}.",
                path.display()
            );
            assert!(
                error.starts_with(&start) && error.contains("TESSDATA_DIR"),
                "{error}"
            );
        }
    }

    #[test]
    fn nothing_is_looked_for_where_no_page_is_recognised() {
        let none = Recognizer {
            max_pages: 0,
            ..recognizer(Path::new("nowhere"), "eng")
        };
        none.check().unwrap();
        let elsewhere = Recognizer {
            tesseract: "libtesseract.so.5".into(),
            ..recognizer(Path::new("nowhere"), "eng")
        };
        let model = elsewhere.check();
        assert!(
            matches!(model, Err(NotInstalled::Model { .. })),
            "{model:?}"
        );
    }
}
