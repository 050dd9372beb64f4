//! One running module: its memory, and the calls into it.

use crate::{Limits, ModuleError};
use wasmi::{Engine, Error, Memory, Store, StoreLimits, StoreLimitsBuilder, TypedFunc};

/// What the store of an instance holds.
pub(crate) struct State {
    limits: StoreLimits,
}

impl State {
    /// A store with these limits, and fuel enough to start.
    pub(crate) fn store(engine: &Engine, limits: Limits) -> Store<Self> {
        let state = Self { limits: StoreLimitsBuilder::new().memory_size(limits.memory).memories(1).build() };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_fuel(limits.fuel.saturating_mul(crate::BATCH_ROWS as u64)).expect("fuel is counted");
        store
    }
}

/// One running module.
pub(crate) struct Instance {
    store: Store<State>,
    memory: Memory,
    reserve: TypedFunc<i32, i32>,
    score: TypedFunc<(i32, i32, i32, i32), ()>,
    bytes: Vec<u8>,
}

impl Instance {
    pub(crate) fn new(store: Store<State>, instance: wasmi::Instance) -> Result<Self, ModuleError> {
        let memory = instance.get_memory(&store, "memory").ok_or(ModuleError::Export("memory"))?;
        let reserve = instance.get_typed_func(&store, "reserve");
        let score = instance.get_typed_func(&store, "score");
        Ok(Self {
            memory,
            reserve: reserve.map_err(|_| ModuleError::Export("reserve(i32) -> i32"))?,
            score: score.map_err(|_| ModuleError::Export("score(i32, i32, i32, i32)"))?,
            store,
            bytes: Vec::new(),
        })
    }

    /// Appends a score for each of so many rows of these columns, with so much fuel for each.
    pub(crate) fn score<'a>(
        &mut self,
        columns: impl Iterator<Item = &'a [f64]>,
        rows: usize,
        fuel: u64,
        scores: &mut Vec<f64>,
    ) -> Result<(), Error> {
        self.bytes.clear();
        let mut count = 0_i32;
        for column in columns {
            count += 1;
            self.bytes.extend(column.iter().flat_map(|value| value.to_le_bytes()));
        }
        self.store.set_fuel(fuel.saturating_mul(rows as u64))?;
        let of_scores = rows * size_of::<f64>();
        let values = self.reserve.call(&mut self.store, to_i32(self.bytes.len() + of_scores)?)?;
        // An address is unsigned, whatever its type.
        let place = values as u32 as usize;
        self.memory.write(&mut self.store, place, &self.bytes)?;
        let behind = (values as u32).wrapping_add(to_i32(self.bytes.len())? as u32);
        self.score.call(&mut self.store, (to_i32(rows)?, count, values, behind as i32))?;
        let read_at = behind as usize;
        self.bytes.resize(of_scores, 0);
        self.memory.read(&self.store, read_at, &mut self.bytes)?;
        let (floats, _) = self.bytes.as_chunks();
        scores.extend(floats.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        Ok(())
    }
}

fn to_i32(number: usize) -> Result<i32, Error> {
    i32::try_from(number).map_err(|_| Error::new("a batch is larger than a module's memory can be"))
}
