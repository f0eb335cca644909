//! What a node and its compile child say to each other over the child's standard input and output.
//!
//! To the child: four numbers of 8 bytes (LE): seconds of processor time, bytes of address space, length
//! of the program, largest length of the answer; then the program. From the child: `CXCR`, 4 bytes of
//! length, that much JSON (a [`Report`]), then machine code if there is any.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use super::confine::Confined;
use super::refusal::Refusal;
use crate::capacity::Needs;

pub(crate) const MAGIC: &[u8; 4] = b"CXCR";
/// Longest report; a few names and one line of text fit many times over.
pub(crate) const REPORT_BYTES_MAX: usize = 1 << 20;

/// What the child is told before it sees the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) cpu_s: u64,
    pub(crate) address_space: u64,
    pub(crate) wasm_bytes: u64,
}

impl Order {
    const BYTES: usize = 24;

    pub(crate) fn bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let numbers = [self.cpu_s, self.address_space, self.wasm_bytes];
        for (place, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        bytes
    }

    pub(crate) fn read(from: &mut impl Read) -> std::io::Result<Self> {
        let mut number = || {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes)?;
            Ok::<_, std::io::Error>(u64::from_le_bytes(bytes))
        };
        Ok(Self {
            cpu_s: number()?,
            address_space: number()?,
            wasm_bytes: number()?,
        })
    }
}

/// The child's verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) verdict: Result<Accepted, Refusal>,
    pub(crate) confined: Confined,
}

/// A program that compiled; its machine code follows the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) needs: Needs,
    pub(crate) imports: Vec<String>,
    pub(crate) code_bytes: u64,
}

pub(crate) fn write(to: &mut impl Write, report: &Report, code: &[u8]) -> std::io::Result<()> {
    let json = serde_json::to_vec(report)?;
    let length = u32::try_from(json.len()).map_err(std::io::Error::other)?;
    to.write_all(MAGIC)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&json)?;
    to.write_all(code)?;
    to.flush()
}

/// Report and machine code, if the bytes are a whole answer.
pub(crate) fn read(bytes: &[u8]) -> Option<(Report, &[u8])> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if magic != MAGIC || length > REPORT_BYTES_MAX {
        return None;
    }
    let (json, code) = rest.split_at_checked(length)?;
    let report: Report = serde_json::from_slice(json).ok()?;
    let expected = report.verdict.as_ref().map_or(0, |ok| ok.code_bytes);
    (u64::try_from(code.len()).ok()? == expected).then_some((report, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_survives_the_pipe() {
        let order = Order {
            cpu_s: 1,
            address_space: 1 << 40,
            wasm_bytes: 3,
        };
        assert_eq!(Order::read(&mut order.bytes().as_slice()).unwrap(), order);
        assert!(Order::read(&mut &order.bytes()[..20]).is_err());
    }

    #[test]
    fn only_a_whole_answer_is_read() {
        let report = Report {
            verdict: Ok(Accepted {
                needs: Needs::default(),
                imports: vec![],
                code_bytes: 3,
            }),
            confined: Confined::default(),
        };
        let mut bytes = Vec::new();
        write(&mut bytes, &report, b"abc").unwrap();
        assert_eq!(read(&bytes), Some((report, b"abc".as_slice())));
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]), None, "cut at {cut}");
        }
        bytes.push(0);
        assert_eq!(read(&bytes), None);
    }
}
