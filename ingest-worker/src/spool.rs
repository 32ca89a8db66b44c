//! Values in a temporary file: what is made of a long document takes no more memory than what is made of a short one.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{self, ErrorKind},
    marker::PhantomData,
    ops::Range,
    os::unix::fs::FileExt,
};

/// A list of values, each packed, in a file without a name in the system's folder for temporary files: whatever becomes
/// of this process, the file goes with it. A value is in memory while it is written or read.
#[derive(Debug)]
pub struct Spool<T> {
    file: File,
    /// How long it is.
    bytes: u64,
    places: Vec<Place>,
    values: PhantomData<fn(T) -> T>,
}

/// Where a value stands in the file.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    length: u32,
}

impl<T: Serialize + DeserializeOwned> Spool<T> {
    /// An empty list.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile()?,
            bytes: 0,
            places: Vec::new(),
            values: PhantomData,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Adds one.
    pub fn push(&mut self, value: &T) -> io::Result<()> {
        let place = self.write(value)?;
        self.places.push(place);
        Ok(())
    }

    /// Adds these.
    pub fn extend(&mut self, values: impl IntoIterator<Item = T>) -> io::Result<()> {
        let mut values = values.into_iter();
        values.try_for_each(|value| self.push(&value))
    }

    /// Puts another one in the place of the one that is `at`. The file keeps both.
    ///
    /// # Panics
    /// Where there is none.
    pub fn replace(&mut self, at: usize, value: &T) -> io::Result<()> {
        self.places[at] = self.write(value)?;
        Ok(())
    }

    /// The one that is `at`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn get(&self, at: usize) -> io::Result<T> {
        self.read(self.places[at])
    }

    /// All of them, one after another.
    pub fn iter(&self) -> impl Iterator<Item = io::Result<T>> {
        self.range(0..self.len())
    }

    /// Those that stand there, one after another.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn range(&self, places: Range<usize>) -> impl Iterator<Item = io::Result<T>> {
        self.places[places].iter().map(|place| self.read(*place))
    }

    fn write(&mut self, value: &T) -> io::Result<Place> {
        let plain = postcard::to_stdvec(value).map_err(invalid)?;
        let packed = lz4_flex::compress_prepend_size(&plain);
        let place = Place {
            start: self.bytes,
            length: u32::try_from(packed.len()).map_err(invalid)?,
        };
        self.file.write_all_at(&packed, place.start)?;
        self.bytes += u64::from(place.length);
        Ok(place)
    }

    fn read(&self, place: Place) -> io::Result<T> {
        let mut packed = vec![0; place.length as usize];
        self.file.read_exact_at(&mut packed, place.start)?;
        let plain = lz4_flex::decompress_size_prepended(&packed).map_err(invalid)?;
        postcard::from_bytes(&plain).map_err(invalid)
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_with_what_was_replaced(
            values in prop::collection::vec(".{0,40}", 1..9),
            replaced in prop::collection::vec((any::<prop::sample::Index>(), ".{0,40}"), 0..4),
        ) {
            let mut expected = values;
            let mut spool = Spool::new().unwrap();
            spool.extend(expected.clone()).unwrap();
            for (at, value) in replaced {
                let at = at.index(expected.len());
                spool.replace(at, &value).unwrap();
                expected[at] = value;
                prop_assert_eq!(&spool.get(at).unwrap(), &expected[at]);
            }
            let found: Vec<String> = spool.iter().collect::<io::Result<_>>().unwrap();
            prop_assert_eq!(found, expected);
        }
    }
}
