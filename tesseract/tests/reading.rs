//! Pictures through the library itself.
//!
//! Needs `TESSERACT_LIBRARY`, the path of `libtesseract.so`, and `TESSDATA_DIR` with `eng.traineddata`.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

use std::{fs, path::PathBuf, time::Duration};
use tesseract::{GrayImage, Line, LoadError, RecognizeError, Tesseract};

const AT_MOST: Duration = Duration::from_mins(1);

fn variable(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("set {name}; `cargo xtask test` does"))
        .into()
}

fn load(languages: &str) -> Result<Tesseract, LoadError> {
    let library = variable("TESSERACT_LIBRARY");
    Tesseract::load(&library, &variable("TESSDATA_DIR"), languages)
}

/// The pixels of a portable bitmap, and its size.
fn practice() -> (Vec<u8>, u32, u32) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/practice.pbm");
    let file = fs::read(path).unwrap();
    let (head, rest) = file.split_at(file.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    let (size, bits) = rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    assert_eq!(head, b"P4\n");
    let size: Vec<u32> = str::from_utf8(size)
        .unwrap()
        .split_whitespace()
        .map(|side| side.parse().unwrap())
        .collect();
    let row = |row: &[u8]| {
        let bits = row
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
        bits.take(size[0] as usize)
            .map(|ink| if ink == 1 { 0 } else { 255 })
            .collect::<Vec<u8>>()
    };
    let pixels = bits
        .chunks(size[0].div_ceil(8) as usize)
        .flat_map(row)
        .collect();
    (pixels, size[0], size[1])
}

fn text(line: &Line) -> String {
    let words: Vec<&str> = line.words.iter().map(|word| word.text.as_str()).collect();
    words.join(" ")
}

#[test]
fn a_picture_of_text_is_read_line_by_line_with_the_places_of_its_words() {
    let (pixels, width, height) = practice();
    let image = GrayImage {
        pixels: &pixels,
        width,
        height,
        dpi: 200,
    };
    let mut tesseract = load("eng").unwrap();
    let lines = tesseract.recognize(&image, AT_MOST).unwrap();
    let texts: Vec<String> = lines.iter().map(text).collect();
    assert_eq!(
        texts,
        [
            "Slow practice",
            "Play each hand alone, and only then both",
            "hands together."
        ]
    );
    assert!(lines.iter().all(|line| line.upright));
    for line in &lines {
        let baseline = line.baseline.unwrap();
        assert!((line.bounds.top..line.bounds.bottom).contains(&baseline.start.1));
        for pair in line.words.windows(2) {
            assert!(pair[0].bounds.right <= pair[1].bounds.left);
        }
        for word in &line.words {
            assert!(word.confidence > 80.0, "{word:?}");
            assert!(word.bounds.top >= line.bounds.top && word.bounds.right <= line.bounds.right);
        }
    }
    assert_eq!(
        tesseract.recognize(&image, AT_MOST).unwrap(),
        lines,
        "once more"
    );
}

#[test]
fn a_blank_picture_holds_no_lines() {
    let pixels = vec![255; 200 * 100];
    let image = GrayImage {
        pixels: &pixels,
        width: 200,
        height: 100,
        dpi: 300,
    };
    assert_eq!(load("eng").unwrap().recognize(&image, AT_MOST), Ok(vec![]));
}

#[test]
fn a_picture_of_another_size_than_it_says_is_refused() {
    let pixels = [255; 12];
    let mut tesseract = load("eng").unwrap();
    for (width, height) in [(3, 3), (0, 12), (4, 4), (u32::MAX, u32::MAX)] {
        let image = GrayImage {
            pixels: &pixels,
            width,
            height,
            dpi: 300,
        };
        let refused = tesseract.recognize(&image, AT_MOST);
        assert_eq!(refused, Err(RecognizeError::Size));
    }
}

#[test]
fn what_can_t_be_loaded_is_named() {
    let models = variable("TESSDATA_DIR");
    let error = Tesseract::load("/nowhere/libtesseract.so".as_ref(), &models, "eng").unwrap_err();
    assert_eq!(error.to_string(), "can't load /nowhere/libtesseract.so");
    let error = load("klingon").unwrap_err();
    assert!(error.to_string().contains("klingon"), "{error}");
    assert!(matches!(load("e\0g").unwrap_err(), LoadError::ZeroByte(_)));
}
