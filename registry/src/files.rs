//! Files that are there whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use protocol::configuration::Anchor;

/// Writes a file beside its place and moves it there. A crash leaves the old content or the new one.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    write(beside.as_ref(), content, mode)?;
    std::fs::rename(&beside, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Writes an anchor, unless the file says the same already: an anchor that only got a new date would
/// have a new hash, and people compare hashes.
pub(crate) fn replace_anchor(path: &Path, anchor: &Anchor) -> io::Result<()> {
    let known = std::fs::read(path).ok().and_then(|file| Anchor::parse(&file).ok());
    match known {
        Some(known) if known.instance == anchor.instance && known.sources == anchor.sources => Ok(()),
        _ => replace(path, &anchor.to_xml(), 0o644),
    }
}

/// Writes a file durably; its name is durable once its folder was synced.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder and those above it, unless they are there.
pub(crate) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}
