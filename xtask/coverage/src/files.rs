//! Reading files that anybody may have replaced by something else.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use camino::Utf8Path;
use nix::libc::O_NONBLOCK;
use nix::unistd::{AccessFlags, access};

/// The content of a regular file. A pipe in its place would be waited for without end: what is no
/// file is an error.
pub(crate) fn read(path: &Utf8Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.read_to_end(&mut content)?;
    Ok(content)
}

/// The last bytes of a regular file, at most so many.
pub(crate) fn read_end(path: &Utf8Path, most: u64) -> Result<Vec<u8>> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut content = Vec::new();
    // Somebody may be writing to it.
    file.take(most).read_to_end(&mut content)?;
    Ok(content)
}

fn open(path: &Utf8Path) -> Result<File> {
    // To open a pipe that nobody writes to would wait as well.
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(Error::new(ErrorKind::InvalidInput, "it is no regular file")),
    }
}

/// The text of a regular file that has no more than so many bytes.
pub(crate) fn read_up_to(path: &Utf8Path, most: u64) -> Result<String> {
    let file = open(path)?;
    let mut content = Vec::new();
    file.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        let what = format!("it is larger than {} MiB", most >> 20);
        return Err(Error::new(ErrorKind::InvalidData, what));
    }
    String::from_utf8(content).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// The same, as text.
pub(crate) fn read_text(path: &Utf8Path) -> Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Whether a file or folder can be written or, if it is not there, made.
pub(crate) fn is_writable(path: &Utf8Path) -> bool {
    let there = path.ancestors().find(|path| path.exists());
    there.is_some_and(|path| access(path.as_std_path(), AccessFlags::W_OK).is_ok())
}

/// Writes a file of ours as a whole or not at all, in place of whatever is there; makes its folder.
///
/// The name it has at first is nobody else's: not even a process id is, where containers share a
/// folder.
pub(crate) fn replace(path: &Utf8Path, content: impl AsRef<[u8]>) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_str().is_empty());
    let folder = folder.unwrap_or(Utf8Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{}.", path.file_name().unwrap_or_default()))
        .suffix(".tmp")
        .permissions(Permissions::from_mode(0o666)) // less what the user's umask takes
        .tempfile_in(folder)?;
    file.write_all(content.as_ref())?;
    file.persist(path)?;
    Ok(())
}

/// Writes a file that the user has named. What is there and is no file, a device or a pipe, is
/// written to; a symbolic link stays one.
pub(crate) fn write_output(path: &Utf8Path, text: &str) -> Result<()> {
    match path.metadata() {
        Ok(there) if !there.is_file() && !there.is_dir() => {
            OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
        }
        Ok(_) => replace(&path.canonicalize_utf8()?, text),
        Err(_) => replace(path, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = std::env::temp_dir().join(format!("xtask-files-{}", std::process::id()));
        let folder = Utf8Path::from_path(&folder).expect("UTF-8");
        fs::create_dir(folder).expect("a folder");
        let pipe = folder.join("pipe");
        nix::unistd::mkfifo(pipe.as_std_path(), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        for path in [&pipe, &folder.to_path_buf(), &"/dev/null".into()] {
            assert_eq!(read(path).expect_err("no file").to_string(), "it is no regular file");
        }
        let text = folder.join("text");
        fs::write(&text, b"\xff").expect("a file");
        assert_eq!(read_text(&text).expect_err("no text").to_string(), "it is not UTF-8");
        fs::write(&text, "ä").expect("a file");
        assert_eq!(read_text(&text).expect("text"), "ä");
        fs::write(&text, "0123456789").expect("a file");
        assert_eq!([3, 10, 11].map(|most| read_end(&text, most).expect("text").len()), [3, 10, 10]);
        assert_eq!(read_end(&text, 3).expect("text"), b"789");
        fs::remove_dir_all(folder).expect("a folder");
    }
}
