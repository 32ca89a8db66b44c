//! Telling pages that are pictures of text from pages that hold it.

use crate::layout::{RawPage, Run};
use pdfium_render::prelude::*;

/// Fewer letters and digits than this are no page of text: a page number, a signature, a stamp.
const FEW_LETTERS: usize = 25;
/// So many may stand in the margins of a picture: a library's stamp, a running head.
const STAMPED_LETTERS: usize = 250;
/// A margin's share of the page's height.
const MARGIN: f32 = 0.12;
/// Pictures on a page of few letters that may be its text, as a share of the page.
const PICTURE: f32 = 0.25;
/// A picture that is the page.
const WHOLE_PICTURE: f32 = 0.75;
/// How deep forms in forms are looked through.
const MAX_DEPTH: u8 = 3;

/// Whether the page has to be recognised. `raw` is what it says itself: with a layer of text under its picture it is read
/// already. An empty page is no scan, and neither is one of drawings.
pub(super) fn is_scanned(page: &PdfPage<'_>, raw: &RawPage) -> bool {
    if raw.is_unreadable() {
        return true;
    }
    // Almost every page ends here: what comes next looks at all of its objects.
    let letters = raw.letters();
    let picture = if letters < FEW_LETTERS {
        PICTURE
    } else if letters < STAMPED_LETTERS && raw.runs.iter().all(|run| is_in_margin(run, raw.height))
    {
        WHOLE_PICTURE
    } else {
        return false;
    };
    covered(page, raw.width * raw.height) >= picture
}

fn is_in_margin(run: &Run, height: f32) -> bool {
    run.turned || run.baseline < height * MARGIN || run.baseline > height * (1.0 - MARGIN)
}

/// The share of the page that its pictures cover, those that overlap counted twice: scanners make several of one.
fn covered(page: &PdfPage<'_>, whole: f32) -> f32 {
    let shown = page.boundaries().bounding().map(|shown| shown.bounds).ok();
    let area: f32 = page
        .objects()
        .iter()
        .filter(|object| is_picture(object, MAX_DEPTH))
        .filter_map(|object| object.bounds().ok())
        .map(|bounds| area(&bounds.to_rect(), shown.as_ref()))
        .sum();
    if whole > 0.0 { area / whole } else { 0.0 }
}

/// Whether it is an image, or a form in which there is one.
fn is_picture(object: &PdfPageObject<'_>, depth: u8) -> bool {
    match object {
        PdfPageObject::Image(_) => true,
        PdfPageObject::XObjectForm(form) if depth > 0 => form
            .iter()
            .any(|object| is_picture(&object, depth.saturating_sub(1))),
        _ => false,
    }
}

/// The area of what lies on the page.
fn area(bounds: &PdfRect, shown: Option<&PdfRect>) -> f32 {
    let side = |low: PdfPoints, high: PdfPoints, from: Option<PdfPoints>, to: Option<PdfPoints>| {
        let low = from.map_or(low.value, |from| low.value.max(from.value));
        let high = to.map_or(high.value, |to| high.value.min(to.value));
        (high - low).max(0.0)
    };
    side(
        bounds.left(),
        bounds.right(),
        shown.map(PdfRect::left),
        shown.map(PdfRect::right),
    ) * side(
        bounds.bottom(),
        bounds.top(),
        shown.map(PdfRect::bottom),
        shown.map(PdfRect::top),
    )
}
