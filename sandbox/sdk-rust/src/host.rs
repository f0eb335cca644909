//! What a program may ask of its node: [`Context`], and the trait [`Host`] behind it.
//!
//! In a compiled program the host is the node (the imports of `wit/agent.wit`); in native tests it is
//! [`crate::fake::Node`]. Nothing here decides anything.
//!
//! What is about authority is here with the feature of that name alone: a program imports every interface that a host
//! has a call for, and each is granted and signed.

#[cfg(feature = "authority")]
use crate::Narrowing;
use crate::bindings::caxton::agent;
use crate::{Error, Level, Outgoing};

/// The node as one reaction sees it.
pub struct Context {
    host: Box<dyn Host>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context { .. }")
    }
}

impl Context {
    /// The node that runs this program. Only a compiled program has one.
    #[must_use]
    pub fn of_node() -> Self {
        Self::with(TheNode)
    }

    /// A stand-in, for tests.
    #[must_use]
    pub fn with(host: impl Host + 'static) -> Self {
        Self {
            host: Box::new(host),
        }
    }

    /// Queues a message and gives its id. Most programs return their messages instead.
    ///
    /// # Errors
    /// See [`Host::send`].
    pub fn send(&self, message: Outgoing) -> Result<String, Error> {
        self.host.send(message)
    }

    /// Running agents of the same tenant that offer a service, sorted, 64 at most.
    #[must_use]
    pub fn find(&self, service: &str) -> Vec<String> {
        self.host.find(service)
    }

    /// The agent's own durable keys.
    pub fn kv(&self) -> Kv<'_> {
        Kv { host: &*self.host }
    }

    /// A secret's bytes.
    ///
    /// # Errors
    /// See [`Host::secret`].
    pub fn secret(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.host.secret(name)
    }

    /// Calls a tool with JSON and gives its JSON answer.
    ///
    /// # Errors
    /// See [`Host::call_tool`].
    pub fn call_tool(&self, name: &str, arguments: &str) -> Result<String, Error> {
        self.host.call_tool(name, arguments)
    }

    /// Writes one line of the agent's log.
    pub fn log(&self, level: Level, text: &str) {
        self.host.log(level, text);
    }

    /// Logs at `info`.
    pub fn info(&self, text: &str) {
        self.log(Level::Info, text);
    }

    /// Logs at `warn`.
    pub fn warn(&self, text: &str) {
        self.log(Level::Warn, text);
    }

    /// From here on, what is sent carries less of the agent's authority. There is no way back in this reaction, and
    /// what [`crate::Agent::handle`] returns is sent after it. See [`crate::authority`] for the three together.
    ///
    /// # Errors
    /// See [`Host::narrow`].
    #[cfg(feature = "authority")]
    pub fn narrow(&self, limits: &Narrowing) -> Result<(), Error> {
        self.host.narrow(limits)
    }

    /// From here on, what is sent to this agent of the same tenant hands on a part of what this agent has: while it
    /// handles such a message, it may act with that part, or hand on a part of it, up to five agents deep.
    ///
    /// # Errors
    /// See [`Host::delegate`].
    #[cfg(feature = "authority")]
    pub fn delegate(&self, receiver: &str, limits: &Narrowing) -> Result<(), Error> {
        self.host.delegate(receiver, limits)
    }

    /// From here on, what is sent carries what the sender of the message being handled handed on with it, in place of
    /// this agent's own authority. It is still sent in this agent's name, and policies are asked for it and for each
    /// agent on whose behalf it acts.
    ///
    /// # Errors
    /// See [`Host::act_for_sender`].
    #[cfg(feature = "authority")]
    pub fn act_for_sender(&self) -> Result<(), Error> {
        self.host.act_for_sender()
    }
}

/// Durable keys, by default of up to 256 bytes with values of up to 64 KiB. Reads see the writes of the same reaction.
pub struct Kv<'a> {
    host: &'a dyn Host,
}

impl std::fmt::Debug for Kv<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kv { .. }")
    }
}

impl Kv<'_> {
    /// The value of a key.
    ///
    /// # Errors
    /// See [`Host::get`].
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.host.get(key)
    }

    /// Writes a key.
    ///
    /// # Errors
    /// See [`Host::set`].
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
        self.host.set(key, value.as_ref())
    }

    /// Removes a key; one that is not there is no error.
    ///
    /// # Errors
    /// See [`Host::delete`].
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.host.delete(key)
    }

    /// All keys with a prefix, in byte order, however many there are.
    ///
    /// # Errors
    /// See [`Host::list_keys`].
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        /// The most that one call of the contract gives.
        const PAGE: u32 = 1_000;
        let mut keys: Vec<String> = Vec::new();
        loop {
            let page = self
                .host
                .list_keys(prefix, keys.last().map(String::as_str), PAGE)?;
            let is_last = page.len() < PAGE as usize;
            keys.extend(page);
            if is_last {
                return Ok(keys);
            }
        }
    }
}

/// The imports themselves.
struct TheNode;

impl Host for TheNode {
    fn send(&self, message: Outgoing) -> Result<String, Error> {
        agent::messaging::send(&message)
    }
    fn find(&self, service: &str) -> Vec<String> {
        agent::messaging::find(service)
    }
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        agent::kv::get(key)
    }
    fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        agent::kv::set(key, value)
    }
    fn delete(&self, key: &str) -> Result<(), Error> {
        agent::kv::delete(key)
    }
    fn list_keys(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        agent::kv::list_keys(prefix, start_after, limit)
    }
    fn secret(&self, name: &str) -> Result<Vec<u8>, Error> {
        agent::secrets::get(name)
    }
    fn call_tool(&self, name: &str, arguments: &str) -> Result<String, Error> {
        agent::tools::call(name, arguments)
    }
    fn log(&self, level: Level, text: &str) {
        agent::log::write(level, text);
    }
    #[cfg(feature = "authority")]
    fn narrow(&self, limits: &Narrowing) -> Result<(), Error> {
        agent::authority::narrow(limits)
    }
    #[cfg(feature = "authority")]
    fn delegate(&self, receiver: &str, limits: &Narrowing) -> Result<(), Error> {
        agent::authority::delegate(receiver, limits)
    }
    #[cfg(feature = "authority")]
    fn act_for_sender(&self) -> Result<(), Error> {
        agent::authority::act_for_sender()
    }
}

/// Sends the text of a panic to the agent's log, once set; without it a program only traps.
pub(crate) fn report_panics() {
    #[cfg(target_arch = "wasm32")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|panic| {
                agent::log::write(Level::Error, &panic.to_string())
            }));
        });
    }
}

/// The imports of the contract, as a trait so that a test can stand in for the node.
pub trait Host {
    /// Queues a message; it leaves when the reaction returns `Ok`. Gives the message's id.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::Quota`] or [`Error::Invalid`]; the message is then not queued.
    fn send(&self, message: Outgoing) -> Result<String, Error>;
    /// Running agents of the same tenant that offer a service, sorted.
    fn find(&self, service: &str) -> Vec<String>;
    /// The value of a key, as this reaction sees it.
    ///
    /// # Errors
    /// As the node answers.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error>;
    /// Writes a key.
    ///
    /// # Errors
    /// [`Error::Quota`] where key, value or total are too large.
    fn set(&self, key: &str, value: &[u8]) -> Result<(), Error>;
    /// Removes a key; one that is not there is no error.
    ///
    /// # Errors
    /// As the node answers.
    fn delete(&self, key: &str) -> Result<(), Error>;
    /// Up to `limit` keys with a prefix, in byte order, after `start_after`.
    ///
    /// # Errors
    /// As the node answers.
    fn list_keys(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, Error>;
    /// A secret's bytes.
    ///
    /// # Errors
    /// [`Error::Denied`] or [`Error::NotFound`].
    fn secret(&self, name: &str) -> Result<Vec<u8>, Error>;
    /// Calls a tool with JSON and gives its JSON answer.
    ///
    /// # Errors
    /// As the tool or the node answers.
    fn call_tool(&self, name: &str, arguments: &str) -> Result<String, Error>;
    /// Writes one line of the agent's log.
    fn log(&self, level: Level, text: &str);

    /// Has what is sent from here on carry less of the agent's authority.
    ///
    /// # Errors
    /// [`Error::Denied`] where it would be more in some way, [`Error::Invalid`], or [`Error::Quota`] after 16 calls of
    /// this and the next two in one reaction. A host that does not offer it denies all.
    #[cfg(feature = "authority")]
    fn narrow(&self, _limits: &Narrowing) -> Result<(), Error> {
        Err(not_offered())
    }
    /// Has what is sent to `receiver` from here on hand on a part of the agent's authority.
    ///
    /// # Errors
    /// As [`Host::narrow`].
    #[cfg(feature = "authority")]
    fn delegate(&self, _receiver: &str, _limits: &Narrowing) -> Result<(), Error> {
        Err(not_offered())
    }
    /// Has what is sent from here on carry what the sender of the message being handled handed on.
    ///
    /// # Errors
    /// [`Error::Denied`] where it handed on nothing and after [`Host::narrow`]; otherwise as there.
    #[cfg(feature = "authority")]
    fn act_for_sender(&self) -> Result<(), Error> {
        Err(not_offered())
    }
}

#[cfg(feature = "authority")]
fn not_offered() -> Error {
    Error::Denied("no authority is handed on here".to_owned())
}
