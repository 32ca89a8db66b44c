//! `docs/ACCESS.md` speaks of every endpoint, and of no other.

use edge_worker::router::ENDPOINTS;
use std::collections::BTreeSet;

const TABLE: &str = include_str!("../../../docs/ACCESS.md");

#[test]
fn every_endpoint_has_its_row_in_the_table_of_who_may_do_what() {
    let documented: BTreeSet<String> = TABLE
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect();
    let endpoints: BTreeSet<String> = ENDPOINTS
        .iter()
        .map(|endpoint| format!("{} {}", endpoint.method, endpoint.template))
        .collect();
    assert_eq!(documented, endpoints);
}
