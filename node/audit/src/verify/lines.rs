//! The lines of a folder against the roots that were signed.
//!
//! Each line is hashed into the tree, whose root must be right at each checkpoint. The first line whose hash is
//! not the stored one is looked at with those that follow: if the next root is right, the stored tree is wrong; if
//! not, how lines and stored hashes fit together again tells what was done.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use super::{
    Point,
    report::{Finding, Report, What},
    runs::Runs,
};
use crate::{
    merkle::{Frontier, HASH_BYTES, Hash, leaf_hash, stored_count, stored_index},
    segment::{Line, SegmentError, as_u64, file_name},
    walk::{Walk, WalkError},
};

/// Lines that are compared to find where lines and stored hashes agree again.
const WINDOW: usize = 64;
/// Agreeing lines that are taken for the place where they agree again.
const AGREE: usize = 8;

/// A line as it was met, whatever it is.
struct Met {
    leaf: Hash,
    line: Option<Line>,
}

pub(crate) struct Lines<'a> {
    folder: &'a Path,
    tree: Option<BufReader<File>>,
    /// Whether the stored tree was as the lines make it, so far.
    tree_agrees: bool,
    points: &'a [Point],
    growing: bool,
    report: &'a mut Report,
    frontier: Frontier,
    runs: Runs,
    ahead: VecDeque<Met>,
    /// What the first line that differs looks like. It counts when the next root is wrong.
    suspicion: Option<Finding>,
}

impl<'a> Lines<'a> {
    pub(crate) fn open(
        folder: &'a Path,
        tree: Option<File>,
        points: &'a [Point],
        growing: bool,
        report: &'a mut Report,
    ) -> Self {
        let tree = tree.map(BufReader::new);
        Self {
            folder,
            tree,
            tree_agrees: true,
            points,
            growing,
            report,
            frontier: Frontier::default(),
            runs: Runs::default(),
            ahead: VecDeque::new(),
            suspicion: None,
        }
    }

    /// Reads all lines, unless those before a checkpoint are not those that were signed.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut walk = match Walk::open(self.folder, 0) {
            Ok(walk) => walk,
            Err(error) => return self.stop(error, 0),
        };
        let mut stopped = None;
        let mut wrong = None;
        for point in self.points {
            while self.frontier.size() < point.size {
                let met = self.met(&mut walk, &mut stopped);
                let Some(met) = met else {
                    return self.ended(stopped, point, wrong);
                };
                self.take(&met, &mut walk, &mut stopped);
            }
            if self.frontier.root() != point.root {
                if let Some(finding) = self
                    .suspicion
                    .take()
                    .filter(|finding| finding.what != What::Tree)
                {
                    self.report.push(finding);
                    return Ok(());
                }
                wrong = wrong.or(Some(point));
                continue;
            }
            if let Some(other) = wrong.take() {
                let detail =
                    "lines that a later checkpoint covers contradict the checkpoint of this size";
                self.report.add(What::Forked, Some(other.size), detail);
            }
            self.report.lines = point.size;
            self.report.root = Some(point.root);
        }
        if let Some(point) = wrong {
            let finding = self.altered(point);
            self.report.push(finding);
            return Ok(());
        }
        self.runs
            .end(self.growing.then_some(self.frontier.size()), self.report);
        if let Some(error) = stopped.filter(|_| !self.growing) {
            let size = self.frontier.size();
            return self.stop(error, size);
        }
        self.rest(&mut walk)
    }

    fn met(&mut self, walk: &mut Walk, stopped: &mut Option<WalkError>) -> Option<Met> {
        if let Some(met) = self.ahead.pop_front() {
            return Some(met);
        }
        if stopped.is_some() {
            return None;
        }
        match walk.next_bytes() {
            Ok(bytes) => bytes.map(|bytes| {
                let line = Line::parse(&bytes).ok();
                let leaf = line.as_ref().map_or_else(|| leaf_hash(&bytes), Line::leaf);
                Met { leaf, line }
            }),
            Err(error) => {
                *stopped = Some(error);
                None
            }
        }
    }

    fn take(&mut self, met: &Met, walk: &mut Walk, stopped: &mut Option<WalkError>) {
        let sequence = self.frontier.size();
        if self.tree_agrees
            && self.suspicion.is_none()
            && self.stored_leaf(sequence) != Some(met.leaf)
        {
            while self.ahead.len() < WINDOW {
                // What comes from the walk goes to the end of what was read ahead.
                let held = std::mem::take(&mut self.ahead);
                let more = self.met(walk, stopped);
                self.ahead = held;
                let Some(more) = more else { break };
                self.ahead.push_back(more);
            }
            self.suspicion = Some(self.suspect(sequence, met.leaf));
        }
        match &met.line {
            Some(line) => self.runs.line(sequence, line, self.report),
            None => {
                self.suspicion = self.suspicion.take().or_else(|| {
                    Some(self.finding(What::Edited, sequence, "neither an event nor a tombstone"))
                })
            }
        }
        let mut nodes = Vec::new();
        self.frontier.push(met.leaf, |node| nodes.push(node));
        for node in nodes {
            self.compare(sequence, node);
        }
    }

    /// Reads the tree beside the lines, node for node.
    fn compare(&mut self, sequence: u64, node: Hash) {
        let mut there = [0; HASH_BYTES];
        let read = self.tree.as_mut().map(|tree| tree.read_exact(&mut there));
        if self.tree_agrees && (!matches!(read, Some(Ok(()))) || there != node.0) {
            self.tree_agrees = false;
            if self.suspicion.is_none() {
                self.suspicion = Some(self.finding(
                    What::Tree,
                    sequence,
                    "the stored tree is not what the lines make it",
                ));
            }
        }
    }

    /// The stored hash of a line, without losing the place in the tree.
    fn stored_leaf(&mut self, sequence: u64) -> Option<Hash> {
        let tree = self.tree.as_mut()?;
        let here = tree.stream_position().ok()?;
        let at = stored_index(0, sequence).checked_mul(as_u64(HASH_BYTES))?;
        let ahead = i64::try_from(at)
            .ok()?
            .checked_sub(i64::try_from(here).ok()?)?;
        let mut node = [0; HASH_BYTES];
        tree.seek_relative(ahead).ok()?;
        let read = tree.read_exact(&mut node);
        tree.seek(SeekFrom::Start(here)).ok()?;
        read.ok().map(|()| Hash(node))
    }

    /// What was done, if the lines are to blame: `found` lines stand in the place of `lost` stored ones.
    fn suspect(&mut self, sequence: u64, leaf: Hash) -> Finding {
        let found: Vec<Hash> = std::iter::once(leaf)
            .chain(self.ahead.iter().map(|met| met.leaf))
            .collect();
        let size = self.points.last().map_or(0, |point| point.size);
        let until = size.min(sequence.saturating_add(as_u64(WINDOW)));
        let stored: Vec<Hash> = (sequence..until)
            .map_while(|at| self.stored_leaf(at))
            .collect();
        if stored.is_empty() {
            return self.finding(
                What::Tree,
                sequence,
                "the stored tree is not what the lines make it",
            );
        }
        let (more_found, more_stored) = (found.len() > WINDOW, until < size);
        // Lines that only changed places agree with the stored ones between them, so that is looked for first.
        let moved =
            (2..=found.len().min(stored.len())).find(|count| same_lines(&found, &stored, *count));
        if let Some(count) = moved {
            let detail = format!("`{count}` lines stand in another order");
            return self.finding(What::Reordered, sequence, &detail);
        }
        for total in 1..WINDOW {
            for came in 0..=total {
                let lost = total - came;
                let (Some(ours), Some(theirs)) = (found.get(came..), stored.get(lost..)) else {
                    continue;
                };
                let same = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
                let ended =
                    same == ours.len() && same == theirs.len() && !more_found && !more_stored;
                if same >= AGREE || ended {
                    let (what, detail) = name(came, lost);
                    return self.finding(what, sequence, &detail);
                }
            }
        }
        self.finding(
            What::Altered,
            sequence,
            "from here on, lines are not those that were signed",
        )
    }

    fn finding(&self, what: What, sequence: u64, detail: &str) -> Finding {
        let segment = Walk::segment_of(self.folder, sequence).map(file_name);
        Finding {
            what,
            sequence: Some(sequence),
            segment,
            detail: detail.to_owned(),
        }
    }

    fn altered(&self, point: &Point) -> Finding {
        let from = self.report.lines;
        let detail = format!(
            "lines `{from}` to `{}` are not those that were signed, and the stored tree was altered with them",
            point.size
        );
        self.finding(What::Altered, from, &detail)
    }

    /// The lines end before a checkpoint does.
    fn ended(
        mut self,
        stopped: Option<WalkError>,
        point: &Point,
        wrong: Option<&Point>,
    ) -> io::Result<()> {
        if let Some(wrong) = wrong {
            let finding = self.altered(wrong);
            self.report.push(finding);
        }
        let size = self.frontier.size();
        // A tree that was cut with the lines is no cause.
        if let Some(finding) = self
            .suspicion
            .take()
            .filter(|finding| finding.what != What::Tree)
        {
            self.report.push(finding);
            return Ok(());
        }
        match stopped {
            None
            | Some(WalkError::Segment {
                source: SegmentError::Torn,
                ..
            }) => {
                let detail = format!(
                    "`{}` of `{}` lines are missing",
                    point.size - size,
                    point.size
                );
                let finding = self.finding(What::Truncated, size, &detail);
                self.report.push(finding);
                Ok(())
            }
            Some(error) => self.stop(error, size),
        }
    }

    /// The walk met something that is no line.
    fn stop(self, error: WalkError, size: u64) -> io::Result<()> {
        let signed = self.points.last().is_some_and(|point| size < point.size);
        let (what, sequence, detail) = match error {
            WalkError::Folder(source)
            | WalkError::Segment {
                source: SegmentError::Read(source),
                ..
            } => return Err(source),
            WalkError::Gap { sequence } => {
                (What::Deleted, sequence, "a segment is missing".to_owned())
            }
            WalkError::Segment {
                source: source @ SegmentError::Header { .. },
                first,
                ..
            } => (What::Header, first, source.to_string()),
            WalkError::Segment {
                sequence, source, ..
            } => {
                let what = if signed { What::Edited } else { What::Unsigned };
                (what, sequence, source.to_string())
            }
        };
        let finding = self.finding(what, sequence, &detail);
        self.report.push(finding);
        Ok(())
    }

    /// What follows the last checkpoint.
    fn rest(mut self, walk: &mut Walk) -> io::Result<()> {
        let size = self.frontier.size();
        let mut stopped = None;
        if !self.growing {
            let mut lines = as_u64(self.ahead.len());
            self.ahead.clear();
            while self.met(walk, &mut stopped).is_some() {
                lines += 1;
            }
            if lines > 0 {
                let detail = format!("`{lines}` lines follow the last checkpoint");
                let finding = self.finding(What::Unsigned, size, &detail);
                self.report.push(finding);
            }
        }
        if let Some(error) = stopped {
            return self.stop(error, size);
        }
        if let Some(finding) = self.suspicion.take() {
            // The roots are right, so the lines are.
            let detail = "the stored tree is not what the lines make it".to_owned();
            self.report.push(Finding {
                what: What::Tree,
                detail,
                ..finding
            });
        } else if self.tree.as_ref().is_some_and(|tree| {
            !self.growing && tree_length(tree) != stored_count(size) * as_u64(HASH_BYTES)
        }) {
            let finding = self.finding(
                What::Tree,
                size,
                "the stored tree is longer than the lines make it",
            );
            self.report.push(finding);
        }
        Ok(())
    }
}

fn tree_length(tree: &BufReader<File>) -> u64 {
    tree.get_ref().metadata().map_or(0, |found| found.len())
}

/// Whether the first lines are the stored ones in some order.
fn same_lines(found: &[Hash], stored: &[Hash], count: usize) -> bool {
    let sorted = |hashes: &[Hash]| {
        let mut some: Vec<Hash> = hashes.iter().take(count).copied().collect();
        some.sort_unstable();
        some
    };
    sorted(found) == sorted(stored)
}

/// The word for `came` lines in the place of `lost`.
fn name(came: usize, lost: usize) -> (What, String) {
    match (came, lost) {
        (0, lost) => (What::Deleted, format!("`{lost}` lines are gone")),
        (came, 0) => (What::Inserted, format!("`{came}` lines were put in")),
        (came, lost) => (
            What::Edited,
            format!("`{came}` lines stand in the place of `{lost}`"),
        ),
    }
}
