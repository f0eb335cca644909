//! A request's body that is kept until its answer was taken, however early the handler lets go of it.
//!
//! Without this an HTTP/2 client that still sends loses our answer: dropping an unread body resets the
//! stream (`CANCEL`) before the 401 or 413 is on it. Dropped afterwards, it is the reset that RFC 9113,
//! section 8.1, asks for (`NO_ERROR`). That section has clients keep the answer they got; curl 7.88 drops it
//! where the reset comes along with it (seen), so the body lingers a while behind its answer.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};

/// How long a refused client may go on sending. Price: so long a place among its connection's streams.
const LINGER: Duration = Duration::from_secs(2);
/// What is read of that and thrown away. More waits for the reset behind the stream's own flow control.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// The body; clones are the same one, and the last of them drops it.
#[derive(Debug)]
pub(super) struct Kept<B>(Arc<Mutex<B>>);

impl<B> Kept<B> {
    /// Keeps `body` as long as a clone is there.
    pub(super) fn new(body: B) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    fn lock(&self) -> MutexGuard<'_, B> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Kept<B> {
    /// Reads what still comes to its end, or until it was too much or too long.
    pub(super) async fn linger(mut self) {
        let rest = async {
            let mut read = 0;
            while let Some(Ok(frame)) = self.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > LINGER_BYTES_MAX {
                    std::future::pending::<()>().await;
                }
            }
        };
        let _ended = tokio::time::timeout(LINGER, rest).await;
    }
}

impl<B> Clone for Kept<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Body + Unpin> Body for Kept<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[tokio::test]
    async fn a_body_outlives_the_handler_that_drops_it_and_is_read_as_itself() {
        struct Told {
            text: Full<Bytes>,
            _alive: Arc<()>,
        }
        impl Body for Told {
            type Data = Bytes;
            type Error = std::convert::Infallible;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
                Pin::new(&mut self.text).poll_frame(context)
            }
        }
        let alive = Arc::new(());
        let kept = Kept::new(Told {
            text: Full::from("abc"),
            _alive: Arc::clone(&alive),
        });
        let handed = kept.clone();
        assert_eq!(handed.collect().await.unwrap().to_bytes(), "abc");
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(kept);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    /// A client that never stops sending.
    struct Endless(Arc<Mutex<usize>>);
    impl Body for Endless {
        type Data = Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            *self.0.lock().unwrap() += 1 << 16;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; 1 << 16])))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_stops_is_read_a_little_and_for_a_while() {
        let sent = Arc::default();
        let begun = tokio::time::Instant::now();
        Kept::new(Endless(Arc::clone(&sent))).linger().await;
        assert_eq!(begun.elapsed().as_secs(), LINGER.as_secs());
        let sent = *sent.lock().unwrap();
        assert!(
            (LINGER_BYTES_MAX..2 * LINGER_BYTES_MAX).contains(&sent),
            "{sent}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_ends_is_not_waited_for() {
        let begun = tokio::time::Instant::now();
        Kept::new(Full::from("abc")).linger().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
