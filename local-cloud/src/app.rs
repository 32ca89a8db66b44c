//! Puts the stand-ins together and serves them.

use crate::{
    collector,
    config::{EncoderChoice, LanguageModelChoice, ServeConfig},
    faults::{self, Faults},
    google, metadata,
    supabase::{self, SupabaseAuth},
    vertex::{self, Vertex},
    workers_ai::{self, EmbedError, Embedder, EncoderModel, Lanes, WorkersAi},
};
use axum::{Router, http::StatusCode, routing::get, serve::ListenerExt};
use std::{future::Future, io, net::Ipv4Addr, sync::Arc};
use thiserror::Error;
use tokio::net::TcpListener;
use tower_http::trace::TraceLayer;

/// Why the stand-ins can't be served.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port is taken, or the connection broke.
    #[error("can't serve on 127.0.0.1:{port}")]
    Listen {
        /// The port asked for.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// The encoder can't be loaded.
    #[error(
        "can't load the encoder; --models-dir needs mpnet/ or minilm/ with model.safetensors, tokenizer.json and config.json"
    )]
    Encoder(#[from] EmbedError),
    /// The language model can't be loaded.
    #[error("can't load the language model; --models-dir needs qwen/model.gguf")]
    LanguageModel(#[from] vertex::QwenError),
    /// The sign-in service can't be set up.
    #[error("can't set up the sign-in service")]
    Auth(#[from] supabase::SetupError),
    /// The keys of Pub/Sub's tokens can't be had.
    #[error("can't set up Pub/Sub")]
    PubSub(#[from] supabase::KeyError),
    /// The thread pool of the models was set up before.
    #[error("can't bound the models' threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// The stand-ins, loaded and bound to a port.
pub struct LocalCloud {
    listener: TcpListener,
    router: Router,
    port: u16,
}

impl LocalCloud {
    /// Binds the port, loads the models and the keys. Returns once every request could be answered;
    /// the database is first asked when somebody signs in.
    pub async fn start(config: ServeConfig) -> Result<Self, StartError> {
        if let Some(threads) = config.cpu_threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build_global()?;
        }
        let failed = |source| StartError::Listen {
            port: config.port,
            source,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))
            .await
            .map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let router = router(&config, port).await?;
        Ok(Self {
            listener,
            router,
            port,
        })
    }

    /// The port, also where 0 was asked for.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Serves until `shutdown` resolves, then lets running requests end.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), StartError> {
        // A streamed answer is made of small pieces: one that waits for the peer to acknowledge the last is 40 ms late.
        let listener = self.listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "connection keeps its delay");
            }
        });
        axum::serve(listener, self.router)
            .with_graceful_shutdown(shutdown)
            .await
            .map_err(|source| StartError::Listen {
                port: self.port,
                source,
            })
    }
}

async fn router(config: &ServeConfig, port: u16) -> Result<Router, StartError> {
    let faults = Arc::new(Faults::default());
    let lanes = Arc::new(Lanes::default());
    let embedder = |model| {
        Embedder::new(
            model,
            &config.models_dir,
            config.vector_cache.as_deref(),
            lanes.clone(),
        )
    };
    let workers_ai = Arc::new(WorkersAi {
        default_model: match config.encoder {
            EncoderChoice::Mpnet => EncoderModel::Mpnet,
            EncoderChoice::Small => EncoderModel::MiniLm,
        },
        mpnet: embedder(EncoderModel::Mpnet),
        minilm: embedder(EncoderModel::MiniLm),
        faults: faults.clone(),
    });
    workers_ai.embedder(workers_ai.default_model).load().await?;

    let answerer = match config.llm {
        LanguageModelChoice::Extractive => vertex::Answerer::extractive(),
        LanguageModelChoice::Qwen => {
            vertex::Answerer::qwen(&config.models_dir.join("qwen/model.gguf")).await?
        }
    };
    let vertex = Arc::new(Vertex {
        answerer,
        faults: faults.clone(),
    });

    let base = config
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://127.0.0.1:{port}"));
    let auth = SupabaseAuth::set_up(config, &format!("{base}/supabase"), faults.clone()).await?;

    let google = google::router(&config.state_dir, config.cloud_run_jobs.clone(), &faults)?;

    Ok(Router::new()
        .route("/health", get(|| async { StatusCode::OK }))
        .merge(faults::router(faults))
        .merge(metadata::router())
        .merge(collector::router())
        .merge(google)
        .merge(workers_ai::router(workers_ai))
        .merge(vertex::router(vertex))
        .merge(supabase::router(Arc::new(auth)))
        .layer(TraceLayer::new_for_http()))
}
