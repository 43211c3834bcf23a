//! Which Python versions a project accepts: `requires-python`, with poetry's `^` and `~`.

/// Major, minor, patch.
pub(super) type Version = [u32; 3];

/// `3.12.1` or `3.13.0rc1` as numbers.
pub(super) fn parse(text: &str) -> Version {
    let (numbers, _) = numbers(text);
    numbers
}

/// Whether a version satisfies a specifier. What cannot be read is no reason to refuse:
/// the installer judges it again.
pub(super) fn accepts(specifier: &str, version: Version) -> bool {
    specifier.split("||").any(|either| {
        let clauses = either.split(',').flat_map(clauses_of);
        clauses.into_iter().all(|clause| accepts_clause(&clause, version))
    })
}

/// `>=3.9 <4` and `>= 3.9` are both possible: an operator starts a clause, a space does not.
fn clauses_of(text: &str) -> Vec<String> {
    let mut clauses: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match clauses.last_mut() {
            Some(last) if last.ends_with(['=', '<', '>', '~', '^', '!']) => last.push_str(word),
            _ => clauses.push(word.to_owned()),
        }
    }
    clauses
}

fn accepts_clause(clause: &str, version: Version) -> bool {
    let start = clause.find(|c: char| c.is_ascii_digit() || c == '*').unwrap_or(clause.len());
    let (operator, number) = clause.split_at(start);
    let (wanted, given) = numbers(number);
    let prefix = |count: usize| version[..count] == wanted[..count];
    match operator {
        ">=" => version >= wanted,
        ">" => version > wanted && !(given < 3 && prefix(given)),
        "<=" => version <= wanted,
        "<" => version < wanted,
        "==" | "=" | "===" | "" if number.contains('*') || operator.is_empty() => prefix(given),
        "==" | "=" | "===" => version == wanted,
        "!=" if number.contains('*') => !prefix(given),
        "!=" => version != wanted,
        "^" => version >= wanted && prefix(1),
        "~" => version >= wanted && prefix(given.min(2)),
        "~=" => version >= wanted && prefix(given.saturating_sub(1)),
        _ => true,
    }
}

/// The numbers of a version and how many were given.
fn numbers(text: &str) -> (Version, usize) {
    let parts = text.split('.').map_while(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().ok()
    });
    let parts: Vec<u32> = parts.take(3).collect();
    let mut version = [0; 3];
    version[..parts.len()].copy_from_slice(&parts);
    (version, parts.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_accept_what_they_say() {
        let table = [
            (">=3.9", "3.9.0", true),
            (">=3.9", "3.8.18", false),
            (">= 3.9, <4", "3.13.0", true),
            (">=3.9 <3.12", "3.12.1", false),
            ("^3.10", "3.9.18", false),
            ("^3.10", "3.13.0", true),
            ("~3.10", "3.11.0", false),
            ("~=3.10", "3.13.0", true),
            ("~=3.10.2", "3.11.0", false),
            ("==3.11.*", "3.11.7", true),
            ("==3.11.*", "3.12.1", false),
            ("!=3.9.*,>=3.8", "3.9.18", false),
            ("3.11", "3.11.7", true),
            ("~2.7 || ^3.6", "3.9.0", true),
            (">3.9", "3.9.18", false),
            (">3.9", "3.10.0", true),
            ("*", "3.9.0", true),
            ("", "3.9.0", true),
            ("nonsense", "3.9.0", true),
        ];
        for (specifier, version, wanted) in table {
            assert_eq!(accepts(specifier, parse(version)), wanted, "{specifier} {version}");
        }
    }
}
