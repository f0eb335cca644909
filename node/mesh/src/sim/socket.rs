//! A socket of the simulated network, as quinn wants it.

use std::{
    fmt,
    future::Future,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use tokio::time::{Sleep, sleep_until};

use super::network::{Network, Next};

/// One end of the network. It never refuses to send: like UDP, it loses instead.
pub(crate) struct Socket {
    address: SocketAddr,
    network: Network,
    /// Wakes the reader when the next datagram has arrived.
    alarm: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl Socket {
    pub(super) fn new(address: SocketAddr, network: Network) -> Self {
        Self {
            address,
            network,
            alarm: Mutex::new(None),
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.address)
    }
}

/// Always writable.
#[derive(Debug)]
struct Writable;

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let size = transmit
            .segment_size
            .unwrap_or(transmit.contents.len())
            .max(1);
        for datagram in transmit.contents.chunks(size) {
            self.network
                .send(self.address, transmit.destination, datagram);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut received = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            match self.network.next(self.address, context.waker()) {
                Next::Arrived(datagram) => {
                    let len = datagram.bytes.len().min(buffer.len());
                    buffer[..len].copy_from_slice(&datagram.bytes[..len]);
                    *meta = RecvMeta {
                        addr: datagram.from,
                        len,
                        stride: len,
                        ecn: None,
                        dst_ip: None,
                    };
                    received += 1;
                }
                Next::NotBefore(at) => {
                    let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
                    *alarm = at.map(|at| Box::pin(sleep_until(at)));
                    if let Some(alarm) = alarm.as_mut().filter(|_| received == 0)
                        && alarm.as_mut().poll(context).is_ready()
                    {
                        context.waker().wake_by_ref();
                    }
                    break;
                }
            }
        }
        if received == 0 {
            Poll::Pending
        } else {
            Poll::Ready(Ok(received))
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}
