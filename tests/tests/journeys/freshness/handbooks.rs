//! The two studios' handbooks.

use journeys::booklet_path;
use std::collections::BTreeSet;

/// The first teacher's handbook, and the second's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Book {
    /// Of the student's teacher at first.
    First,
    /// Of the other teacher.
    Second,
}

/// Both.
pub const BOOKS: [Book; 2] = [Book::First, Book::Second];

/// Its file.
pub fn file_name(book: Book) -> &'static str {
    match book {
        Book::First => "06-studio-handbook-first-teacher.pdf",
        Book::Second => "07-studio-handbook-second-teacher.pdf",
    }
}

/// The words that stand in it.
pub fn words_of(book: Book) -> BTreeSet<String> {
    let text = pdf_extract::extract_text(booklet_path(file_name(book))).unwrap();
    let mut words = words(&text);
    words.extend(self::words(file_name(book)));
    words
}

/// The words of a text.
pub fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
