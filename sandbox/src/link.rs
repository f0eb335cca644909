//! Binds the program's imports to [`crate::Host`]. Each call is counted first and sized second; what is left
//! goes to the host or into the reaction's draft.

use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::{
    Agent, AgentError, Level, Narrowing, Outgoing, authority, kv, log, messaging, secrets, tools,
    types,
};
use crate::clock;
use crate::draft::{Over, QueueError};
use crate::log_budget::{Verdict, one_line};
use crate::state::State;

/// Names that `find` returns at most, as the contract says.
const FOUND_MAX: usize = 64;

/// A linker that knows the world and nothing else.
pub(crate) fn linker(engine: &wasmtime::Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    Agent::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
    Ok(linker)
}

impl types::Host for State {}

impl log::Host for State {
    fn write(&mut self, level: Level, text: String) -> Result<()> {
        self.charge()?;
        if let Verdict::Write { dropped } = self.logs.line(clock::now()) {
            if dropped > 0 {
                let text = format!("{dropped} lines before this one were over the rate limit");
                self.host.log(Level::Warn, text);
            }
            let line = one_line(&text, self.limits.log_line_bytes);
            self.host.log(level, line);
        }
        Ok(())
    }
}

impl messaging::Host for State {
    fn send(&mut self, message: Outgoing) -> Result<Result<String, AgentError>> {
        self.charge()?;
        let queued = self.draft.queue(&self.limits, &*self.host, message);
        Ok(queued.map_err(|error| match error {
            QueueError::Over(over) => over.into(),
            QueueError::Refused(refused) => refused,
        }))
    }

    fn find(&mut self, service: String) -> Result<Vec<String>> {
        self.charge()?;
        let mut found = self.host.find(&service);
        found.sort_unstable();
        found.truncate(FOUND_MAX);
        Ok(found)
    }
}

impl authority::Host for State {
    fn narrow(&mut self, limits: Narrowing) -> Result<Result<(), AgentError>> {
        self.charge()?;
        Ok(self.host.narrow(&limits))
    }

    fn delegate(&mut self, receiver: String, limits: Narrowing) -> Result<Result<(), AgentError>> {
        self.charge()?;
        Ok(self.host.delegate(&receiver, &limits))
    }

    fn act_for_sender(&mut self) -> Result<Result<(), AgentError>> {
        self.charge()?;
        Ok(self.host.act_for_sender())
    }
}

impl kv::Host for State {
    fn get(&mut self, key: String) -> Result<Result<Option<Vec<u8>>, AgentError>> {
        self.charge()?;
        Ok(self.draft.get(&self.limits, &*self.host, &key))
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<Result<(), AgentError>> {
        self.charge()?;
        Ok(self.draft.write(&self.limits, key, Some(value)))
    }

    fn delete(&mut self, key: String) -> Result<Result<(), AgentError>> {
        self.charge()?;
        Ok(self.draft.write(&self.limits, key, None))
    }

    fn list_keys(
        &mut self,
        prefix: String,
        start_after: Option<String>,
        limit: u32,
    ) -> Result<Result<Vec<String>, AgentError>> {
        self.charge()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let after = start_after.as_deref();
        Ok(self.draft.keys(&*self.host, &prefix, after, limit))
    }
}

impl secrets::Host for State {
    fn get(&mut self, name: String) -> Result<Result<Vec<u8>, AgentError>> {
        self.charge()?;
        Ok(self.host.secret(&name))
    }
}

impl tools::Host for State {
    fn call(&mut self, name: String, arguments: String) -> Result<Result<String, AgentError>> {
        self.charge()?;
        let answer = self.host.tool(&name, &arguments);
        let sized = answer.and_then(|text| {
            Over::check("copy_bytes", text.len(), self.limits.copy_bytes)?;
            Ok(text)
        });
        Ok(sized)
    }
}
