//! What a program said to PostgreSQL, out of the server's own log under `log_statement = 'all'`.

use anyhow::Context;
use std::{collections::BTreeMap, io::BufRead};

/// A statement and the values of its parameters, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// With `$1` and so on.
    pub text: String,
    /// `$1` first.
    pub values: Vec<String>,
}

/// From its beginning to its end.
pub type Transaction = Vec<Statement>;

/// The transactions of `who`, which is `user@database`, in the order in which they ended, and how many statements
/// stood outside of them. The log's prefix must be `%m [%p] %u@%d `.
pub fn transactions(log: impl BufRead, who: &str) -> anyhow::Result<(Vec<Transaction>, usize)> {
    let marker = format!(" {who} ");
    let mut open: BTreeMap<String, Transaction> = BTreeMap::new();
    let (mut ended, mut outside) = (Vec::new(), 0);
    let mut take = |(connection, said): (String, Said)| -> anyhow::Result<()> {
        match said {
            Said::Statement(text) => {
                let word = text.split_whitespace().next().unwrap_or_default();
                let word = word.trim_end_matches(';').to_ascii_lowercase();
                if word == "begin" {
                    open.insert(connection.clone(), Vec::new());
                }
                let values = Vec::new();
                match open.get_mut(&connection) {
                    Some(transaction) => transaction.push(Statement { text, values }),
                    None => outside += 1,
                }
                if word == "commit" || word == "rollback" {
                    ended.extend(open.remove(&connection));
                }
            }
            Said::Values(text) => {
                let last = open.get_mut(&connection).and_then(|open| open.last_mut());
                if let Some(statement) = last {
                    statement.values = values(&text)
                        .with_context(|| format!("parameters of {}", statement.text))?;
                }
            }
        }
        Ok(())
    };
    let mut entry: Option<(String, Said)> = None;
    for line in log.lines() {
        let line = line?;
        if let Some(rest) = line.strip_prefix('\t') {
            if let Some((_, Said::Statement(text) | Said::Values(text))) = &mut entry {
                text.push('\n');
                text.push_str(rest);
            }
            continue;
        }
        if let Some(entry) = entry.take() {
            take(entry)?;
        }
        entry = line.split_once(&marker).and_then(|(before, message)| {
            let (_, connection) = before.rsplit_once('[')?;
            Some((connection.to_owned(), Said::read(message)?))
        });
    }
    if let Some(entry) = entry.take() {
        take(entry)?;
    }
    Ok((ended, outside))
}

enum Said {
    Statement(String),
    Values(String),
}

impl Said {
    fn read(message: &str) -> Option<Self> {
        if let Some(values) = message.strip_prefix("DETAIL:  Parameters: ") {
            return Some(Self::Values(values.to_owned()));
        }
        let message = message.strip_prefix("LOG:  ")?;
        let text = match message.strip_prefix("statement: ") {
            Some(text) => text,
            None => message.strip_prefix("execute ")?.split_once(": ")?.1,
        };
        Some(Self::Statement(text.to_owned()))
    }
}

/// `$1 = 'one', $2 = 'it''s'`, apart.
fn values(text: &str) -> anyhow::Result<Vec<String>> {
    let mut values = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let number = values.len() + 1;
        rest = rest
            .strip_prefix(&format!("${number} = '"))
            .with_context(|| format!("${number} is no text in quotes"))?;
        let mut value = String::new();
        loop {
            let (before, after) = rest.split_once('\'').context("a quote is not closed")?;
            value.push_str(before);
            if let Some(after) = after.strip_prefix('\'') {
                value.push('\'');
                rest = after;
            } else {
                rest = after.strip_prefix(", ").unwrap_or(after);
                break;
            }
        }
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-11-26 08:00:00.000 UTC [7] etude_origin@library LOG:  statement: /* ping */
2026-11-26 08:00:00.001 UTC [7] etude_origin@library LOG:  statement: begin read only
2026-11-26 08:00:00.002 UTC [8] postgres@library LOG:  statement: select 1
2026-11-26 08:00:00.003 UTC [7] etude_origin@library LOG:  execute sqlx_s_1: -- $1 words, $2 owners
\tselect id
\tfrom passages
2026-11-26 08:00:00.003 UTC [7] etude_origin@library DETAIL:  Parameters: $1 = 'it''s: a, $2 = b', $2 = '{}'
2026-11-26 08:00:00.004 UTC [9] etude_origin@library LOG:  statement: begin
2026-11-26 08:00:00.005 UTC [7] etude_origin@library LOG:  statement: COMMIT
";

    #[test]
    fn a_transaction_is_read_with_its_values() {
        let (found, outside) = transactions(LOG.as_bytes(), "etude_origin@library").unwrap();
        let statement = |text: &str, values: &[&str]| Statement {
            text: text.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let words = "-- $1 words, $2 owners\nselect id\nfrom passages";
        assert_eq!(
            found,
            [vec![
                statement("begin read only", &[]),
                statement(words, &["it's: a, $2 = b", "{}"]),
                statement("COMMIT", &[]),
            ]]
        );
        assert_eq!(outside, 1);
    }

    #[test]
    fn a_value_that_can_not_be_sent_as_text_is_an_error() {
        assert!(values("$1 = NULL").is_err());
        assert!(values("$1 = 'open").is_err());
    }
}
