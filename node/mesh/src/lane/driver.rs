//! The task of one lane: connects it when there is something to send, writes, reads the answers, moves to
//! another connection when there is one, and gives up when the process at the other end is gone.

use std::sync::Arc;

use bytes::BytesMut;
use quinn::{RecvStream, SendStream, VarInt};
use tokio::{
    io::{AsyncReadExt as _, BufReader},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    frame::{Closed, Open, ReadError, Word, put_end, put_message, read_word},
    limits::{
        BATCH_BYTES, BUFFER_BYTES, CLOSE_TIMEOUT, CONNECT_FOR, IDLE, OPENED_TIMEOUT, RESUME_FOR,
        RETRY_AFTER,
    },
    sender::{LaneEnd, Shared},
};
use crate::transport::{endpoint::Net, frame::StreamKind, io::begin, peer::Peer, serve::violation};

/// How a stream of a lane ended.
enum Left {
    /// It was ended in order, because nothing was sent for long or nothing will be.
    Finished,
    /// There is a later connection.
    Moved,
    /// The stream or the connection is gone.
    Lost,
    /// The lane cannot go on.
    Over(LaneEnd),
}

/// A stream on which the receiver has said where it stands.
struct Stream {
    peer: Arc<Peer>,
    send: SendStream,
    receive: BufReader<RecvStream>,
}

/// One lane, as its receiver knows it.
struct Driver {
    net: Arc<Net>,
    shared: Arc<Shared>,
    /// The number that the receiver knows it by. A new one whenever nothing is under way and the receiver
    /// does not know the old one (any more).
    lane: u64,
    attempt: u32,
    /// Whether the receiver never said where this lane stands.
    is_new: bool,
    boot: Option<[u8; 16]>,
}

/// Drives a lane to its end.
pub(super) async fn drive(net: Arc<Net>, shared: Arc<Shared>) {
    let (stop, ended) = (net.stop.clone(), shared.ended.clone());
    let mut driver = Driver {
        lane: net.lanes.next_number(),
        net,
        shared: Arc::clone(&shared),
        attempt: 0,
        is_new: true,
        boot: None,
    };
    let end = tokio::select! {
        () = stop.cancelled() => LaneEnd::Stopping,
        // Somebody has given it up: it is told why already.
        () = ended.cancelled() => LaneEnd::Closed,
        end = driver.run() => end,
    };
    shared.give_up(end);
    shared.done.cancel();
}

impl Driver {
    async fn run(&mut self) -> LaneEnd {
        loop {
            if !self.is_wanted().await {
                return LaneEnd::Closed;
            }
            let stream = match self.connected().await {
                Ok(stream) => stream,
                Err(end) => return end,
            };
            match self.pump(stream).await {
                Left::Finished => self.forget(),
                Left::Moved => {}
                Left::Lost => sleep(RETRY_AFTER).await,
                Left::Over(end) => return end,
            }
        }
    }

    /// Waits until there is something to send; false when there will be nothing.
    async fn is_wanted(&self) -> bool {
        loop {
            {
                let state = self.shared.state();
                if !state.flow.is_empty() {
                    return true;
                }
                if state.is_closing {
                    return false;
                }
            }
            self.shared.wake.notified().await;
        }
    }

    /// From now on it is another lane to the receiver.
    fn forget(&mut self) {
        self.lane = self.net.lanes.next_number();
        self.attempt = 0;
        self.is_new = true;
        self.shared.state().flow.restart();
    }

    /// A stream to the member, tried until it is too late.
    async fn connected(&mut self) -> Result<Stream, LaneEnd> {
        let is_under_way = self.shared.state().flow.is_under_way();
        let patience = if is_under_way {
            RESUME_FOR
        } else {
            CONNECT_FOR
        };
        let deadline = Instant::now() + patience;
        loop {
            match timeout_at(deadline, self.open()).await {
                Ok(Ok(Some(stream))) => return Ok(stream),
                Ok(Ok(None)) => {}
                Ok(Err(end)) => return Err(end),
                Err(_elapsed) => return Err(LaneEnd::Unreachable),
            }
            if Instant::now() + RETRY_AFTER >= deadline {
                return Err(LaneEnd::Unreachable);
            }
            sleep(RETRY_AFTER).await;
        }
    }

    /// Tries once. None: perhaps the next time.
    async fn open(&mut self) -> Result<Option<Stream>, LaneEnd> {
        let Ok(peer) = self.net.peer(&self.shared.member).await else {
            return Ok(None);
        };
        self.bind(&peer)?;
        self.attempt += 1;
        let open = Open {
            lane: self.lane,
            attempt: self.attempt,
            is_new: self.is_new,
            kind: self.shared.kind,
            answered: self.shared.state().flow.answered(),
        };
        let asking = async {
            let (mut send, receive) = peer.connection.open_bi().await.ok()?;
            begin(&mut send, StreamKind::Lane, &open).await.ok()?;
            let mut receive = BufReader::with_capacity(BUFFER_BYTES, receive);
            let word = read_word(&mut receive).await;
            Some((word, send, receive))
        };
        let asked = tokio::select! {
            asked = timeout(OPENED_TIMEOUT, asking) => asked,
            () = self.moved(&peer) => return Ok(None),
        };
        let Ok(Some((word, send, receive))) = asked else {
            return Ok(None);
        };
        let stream = Stream {
            peer,
            send,
            receive,
        };
        self.opened(word, stream)
    }

    /// Looks at which process answers: what is under way was meant for the one it was sent to.
    fn bind(&mut self, peer: &Peer) -> Result<(), LaneEnd> {
        let hello = &peer.hello;
        let before = self.boot.replace(hello.boot);
        let is_another = before.is_some_and(|boot| boot != hello.boot);
        let is_under_way = {
            let mut state = self.shared.state();
            state.generation = Some(hello.generation);
            state.flow.is_under_way()
        };
        match (is_another, is_under_way) {
            (true, true) => return Err(LaneEnd::Restarted),
            (true, false) => self.forget(),
            (false, _) => {}
        }
        Ok(())
    }

    /// The receiver's first word.
    fn opened(
        &mut self,
        word: Result<Word, ReadError>,
        stream: Stream,
    ) -> Result<Option<Stream>, LaneEnd> {
        match word {
            Ok(Word::Opened(next)) => {
                let resumed = self.shared.state().flow.resume(next);
                if let Err(impossible) = resumed {
                    return Err(self.broken(&stream.peer, &impossible.to_string()));
                }
                if !self.is_new {
                    self.shared.counters().resumed.add(1);
                }
                self.is_new = false;
                Ok(Some(stream))
            }
            Ok(Word::Closed(Closed::Full)) => Err(LaneEnd::Full),
            Ok(Word::Closed(Closed::Forgotten)) => {
                if self.shared.state().flow.is_under_way() {
                    return Err(LaneEnd::Forgotten);
                }
                self.forget();
                Ok(None)
            }
            Ok(Word::Closed(Closed::Superseded)) | Err(ReadError::Ended) => Ok(None),
            Ok(Word::Answer(..)) | Err(ReadError::Broken) => {
                Err(self.broken(&stream.peer, "no word that opens a lane"))
            }
        }
    }

    fn broken(&self, peer: &Peer, what: &str) -> LaneEnd {
        violation(&self.net, peer, what);
        LaneEnd::Broken
    }

    /// Uses a stream for as long as it goes.
    async fn pump(&self, stream: Stream) -> Left {
        let Stream {
            peer,
            mut send,
            mut receive,
        } = stream;
        let left = tokio::select! {
            left = self.write(&mut send) => left,
            left = self.read(&mut receive, &peer) => left,
            () = self.moved(&peer) => Left::Moved,
        };
        if matches!(left, Left::Finished) {
            // The receiver ends its side when the layer above there has ended its own.
            let ending = receive.read_u8();
            let _ended_or_late = timeout(CLOSE_TIMEOUT, ending).await;
        } else {
            // Left to itself a stream is finished in order, which this one is not.
            let _gone = send.reset(VarInt::from_u32(0));
        }
        left
    }

    async fn moved(&self, peer: &Arc<Peer>) {
        let mut links = self.net.links();
        loop {
            links.mark_unchanged();
            let link = self.net.table().link(&self.shared.member);
            if link.is_some_and(|link| !Arc::ptr_eq(&link, peer)) {
                return;
            }
            if links.changed().await.is_err() {
                return;
            }
        }
    }

    /// What is to be written now, as much as goes in one batch.
    fn batch(&self) -> BytesMut {
        let mut batch = BytesMut::new();
        let mut count = 0;
        let mut state = self.shared.state();
        while batch.len() < BATCH_BYTES
            && let Some((number, waiting)) = state.flow.write_next()
        {
            put_message(&mut batch, number, &waiting.contents);
            count += 1;
        }
        drop(state);
        self.shared.counters().written.add(count);
        batch
    }

    async fn write(&self, send: &mut SendStream) -> Left {
        loop {
            let mut batch = self.batch();
            if !batch.is_empty() {
                match send.write_chunk(batch.freeze()).await {
                    Ok(()) => continue,
                    Err(_gone) => return Left::Lost,
                }
            }
            let is_idle = timeout(IDLE, self.shared.wake.notified()).await.is_err();
            let is_over = {
                let state = self.shared.state();
                state.flow.is_empty() && (is_idle || state.is_closing)
            };
            if is_over {
                put_end(&mut batch);
                let told = send.write_chunk(batch.freeze()).await;
                return match told.is_ok() && send.finish().is_ok() {
                    true => Left::Finished,
                    false => Left::Lost,
                };
            }
        }
    }

    async fn read(&self, receive: &mut BufReader<RecvStream>, peer: &Peer) -> Left {
        loop {
            match read_word(receive).await {
                Ok(Word::Answer(number, outcome)) => {
                    if let Err(impossible) = self.shared.answer(number, outcome) {
                        return Left::Over(self.broken(peer, &impossible.to_string()));
                    }
                    // A lane that is closing waits for its last answer.
                    if self.shared.state().flow.is_empty() {
                        self.shared.wake.notify_one();
                    }
                }
                Ok(Word::Opened(_) | Word::Closed(_)) | Err(ReadError::Broken) => {
                    return Left::Over(self.broken(peer, "no answer on a lane"));
                }
                Err(ReadError::Ended) => return Left::Lost,
            }
        }
    }
}
