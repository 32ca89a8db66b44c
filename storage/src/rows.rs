//! Numbers as PostgreSQL holds them (signed), and as the domain does.

use crate::Error;

/// A count or a page from a column that a constraint keeps at zero or above.
pub(crate) fn unsigned<T, U: TryFrom<T>>(value: T, what: &'static str) -> Result<U, Error> {
    U::try_from(value).map_err(|_| Error::Corrupt(what))
}

/// A number for a column; refuses what does not fit.
pub(crate) fn signed<T, U: TryFrom<T>>(value: T, what: &'static str) -> Result<U, Error> {
    U::try_from(value).map_err(|_| Error::Corrupt(what))
}
