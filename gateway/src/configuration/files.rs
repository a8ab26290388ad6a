//! The local copy on disk.
//!
//! `current` in the folder is a symbolic link to the folder of one whole copy in the layout of §9.1. A
//! new copy is written beside it and synced before the link is swung: a crash before that leaves the
//! old copy in use, a crash after it the new one, and never a mixture.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use protocol::configuration::LocalCopy;
use protocol::configuration::local::folder_of;

const CURRENT: &str = "current";
const PREFIX: &str = "copy-";
const FILE_LIMIT: u64 = 64 * 1024 * 1024;
const COPY_LIMIT: u64 = 512 * 1024 * 1024;

/// Whether the folder holds a copy that was written here.
pub(super) fn is_ours(folder: &Path) -> bool {
    folder.join(CURRENT).is_dir()
}

/// Reads the copy: what `current` points to, else files that stand in the folder itself, as an X-Road
/// security server keeps them. An absent folder is an empty copy.
pub(super) fn read(folder: &Path) -> io::Result<LocalCopy> {
    let top = if is_ours(folder) { folder.join(CURRENT) } else { folder.to_owned() };
    let mut files = Vec::new();
    let mut left = COPY_LIMIT;
    for entry in entries(&top)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            if name.starts_with(PREFIX) || name == CURRENT {
                continue;
            }
            for inner in entries(&entry.path())? {
                let path = format!("{name}/{}", inner.file_name().to_string_lossy());
                if inner.path().is_file() {
                    files.push((path, read_file(&inner.path(), &mut left)?));
                }
            }
        } else {
            files.push((name, read_file(&entry.path(), &mut left)?));
        }
    }
    Ok(LocalCopy::from_files(files))
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn read_file(path: &Path, left: &mut u64) -> io::Result<Bytes> {
    let limit = FILE_LIMIT.min(*left);
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let length = bytes.len() as u64;
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than a configuration can be"));
    }
    *left = left.saturating_sub(length);
    Ok(bytes.into())
}

/// Replaces the whole copy.
pub(super) fn replace(folder: &Path, copy: &LocalCopy) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let name = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
    let fresh = folder.join(&name);
    let written = write(&fresh, copy).and_then(|()| swing(folder, &name));
    if written.is_err() {
        // Whatever could be written is of no use without its link.
        let _ = fs::remove_dir_all(&fresh);
        return written;
    }
    for entry in entries(folder)? {
        let other = entry.file_name();
        if other.to_string_lossy().starts_with(PREFIX) && other.to_string_lossy() != name {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn write(folder: &Path, copy: &LocalCopy) -> io::Result<()> {
    fs::create_dir(folder)?;
    let mut inner: Vec<PathBuf> = Vec::new();
    for (path, bytes) in copy.files() {
        let path = folder.join(path);
        if let Some(parent) = path.parent().filter(|parent| *parent != folder) {
            fs::create_dir_all(parent)?;
            if !inner.iter().any(|known| known == parent) {
                inner.push(parent.to_owned());
            }
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
    }
    for folder in inner.iter().map(PathBuf::as_path).chain([folder]) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// From here the new copy counts.
fn swing(folder: &Path, name: &str) -> io::Result<()> {
    let link = folder.join(format!("{name}.link"));
    symlink(name, &link)?;
    fs::rename(&link, folder.join(CURRENT)).inspect_err(|_| {
        let _ = fs::remove_file(&link);
    })?;
    File::open(folder)?.sync_all()
}

/// Replaces single files of the copy. They are not synced: after a crash the older time of expiry
/// counts, which is on the safe side.
pub(super) fn update(folder: &Path, files: &[(String, Bytes)]) -> io::Result<()> {
    let current = folder.join(CURRENT);
    for (path, bytes) in files {
        let path = current.join(path);
        let mut fresh = path.clone().into_os_string();
        fresh.push(".new");
        fs::write(&fresh, bytes)?;
        fs::rename(&fresh, &path)?;
    }
    Ok(())
}

/// Writes a copy as files that stand in the folder itself.
pub(super) fn write_plain(folder: &Path, copy: &LocalCopy) -> io::Result<()> {
    if is_ours(folder) {
        let text = format!("{} is the folder of a server, which replaces it by itself", folder.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let files: Vec<(String, Bytes)> = copy.files().collect();
    for (path, bytes) in &files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let mut fresh = path.clone().into_os_string();
        fresh.push(".new");
        fs::write(&fresh, bytes)?;
        fs::rename(&fresh, &path)?;
    }
    for instance in copy.instances() {
        let name = folder_of(instance);
        for entry in entries(&folder.join(&name))? {
            let path = format!("{name}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_file() && !files.iter().any(|(written, _)| *written == path) {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_replaced_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let read_back = || read(folder.path()).expect("readable");
        assert_eq!(read_back().instances().count(), 0);

        let mut copy = LocalCopy::new("A/B C");
        copy.insert("A/B C", "shared-params.xml", Bytes::from_static(b"one"));
        copy.insert("..", "x", Bytes::from_static(b"two"));
        replace(folder.path(), &copy).expect("written");
        assert_eq!(read_back().own_instance(), Some("A/B C"));
        assert_eq!(read_back().file("A/B C", "shared-params.xml"), Some(&Bytes::from_static(b"one")));
        assert_eq!(read_back().file("..", "x"), Some(&Bytes::from_static(b"two")));

        let file = ("A%2FB+C/shared-params.xml.metadata".to_owned(), Bytes::from_static(b"{}"));
        update(folder.path(), &[file]).expect("updated");
        assert!(read_back().file("A/B C", "shared-params.xml.metadata").is_some());

        copy.remove("..");
        replace(folder.path(), &copy).expect("written");
        assert_eq!(read_back().instances().collect::<Vec<_>>(), ["A/B C"]);
        // Nothing is left over: the link and one copy.
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }
}
