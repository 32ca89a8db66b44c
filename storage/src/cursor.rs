//! Lists in parts.

use crate::{Error, rows::signed};
use chrono::{DateTime, Datelike, Utc};
use std::{fmt, ops::Range, str::FromStr};
use uuid::Uuid;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// What stands in it, newest first.
    pub items: Vec<T>,
    /// Where the next part begins, where there is one.
    pub next: Option<Cursor>,
}

impl<T> Listed<T> {
    /// The same part with something else for each thing in it.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listed<U> {
        Listed {
            items: self.items.into_iter().map(change).collect(),
            next: self.next,
        }
    }
}

/// A place in a list: behind something. It stays where it is when things come and go, that one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    at: DateTime<Utc>,
    id: Uuid,
}

/// A text that is no [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of a list")]
pub struct CursorError;

/// The years that PostgreSQL can be asked about, and more than anything in a list is from.
const POSTGRES_YEARS: Range<i32> = 1970..10_000;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.timestamp_micros(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (micros, id) = text.split_once('.').ok_or(CursorError)?;
        let micros = micros.parse().map_err(|_| CursorError)?;
        Ok(Self {
            at: DateTime::from_timestamp_micros(micros)
                .filter(|time| POSTGRES_YEARS.contains(&time.year()))
                .ok_or(CursorError)?,
            id: id.parse().map_err(|_| CursorError)?,
        })
    }
}

/// Which part of a list is asked for, and how many there may be in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    behind: Option<Cursor>,
    limit: usize,
}

/// What everything in a part lies behind, none for the beginning, and how many rows are wanted.
pub(crate) struct Parameters {
    pub(crate) time: Option<DateTime<Utc>>,
    pub(crate) id: Option<Uuid>,
    pub(crate) rows: i64,
}

impl Part {
    pub(crate) fn new(behind: Option<Cursor>, limit: u32) -> Self {
        let limit = limit as usize;
        Self { behind, limit }
    }

    /// The parameters of the statement that reads it.
    pub(crate) fn parameters(self) -> Result<Parameters, Error> {
        Ok(Parameters {
            time: self.behind.map(|cursor| cursor.at),
            id: self.behind.map(|cursor| cursor.id),
            // One more than the part holds, to know whether there is a next.
            rows: signed(self.limit + 1, "limit")?,
        })
    }

    /// The part that these rows make. `place` says where a thing stands.
    pub(crate) fn of<T>(
        self,
        mut items: Vec<T>,
        place: impl Fn(&T) -> (DateTime<Utc>, Uuid),
    ) -> Listed<T> {
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        let last = items.last().filter(|_| has_more);
        let next = last.map(|item| {
            let (at, id) = place(item);
            Cursor { at, id }
        });
        Listed { items, next }
    }
}
