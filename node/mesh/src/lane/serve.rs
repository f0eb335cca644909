//! The stream of a lane at its receiver: takes messages, tells answers, and decides nothing about them.

use std::sync::Arc;

use bytes::BytesMut;
use quinn::{RecvStream, SendStream, VarInt};
use tokio::{
    io::BufReader,
    time::{Instant, sleep},
};

use super::{
    frame::{Open, ReadError, Word, put_word, read_message, readable},
    inflow::Broken,
    limits::{BATCH_BYTES, BUFFER_BYTES, DETACHED_KEPT},
    receiver::{Attached, Incoming, Unattached},
};
use crate::transport::{endpoint::Net, io, peer::Peer, serve::violation};

/// How a stream of a lane ended.
enum Left {
    /// Its sender has ended the lane.
    Ended,
    /// The stream is gone; the lane may come back.
    Lost,
    /// A later stream took over, or the lane is over.
    Superseded,
    /// The sender broke the protocol.
    Broken(String),
}

impl From<ReadError> for Left {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Ended => Self::Lost,
            ReadError::Broken => Self::Broken(error.to_string()),
        }
    }
}

impl From<Broken> for Left {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken.to_string())
    }
}

/// Serves a stream whose sender has said which lane it is of.
pub(crate) async fn serve(
    net: &Arc<Net>,
    peer: &Peer,
    open: Open,
    mut send: SendStream,
    receive: RecvStream,
) {
    let (lane, next, attached) = match net.lanes.enter(net, peer, &open).await {
        Ok(entered) => entered,
        Err(Unattached::Broken(broken)) => return violation(net, peer, &broken.to_string()),
        Err(Unattached::Closed(closed)) => {
            net.watch.lanes.turned_away.add(1);
            let _told_or_gone = io::write(&mut send, &Word::Closed(closed)).await;
            let _told_or_gone = send.finish();
            return;
        }
    };
    let mut receive = BufReader::with_capacity(BUFFER_BYTES, receive);
    let left = tokio::select! {
        () = attached.is_over.cancelled() => Left::Superseded,
        left = tell(&lane, next, &attached, &mut send) => left,
        left = take(net, &lane, &attached, &mut receive) => left,
    };
    match left {
        Left::Ended => {
            net.lanes.forget(peer, &lane);
            lane.served.cancelled().await;
            let _told_or_gone = send.finish();
        }
        Left::Lost => {
            drop((send, receive));
            detach(net, peer, &lane, &attached).await;
        }
        Left::Superseded => {
            let _gone = send.reset(VarInt::from_u32(0));
        }
        Left::Broken(what) => {
            net.lanes.forget(peer, &lane);
            violation(net, peer, &what);
        }
    }
}

/// Remembers the lane for a while after its stream was lost.
async fn detach(net: &Net, peer: &Peer, lane: &Arc<Incoming>, attached: &Attached) {
    {
        let mut state = lane.state();
        if state.attached.attempt != attached.attempt {
            return;
        }
        state.detached = Some(Instant::now());
    }
    tokio::select! {
        () = attached.is_over.cancelled() => {}
        () = sleep(DETACHED_KEPT) => net.lanes.forget(peer, lane),
    }
}

/// Reads messages, each once there is a place for it: a layer above that does not read holds the stream up.
async fn take(
    net: &Net,
    lane: &Incoming,
    attached: &Attached,
    receive: &mut BufReader<RecvStream>,
) -> Left {
    let Some(inbox) = lane.inbox() else {
        return Left::Superseded;
    };
    loop {
        if let Err(error) = readable(receive).await {
            return error.into();
        }
        let place = inbox.reserve().await.ok();
        let message = match read_message(receive).await {
            Ok(message) => message,
            Err(error) => return error.into(),
        };
        let mut state = lane.state();
        if state.attached.attempt != attached.attempt {
            return Left::Superseded;
        }
        let Some((number, contents)) = message else {
            return match state.flow.end() {
                Ok(()) => Left::Ended,
                Err(broken) => broken.into(),
            };
        };
        if let Err(broken) = state.flow.take(number, contents.len()) {
            return broken.into();
        }
        net.watch.lanes.taken.add(1);
        // INVARIANT: handed on under the lock under which it was counted, so that no stream that takes
        // over finds it counted and not handed on.
        match place {
            Some(place) => place.send((number, contents)),
            None => {
                drop(state);
                lane.refuse_unserved(number);
            }
        }
    }
}

/// Says where the lane stands, and then each answer, in order.
async fn tell(lane: &Incoming, next: u64, attached: &Attached, send: &mut SendStream) -> Left {
    let mut batch = BytesMut::new();
    put_word(&mut batch, &Word::Opened(next));
    loop {
        {
            let mut state = lane.state();
            if state.attached.attempt != attached.attempt {
                return Left::Superseded;
            }
            while batch.len() < BATCH_BYTES
                && let Some((number, outcome)) = state.flow.tell_next()
            {
                put_word(&mut batch, &Word::Answer(number, outcome.clone()));
            }
        }
        if batch.is_empty() {
            lane.answered.notified().await;
        } else if send.write_chunk(batch.split().freeze()).await.is_err() {
            return Left::Lost;
        }
    }
}
