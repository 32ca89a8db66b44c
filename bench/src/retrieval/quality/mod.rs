//! How good what is found is, by labels: Cranfield's, and our own for the sample library.

mod collection;
mod cranfield;
mod judging;
mod models;
mod outside;
mod questions;

use super::shelf::Server;
use crate::report::Report;
use collection::Collection;
use local_stack::{Encoder, Install, Stack, StackConfig};
use models::Models;
use std::path::Path;

/// Measures the sample library with either encoder, and Cranfield where it is.
pub async fn measure(
    server: &Server,
    install: &Install,
    folder: &Path,
    cranfield: Option<&Path>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let collection = cranfield.map(Collection::read).transpose()?;
    if collection.is_none() {
        eprintln!("Cranfield is left out: name its folder with --cranfield or in ETUDE_CRANFIELD");
    }
    for encoder in [Encoder::Mpnet, Encoder::Small] {
        let home = tempfile::Builder::new().prefix("etude-bench-").tempdir()?;
        let mut config = StackConfig::for_test(home.path())?;
        config.encoder = encoder;
        let stack = Stack::start(config).await?;
        let models = Models::of(&stack, encoder)?;
        let mut measured =
            questions::measure(&stack, &install.repository, &models, encoder, report).await;
        // The small one has read 1,400 abstracts in a minute or two, the other one in ten.
        if let (Ok(()), Encoder::Small, Some(collection)) = (&measured, encoder, &collection) {
            measured =
                cranfield::measure(server, install, folder, collection, &models, report).await;
        }
        stack.stop().await;
        measured?;
    }
    Ok(())
}
