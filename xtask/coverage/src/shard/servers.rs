//! Claims in servers that many have anyway. Each claim is a connection of its own: there is one in
//! ten seconds at most, and none that was lost meanwhile.
//!
//! No error of theirs says the URL, in which there may be a password.

#[cfg(any(feature = "redis", feature = "postgres"))]
use std::time::Duration;

/// How long a server may take for one step of a claim.
#[cfg(any(feature = "redis", feature = "postgres"))]
const STEP: Duration = Duration::from_secs(10);

/// How long Redis keeps a claim, in seconds: as long as a run can be repeated.
#[cfg(feature = "redis")]
const KEPT: u64 = 14 * 86_400;

/// Whether what talks to a server of this kind was compiled in.
pub(super) fn with_feature(name: &str) -> Result<(), String> {
    let is_in = match name {
        "redis" => cfg!(feature = "redis"),
        _ => cfg!(feature = "postgres"),
    };
    is_in.then_some(()).ok_or_else(|| {
        format!(
            "needs the feature `{name}` of `xtask-coverage`: `features = [\"{name}\"]` beside it in \
             `xtask/Cargo.toml`"
        )
    })
}

/// `SET … NX`.
#[cfg(feature = "redis")]
pub(super) fn in_redis(url: &str, name: &str, who: &str) -> Result<bool, String> {
    let claim = || -> redis::RedisResult<bool> {
        let client = redis::Client::open(url)?;
        let mut connection = client.get_connection_with_timeout(STEP)?;
        connection.set_read_timeout(Some(STEP))?;
        connection.set_write_timeout(Some(STEP))?;
        let set = redis::cmd("SET").arg(name).arg(who).arg("NX").arg("EX").arg(KEPT).to_owned();
        let made: Option<String> = set.query(&mut connection)?;
        Ok(made.is_some())
    };
    claim().map_err(|error| format!("Redis: {}", error.detail().unwrap_or(error.category())))
}

#[cfg(not(feature = "redis"))]
pub(super) fn in_redis(_: &str, _: &str, _: &str) -> Result<bool, String> {
    with_feature("redis").map(|()| false)
}

/// `INSERT … ON CONFLICT DO NOTHING` into a table that whoever comes first makes.
#[cfg(feature = "postgres")]
pub(super) fn in_postgres(url: &str, name: &str, who: &str) -> Result<bool, String> {
    const INSERT: &str =
        "INSERT INTO xtask_claims (name, who) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    const TABLE: &str = "CREATE TABLE IF NOT EXISTS xtask_claims (name text PRIMARY KEY, \
                         who text NOT NULL, made timestamptz NOT NULL DEFAULT now())";
    let claim = || -> Result<bool, postgres::Error> {
        let mut config: postgres::Config = url.parse()?;
        config.connect_timeout(STEP);
        let mut client = config.connect(postgres::NoTls)?;
        client.batch_execute(&format!("SET statement_timeout = {}", STEP.as_millis()))?;
        let inserted = match client.execute(INSERT, &[&name, &who]) {
            Err(error) if error.code() == Some(&postgres::error::SqlState::UNDEFINED_TABLE) => {
                // Where several make it at once all but one fail, and it is there.
                let _ = client.batch_execute(TABLE);
                client.execute(INSERT, &[&name, &who])?
            }
            inserted => inserted?,
        };
        Ok(inserted == 1)
    };
    claim().map_err(|error| match error.as_db_error() {
        Some(told) => format!("Postgres: {}", told.message()),
        None => format!("Postgres: {error}"),
    })
}

#[cfg(not(feature = "postgres"))]
pub(super) fn in_postgres(_: &str, _: &str, _: &str) -> Result<bool, String> {
    with_feature("postgres").map(|()| false)
}
