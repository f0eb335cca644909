//! Counts the words of a large text with as many counters as there are: the manager of FIPA's contract net.
//!
//! A `request` becomes a job: its text is cut into chunks, each chunk is tendered to all agents that offer
//! `word-count` (`cfp`), awarded to the cheapest (`accept-proposal`), and the results are added up (`inform`).
//!
//! Everything the dispatcher knows is in kv (`store.rs`), so it goes on where it stood after a restart. A program has no
//! clock: each call and each award names how long an answer is waited for, and the node says so when none came. Who let
//! that time pass once is not called again in the same job.
//!
//! FIPA SC00029H lets a `reject-proposal` end the matter for that counter. So a chunk whose winner fails is not awarded
//! to a rejected counter, it is tendered again, in a conversation of its own, to all that have not failed on it.

mod job;
mod store;
mod tender;
#[cfg(test)]
mod tests;

use std::time::Duration;

use caxton_sdk::{Agent, Context, Error, Message, Outgoing, Performative};

use job::{Job, Participant};
use store::Store;
use tender::{Label, Reply, Stage, Tender};

/// What the counters offer.
const SERVICE: &str = "word-count";
/// A smaller chunk costs more in messages than a counter saves.
const CHUNK_BYTES_MIN: usize = 128 << 10;
/// Bounds the conversations of one job.
const CHUNKS_MAX: usize = 64;
/// Chunks under way for each counter: enough to keep it busy, too few to fill its mailbox.
const UNDER_WAY_PER_COUNTER: usize = 4;
/// Messages of one reaction: below a node's default of 100 (`outgoing_messages`), with room for the answer.
const MESSAGES_MAX: usize = 90;
/// Counters of one job: an award with its rejections and the calls for another chunk fit into one reaction.
const COUNTERS_MAX: usize = 32;

/// A proposal takes a counter milliseconds, but it may first have to count what it was awarded before.
const PROPOSAL_WITHIN: Duration = Duration::from_secs(10);
/// A chunk takes a counter a second at most; the rest is its queue, on a machine that is busy. Another counter can
/// still do it while an operator waits, who does so for 30 s unless told otherwise.
const RESULT_WITHIN: Duration = Duration::from_secs(15);

/// Keeps nothing in memory.
#[derive(Debug, Default)]
pub struct Dispatcher;

impl Agent for Dispatcher {
    fn handle(&mut self, message: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
        use Performative as P;
        match message.performative {
            P::Request => begin(&message, ctx),
            P::Cancel => cancel(&message, ctx),
            P::Propose | P::Agree | P::Inform | P::Refuse | P::Failure | P::NotUnderstood => {
                answer(&message, ctx)
            }
            _ => Ok(message
                .not_understood("a dispatcher takes request, cancel and the answers of counters")),
        }
    }
}

caxton_sdk::agent!(Dispatcher);

/// Starts the job of a request. The same request again changes nothing.
fn begin(message: &Message, ctx: &Context) -> Result<Vec<Outgoing>, Error> {
    let mut counters = ctx.find(SERVICE);
    counters.truncate(COUNTERS_MAX);
    if counters.is_empty() {
        let reason = "no running agent of this tenant offers `word-count`; deploy a counter with that service, then ask again";
        return Ok(vec![message.reply(Performative::Failure, reason)]);
    }
    let id = Job::id_of(message);
    let store = Store::new(ctx, &id);
    if store.job()?.is_some() {
        return Ok(vec![]);
    }
    let bytes = message
        .content
        .len()
        .div_ceil(CHUNKS_MAX)
        .max(CHUNK_BYTES_MIN);
    let chunks = word_count::split(&message.content, bytes);
    for (number, chunk) in chunks.iter().enumerate() {
        store.put_text(number, chunk)?;
    }
    let mut job = Job::new(
        message,
        &counters,
        chunks.iter().map(|chunk| chunk.len()).collect(),
    );
    store.open(&job)?;
    let mut out = Vec::new();
    tender_more(&mut job, &store, &mut out)?;
    store.put_job(&job)?;
    ctx.info(&format!(
        "job {id}: {} bytes in {} chunks for {} counters",
        message.content.len(),
        chunks.len(),
        counters.len()
    ));
    Ok(out)
}

/// Ends the sender's jobs in this conversation, finished or not.
fn cancel(message: &Message, ctx: &Context) -> Result<Vec<Outgoing>, Error> {
    let mut out = Vec::new();
    for id in store::open_jobs(ctx, &message.conversation_id)? {
        let store = Store::new(ctx, &id);
        if let Some(job) = store.job()?.filter(|job| job.requester == message.sender) {
            out.extend(withdraw(&job, &store)?);
        }
    }
    out.push(message.reply(Performative::Inform, "cancelled"));
    Ok(out)
}

/// Takes an answer of a counter, or of the node in its place. What is late, repeated or foreign changes nothing.
fn answer(message: &Message, ctx: &Context) -> Result<Vec<Outgoing>, Error> {
    let Some(label) = message.in_reply_to.as_deref().and_then(Label::parse) else {
        return Ok(vec![]);
    };
    let store = Store::new(ctx, &label.job);
    let Some(mut job) = store.job()? else {
        let is_open = message.performative == Performative::Propose;
        return Ok(if is_open {
            vec![message.reply(Performative::RejectProposal, "the job is over")]
        } else {
            vec![]
        });
    };
    let is_theirs = job
        .counters
        .get(label.counter)
        .is_some_and(|counter| counter.name == message.sender);
    if !is_theirs && message.sender != "node" {
        ctx.warn(&format!("{} answers for another counter", message.sender));
        return Ok(vec![]);
    }
    let Some(mut tender) = store.tender(label.chunk)? else {
        return Ok(vec![]);
    };
    if is_no_reply(message) {
        job.is_silent(label.counter);
        store.put_job(&job)?;
        if job.tendered < job.chunks.len() && job.silent().count() == job.counters.len() {
            return give_up(&job, &store, job.tendered); // Nobody is left to call.
        }
    }
    let out = match (label.stage, message.performative) {
        (Stage::Call, Performative::Propose) => {
            let reply = Reply::Proposed {
                cost: tender::cost(&message.content),
                token: message.reply_token().to_owned(),
            };
            replied(&mut job, &store, &mut tender, &label, reply)?
        }
        (
            Stage::Call,
            Performative::Refuse | Performative::Failure | Performative::NotUnderstood,
        ) => replied(&mut job, &store, &mut tender, &label, Reply::Refused)?,
        (Stage::Award, Performative::Inform) => {
            counted(&mut job, &store, &mut tender, &label, &message.content)?
        }
        (
            Stage::Award,
            Performative::Refuse | Performative::Failure | Performative::NotUnderstood,
        ) => lost(&mut job, &store, &mut tender, &label)?,
        _ => vec![],
    };
    Ok(out)
}

/// Whether the node says that no answer came.
fn is_no_reply(message: &Message) -> bool {
    message.sender == "node"
        && message.performative == Performative::Failure
        && message.text().contains(r#""error":"no-reply""#)
}

/// A counter answered a call. When all have, the chunk is awarded.
fn replied(
    job: &mut Job,
    store: &Store<'_>,
    tender: &mut Tender,
    label: &Label,
    reply: Reply,
) -> Result<Vec<Outgoing>, Error> {
    if !tender.take(label, reply) {
        return Ok(vec![]);
    }
    if tender.is_waiting() {
        store.put_tender(label.chunk, tender)?;
        return Ok(vec![]);
    }
    let Some(winner) = tender.best(&job.counters) else {
        return give_up(job, store, label.chunk);
    };
    let mut out = award(job, store, tender, label.chunk, winner)?;
    store.put_tender(label.chunk, tender)?;
    tender_more(job, store, &mut out)?;
    store.put_job(job)?;
    Ok(out)
}

/// Sends the chunk to the winner and a rejection to the others that proposed.
fn award(
    job: &mut Job,
    store: &Store<'_>,
    tender: &mut Tender,
    chunk: usize,
    winner: usize,
) -> Result<Vec<Outgoing>, Error> {
    let text = store.text(chunk)?;
    let mut out = Vec::new();
    for (counter, token) in tender.proposals() {
        let Some(Participant { name, .. }) = job.counters.get(counter) else {
            continue;
        };
        let message = if counter == winner {
            let label = Label {
                job: job.id.clone(),
                chunk,
                round: tender.round,
                counter,
                stage: Stage::Award,
            };
            Outgoing::new(Performative::AcceptProposal, name, text.clone())
                .reply_with(&label.to_string())
                .reply_within(RESULT_WITHIN)
        } else {
            Outgoing::new(Performative::RejectProposal, name, "awarded to another")
        };
        out.push(in_contract_net(message, job, chunk, tender.round).in_reply_to(token));
    }
    tender.winner = Some(winner);
    if let Some(counter) = job.counters.get_mut(winner) {
        counter.outstanding += 1;
        counter.awarded += 1;
    }
    Ok(out)
}

/// A winner's counts came in. The last ones end the job.
fn counted(
    job: &mut Job,
    store: &Store<'_>,
    tender: &mut Tender,
    label: &Label,
    counts: &[u8],
) -> Result<Vec<Outgoing>, Error> {
    if !tender.is_awarded_by(label) {
        return Ok(vec![]);
    }
    let Some(counts) = str::from_utf8(counts)
        .ok()
        .filter(|counts| word_count::is_counts(counts))
    else {
        return lost(job, store, tender, label); // What is no counts is no answer.
    };
    store.put_result(label.chunk, counts)?;
    job.done += 1;
    job.release(label.counter);
    if job.done < job.chunks.len() {
        let mut out = Vec::new();
        tender_more(job, store, &mut out)?;
        store.put_job(job)?;
        return Ok(out);
    }
    let results = store.results()?;
    let results: Vec<&str> = results.iter().map(String::as_str).collect();
    let answer = job.answer(Performative::Inform, &word_count::merge(&results));
    store.clear(job)?;
    Ok(vec![answer])
}

/// A winner gave the chunk back. It is tendered again to those that have not failed on it.
fn lost(
    job: &mut Job,
    store: &Store<'_>,
    tender: &mut Tender,
    label: &Label,
) -> Result<Vec<Outgoing>, Error> {
    if !tender.is_awarded_by(label) {
        return Ok(vec![]);
    }
    job.release(label.counter);
    if !tender.begin_again(label.counter, &job.counters) {
        return give_up(job, store, label.chunk);
    }
    let out = call(job, tender, label.chunk);
    store.put_tender(label.chunk, tender)?;
    store.put_job(job)?;
    Ok(out)
}

/// Adds the calls for as many of the waiting chunks as may be under way.
///
/// Of open calls there are so few that one reaction can reject them all, should the job end. That bounds the calls of
/// one reaction as well: one call closes where another opens.
fn tender_more(job: &mut Job, store: &Store<'_>, out: &mut Vec<Outgoing>) -> Result<(), Error> {
    let counters = job.counters.len();
    while job.tendered < job.chunks.len()
        && job.tendered - job.done < counters * UNDER_WAY_PER_COUNTER
        && (job.open() + 1) * counters <= MESSAGES_MAX
    {
        let tender = Tender::new(&job.counters);
        out.extend(call(job, &tender, job.tendered));
        store.put_tender(job.tendered, &tender)?;
        job.tendered += 1;
    }
    Ok(())
}

/// The calls for proposals of one round.
fn call(job: &Job, tender: &Tender, chunk: usize) -> Vec<Outgoing> {
    let bytes = job.chunks.get(chunk).copied().unwrap_or_default();
    let content = format!(r#"{{"service":"{SERVICE}","bytes":{bytes}}}"#);
    let called = job
        .counters
        .iter()
        .enumerate()
        .filter(|(counter, _)| tender.is_called(*counter));
    called
        .map(|(counter, Participant { name, .. })| {
            let label = Label {
                job: job.id.clone(),
                chunk,
                round: tender.round,
                counter,
                stage: Stage::Call,
            };
            let cfp = Outgoing::new(Performative::Cfp, name, content.as_str())
                .content_type("application/json")
                .reply_within(PROPOSAL_WITHIN);
            in_contract_net(cfp.reply_with(&label.to_string()), job, chunk, tender.round)
        })
        .collect()
}

/// No counter is left for a chunk: the job fails as a whole.
fn give_up(job: &Job, store: &Store<'_>, chunk: usize) -> Result<Vec<Outgoing>, Error> {
    let mut out = withdraw(job, store)?;
    let silent: Vec<&str> = job.silent().collect();
    let silent = match silent.as_slice() {
        [] => String::new(),
        names => format!("; {} did not answer in time", names.join(", ")),
    };
    let reason = format!(
        "chunk {} of {} found no counter: each of {} refused or failed{silent}; see their logs",
        chunk + 1,
        job.chunks.len(),
        job.counters.len()
    );
    out.push(job.answer(Performative::Failure, &reason));
    Ok(out)
}

/// Rejects all open proposals and forgets the job.
fn withdraw(job: &Job, store: &Store<'_>) -> Result<Vec<Outgoing>, Error> {
    let mut out = Vec::new();
    for chunk in 0..job.tendered {
        let Some(tender) = store
            .tender(chunk)?
            .filter(|tender| tender.winner.is_none())
        else {
            continue;
        };
        for (counter, token) in tender.proposals() {
            let Some(Participant { name, .. }) = job.counters.get(counter) else {
                continue;
            };
            let rejection = Outgoing::new(Performative::RejectProposal, name, "the job is over")
                .in_reply_to(token);
            out.push(in_contract_net(rejection, job, chunk, tender.round));
        }
    }
    // Only calls that were repeated after failures can be more; a counter loses nothing by hearing no more of them.
    out.truncate(MESSAGES_MAX);
    store.clear(job)?;
    Ok(out)
}

fn in_contract_net(message: Outgoing, job: &Job, chunk: usize, round: u32) -> Outgoing {
    message
        .protocol("contract-net")
        .conversation(&job.conversation_of(chunk, round))
}
