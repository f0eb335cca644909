//! Which child to start or stop, when, and when to give up. Pure: no runtime, no clock, no randomness.
//!
//! The rules are those of the Erlang/OTP supervisor (stdlib's `supervisor` module and "OTP Design Principles,
//! Supervisor Behaviour"): start in order, stop in reverse order, one-for-one, one-for-all, rest-for-one, permanent,
//! transient and temporary children, restart intensity. Departures, each for a reason:
//! - A restart may wait (`Backoff`); siblings that restart with it are stopped at once and wait with it.
//! - [`Escalation::Child`] gives each child an intensity of its own and leaves the one that exceeds it failed, so that
//!   one tenant's crashing agent does not take the others with it. It needs [`Strategy::OneForOne`].
//! - Under one-for-one, dynamic children are stopped all at once, before the others (as `simple_one_for_one` does).
//!
//! The one idea to know first: the shell performs one effect and reports what came of it, and the plan then orders the
//! next step. Each attempt to run a child has an [`Incarnation`]; a report about an older one is ignored, so a late
//! timer or a late exit does nothing. One exit costs O(log n) under one-for-one; the ordered strategies look at the
//! siblings they restart.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::budget::{Jitter, Window};
use super::event::{ChildId, Effect, Event, Exit, GiveUpReason, Incarnation};
use super::rules::{ChildRules, Escalation, FirstStart, Restart, Rules, Strategy};

#[derive(Debug)]
struct Child {
    rules: ChildRules,
    /// Joined at run time.
    dynamic: bool,
    first_start: FirstStart,
    incarnation: Incarnation,
    phase: Phase,
    /// Crashes in a row, for the backoff.
    crashes: u32,
    /// Its own restarts, under [`Escalation::Child`].
    window: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not running, and nothing ordered for it: before its turn, ended as it may, or failed.
    Down,
    Starting,
    Running {
        since: Instant,
    },
    /// A `StartAfter` was ordered.
    Waiting,
    Stopping(Then),
}

/// What follows when a child that was told to stop has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Stay,
    Start,
    Remove,
}

impl Child {
    fn is_alive(&self) -> bool {
        matches!(
            self.phase,
            Phase::Starting | Phase::Running { .. } | Phase::Stopping(_)
        )
    }
}

/// What the supervisor as a whole is doing. Steps that have an order wait for each other through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing in order: each event is answered by itself.
    Steady,
    /// Stopping, in reverse order, all from `from` on; then `lead` starts after `delay`, and the others after it.
    Clearing {
        from: ChildId,
        lead: ChildId,
        delay: Duration,
    },
    /// All from `from` on are down until the lead's delay is over.
    Waiting { from: ChildId },
    /// Starting, in order, all from `cursor` on; `current` was ordered last.
    Starting {
        current: Option<ChildId>,
        cursor: ChildId,
    },
    /// Stopping all, for good.
    Stopping,
    /// `AllStopped` was said.
    Over,
}

/// The state of one supervisor's children, and the rules that move it.
#[derive(Debug)]
pub(super) struct Plan {
    rules: Rules,
    children: BTreeMap<ChildId, Child>,
    /// The children whose steps wait for each other; under one-for-one the dynamic ones are not among them.
    ordered: BTreeSet<ChildId>,
    /// Restarts of all children, under [`Escalation::Supervisor`].
    window: Window,
    mode: Mode,
    is_ready: bool,
    /// Dynamic children under one-for-one that are alive while all is stopped.
    loose_alive: usize,
}

const FIRST: ChildId = ChildId(0);

impl Plan {
    /// A plan for the children that a supervisor is made with, in start order by id. Nothing starts before
    /// [`Event::Begun`].
    pub(super) fn new(
        rules: Rules,
        children: impl IntoIterator<Item = (ChildId, ChildRules)>,
    ) -> Self {
        let children: BTreeMap<_, _> = children
            .into_iter()
            .map(|(id, rules)| (id, Child::new(rules, false, FirstStart::Required)))
            .collect();
        Self {
            rules,
            ordered: children.keys().copied().collect(),
            children,
            window: Window::default(),
            mode: Mode::Steady,
            is_ready: false,
            loose_alive: 0,
        }
    }

    /// Takes in what happened and answers with what to do, in that order.
    pub(super) fn handle(&mut self, now: Instant, jitter: Jitter, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Begun => {
                self.mode = Mode::Starting {
                    current: None,
                    cursor: FIRST,
                }
            }
            Event::Started { child, incarnation } => self.started(now, child, incarnation),
            Event::Exited {
                child,
                incarnation,
                exit,
            } => {
                self.exited(now, jitter, child, incarnation, exit, &mut effects);
            }
            Event::RestartDue { child, incarnation } => {
                self.restart_due(child, incarnation, &mut effects)
            }
            Event::ChildAdded {
                child,
                rules,
                first_start,
            } => self.added(child, rules, first_start, &mut effects),
            Event::ChildRemoved { child } => self.removed(child, &mut effects),
            Event::RestartAsked { child } => self.restart_asked(child, &mut effects),
            Event::StopAll => self.stop_all(&mut effects),
        }
        self.advance(&mut effects);
        effects
    }

    fn started(&mut self, now: Instant, child: ChildId, incarnation: Incarnation) {
        if let Some(child) = self.current(child, incarnation)
            && child.phase == Phase::Starting
        {
            child.phase = Phase::Running { since: now };
        }
    }

    fn exited(
        &mut self,
        now: Instant,
        jitter: Jitter,
        id: ChildId,
        incarnation: Incarnation,
        exit: Exit,
        effects: &mut Vec<Effect>,
    ) {
        let is_ordered = self.ordered.contains(&id);
        let (reset_after, mode) = (self.rules.backoff.reset_after, self.mode);
        let Some(child) = self
            .current(id, incarnation)
            .filter(|child| child.is_alive())
        else {
            return;
        };
        let phase = std::mem::replace(&mut child.phase, Phase::Down);
        if let Phase::Running { since } = phase
            && now.saturating_duration_since(since) >= reset_after
        {
            child.crashes = 0;
        }
        if !is_ordered && mode == Mode::Stopping {
            self.loose_alive = self.loose_alive.saturating_sub(1);
        }
        match phase {
            Phase::Stopping(Then::Remove) => self.forget(id, effects),
            Phase::Stopping(Then::Start) if !self.is_ending() => self.start(id, effects),
            Phase::Stopping(_) => self.forget_temporary(id, effects),
            _ if self.is_ending() => {}
            Phase::Starting if self.is_first_start_of(id) => {
                let error = exit
                    .error()
                    .unwrap_or("it ended while it started")
                    .to_owned();
                self.give_up(GiveUpReason::StartFailed { child: id, error }, effects);
            }
            phase => self.ended(now, jitter, id, phase == Phase::Starting, exit, effects),
        }
    }

    /// A child ended that was not told to: decides whether it, and who with it, comes back.
    fn ended(
        &mut self,
        now: Instant,
        jitter: Jitter,
        id: ChildId,
        was_starting: bool,
        exit: Exit,
        effects: &mut Vec<Effect>,
    ) {
        let Rules {
            strategy,
            intensity,
            backoff,
            ..
        } = self.rules;
        let escalation = self.escalation();
        if matches!(self.mode, Mode::Clearing { from, .. } if id >= from) {
            // Its turn to be stopped was near; it restarts with the others, and is not counted twice.
            return self.forget_temporary(id, effects);
        }
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        let required = child.dynamic && child.first_start == FirstStart::Required;
        if was_starting && required && child.incarnation == Incarnation(1) {
            return self.forget(id, effects);
        }
        match child.rules.restart {
            Restart::Temporary => return self.forget(id, effects),
            Restart::Transient if !exit.is_failure() => return,
            Restart::Transient | Restart::Permanent => {}
        }
        let window = match escalation {
            Escalation::Supervisor => &mut self.window,
            Escalation::Child => &mut child.window,
        };
        if !window.charge(now, intensity) {
            let error = exit.error().map(str::to_owned);
            let reason = GiveUpReason::TooManyRestarts {
                child: id,
                intensity,
                error,
            };
            return match escalation {
                Escalation::Supervisor => self.give_up(reason, effects),
                Escalation::Child => effects.push(Effect::Fail { child: id, reason }),
            };
        }
        child.crashes = child.crashes.saturating_add(1);
        let delay = backoff.delay(child.crashes, jitter);
        match strategy {
            Strategy::OneForOne => self.start_after(id, delay, effects),
            Strategy::OneForAll => self.clear(FIRST, id, delay),
            Strategy::RestForOne => self.clear(id, id, delay),
        }
    }

    /// Begins to restart all from `from` on. A recovery under way is taken over: what waited for it waits for this.
    fn clear(&mut self, from: ChildId, lead: ChildId, delay: Duration) {
        for id in self.ordered.range(from..) {
            match self.children.get_mut(id).map(|child| &mut child.phase) {
                Some(phase @ Phase::Waiting) => *phase = Phase::Down,
                Some(Phase::Stopping(then @ Then::Start)) => *then = Then::Stay,
                Some(_) | None => {}
            }
        }
        self.mode = Mode::Clearing { from, lead, delay };
    }

    fn restart_due(&mut self, id: ChildId, incarnation: Incarnation, effects: &mut Vec<Effect>) {
        let Some(child) = self
            .current(id, incarnation)
            .filter(|child| child.phase == Phase::Waiting)
        else {
            return;
        };
        child.phase = Phase::Down;
        match self.mode {
            Mode::Waiting { from } => {
                self.mode = Mode::Starting {
                    current: None,
                    cursor: from,
                }
            }
            Mode::Steady | Mode::Starting { .. } => self.order_start(id, incarnation, effects),
            Mode::Clearing { .. } | Mode::Stopping | Mode::Over => {}
        }
    }

    fn added(
        &mut self,
        id: ChildId,
        rules: ChildRules,
        first_start: FirstStart,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_ending() || self.children.contains_key(&id) {
            return effects.push(Effect::Removed { child: id });
        }
        self.children
            .insert(id, Child::new(rules, true, first_start));
        let is_loose = self.rules.strategy == Strategy::OneForOne;
        if !is_loose {
            self.ordered.insert(id);
        }
        // While an ordered recovery is under way, it starts the new child in its turn: last.
        if is_loose || self.mode == Mode::Steady {
            self.start(id, effects);
        }
    }

    fn removed(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        let Some(child) = self.children.get_mut(&id) else {
            return effects.push(Effect::Removed { child: id });
        };
        match child.phase {
            Phase::Down => self.forget(id, effects),
            Phase::Waiting => {
                if let Mode::Waiting { from } = self.mode {
                    // The lead of a recovery leaves: its siblings need not wait any longer.
                    self.mode = Mode::Starting {
                        current: None,
                        cursor: from,
                    };
                }
                self.forget(id, effects);
            }
            Phase::Starting | Phase::Running { .. } => self.stop(id, Then::Remove, effects),
            Phase::Stopping(_) => child.phase = Phase::Stopping(Then::Remove),
        }
    }

    fn restart_asked(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        if self.is_ending() {
            return;
        }
        let recovering_from = match self.mode {
            Mode::Clearing { from, .. } | Mode::Waiting { from } => Some(from),
            Mode::Starting { cursor, .. } => Some(cursor),
            Mode::Steady | Mode::Stopping | Mode::Over => None,
        };
        if self.ordered.contains(&id) && recovering_from.is_some_and(|from| id >= from) {
            return; // It is about to be restarted in its turn.
        }
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        child.crashes = 0;
        child.window.clear();
        match child.phase {
            Phase::Down | Phase::Waiting => self.start(id, effects),
            Phase::Starting | Phase::Running { .. } => self.stop(id, Then::Start, effects),
            Phase::Stopping(Then::Stay) => child.phase = Phase::Stopping(Then::Start),
            Phase::Stopping(Then::Start | Then::Remove) => {}
        }
    }

    fn give_up(&mut self, reason: GiveUpReason, effects: &mut Vec<Effect>) {
        effects.push(Effect::GiveUp { reason });
        self.stop_all(effects);
    }

    fn stop_all(&mut self, effects: &mut Vec<Effect>) {
        if self.is_ending() {
            return;
        }
        self.mode = Mode::Stopping;
        self.loose_alive = 0;
        for (id, child) in &mut self.children {
            let is_loose = !self.ordered.contains(id);
            match child.phase {
                Phase::Starting | Phase::Running { .. } if is_loose => {
                    let (child_id, incarnation, shutdown) =
                        (*id, child.incarnation, child.rules.shutdown);
                    child.phase = Phase::Stopping(Then::Stay);
                    effects.push(Effect::Stop {
                        child: child_id,
                        incarnation,
                        shutdown,
                    });
                    self.loose_alive += 1;
                }
                Phase::Stopping(_) if is_loose => self.loose_alive += 1,
                Phase::Waiting => child.phase = Phase::Down,
                Phase::Stopping(Then::Start) => child.phase = Phase::Stopping(Then::Stay),
                Phase::Down | Phase::Starting | Phase::Running { .. } | Phase::Stopping(_) => {}
            }
        }
    }

    /// Takes the next step of what has an order, if the one before it is done.
    fn advance(&mut self, effects: &mut Vec<Effect>) {
        match self.mode {
            Mode::Steady | Mode::Waiting { .. } | Mode::Over => {}
            Mode::Clearing { from, lead, delay } => {
                if self.stop_last(from, effects) {
                    return;
                }
                if delay.is_zero() || !self.children.contains_key(&lead) {
                    self.mode = Mode::Starting {
                        current: None,
                        cursor: from,
                    };
                    self.start_next(effects);
                } else {
                    self.mode = Mode::Waiting { from };
                    self.start_after(lead, delay, effects);
                }
            }
            Mode::Starting { .. } => self.start_next(effects),
            Mode::Stopping => {
                if self.loose_alive == 0 && !self.stop_last(FIRST, effects) {
                    self.mode = Mode::Over;
                    effects.push(Effect::AllStopped);
                }
            }
        }
    }

    /// Stops the last living child from `from` on; false when none is alive.
    fn stop_last(&mut self, from: ChildId, effects: &mut Vec<Effect>) -> bool {
        let alive = |id: &&ChildId| self.children.get(id).is_some_and(Child::is_alive);
        let Some(last) = self.ordered.range(from..).rev().find(alive).copied() else {
            return false;
        };
        let is_told = |child: &Child| matches!(child.phase, Phase::Stopping(_));
        if !self.children.get(&last).is_some_and(is_told) {
            self.stop(last, Then::Stay, effects);
        }
        true
    }

    fn start_next(&mut self, effects: &mut Vec<Effect>) {
        let Mode::Starting { current, cursor } = self.mode else {
            return;
        };
        let is_starting = |id| {
            self.children
                .get(id)
                .is_some_and(|child| child.phase == Phase::Starting)
        };
        if current.as_ref().is_some_and(is_starting) {
            return;
        }
        let is_down = |id: &&ChildId| {
            self.children
                .get(id)
                .is_some_and(|child| child.phase == Phase::Down)
        };
        if let Some(next) = self.ordered.range(cursor..).find(is_down).copied() {
            self.mode = Mode::Starting {
                current: Some(next),
                cursor: ChildId(next.0.saturating_add(1)),
            };
            return self.start(next, effects);
        }
        self.mode = Mode::Steady;
        if !std::mem::replace(&mut self.is_ready, true) {
            effects.push(Effect::Ready);
        }
    }

    fn start(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        if let Some(child) = self.children.get_mut(&id) {
            let incarnation = child.next_incarnation();
            self.order_start(id, incarnation, effects);
        }
    }

    fn order_start(&mut self, id: ChildId, incarnation: Incarnation, effects: &mut Vec<Effect>) {
        if let Some(child) = self.children.get_mut(&id) {
            child.phase = Phase::Starting;
            effects.push(Effect::Start {
                child: id,
                incarnation,
            });
        }
    }

    fn start_after(&mut self, id: ChildId, delay: Duration, effects: &mut Vec<Effect>) {
        if delay.is_zero() {
            return self.start(id, effects);
        }
        if let Some(child) = self.children.get_mut(&id) {
            let incarnation = child.next_incarnation();
            child.phase = Phase::Waiting;
            effects.push(Effect::StartAfter {
                child: id,
                incarnation,
                delay,
            });
        }
    }

    fn stop(&mut self, id: ChildId, then: Then, effects: &mut Vec<Effect>) {
        if let Some(child) = self.children.get_mut(&id) {
            child.phase = Phase::Stopping(then);
            let (incarnation, shutdown) = (child.incarnation, child.rules.shutdown);
            effects.push(Effect::Stop {
                child: id,
                incarnation,
                shutdown,
            });
        }
    }

    fn forget(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        self.ordered.remove(&id);
        if self.children.remove(&id).is_some() {
            effects.push(Effect::Removed { child: id });
        }
    }

    fn forget_temporary(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        let is_temporary = |child: &Child| child.rules.restart == Restart::Temporary;
        if !self.is_ending() && self.children.get(&id).is_some_and(is_temporary) {
            self.forget(id, effects);
        }
    }

    fn current(&mut self, id: ChildId, incarnation: Incarnation) -> Option<&mut Child> {
        self.children
            .get_mut(&id)
            .filter(|child| child.incarnation == incarnation)
    }

    /// Whether this start belongs to the boot of the supervisor, which one failure ends.
    fn is_first_start_of(&self, id: ChildId) -> bool {
        !self.is_ready
            && matches!(self.mode, Mode::Starting { current: Some(current), .. } if current == id)
            && self
                .children
                .get(&id)
                .is_some_and(|child| child.incarnation == Incarnation(1))
    }

    fn is_ending(&self) -> bool {
        matches!(self.mode, Mode::Stopping | Mode::Over)
    }

    /// Children whose restarts are tied together cannot fail one by one.
    fn escalation(&self) -> Escalation {
        match self.rules.strategy {
            Strategy::OneForOne => self.rules.escalation,
            Strategy::OneForAll | Strategy::RestForOne => Escalation::Supervisor,
        }
    }
}

impl Child {
    fn new(rules: ChildRules, dynamic: bool, first_start: FirstStart) -> Self {
        Self {
            rules,
            dynamic,
            first_start,
            incarnation: Incarnation::default(),
            phase: Phase::Down,
            crashes: 0,
            window: Window::default(),
        }
    }

    fn next_incarnation(&mut self) -> Incarnation {
        self.incarnation = Incarnation(self.incarnation.0.saturating_add(1));
        self.incarnation
    }
}
