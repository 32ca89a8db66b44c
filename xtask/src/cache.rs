//! The cache folder: kept between runs, shared by all checkouts, and safe to delete whenever nothing runs.

use anyhow::{Context, Result};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

/// The cache folder.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// Held while something in the cache is being made; others wait.
#[derive(Debug)]
pub struct CacheLock {
    _file: File,
}

impl Cache {
    /// `$ETUDE_CACHE_DIR`, else `$XDG_CACHE_HOME/etude`, else `~/.cache/etude`.
    pub fn open() -> Result<Self> {
        let root = locate(&|name| env::var_os(name).map(PathBuf::from))?;
        fs::create_dir_all(&root)
            .with_context(|| format!("the cache folder {} can't be made", root.display()))?;
        let root = root
            .canonicalize()
            .with_context(|| root.display().to_string())?;
        Ok(Self { root })
    }

    /// A path in the folder.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Waits until nobody else makes anything in the cache.
    pub fn lock(&self) -> Result<CacheLock> {
        let path = self.path("lock");
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        if file.try_lock().is_err() {
            eprintln!("waiting for another run that uses {}", self.root.display());
            file.lock().with_context(|| path.display().to_string())?;
        }
        Ok(CacheLock { _file: file })
    }
}

fn locate(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    let set = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
    let path = set("ETUDE_CACHE_DIR")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("etude")))
        .or_else(|| Some(set("HOME")?.join(".cache/etude")))
        .context(
            "neither ETUDE_CACHE_DIR nor HOME is set: there is no place for the cache folder",
        )?;
    // Other processes run elsewhere and get paths in it.
    std::path::absolute(&path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &[(&str, &str)]) -> Option<PathBuf> {
        locate(&|name| {
            set.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| PathBuf::from(value))
        })
        .ok()
    }

    #[test]
    fn the_most_specific_variable_names_the_folder() {
        let home = ("HOME", "/home/teacher");
        assert_eq!(with(&[home]), Some("/home/teacher/.cache/etude".into()));
        assert_eq!(
            with(&[home, ("XDG_CACHE_HOME", "/c")]),
            Some("/c/etude".into())
        );
        assert_eq!(with(&[home, ("ETUDE_CACHE_DIR", "/e")]), Some("/e".into()));
        assert_eq!(
            with(&[home, ("ETUDE_CACHE_DIR", "")]),
            Some("/home/teacher/.cache/etude".into())
        );
        assert_eq!(with(&[]), None);
    }
}
