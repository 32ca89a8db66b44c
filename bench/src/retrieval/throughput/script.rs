//! A script for pgbench out of recorded transactions.

use super::statements::Transaction;
use anyhow::{Context, ensure};
use sqlx::{AssertSqlSafe, Executor, PgPool};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

/// Where the values of each question stand.
const TABLE: &str = "bench.questions";
/// Of the recorded transactions, how many must have the same statements.
const MIN_ALIKE: f64 = 0.9;

/// The same statements for every question, with its own values.
pub struct Script {
    /// Looks a question up, and does what the origin does for it.
    pub text: String,
    /// Looks a question up and has its vectors read, and nothing else: what pgbench does beside what the origin does.
    pub questions_alone: String,
    /// Values that all questions have in common, by name.
    pub constants: Vec<(String, String)>,
    /// Values of each question, by name.
    columns: Vec<(String, Vec<String>)>,
    /// Which of the recorded transactions these are.
    pub questions: Vec<usize>,
    /// Statements of a transaction, its beginning and its end included.
    pub statements: usize,
}

impl Script {
    /// From the transactions of as many questions. Most of them have the same statements; the others, such as the
    /// first on a connection, when the driver asks for types, are left out.
    pub fn of(transactions: &[Transaction]) -> anyhow::Result<Self> {
        let mut alike: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
        for (number, transaction) in transactions.iter().enumerate() {
            let texts = transaction.iter().map(|said| said.text.as_str()).collect();
            alike.entry(texts).or_default().push(number);
        }
        let most = alike.into_iter().max_by_key(|(_, numbers)| numbers.len());
        let (texts, questions) = most.context("no transaction was recorded")?;
        let share = questions.len() as f64 / transactions.len() as f64;
        ensure!(
            share >= MIN_ALIKE,
            "only {share:.2} of the questions are answered by the same statements"
        );
        let mut script = Self {
            text: String::new(),
            questions_alone: String::new(),
            constants: Vec::new(),
            columns: Vec::new(),
            statements: texts.len(),
            questions,
        };
        let (mut statements, mut vectors) = (String::new(), Vec::new());
        let mut names = HashMap::new();
        for (nth, text) in texts.iter().enumerate() {
            let values = script.values(transactions, nth)?;
            let values = values
                .into_iter()
                .map(|values| script.name(&mut names, values))
                .collect::<Vec<_>>();
            let statement = with_names(text, &values)?;
            vectors.extend(values.iter().flat_map(|value| {
                let times = statement.matches(value.as_str()).count();
                std::iter::repeat_n(value.clone(), if is_vector(value) { times } else { 0 })
            }));
            writeln!(statements, "{statement};")?;
        }
        let columns: Vec<&str> = script
            .columns
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let look_up = format!(
            "\\set number random(1, {})\nselect {} from {TABLE} where number = :number \\gset\n",
            script.questions.len(),
            columns.join(", ")
        );
        script.text = format!("{look_up}{statements}");
        script.questions_alone = format!("{look_up}select {};\n", vectors.join(", "));
        Ok(script)
    }

    /// The values of each parameter of the nth statement, one for each question.
    fn values(&self, transactions: &[Transaction], nth: usize) -> anyhow::Result<Vec<Vec<String>>> {
        let parameters = transactions[self.questions[0]][nth].values.len();
        let mut values = vec![Vec::with_capacity(self.questions.len()); parameters];
        for question in &self.questions {
            let said = &transactions[*question][nth];
            ensure!(
                said.values.len() == parameters,
                "not all questions give as many values to {}",
                said.text
            );
            for (values, value) in values.iter_mut().zip(&said.values) {
                values.push(value.clone());
            }
        }
        Ok(values)
    }

    /// How a parameter with these values is written.
    fn name(&mut self, names: &mut HashMap<Vec<String>, String>, values: Vec<String>) -> String {
        if let Some(name) = names.get(&values) {
            return name.clone();
        }
        let is_constant = values.iter().all(|value| *value == values[0]);
        let name = format!("value_{}", names.len());
        // The one type that PostgreSQL can't always tell from the place where a parameter stands.
        let cast = if values[0].starts_with('[') {
            VECTOR_CAST
        } else {
            ""
        };
        let written = format!(":{name}{cast}");
        names.insert(values.clone(), written.clone());
        if is_constant {
            self.constants.push((name, values[0].clone()));
        } else {
            self.columns.push((name, values));
        }
        written
    }

    /// Puts the questions where the script looks them up, readable for whoever connects.
    pub async fn store(&self, owner: &PgPool) -> anyhow::Result<()> {
        let columns: Vec<String> = self
            .columns
            .iter()
            // Not compressed: reading them would take time that the origin does not spend.
            .map(|(name, _)| format!("{name} text storage external not null"))
            .collect();
        let create = format!(
            "create table {TABLE} (number int primary key, {})",
            columns.join(", ")
        );
        owner.execute(AssertSqlSafe(create)).await?;
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let places: Vec<String> = (0..names.len()).map(|n| format!("${}", n + 2)).collect();
        let insert = format!(
            "insert into {TABLE} (number, {}) values ($1, {})",
            names.join(", "),
            places.join(", ")
        );
        let mut tx = owner.begin().await?;
        for (number, nth) in (1_i32..).zip(0..self.questions.len()) {
            let mut query = sqlx::query(AssertSqlSafe(insert.clone())).bind(number);
            for (_, values) in &self.columns {
                query = query.bind(&values[nth]);
            }
            query.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        for statement in [
            "grant usage on schema bench, extensions to etude_origin".to_owned(),
            format!("grant select on {TABLE} to etude_origin"),
            format!("vacuum (analyze) {TABLE}"),
        ] {
            owner.execute(AssertSqlSafe(statement)).await?;
        }
        Ok(())
    }
}

const VECTOR_CAST: &str = "::halfvec";

fn is_vector(written: &str) -> bool {
    written.ends_with(VECTOR_CAST)
}

/// The statement with the names of values in place of `$1` and so on. Comments are left out: pgbench would look for
/// names there as well.
fn with_names(text: &str, names: &[String]) -> anyhow::Result<String> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect();
    let code = code.join("\n");
    let mut pieces = code.trim().trim_end_matches(';').split('$');
    let mut written = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = piece.split_at(digits);
        let name = number
            .parse::<usize>()
            .ok()
            .and_then(|number| names.get(number.checked_sub(1)?))
            .with_context(|| format!("${number} has no value in {text}"))?;
        written.push_str(name);
        written.push_str(rest);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::{super::statements::Statement, *};

    fn transaction(words: &str, vector: &str) -> Transaction {
        let said = |text: &str, values: &[&str]| Statement {
            text: text.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        vec![
            said("begin", &[]),
            said(
                "-- $1 vector\nselect $2, $1 <=> $1 limit $3",
                &[vector, words, "100"],
            ),
            said("COMMIT", &[]),
        ]
    }

    #[test]
    fn a_question_brings_its_own_values_and_shares_the_others() {
        let script = Script::of(&[transaction("a", "[1]"), transaction("b", "[2]")]).unwrap();
        assert_eq!(
            script.text,
            "\\set number random(1, 2)\n\
             select value_0, value_1 from bench.questions where number = :number \\gset\n\
             begin;\n\
             select :value_1, :value_0::halfvec <=> :value_0::halfvec limit :value_2;\n\
             COMMIT;\n"
        );
        assert!(
            script
                .questions_alone
                .ends_with("\\gset\nselect :value_0::halfvec, :value_0::halfvec;\n")
        );
        assert_eq!(script.constants, [("value_2".to_owned(), "100".to_owned())]);
    }

    #[test]
    fn questions_that_take_other_statements_are_left_out_while_they_are_few() {
        let mut transactions: Vec<_> = (0..10)
            .map(|n| transaction(&format!("word {n}"), &format!("[{n}]")))
            .collect();
        transactions[3].remove(1);
        assert_eq!(
            Script::of(&transactions).unwrap().questions,
            [0, 1, 2, 4, 5, 6, 7, 8, 9]
        );
        transactions[4].remove(1);
        assert!(Script::of(&transactions).is_err());
    }
}
