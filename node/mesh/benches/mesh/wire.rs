//! A real UDP socket that counts what goes over it, and loses or swallows datagrams when told to.

use std::{
    io::{self, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use quinn::{
    AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller,
    udp::{RecvMeta, Transmit},
};

/// What went over a socket, and what is to become of the rest. Bytes are those of UDP's contents.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    bytes: AtomicU64,
    datagrams: AtomicU64,
    /// So many of a hundred datagrams are lost as they are sent.
    lose_percent: AtomicU64,
    /// Nothing goes out or comes in any more: to its peers the node is dead, and has said nothing.
    is_cut: AtomicBool,
    chance: AtomicU64,
}

impl Tap {
    /// Bytes and datagrams sent so far.
    pub(crate) fn sent(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.bytes), read(&self.datagrams))
    }

    pub(crate) fn lose(&self, percent: u64) {
        self.lose_percent.store(percent, Ordering::Relaxed);
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    fn count(&self, transmit: &Transmit<'_>) {
        let size = transmit.segment_size.unwrap_or(transmit.contents.len());
        let datagrams = transmit.contents.len().div_ceil(size.max(1));
        self.bytes
            .fetch_add(transmit.contents.len() as u64, Ordering::Relaxed);
        self.datagrams
            .fetch_add(datagrams as u64, Ordering::Relaxed);
    }

    /// SplitMix64: any even chance will do.
    fn is_lost(&self, percent: u64) -> bool {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.chance.fetch_add(step, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % 100 < percent
    }
}

/// A socket with a tap on it.
#[derive(Debug)]
pub(crate) struct Tapped {
    socket: Arc<dyn AsyncUdpSocket>,
    tap: Arc<Tap>,
}

impl Tapped {
    /// On the runtime in which it is called.
    pub(crate) fn new(socket: UdpSocket, tap: Arc<Tap>) -> Arc<Self> {
        let socket = TokioRuntime.wrap_udp_socket(socket).unwrap();
        let port = socket.local_addr().unwrap().port();
        tap.chance.store(u64::from(port) << 32, Ordering::Relaxed);
        Arc::new(Self { socket, tap })
    }
}

impl AsyncUdpSocket for Tapped {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.tap.is_cut() {
            return Ok(());
        }
        let percent = self.tap.lose_percent.load(Ordering::Relaxed);
        if percent == 0 {
            return self
                .socket
                .try_send(transmit)
                .inspect(|()| self.tap.count(transmit));
        }
        self.tap.count(transmit);
        let size = transmit.segment_size.unwrap_or(transmit.contents.len());
        for contents in transmit.contents.chunks(size.max(1)) {
            if !self.tap.is_lost(percent) {
                let one = Transmit {
                    destination: transmit.destination,
                    ecn: transmit.ecn,
                    contents,
                    segment_size: None,
                    src_ip: transmit.src_ip,
                };
                let _lost_where_there_is_no_room = self.socket.try_send(&one);
            }
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let received = ready!(self.socket.poll_recv(context, buffers, meta));
            if !self.tap.is_cut() {
                return Poll::Ready(received);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// A socket on a loopback port that the system chooses.
pub(crate) fn loopback() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}
