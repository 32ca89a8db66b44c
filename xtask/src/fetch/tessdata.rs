//! Tesseract's model of English: npm has fetched it compressed, and it is unpacked into the cache.

use super::{
    clear, digest,
    manifest::{TESSDATA, TESSDATA_ENGLISH, TESSDATA_PACKAGE},
};
use crate::{cache::Cache, checkout::Checkout};
use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use std::{
    fs::{self, File},
    io::{self, Read},
};

/// The model is not larger than this.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Whether the model is there.
pub fn is_there(cache: &Cache) -> bool {
    cache.path(TESSDATA).join(TESSDATA_ENGLISH.path).exists()
}

/// Unpacks and checks the model. `node_modules` is there.
pub fn ensure(cache: &Cache, checkout: &Checkout) -> Result<()> {
    let package = checkout.root.join("node_modules").join(TESSDATA_PACKAGE);
    let unpacked = cache.path("unfinished/tessdata");
    // A killed run may have left a half.
    clear(&unpacked)?;
    let model = unpacked.join(TESSDATA_ENGLISH.path);
    let compressed = File::open(&package).with_context(|| package.display().to_string())?;
    let mut file = File::create(&model).with_context(|| model.display().to_string())?;
    io::copy(&mut GzDecoder::new(compressed).take(MAX_BYTES), &mut file)
        .with_context(|| package.display().to_string())?;
    digest::check(&model, TESSDATA_ENGLISH.sha256)?;
    let folder = cache.path(TESSDATA);
    fs::create_dir_all(&folder)?;
    let target = folder.join(TESSDATA_ENGLISH.path);
    fs::rename(&model, &target).with_context(|| target.display().to_string())
}
