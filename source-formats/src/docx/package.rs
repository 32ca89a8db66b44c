//! The files packed into a document.

use super::xml::{self, Piece};
use crate::{Limits, Refusal};
use encoding_rs::UTF_8;
use std::{
    collections::HashMap,
    io::{Cursor, Read},
};
use zip::{ZipArchive, result::ZipError};

/// A file in the format before 2007, or one that a password locks: a compound file.
const COMPOUND_FILE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/// The content type of a document's main part, in part: of templates and of documents with macros, too.
const MAIN_TYPES: [&str; 2] = [
    "wordprocessingml.document.main",
    "wordprocessingml.template.main",
];

/// An open package. Names are looked up without regard to case, as the standard says, and nowhere else.
pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    places: HashMap<String, usize>,
    limits: &'a Limits,
    /// Bytes that may still be unpacked.
    left: usize,
}

impl<'a> Package<'a> {
    pub(super) fn open(bytes: &'a [u8], limits: &'a Limits) -> Result<Self, Refusal> {
        if bytes.starts_with(COMPOUND_FILE) {
            return Err(compound_file(bytes));
        }
        if !bytes.starts_with(b"PK") {
            return Err(Refusal::NotThisFormat);
        }
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| refusal(&error))?;
        if archive.len() > limits.max_entries {
            return Err(Refusal::TooComplex);
        }
        let names = (0..archive.len()).filter_map(|at| {
            let name = archive.name_for_index(at)?.ok()?;
            Some((key(&name), at))
        });
        Ok(Self {
            places: names.collect(),
            archive,
            limits,
            left: limits.max_unpacked_bytes,
        })
    }

    /// The text of a part; none where there is no such part.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(at) = self.places.get(&key(name)) else {
            return Ok(None);
        };
        let file = self
            .archive
            .by_index(*at)
            .map_err(|error| refusal(&error))?;
        let mut bytes = Vec::new();
        // What the file says about its size may be a lie.
        let mut bounded = file.take(self.left as u64 + 1);
        bounded
            .read_to_end(&mut bytes)
            .map_err(|_| Refusal::Damaged)?;
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or(Refusal::TooComplex)?;
        Ok(Some(match UTF_8.decode(&bytes).0 {
            std::borrow::Cow::Borrowed(text) if text.len() == bytes.len() => {
                String::from_utf8(bytes).map_err(|_| Refusal::Damaged)?
            }
            text => text.into_owned(),
        }))
    }

    /// The name of the part that holds the document's text.
    pub(super) fn main_part(&mut self) -> Result<String, Refusal> {
        if let Some(name) = self.relations_of("")?.remove("officeDocument") {
            return Ok(name);
        }
        let types = self
            .part("[Content_Types].xml")?
            .ok_or(Refusal::NotThisFormat)?;
        let mut main = None;
        xml::read(&types, self.limits, |piece| {
            if let Piece::Start(element) = piece
                && let Some(kind) = element.attribute("ContentType")
                && MAIN_TYPES.iter().any(|main| kind.contains(main))
            {
                main = element.attribute("PartName");
            }
            Ok(())
        })?;
        main.ok_or(Refusal::NotThisFormat)
    }

    /// The parts that a part refers to, by the last word of the relation's type; the package's own for "".
    pub(super) fn relations_of(&mut self, name: &str) -> Result<HashMap<String, String>, Refusal> {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        let mut relations = HashMap::new();
        let Some(part) = self.part(&format!("{folder}/_rels/{file}.rels"))? else {
            return Ok(relations);
        };
        xml::read(&part, self.limits, |piece| {
            if let Piece::Start(element) = piece
                && let (Some(kind), Some(target)) =
                    (element.attribute("Type"), element.attribute("Target"))
                && element.attribute("TargetMode").as_deref() != Some("External")
            {
                let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                relations.insert(kind, resolve(folder, &target));
            }
            Ok(())
        })?;
        Ok(relations)
    }
}

/// A part's name as it is looked up.
fn key(name: &str) -> String {
    name.trim_start_matches('/').to_ascii_lowercase()
}

/// The name that a target has, seen from a folder of the package.
fn resolve(folder: &str, target: &str) -> String {
    let path = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("{folder}/{target}")
    };
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    steps.join("/")
}

fn refusal(error: &ZipError) -> Refusal {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => Refusal::Encrypted,
        _ => Refusal::Damaged,
    }
}

/// Why a compound file is refused, by the names in its directory.
fn compound_file(bytes: &[u8]) -> Refusal {
    let holds = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.windows(name.len()).any(|window| window == name)
    };
    if holds("EncryptedPackage") {
        Refusal::Encrypted
    } else if holds("WordDocument") {
        Refusal::OldFormat
    } else {
        Refusal::NotThisFormat
    }
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn targets_are_seen_from_the_folder_of_the_part_that_names_them() {
        assert_eq!(resolve("word", "styles.xml"), "word/styles.xml");
        assert_eq!(resolve("word", "/word/./styles.xml"), "word/styles.xml");
        assert_eq!(resolve("word", "../../../etc/styles.xml"), "etc/styles.xml");
        assert_eq!(resolve("", "word/document.xml"), "word/document.xml");
    }
}
