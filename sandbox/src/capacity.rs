//! How many instances fit, counted before one is started: an answer at once instead of an error half way.
//!
//! The first wall is not memory. A live instance takes kernel mappings (two for its stack, four for each
//! linear memory), and Linux gives a process 65,530 of them unless `vm.max_map_count` is raised. The second
//! is address space: each linear memory reserves 4 GiB, which is what makes its bounds checks free.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// Mappings of one instance's stack and its guard page.
const MAPPINGS_STACK: usize = 2;
/// Mappings of one linear memory: image, data, heap, guard.
const MAPPINGS_MEMORY: usize = 4;
/// Mappings of an agent whose program has one memory, as small ones do.
const MAPPINGS_AGENT: usize = MAPPINGS_STACK + MAPPINGS_MEMORY;
/// Mappings kept for everything else: 3 for each of 1,000 programs, threads, libraries, the store.
const MAPPINGS_RESERVE: usize = 5_500;
/// Agents that fit into 100 TB of address space (of 128) at 4 GiB and a guard each, with room for programs
/// of several memories.
const AGENTS_MAX: usize = 20_000;
/// Distinct programs loaded at once: 3 mappings each, paid from the reserve.
const PROGRAMS_MAX: usize = 1_000;
/// Memories beyond one an agent: 340 JavaScript agents (QuickJS, 3 memories) beside a full house.
/// Costs 4 TB of address space and nothing else.
const MEMORIES_EXTRA: usize = 1_024;
/// Tables an agent on average, beyond which the extra ones count. Small programs have two.
const TABLES_PER_AGENT: usize = 3;
/// Tables beyond that: 64 Python agents of 64 tables.
const TABLES_EXTRA: usize = 4_096;

/// How many agents fit into a process that may have `max_map_count` mappings
/// (`/proc/sys/vm/max_map_count`). 10,005 at Linux's default of 65,530; 20,000 at most.
#[must_use]
pub fn agents_by_map_count(max_map_count: u64) -> usize {
    let mappings = usize::try_from(max_map_count).unwrap_or(usize::MAX);
    let free = mappings.saturating_sub(MAPPINGS_RESERVE);
    (free / MAPPINGS_AGENT).clamp(1, AGENTS_MAX)
}

/// What one instance of a program takes from the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Linear memories.
    pub memories: usize,
    /// Core instances, as they stand in the component.
    pub core_instances: usize,
    /// Tables.
    pub tables: usize,
    /// What its largest memory starts with.
    pub memory_min_bytes: u64,
    /// What its largest table starts with.
    pub table_min_elements: u64,
}

impl Needs {
    /// Kernel mappings of one instance.
    #[must_use]
    pub fn mappings(&self) -> usize {
        let memories = self.memories.max(1);
        MAPPINGS_STACK.saturating_add(memories.saturating_mul(MAPPINGS_MEMORY))
    }
}

/// A count of things: how many are taken and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Taken now.
    pub used: usize,
    /// How many there are.
    pub max: usize,
}

impl Room {
    fn of(max: usize) -> Self {
        Self { used: 0, max }
    }

    fn left_after(&self, more: usize) -> bool {
        self.used.saturating_add(more) <= self.max
    }
}

/// What fits into an engine and what is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Live instances.
    pub agents: Room,
    /// Linear memories of live instances.
    pub memories: Room,
    /// Tables of live instances.
    pub tables: Room,
    /// Kernel mappings of live instances.
    pub mappings: Room,
    /// Loaded programs.
    pub programs: Room,
}

impl Capacity {
    pub(crate) fn for_agents(agents_max: usize) -> Self {
        let agents_max = agents_max.clamp(1, AGENTS_MAX);
        let tables = agents_max.saturating_mul(TABLES_PER_AGENT);
        Self {
            agents: Room::of(agents_max),
            memories: Room::of(agents_max.saturating_add(MEMORIES_EXTRA)),
            tables: Room::of(tables.saturating_add(TABLES_EXTRA)),
            // At least one agent of the largest program fits into the smallest engine.
            mappings: Room::of(agents_max.saturating_mul(MAPPINGS_AGENT).max(64)),
            programs: Room::of(PROGRAMS_MAX),
        }
    }
}

/// Counts what is taken. Taking never waits.
#[derive(Debug)]
pub(crate) struct Rooms(Mutex<Capacity>);

impl Rooms {
    pub(crate) fn new(capacity: Capacity) -> Arc<Self> {
        Arc::new(Self(Mutex::new(capacity)))
    }

    pub(crate) fn snapshot(&self) -> Capacity {
        // The counts are plain numbers: a panic elsewhere cannot have left them half written.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for one instance, given back when the permit is dropped.
    pub(crate) fn enter(self: &Arc<Self>, needs: &Needs) -> Result<AgentPermit, Fault> {
        let wanted = Wanted::of(needs);
        let mut capacity = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, room, more) in wanted.rooms(&mut capacity) {
            if !room.left_after(more) {
                let max = room.max;
                return Err(Fault::AtCapacity { what, max });
            }
        }
        for (_, room, more) in wanted.rooms(&mut capacity) {
            room.used = room.used.saturating_add(more);
        }
        Ok(AgentPermit {
            rooms: Arc::clone(self),
            wanted,
        })
    }

    /// Room for one program, given back when the permit is dropped. `Err` is how many there are.
    pub(crate) fn enter_program(self: &Arc<Self>) -> Result<ProgramPermit, usize> {
        let mut capacity = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let programs = &mut capacity.programs;
        if !programs.left_after(1) {
            return Err(programs.max);
        }
        programs.used = programs.used.saturating_add(1);
        Ok(ProgramPermit(Arc::clone(self)))
    }
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    memories: usize,
    tables: usize,
    mappings: usize,
}

impl Wanted {
    fn of(needs: &Needs) -> Self {
        Self {
            memories: needs.memories,
            tables: needs.tables,
            mappings: needs.mappings(),
        }
    }

    fn rooms<'a>(&self, capacity: &'a mut Capacity) -> [(&'static str, &'a mut Room, usize); 4] {
        [
            ("agents", &mut capacity.agents, 1),
            ("memories", &mut capacity.memories, self.memories),
            ("tables", &mut capacity.tables, self.tables),
            ("mappings", &mut capacity.mappings, self.mappings),
        ]
    }
}

/// One instance's room.
#[derive(Debug)]
pub(crate) struct AgentPermit {
    rooms: Arc<Rooms>,
    wanted: Wanted,
}

impl Drop for AgentPermit {
    fn drop(&mut self) {
        let mut capacity = self.rooms.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, room, more) in self.wanted.rooms(&mut capacity) {
            room.used = room.used.saturating_sub(more);
        }
    }
}

/// One program's room.
#[derive(Debug)]
pub(crate) struct ProgramPermit(Arc<Rooms>);

impl Drop for ProgramPermit {
    fn drop(&mut self) {
        let mut capacity = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        capacity.programs.used = capacity.programs.used.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(memories: usize, tables: usize) -> Needs {
        Needs {
            memories,
            tables,
            ..Needs::default()
        }
    }

    #[test]
    fn agents_follow_the_kernels_mappings_up_to_the_address_space() {
        assert_eq!(agents_by_map_count(65_530), 10_005);
        assert_eq!(agents_by_map_count(1_048_576), 20_000);
        assert_eq!(agents_by_map_count(u64::MAX), 20_000);
        assert_eq!(agents_by_map_count(0), 1);
    }

    #[test]
    fn the_largest_pool_fits_into_the_address_space() {
        let memories = Capacity::for_agents(usize::MAX).memories.max;
        let slot = (4_u64 << 30) + (32 << 20);
        let bytes = u64::try_from(memories).unwrap() * slot;
        assert!(bytes < 100_000_000_000_000, "{bytes}");
    }

    #[test]
    fn a_full_house_answers_what_ran_out_and_room_comes_back() {
        let rooms = Rooms::new(Capacity::for_agents(16));
        let mut held: Vec<_> = (0..16)
            .map(|_| rooms.enter(&needs(1, 2)).unwrap())
            .collect();
        let full = rooms.enter(&needs(1, 2)).unwrap_err();
        assert!(
            matches!(
                full,
                Fault::AtCapacity {
                    what: "agents",
                    max: 16
                }
            ),
            "{full:?}"
        );
        held.pop();
        let wide = rooms.enter(&needs(3, 2)).unwrap_err();
        assert!(
            matches!(
                wide,
                Fault::AtCapacity {
                    what: "mappings",
                    ..
                }
            ),
            "{wide:?}"
        );
        held.push(rooms.enter(&needs(1, 2)).unwrap());
        drop(held);
        let empty = Capacity::for_agents(16);
        assert_eq!(rooms.snapshot(), empty, "nothing is left behind");
    }

    #[test]
    fn programs_are_counted_apart() {
        let rooms = Rooms::new(Capacity::for_agents(1));
        let held: Vec<_> = (0..PROGRAMS_MAX)
            .map(|_| rooms.enter_program().unwrap())
            .collect();
        assert_eq!(rooms.enter_program().unwrap_err(), PROGRAMS_MAX);
        drop(held);
        assert!(rooms.enter_program().is_ok());
    }
}
