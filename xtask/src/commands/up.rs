//! `up`: the whole system, from nothing to a cited answer.

use super::{
    Interruption, library,
    running::{Home, Running},
    transcript,
};
use crate::{
    cache::Cache,
    checkout::Checkout,
    cli::{EncoderOption, UpOptions},
    fetch,
    native::Native,
    setup::{self, Wanted},
    steps::{Steps, say},
};
use anyhow::{Result, bail};
use local_stack::{
    Encoder, Lifetime, Overrides, Stack, StackConfig,
    config::{DatabaseChoice, TokenAlgorithm},
    process::leftover,
};
use std::{process::ExitCode, time::Duration};
use tokio::time::sleep;

/// What a newcomer sees answered.
const FIRST_QUESTION: &str = "How should I practise passing the thumb under in a scale?";
/// How often the parts are looked at while serving.
const WATCH: Duration = Duration::from_millis(500);

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
    if options.detach {
        println!(
            "`cargo xtask down` stops it; logs: {}",
            stack.logs().display()
        );
        stack.leave();
        drop(supervisor);
        return Ok(ExitCode::SUCCESS);
    }
    println!("Ctrl-C stops it; logs: {}", stack.logs().display());
    let outcome = serve(&mut stack, interrupted).await;
    say("stopping");
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

/// Waits for the end: wanted, or of a part.
async fn serve(stack: &mut Stack, interrupted: &mut Interruption) -> Result<()> {
    loop {
        tokio::select! {
            () = interrupted.wait() => return Ok(()),
            () = sleep(WATCH) => {}
        }
        if let Some(error) = stack.ended_part() {
            return Err(error.into());
        }
    }
}
