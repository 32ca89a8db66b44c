//! What wakes the ingest worker on Google Cloud: the metadata server, Pub/Sub and Cloud Run jobs, put together. Part
//! of [`crate::LocalCloud`], and to be had without the models.

use crate::{
    cloud_run::{self, CloudRun, CloudRunJob},
    faults::{self, Faults},
    metadata,
    pubsub::{self, PubSub},
    supabase::KeyError,
};
use axum::Router;
use std::{path::Path, sync::Arc};

/// The three services, with faults of their own at `/control/faults`. Keys are kept in `state_dir`.
pub fn google_cloud(state_dir: &Path, jobs: Vec<CloudRunJob>) -> Result<Router, KeyError> {
    let faults = Arc::new(Faults::default());
    Ok(router(state_dir, jobs, &faults)?
        .merge(metadata::router())
        .merge(faults::router(faults)))
}

/// Pub/Sub and Cloud Run.
pub(crate) fn router(
    state_dir: &Path,
    jobs: Vec<CloudRunJob>,
    faults: &Arc<Faults>,
) -> Result<Router, KeyError> {
    let pubsub = PubSub::set_up(state_dir, Arc::clone(faults))?;
    let cloud_run = CloudRun::new(jobs, Arc::clone(faults));
    Ok(pubsub::router(Arc::new(pubsub)).merge(cloud_run::router(Arc::new(cloud_run))))
}
