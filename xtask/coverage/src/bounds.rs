//! The numbers that options take, wherever they stand: each has bounds, so that nothing computed
//! from them overflows and no typing error asks for all of the machine. Pure.

use std::num::IntErrorKind;

/// Into how many splits a suite may be cut.
const SPLITS: u32 = 10_000;
/// How many splits may run at once, and how many workers each of them may have.
const WORKERS: u32 = 1_000;
/// How many workers there may be in all.
pub(crate) const ALL_WORKERS: u32 = 10_000;
/// How many times a failed test may be tried again.
const RETRIES: u32 = 1_000;
/// How many failures, or lines, may be counted: more than there are of either.
const COUNT: u32 = 1_000_000_000;
/// A pebibyte.
const MEBIBYTES: u32 = 1 << 30;
/// A year.
const SECONDS: f64 = 365.0 * 86_400.0;

/// `--splits`.
pub(crate) fn splits(word: &str) -> Result<u32, String> {
    within(word, 1, SPLITS)
}

/// `--max-concurrent-splits`, `--workers-per-split`.
pub(crate) fn workers(word: &str) -> Result<u32, String> {
    within(word, 1, WORKERS)
}

/// `--retries`.
pub(crate) fn retries(word: &str) -> Result<u32, String> {
    within(word, 0, RETRIES)
}

/// `--memory-per-test`.
pub(crate) fn mebibytes(word: &str) -> Result<u32, String> {
    within(word, 1, MEBIBYTES)
}

/// `--max-failures`, `--fail-uncovered-lines`.
pub(crate) fn count(word: &str) -> Result<u32, String> {
    within(word, 0, COUNT)
}

/// `--timeout`, `--slow`.
pub(crate) fn seconds(word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(number) if number > SECONDS => Err(format!("must be at most {SECONDS}, a year")),
        Ok(number) if number > 0.0 => Ok(number),
        Ok(number) if number <= 0.0 => Err("must be more than 0".to_owned()),
        _ => Err("must be a number of seconds".to_owned()),
    }
}

/// `--fail-under` and the like.
pub(crate) fn percent(word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        Ok(_) => Err("must be between 0 and 100".to_owned()),
        Err(_) => Err("must be a number".to_owned()),
    }
}

fn within(word: &str, least: u32, most: u32) -> Result<u32, String> {
    let too_large = || Err(format!("must be at most {most}"));
    let too_small = || Err(format!("must be at least {least}"));
    match word.parse::<i64>() {
        Ok(number) => match u32::try_from(number) {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ if number < i64::from(least) => too_small(),
            _ => too_large(),
        },
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow => too_large(),
            IntErrorKind::NegOverflow => too_small(),
            _ => Err("must be a whole number".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_bounds_that_are_named() {
        let huge = "9".repeat(400);
        let table = [
            ("1", Ok(1)),
            ("+7", Ok(7)),
            ("10000", Ok(10_000)),
            ("10001", Err("must be at most 10000")),
            ("4000000000", Err("must be at most 10000")),
            ("4294967297", Err("must be at most 10000")),
            (&huge, Err("must be at most 10000")),
            ("0", Err("must be at least 1")),
            ("-9223372036854775809", Err("must be at least 1")),
            ("", Err("must be a whole number")),
            ("1e3", Err("must be a whole number")),
            ("inf", Err("must be a whole number")),
        ];
        for (word, wanted) in table {
            assert_eq!(splits(word), wanted.map_err(str::to_owned), "{word}");
        }
        assert_eq!((count("0"), retries("1000"), workers("1000")), (Ok(0), Ok(1000), Ok(1000)));
    }

    #[test]
    fn seconds_can_be_waited_for() {
        let most = "must be at most 31536000, a year";
        let table = [
            ("1e-3", Ok(0.001)),
            ("31536000", Ok(31_536_000.0)),
            ("1e30", Err(most)),
            ("1e308", Err(most)),
            ("1e999", Err(most)),
            ("inf", Err(most)),
            ("0", Err("must be more than 0")),
            ("-0", Err("must be more than 0")),
            ("-inf", Err("must be more than 0")),
            ("nan", Err("must be a number of seconds")),
            ("-nan", Err("must be a number of seconds")),
            ("1s", Err("must be a number of seconds")),
        ];
        for (word, wanted) in table {
            assert_eq!(seconds(word), wanted.map_err(str::to_owned), "{word}");
        }
    }

    #[test]
    fn percentages_are_percentages() {
        let wrong = Err("must be between 0 and 100".to_owned());
        assert_eq!((percent("0"), percent("100")), (Ok(0.0), Ok(100.0)));
        assert_eq!((percent("nan"), percent("1e308")), (wrong.clone(), wrong));
        assert_eq!(percent("all"), Err("must be a number".to_owned()));
    }
}
