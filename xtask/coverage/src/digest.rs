//! Digests that are compared with others, and numbers that tell contents apart on this machine.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;

use anyhow::Result;
use sha2::{Digest, Sha256};

/// Tells contents apart. Should another Rust hash differently, what is kept under such a number is
/// made anew: no harm.
pub(crate) fn number<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A digest of texts in their order.
pub(crate) fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut sum = Sha256::new();
    for text in texts {
        // The length first: no two lists look alike.
        sum.update(text.len().to_le_bytes());
        sum.update(text);
    }
    hex(&sum.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many bytes there are, and their digest.
pub(crate) fn of_reader(mut from: impl Read) -> Result<(u64, String)> {
    let (mut sum, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok((size, hex(&sum.finalize()))),
            read => {
                sum.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
}
