//! A request's body that is kept until its answer was taken, however early the handler lets go of it.
//!
//! Without this an HTTP/2 client that still sends loses our answer: dropping an unread body resets the
//! stream (`CANCEL`) before the 401 or 413 is on it. Dropped afterwards, it is the reset that RFC 9113,
//! section 8.1, asks for (`NO_ERROR`).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use hyper::body::{Body, Frame, SizeHint};

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
    use axum::body::Bytes;
    use http_body_util::{BodyExt as _, Full};

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
}
