//! How much later a Worker answers for the first time than one that does nothing: compiling the module, making the
//! isolate's things, and the first request.

use super::{
    Options,
    services::Services,
    sides,
    workerd::{Deployment, Module, Workerd},
};
use crate::report::{Report, quantile};
use local_stack::Install;
use std::fs;

/// Milliseconds that the Worker may take beyond an empty one.
const MAX_START_UP_MS: f64 = 50.0;
/// A Worker that does nothing.
const EMPTY: &str = "export default { fetch: () => new Response(null, { status: 404 }) };\n";

/// Starts both by turns.
pub async fn measure(
    install: &Install,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    let listener = Services::bind().await?;
    let address = listener.local_addr()?;
    let deployment = Deployment::read(install, address)?;
    let folder = tempfile::tempdir()?;
    let empty = folder.path().join("empty.js");
    fs::write(&empty, EMPTY)?;
    let empty = [Module {
        name: "index.js",
        kind: "esModule",
        file: empty,
    }];
    let etude = sides::etude(install);
    let start = async |modules: &[Module]| {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        let workerd = Workerd::start(install, &deployment, modules, path, address).await?;
        let ready_ms = workerd.ready_after.as_secs_f64() * 1e3;
        workerd.stop().await?;
        anyhow::Ok(ready_ms)
    };
    let mut differences = Vec::new();
    for _ in 0..if options.quick { 5 } else { 15 } {
        let empty_ms = start(&empty).await?;
        differences.push(start(&etude).await? - empty_ms);
    }
    differences.sort_by(f64::total_cmp);
    let median = quantile(&differences, 0.5);
    report.row(vec![
        "start-up, beyond an empty Worker's".to_owned(),
        format!(
            "{median:.0} ms ({:.0}–{:.0})",
            quantile(&differences, 0.25),
            quantile(&differences, 0.75)
        ),
        format!("< {MAX_START_UP_MS} ms"),
    ]);
    report.below("start-up", median, MAX_START_UP_MS, "ms");
    Ok(())
}
