//! Files of hops and of agents' logs.

use caxton_actors::envelope::Hop;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    record::{Reader, sealed, write},
    rows::{HopRow, LineRow, Words},
};

/// Any file is read as far as it is sound, and what is read is written as it was.
pub(crate) fn target(bytes: &[u8]) -> bool {
    // With a sound head, what lies behind the checksum is reached.
    let files = [bytes.to_vec(), sealed(bytes)];
    let rows = files.map(|file| same::<LineRow>(&file) + same::<HopRow>(&file));
    rows.iter().sum::<usize>() > 0
}

fn same<T: Serialize + DeserializeOwned>(file: &[u8]) -> usize {
    let rows: Vec<T> = all(file);
    let written = rows.iter().fold(Vec::new(), |mut written, row| {
        assert!(write(&mut written, row), "what was read can be written");
        written
    });
    let again: Vec<T> = all(&written);
    assert_eq!(again.len(), rows.len());
    let second = again.iter().fold(Vec::new(), |mut second, row| {
        write(&mut second, row);
        second
    });
    assert_eq!(second, written);
    rows.len()
}

fn all<T: DeserializeOwned>(file: &[u8]) -> Vec<T> {
    let mut reader = Reader::new(file);
    std::iter::from_fn(|| reader.next()).collect()
}

/// The hops of a file as they are shown later.
pub(crate) fn hops(file: &[u8]) -> Vec<Hop> {
    let mut words = Words::default();
    let rows: Vec<HopRow> = all(file).into_iter().chain(all(&sealed(file))).collect();
    rows.into_iter()
        .filter_map(|row| row.hop(&mut words))
        .collect()
}
