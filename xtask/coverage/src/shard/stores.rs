//! Where shards claim batches: whatever can make an object that is not there yet, and says so.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::servers;
use super::tail::{Answer, Name};

/// How long a claim may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a process: in a run that has to be known to who reaps those that tests leave.
pub(crate) type Start = fn(&duct::Expression) -> std::io::Result<duct::Handle>;

/// A store, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// A folder that all shards see.
    Folder(Utf8PathBuf),
    /// A command of the user's.
    Command(String),
    /// The URL of a Redis server.
    Redis(String),
    /// The URL of a Postgres database.
    Postgres(String),
}

/// Reads what was typed.
pub(crate) fn parse(text: &str) -> Result<Store, String> {
    match text.split_once(':') {
        Some(("command", command)) if !command.trim().is_empty() => {
            Ok(Store::Command(command.to_owned()))
        }
        Some(("file", folder)) if !folder.trim_start_matches('/').is_empty() => {
            // As a URL has it: `file:///mnt/claims`.
            let folder = folder.strip_prefix("//").unwrap_or(folder);
            Ok(Store::Folder(folder.into()))
        }
        Some(("redis", _)) => {
            servers::with_feature("redis").map(|()| Store::Redis(text.to_owned()))
        }
        Some(("postgres" | "postgresql", _)) => {
            servers::with_feature("postgres").map(|()| Store::Postgres(text.to_owned()))
        }
        Some((scheme, _)) if !scheme.contains('/') => Err(format!(
            "knows a shared folder, `file:DIR`, `command:CMD`, `redis://…` and `postgres://…`, not \
             `{scheme}:`; a command can claim anywhere"
        )),
        _ if text.is_empty() => Err("needs a folder, `file:DIR` or `command:CMD`".to_owned()),
        _ => Ok(Store::Folder(text.into())),
    }
}

impl Store {
    /// A folder of the one who typed it is below this one.
    pub(crate) fn seen_from(self, here: &Utf8Path) -> Store {
        match self {
            Store::Folder(folder) => Store::Folder(here.join(folder)),
            other => other,
        }
    }

    /// What it is called in a manifest: nothing of commands and URLs, which may hold a secret.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Store::Folder(_) => "folder",
            Store::Command(_) => "command",
            Store::Redis(_) => "redis",
            Store::Postgres(_) => "postgres",
        }
    }

    /// Claims something under the key of a run, in the name of `who`. Says what went wrong, where
    /// there is no telling what came of it. `start` starts a process.
    pub(crate) fn claim(
        &self,
        key: &str,
        name: Name,
        who: &str,
        start: Start,
    ) -> (Answer, Option<String>) {
        let object = object(name);
        let made = match self {
            Store::Folder(folder) => in_folder(folder, key, &object, who),
            Store::Command(command) => by_command(command, key, &object, who, start),
            Store::Redis(url) => servers::in_redis(url, &format!("xtask:{key}/{object}"), who),
            Store::Postgres(url) => servers::in_postgres(url, &format!("{key}/{object}"), who),
        };
        match made {
            Ok(true) => (Answer::Claimed, None),
            Ok(false) => (Answer::Taken, None),
            Err(why) => (Answer::Away, Some(why)),
        }
    }
}

fn object(name: Name) -> String {
    match name {
        Name::Shard(shard) => format!("shard-{shard:04}"),
        Name::Batch(batch) => format!("batch-{batch:06}"),
    }
}

/// A link is made as a whole or not at all, on NFS too, where the answer may be lost: then the
/// number of links tells. Where there are no links the kernel makes a new file only.
fn in_folder(folder: &Utf8Path, key: &str, object: &str, who: &str) -> Result<bool, String> {
    if !folder.is_dir() {
        // One that this machine made would be seen by nobody else.
        return Err(format!("`{folder}` is no folder"));
    }
    let folder = folder.join(format!("xtask-{key}"));
    let say = |error: std::io::Error| format!("`{folder}`: {error}");
    fs::create_dir_all(&folder).map_err(say)?;
    let target = folder.join(object);
    let draft = folder
        .join(format!(".{object}.{}", who.replace(|c: char| !c.is_ascii_alphanumeric(), "-")));
    let mut file = File::create(&draft).map_err(say)?;
    file.write_all(who.as_bytes()).map_err(say)?;
    let linked = fs::hard_link(&draft, &target);
    let links = file.metadata().map(|what| what.nlink()).unwrap_or_default();
    let _ = fs::remove_file(&draft);
    match linked {
        Ok(()) => Ok(true),
        Err(_) if links == 2 => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(_) => match OpenOptions::new().write(true).create_new(true).open(&target) {
            Ok(mut file) => file.write_all(who.as_bytes()).map(|()| true).map_err(say),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(say(error)),
        },
    }
}

/// Exit code 0 where it has made the object, 1 where that was there, anything else where the store
/// is away.
fn by_command(
    command: &str,
    key: &str,
    object: &str,
    who: &str,
    start: Start,
) -> Result<bool, String> {
    let name = format!("{key}/{object}");
    let shell = duct::cmd!("sh", "-c", format!("{command} \"$1\""), "sh", &name)
        .env("XTASK_CLAIM", &name)
        .env("XTASK_CLAIMED_BY", who)
        .stdin_null()
        .stdout_null()
        .stderr_null()
        .unchecked();
    let running = start(&shell).map_err(|error| format!("`{command}`: {error}"))?;
    let ended = running.wait_timeout(PATIENCE);
    match ended.map_err(|error| format!("`{command}`: {error}"))? {
        None => {
            let _ = running.kill();
            Err(format!("`{command}` has not ended after {} s", PATIENCE.as_secs()))
        }
        Some(output) => match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            Some(code) => Err(format!("`{command}` ended with exit code {code}")),
            None => Err(format!("`{command}` was ended by a signal")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_told_apart() {
        let folder = |text: &str| Ok(Store::Folder(text.into()));
        assert_eq!(parse("claims"), folder("claims"));
        assert_eq!(parse("/mnt/a:b"), folder("/mnt/a:b"));
        assert_eq!(parse("file:/mnt/claims"), folder("/mnt/claims"));
        assert_eq!(parse("file:///mnt/claims"), folder("/mnt/claims"));
        assert_eq!(parse("command:./claim.sh x"), Ok(Store::Command("./claim.sh x".to_owned())));
        for (url, name) in [("redis://host/1", "redis"), ("postgres://host/x", "postgres")] {
            match servers::with_feature(name) {
                Ok(()) => assert_eq!(parse(url).expect(url).kind(), name),
                Err(why) => assert_eq!(parse(url).expect_err(url), why),
            }
        }
        for wrong in ["", "ftp://host", "command:", "file:"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_many_one_has_it() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(temp.path()).expect("UTF-8").to_owned();
        let store = Store::Folder(folder.clone());
        let claim = |who: usize| {
            store.claim("k", Name::Batch(1), &format!("shard {who}"), duct::Expression::start).0
        };
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|who| scope.spawn(move || claim(who))).collect();
            all.into_iter().map(|it| it.join().expect("an answer")).collect()
        });
        assert_eq!(answers.iter().filter(|it| **it == Answer::Claimed).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|it| **it == Answer::Taken).count(), 7, "{answers:?}");
        assert_eq!(
            store.claim("other", Name::Batch(1), "me", duct::Expression::start).0,
            Answer::Claimed
        );
        assert_eq!(folder.join("xtask-k").read_dir_utf8().expect("a folder").count(), 1);
        let gone = Store::Folder(folder.join("gone"));
        assert_eq!(gone.claim("k", Name::Batch(1), "me", duct::Expression::start).0, Answer::Away);
    }

    #[test]
    fn a_command_answers_by_its_exit_code() {
        let claim = |command: &str| {
            Store::Command(command.to_owned())
                .claim("k", Name::Shard(3), "me", duct::Expression::start)
                .0
        };
        assert_eq!(claim("test k/shard-0003 ="), Answer::Claimed);
        assert_eq!(claim("test other ="), Answer::Taken);
        assert_eq!(claim("exit 7; "), Answer::Away);
        assert_eq!(claim("/nowhere/claim"), Answer::Away);
    }
}
