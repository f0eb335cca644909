//! One job: who asked, which counters take part, how far it is. Pure; `store.rs` keeps it.

use caxton_sdk::{Message, Outgoing, Performative, sub_conversation};

/// A counter that takes part in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Participant {
    /// `tenant/agent`.
    pub(crate) name: String,
    /// Chunks awarded and not answered.
    pub(crate) outstanding: u32,
    /// Chunks ever awarded.
    pub(crate) awarded: u32,
    /// It let the time for an answer pass: it is not called again.
    pub(crate) silent: bool,
}

/// The state of a job but for its chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// Names the job in keys and labels; made from the request.
    pub(crate) id: String,
    /// Who asked.
    pub(crate) requester: String,
    /// The conversation of the request.
    pub(crate) conversation: String,
    /// Its protocol; empty for none.
    protocol: String,
    /// What the answer is to carry.
    token: String,
    /// The bytes of each chunk.
    pub(crate) chunks: Vec<usize>,
    /// Chunks tendered so far.
    pub(crate) tendered: usize,
    /// Chunks counted so far.
    pub(crate) done: usize,
    /// The counters found when the job began.
    pub(crate) counters: Vec<Participant>,
}

impl Job {
    /// The id of a request's job: the same request always has the same.
    pub(crate) fn id_of(message: &Message) -> String {
        let id = sub_conversation(
            &message.conversation_id,
            &format!("{} {}", message.sender, message.id),
        );
        id.trim_start_matches("cnv_").to_owned()
    }

    pub(crate) fn new(message: &Message, counters: &[String], chunks: Vec<usize>) -> Self {
        let counters = counters.iter().map(|name| Participant {
            name: name.clone(),
            outstanding: 0,
            awarded: 0,
            silent: false,
        });
        Self {
            id: Self::id_of(message),
            requester: message.sender.clone(),
            conversation: message.conversation_id.clone(),
            protocol: message.protocol.clone().unwrap_or_default(),
            token: message.reply_token().to_owned(),
            chunks,
            tendered: 0,
            done: 0,
            counters: counters.collect(),
        }
    }

    /// The conversation of one round of one chunk.
    pub(crate) fn conversation_of(&self, chunk: usize, round: u32) -> String {
        sub_conversation(&self.conversation, &format!("{} {chunk} {round}", self.id))
    }

    /// Chunks that are tendered and not awarded.
    pub(crate) fn open(&self) -> usize {
        let awarded: u32 = self
            .counters
            .iter()
            .map(|counter| counter.outstanding)
            .sum();
        (self.tendered - self.done).saturating_sub(awarded as usize)
    }

    /// The answer to who asked.
    pub(crate) fn answer(&self, performative: Performative, content: &str) -> Outgoing {
        let mut answer = Outgoing::new(performative, &self.requester, content)
            .conversation(&self.conversation)
            .in_reply_to(&self.token);
        answer.protocol = Some(self.protocol.clone()).filter(|protocol| !protocol.is_empty());
        answer
    }

    /// A counter has nothing more to do with one of its chunks.
    pub(crate) fn release(&mut self, counter: usize) {
        if let Some(counter) = self.counters.get_mut(counter) {
            counter.outstanding = counter.outstanding.saturating_sub(1);
        }
    }

    /// A counter did not answer in time.
    pub(crate) fn is_silent(&mut self, counter: usize) {
        if let Some(counter) = self.counters.get_mut(counter) {
            counter.silent = true;
        }
    }

    /// Those who did not answer in time.
    pub(crate) fn silent(&self) -> impl Iterator<Item = &str> {
        let silent = self.counters.iter().filter(|counter| counter.silent);
        silent.map(|counter| counter.name.as_str())
    }

    /// Lines; the label last, because it alone is foreign text and may hold anything.
    pub(crate) fn encode(&self) -> String {
        let counters: Vec<String> = self
            .counters
            .iter()
            .map(|c| {
                format!(
                    "{} {} {} {}",
                    c.name,
                    c.outstanding,
                    c.awarded,
                    u8::from(c.silent)
                )
            })
            .collect();
        let chunks: Vec<String> = self.chunks.iter().map(ToString::to_string).collect();
        let numbers = format!("{} {} {}", self.tendered, self.done, chunks.join(" "));
        [
            &self.requester,
            &self.conversation,
            &self.protocol,
            &numbers,
            &counters.join(","),
            &self.token,
        ]
        .map(String::as_str)
        .join("\n")
    }

    /// What [`Self::encode`] wrote.
    pub(crate) fn decode(id: &str, text: &str) -> Option<Self> {
        let mut lines = text.splitn(6, '\n').map(str::to_owned);
        let (requester, conversation, protocol) = (lines.next()?, lines.next()?, lines.next()?);
        let numbers: Vec<usize> = lines
            .next()?
            .split(' ')
            .map(|n| n.parse().ok())
            .collect::<Option<_>>()?;
        let (&[tendered, done], chunks) = numbers.split_first_chunk()?;
        let counters = lines
            .next()?
            .split(',')
            .map(decode_participant)
            .collect::<Option<_>>()?;
        Some(Self {
            id: id.to_owned(),
            requester,
            conversation,
            protocol,
            token: lines.next()?,
            chunks: chunks.to_vec(),
            tendered,
            done,
            counters,
        })
    }
}

fn decode_participant(text: &str) -> Option<Participant> {
    let mut words = text.split(' ');
    let name = words.next()?.to_owned();
    Some(Participant {
        name,
        outstanding: words.next()?.parse().ok()?,
        awarded: words.next()?.parse().ok()?,
        // A job that an earlier version began has no such word.
        silent: words.next() == Some("1"),
    })
}
