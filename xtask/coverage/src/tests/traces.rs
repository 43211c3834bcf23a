//! Traces of runs (`--trace`): the scheduler does again what it did. One that a user sends with a
//! report of a fault becomes a test by lying in `traces/`.

use std::fs::{File, read_dir};
use std::io::BufReader;

use crate::engine::schedule::replay;

#[test]
fn the_scheduler_does_what_it_did() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/traces");
    let traces = read_dir(folder).expect("the folder").flatten().map(|entry| entry.path());
    let replayed = traces.map(|path| {
        let file = BufReader::new(File::open(&path).expect("a trace"));
        assert_eq!(replay(file), Ok(()), "{}", path.display());
    });
    assert!(replayed.count() > 0);
}
