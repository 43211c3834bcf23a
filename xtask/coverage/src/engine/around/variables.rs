//! What commands export: a file of `NAME=value` lines.

use std::collections::BTreeMap;

use camino::Utf8Path;

use crate::files;

/// Variables of the environment, by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// What is in a file; one that is not there has none. The error says what is wrong with it.
pub(super) fn read(file: &Utf8Path) -> Result<Variables, String> {
    match files::read_text(file) {
        Ok(text) => parse(&text).map_err(|why| format!("`{file}`: {why}")),
        Err(_) if !file.exists() => Ok(Variables::new()),
        Err(error) => Err(format!("failed to read `{file}`: {error:#}")),
    }
}

/// A value is all that follows the first `=`, as it stands: nothing is quoted, nothing expanded.
fn parse(text: &str) -> Result<Variables, String> {
    let mut variables = Variables::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| Err(format!("line {}, `{line}`, {what}", number + 1));
        match line.split_once('=') {
            None => return wrong("is not `NAME=value`"),
            Some((name, _)) if !is_name(name) => return wrong("does not begin with a name"),
            Some((_, value)) if value.contains('\0') => return wrong("has a null in its value"),
            Some((name, value)) => variables.insert(name.to_owned(), value.to_owned()),
        };
    }
    Ok(variables)
}

fn is_name(name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(is_of_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_all_that_follows() {
        let text =
            "# where it is\nURL=postgres://a:b=c@h/d?x=\"1\"\n\nEMPTY=\r\nURL2= x \nEMPTY=1\n";
        let wanted = [("URL", "postgres://a:b=c@h/d?x=\"1\""), ("EMPTY", "1"), ("URL2", " x ")];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(text), Ok(wanted.into()));
    }

    #[test]
    fn what_is_no_variable_is_named() {
        let table = [
            ("A=1\nexport B=2", "line 2, `export B=2`, does not begin with a name"),
            ("nothing", "line 1, `nothing`, is not `NAME=value`"),
            ("=1", "line 1, `=1`, does not begin with a name"),
            ("1A=1", "line 1, `1A=1`, does not begin with a name"),
        ];
        for (text, why) in table {
            assert_eq!(parse(text), Err(why.to_owned()), "{text}");
        }
    }
}
