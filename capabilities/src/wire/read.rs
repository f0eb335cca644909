//! Bytes to tokens. Whatever could be written in two ways is taken in one of them alone.

use std::str::FromStr;

use uuid::Uuid;

use super::{BLOCKS_MAX, MAGIC, Seal, Signed, TOKEN_BYTES_MAX, WireError, field, write};
use crate::{
    caveat::{AUDIENCES_MAX, Audience, Audiences, Caveats, Performatives, Rate},
    grant::{Grant, Pattern},
    id::{Address, ConversationId, Principal},
    key::{CLASSICAL_BYTES, HOLDER_BYTES, HolderPublic, KeyId, Twice},
    moment::Moment,
    right::Action,
    terms::{Block, Origin, RIGHTS_MAX, Rights, Terms},
};

/// All of a token; the first block is the only one of the first kind.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Signed>, WireError> {
    if bytes.len() > TOKEN_BYTES_MAX {
        return Err(WireError::Long);
    }
    let mut reader = Reader::new(bytes);
    if reader.array()? != MAGIC {
        return Err(WireError::Magic);
    }
    let count = reader.byte()?;
    if !(1..=BLOCKS_MAX).contains(&usize::from(count)) {
        return Err(WireError::Blocks(count));
    }
    let blocks = (0..count).map(|block| {
        reader.block = block;
        signed(&mut reader)
    });
    let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
    reader.end()?;
    Ok(blocks)
}

fn signed(reader: &mut Reader<'_>) -> Result<Signed, WireError> {
    let length = u16::from_be_bytes(reader.array()?);
    let mut body = Reader {
        left: reader.take(usize::from(length))?,
        block: reader.block,
    };
    let block = block(&mut body)?;
    body.end()?;
    let first = reader.block == 0;
    let (classical, quantum) = reader
        .take(Seal::bytes(first))?
        .split_at_checked(CLASSICAL_BYTES)
        .ok_or(WireError::Short)?;
    let classical = classical.try_into().map_err(|_length| WireError::Short)?;
    let seal = if first {
        let quantum = quantum.to_vec().into_boxed_slice().try_into();
        let quantum = quantum.map_err(|_length| WireError::Short)?;
        Seal::Issued(Twice { classical, quantum })
    } else {
        Seal::Delegated(classical)
    };
    Ok(Signed { block, seal })
}

fn block(reader: &mut Reader<'_>) -> Result<Block, WireError> {
    let first = reader.block == 0;
    let origin = match (reader.byte()?, first) {
        (0, true) => Some(Origin {
            issuer: KeyId::from_bytes(reader.array()?),
            trust_domain: reader.parsed("trust domain")?,
        }),
        (1, false) => None,
        _ => {
            let block = reader.block;
            return Err(WireError::Kind { block });
        }
    };
    let nonce = reader.array()?;
    let fields = u16::from_be_bytes(reader.array()?);
    let lacks = first && fields & field::FIRST != field::FIRST;
    if fields & !field::ALL != 0 || lacks {
        let block = reader.block;
        return Err(WireError::Fields { block });
    }
    let mut has = |bit: u16| fields & bit != 0;
    let holder = when(has(field::HOLDER), || reader.holder())?;
    let subject = when(has(field::SUBJECT), || reader.principal())?;
    let terms = Terms {
        subject,
        caveats: caveats(reader, &mut has)?,
        rights: reader.rights()?,
        holder,
    };
    Ok(Block {
        origin,
        nonce,
        terms,
    })
}

fn caveats(
    reader: &mut Reader<'_>,
    has: &mut impl FnMut(u16) -> bool,
) -> Result<Caveats, WireError> {
    Ok(Caveats {
        not_before: when(has(field::NOT_BEFORE), || reader.moment())?,
        expires: when(has(field::EXPIRES), || reader.moment())?,
        audience: when(has(field::AUDIENCE), || reader.audience())?,
        tenant: when(has(field::TENANT), || reader.parsed("tenant"))?,
        rate: when(has(field::RATE), || reader.rate())?,
        bytes_max: when(has(field::BYTES_MAX), || {
            reader.array().map(u64::from_be_bytes)
        })?,
        performatives: when(has(field::PERFORMATIVES), || reader.performatives())?,
        conversation: when(has(field::CONVERSATION), || {
            let id = reader.array().map(Uuid::from_bytes);
            id.map(ConversationId::from_uuid)
        })?,
    })
}

fn when<T>(is: bool, read: impl FnOnce() -> Result<T, WireError>) -> Result<Option<T>, WireError> {
    is.then(read).transpose()
}

/// What is left of the bytes, and of which block.
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    block: u8,
}

impl<'a> Reader<'a> {
    /// All of them, of the first block or of what has no blocks.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            left: bytes,
            block: 0,
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(WireError::Short)?;
        self.left = left;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let taken = self.take(N)?.try_into();
        taken.map_err(|_length| WireError::Short)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) const fn end(&self) -> Result<(), WireError> {
        match self.left.len() {
            0 => Ok(()),
            left => Err(WireError::Trailing(left)),
        }
    }

    const fn bad(&self, field: &'static str) -> WireError {
        WireError::Value {
            block: self.block,
            field,
        }
    }

    /// A text with its length before it, which its type takes.
    pub(crate) fn parsed<T: FromStr>(&mut self, field: &'static str) -> Result<T, WireError> {
        let length = self.byte()?;
        let bytes = self.take(usize::from(length))?;
        let text = std::str::from_utf8(bytes).map_err(|_what| self.bad(field))?;
        text.parse().map_err(|_what| self.bad(field))
    }

    pub(crate) fn moment(&mut self) -> Result<Moment, WireError> {
        let seconds = u64::from_be_bytes(self.array()?);
        Moment::from_seconds(seconds).ok_or(self.bad("time"))
    }

    fn holder(&mut self) -> Result<HolderPublic, WireError> {
        let bytes: [u8; HOLDER_BYTES] = self.array()?;
        HolderPublic::from_bytes(&bytes).map_err(|_what| self.bad("holder"))
    }

    fn principal(&mut self) -> Result<Principal, WireError> {
        match self.byte()? {
            1 => self.address("subject").map(Principal::Agent),
            2 => self.parsed("subject").map(Principal::Operator),
            3 => Ok(Principal::Node),
            _ => Err(self.bad("subject")),
        }
    }

    pub(crate) fn address(&mut self, field: &'static str) -> Result<Address, WireError> {
        Ok(Address::new(self.parsed(field)?, self.parsed(field)?))
    }

    fn audience(&mut self) -> Result<Audiences, WireError> {
        let count = self.byte()?;
        if !(1..=AUDIENCES_MAX).contains(&usize::from(count)) {
            return Err(self.bad("audience"));
        }
        let all = (0..count).map(|_nth| self.parsed::<Audience>("audience"));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        if !all.is_sorted_by(|one, next| one < next) {
            return Err(self.disorder("audience"));
        }
        Audiences::try_new(all).map_err(|_what| self.bad("audience"))
    }

    fn rate(&mut self) -> Result<Rate, WireError> {
        let count = u32::from_be_bytes(self.array()?);
        let seconds = u32::from_be_bytes(self.array()?);
        Rate::try_new(count, seconds).map_err(|_what| self.bad("rate"))
    }

    fn performatives(&mut self) -> Result<Performatives, WireError> {
        let bits = u16::from_be_bytes(self.array()?);
        Performatives::from_bits(bits).map_err(|_what| self.bad("performatives"))
    }

    fn rights(&mut self) -> Result<Rights, WireError> {
        let count = self.byte()?;
        if !(1..=RIGHTS_MAX).contains(&usize::from(count)) {
            return Err(self.bad("rights"));
        }
        self.grants(count)
    }

    /// So many rights, in their order; 1 to 32.
    pub(crate) fn grants(&mut self, count: u8) -> Result<Rights, WireError> {
        let all = (0..count).map(|_nth| self.grant());
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let keys = all.iter().map(write::grant_bytes).collect::<Vec<_>>();
        if !keys.is_sorted_by(|one, next| one < next) {
            return Err(self.disorder("rights"));
        }
        Rights::try_new(all).map_err(|_what| self.bad("rights"))
    }

    const fn disorder(&self, field: &'static str) -> WireError {
        WireError::Order {
            block: self.block,
            field,
        }
    }

    fn grant(&mut self) -> Result<Grant, WireError> {
        let place = usize::from(self.byte()?).checked_sub(1);
        let action = place.and_then(|place| Action::ALL.get(place).copied());
        let action = action.ok_or(self.bad("action"))?;
        let over = match self.byte()? {
            0 => Pattern::Everything,
            1 => Pattern::Cluster,
            2 => Pattern::Node,
            3 => Pattern::Operator(self.parsed("pattern")?),
            4 => Pattern::Tenant(self.parsed("pattern")?),
            5 => Pattern::Agent(self.address("pattern")?),
            6 => Pattern::Thing(self.parsed("pattern")?, self.parsed("pattern")?),
            7 => Pattern::Things(self.parsed("pattern")?, self.parsed("pattern")?),
            _ => return Err(self.bad("pattern")),
        };
        Ok(Grant::new(action, over))
    }
}
