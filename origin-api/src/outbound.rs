//! HTTP clients for calls to other services.

use anyhow::Context;
use reqwest::{Client, redirect::Policy};
use std::time::Duration;
use url::{Host, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const IDLE_CONNECTION: Duration = Duration::from_mins(1);

/// A client for calls to the host of `url`. Each call sets its own limits beside the one on connecting.
///
/// Redirects are answers, not directions: none of our services sends any. A proxy of the environment is
/// passed by for this machine's own addresses, which no proxy can reach.
pub fn client(url: &Url) -> anyhow::Result<Client> {
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_CONNECTION)
        .tcp_nodelay(true)
        .redirect(Policy::none());
    let builder = if is_loopback(url) {
        builder.no_proxy()
    } else {
        builder
    };
    builder.build().context("building an HTTP client")
}

/// A client that never goes through a proxy: the metadata server answers the instance itself alone.
pub fn direct_client() -> anyhow::Result<Client> {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .context("building an HTTP client")
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
