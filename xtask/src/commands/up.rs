//! `up`: the whole system, from nothing to a cited answer.

use super::{
    Interruption, library,
    observe::View,
    running::{Home, Running},
    transcript,
};
use crate::{
    cache::Cache,
    checkout::Checkout,
    cli::{EncoderOption, UpOptions},
    fetch,
    native::Native,
    prometheus,
    setup::{self, Wanted},
    steps::{Steps, say},
};
use anyhow::{Result, bail};
use local_stack::{
    Encoder, Lifetime, Overrides, Prometheus, Stack, StackConfig,
    config::{DatabaseChoice, TokenAlgorithm},
    process::leftover,
};
use std::{process::ExitCode, time::Duration};
use tokio::time::sleep;

/// What a newcomer sees answered.
const FIRST_QUESTION: &str = "How should I practise passing the thumb under in a scale?";
/// How often the parts are looked at while serving.
const WATCH: Duration = Duration::from_millis(500);
/// How often Prometheus looks, in seconds.
const SCRAPE_S: u32 = 2;
/// Figures are shown anew each time the parts were looked at so often.
const SHOW_EVERY: u32 = 4;

pub async fn run(
    checkout: &Checkout,
    options: &UpOptions,
    interrupted: &mut Interruption,
) -> Result<ExitCode> {
    let home = Home::open(checkout)?;
    let supervisor = match home.supervise()? {
        Ok(supervisor) => supervisor,
        Err(pid) => {
            let pid = pid
                .map(|pid| format!(" (process {pid})"))
                .unwrap_or_default();
            bail!("another `up`{pid} of this checkout runs: `cargo xtask down` stops it");
        }
    };
    if let Some(running) = home.noted()
        && running.is_healthy().await
    {
        println!(
            "already serving at {}; `cargo xtask down` stops it",
            running.edge_url
        );
        return Ok(ExitCode::SUCCESS);
    }

    let mut steps = Steps::start();
    let started = tokio::select! {
        started = start(checkout, options, &home, &mut steps) => started,
        // Dropping the start ends every process that it has started.
        () = interrupted.wait() => return Ok(ExitCode::from(130)),
    };
    let mut stack = match started {
        Ok(stack) => stack,
        Err(error) => {
            home.forget()?;
            return Err(error);
        }
    };
    steps.print();
    println!(
        "\nserving at {}",
        stack.edge_url().replace("127.0.0.1", "localhost")
    );
    let prometheus = if options.observe {
        Some(observe(checkout, options, &stack).await?)
    } else {
        None
    };
    if options.detach {
        if let Some(prometheus) = prometheus {
            prometheus.leave();
        }
        println!(
            "`cargo xtask down` stops it; logs: {}",
            stack.logs().display()
        );
        stack.leave();
        drop(supervisor);
        return Ok(ExitCode::SUCCESS);
    }
    println!("Ctrl-C stops it; logs: {}", stack.logs().display());
    let outcome = serve(&mut stack, prometheus.as_ref(), interrupted).await;
    say("stopping");
    if let Some(prometheus) = prometheus {
        prometheus.stop().await;
    }
    stack.stop().await;
    home.forget()?;
    outcome?;
    Ok(ExitCode::SUCCESS)
}

async fn start(
    checkout: &Checkout,
    options: &UpOptions,
    home: &Home,
    steps: &mut Steps,
) -> Result<Stack> {
    let overrides = Overrides::read(&|name| std::env::var(name).ok())?;
    for name in overrides.names() {
        say(&format!("real service: {name}"));
    }
    let cache = Cache::open()?;
    let encoder: Encoder = options.encoder.into();
    let wanted = Wanted {
        encoders: match options.encoder {
            EncoderOption::Mpnet => &[Encoder::Mpnet],
            EncoderOption::Small => &[Encoder::Small],
        },
        language_model: options.llm.into(),
        native: Native::Programs,
    };
    let ready = setup::run(&cache, checkout, wanted, steps).await?;

    for folder in home.stacks() {
        let ended = leftover::end(&folder).await;
        if !ended.is_empty() {
            let names: Vec<&str> = ended.iter().map(|process| process.name.as_str()).collect();
            say(&format!(
                "ended what a killed run left behind: {}",
                names.join(", ")
            ));
        }
    }
    let folder = home.stack(encoder);
    if options.fresh {
        fetch::remove(&folder)?;
    }
    let database = match &overrides.database_url {
        Some(url) => DatabaseChoice::External(url.clone()),
        None => DatabaseChoice::Embedded,
    };
    let config = StackConfig {
        install: ready.install,
        folder,
        ports: options.ports.ports(),
        database,
        encoder,
        language_model: options.llm.into(),
        token_algorithm: TokenAlgorithm::Rs256,
        origin_url: None,
        overrides,
        lifetime: if options.detach {
            Lifetime::Detached
        } else {
            Lifetime::WithParent
        },
        variables: Vec::new(),
    };
    let stack = steps
        .run("start the system", async {
            Ok(Stack::start(config).await?)
        })
        .await?;
    let library = library::read(checkout)?;
    let rest = async {
        steps
            .run("make the sample people known", library.seed_people(&stack))
            .await?;
        steps
            .run_visibly(
                "make the sample library searchable",
                library.seed_documents(checkout, &stack),
            )
            .await?;
        let running = Running {
            edge_url: stack.edge_url(),
            folder: stack.folder().to_owned(),
            processes: stack.process_ids(),
        };
        home.note(&running)?;
        let client = running.sign_in(&library.student()?.email).await?;
        transcript::print_answer(&client, FIRST_QUESTION).await
    };
    match rest.await {
        Ok(_) => Ok(stack),
        Err(error) => {
            stack.stop().await;
            Err(error)
        }
    }
}

/// Starts Prometheus beside the system, with the rules that are deployed.
async fn observe(checkout: &Checkout, options: &UpOptions, stack: &Stack) -> Result<Prometheus> {
    if !prometheus::can_be_had() {
        bail!("--observe needs Debian's package of Prometheus, and this machine has no apt for it");
    }
    let program = prometheus::ensure(&Cache::open()?)
        .await?
        .join("prometheus");
    let folder = checkout.root.join("deploy/observability");
    let rules = [folder.join("records.yml"), folder.join("alerts.yml")];
    let lifetime = if options.detach {
        Lifetime::Detached
    } else {
        Lifetime::WithParent
    };
    let rules = [&*rules[0], &*rules[1]];
    let port = options.ports.prometheus();
    let prometheus = Prometheus::start(stack, &program, &rules, port, SCRAPE_S, lifetime).await?;
    println!(
        "Prometheus at {}; traces at {}/otlp/spans",
        prometheus.url().replace("127.0.0.1", "localhost"),
        stack.local_cloud_url().replace("127.0.0.1", "localhost")
    );
    Ok(prometheus)
}

/// Waits for the end: wanted, or of a part. Shows the main figures meanwhile, where there are some.
async fn serve(
    stack: &mut Stack,
    prometheus: Option<&Prometheus>,
    interrupted: &mut Interruption,
) -> Result<()> {
    let mut view = View::default();
    let mut looks = 0_u32;
    loop {
        tokio::select! {
            () = interrupted.wait() => return Ok(()),
            () = sleep(WATCH) => {}
        }
        if let Some(error) = stack.ended_part() {
            return Err(error.into());
        }
        if let Some(prometheus) = prometheus
            && looks.is_multiple_of(SHOW_EVERY)
        {
            view.show(prometheus).await?;
        }
        looks += 1;
    }
}
