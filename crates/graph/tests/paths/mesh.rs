//! The operators that write a live graph of all relations of the test catalogue, on a number of workers, with the exchange
//! between them done by hand.

use crate::graph::{Row, catalogue};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use proxima_engine::{EpochEnd, Operator, Outbox, Section, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, Epoch, KEY_GROUPS, KeyGroup, KeyGroupSet};
use proxima_graph::live::{NameObjects, Relate, SaveNames, TellNewest};
use proxima_graph::{AttributeKind, KindId, LiveGraph, Relation, RelationColumns, RelationId, RelationRules, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row, and how often it comes; −1 takes one back.
pub(crate) type Counted = (Row, i64);

/// Workers that write a live graph.
pub(crate) struct Mesh {
    pub(crate) graph: Arc<LiveGraph>,
    rules: Vec<RelationRules>,
    workers: Vec<Worker>,
    epoch: u64,
    /// What was saved by each operator that has state, by key group.
    chains: Vec<BTreeMap<KeyGroup, Vec<Section>>>,
    saved: bool,
}

struct Worker {
    relations: Vec<Writer>,
    names: Vec<SaveNames>,
}

/// The operators of one relation.
struct Writer {
    name: NameObjects,
    newest: TellNewest,
    relate: Relate,
}

impl Worker {
    fn new(graph: &Arc<LiveGraph>, owned: &KeyGroupSet) -> Self {
        let writer = |(number, relation): (u16, &Relation)| {
            let (id, first) = (RelationId(number), 3 + usize::from(relation.timed));
            let columns = RelationColumns { subject: 0, object: 1, weight: Some(2), time: relation.timed.then_some(3) };
            let attributes = (first..).take(relation.attributes.len()).collect();
            Writer {
                name: NameObjects::new(Arc::clone(graph), id, columns, attributes),
                newest: TellNewest::default(),
                relate: Relate::new(Arc::clone(graph), id),
            }
        };
        let kinds = (0..).map(KindId).take(catalogue().kinds.len());
        let mut worker = Self {
            relations: (0..).zip(&catalogue().relations).map(writer).collect(),
            names: kinds.map(|kind| SaveNames::new(Arc::clone(graph), kind, Some(1))).collect(),
        };
        worker.stateful().into_iter().for_each(|operator| operator.track(owned));
        worker
    }

    fn stateful(&mut self) -> Vec<&mut dyn Operator> {
        let relates = self.relations.iter_mut().map(|writer| &mut writer.relate as &mut dyn Operator);
        relates.chain(self.names.iter_mut().map(|names| names as &mut dyn Operator)).collect()
    }
}

impl Mesh {
    pub(crate) fn new(rules: &[RelationRules], workers: usize) -> Self {
        let graph = Arc::new(LiveGraph::new(catalogue(), rules, workers));
        let mut made: Vec<_> =
            (0..workers).map(|at| Worker::new(&graph, &KeyGroupSet::of_worker(at, workers))).collect();
        let chains = made[0].stateful().iter().map(|_| BTreeMap::new()).collect();
        Self { graph, rules: rules.to_vec(), workers: made, epoch: 0, chains, saved: false }
    }

    /// Runs an epoch over rows, behind which objects are forgotten: a kind's name and a text.
    pub(crate) fn epoch(&mut self, rows: &[Counted], forget: &[(String, String)]) {
        let end = EpochEnd { epoch: Epoch(self.epoch), last: false };
        let mut out = Outbox::default();
        for (number, relation) in catalogue().relations.iter().enumerate() {
            let of = rows.iter().filter(|(row, _)| usize::from(row.relation.0) == number);
            self.relate(number, &batch(relation, &of.collect::<Vec<_>>()), &mut out);
        }
        self.forget(forget, &mut out);
        let each = |workers: &mut Vec<Worker>, run: &mut dyn FnMut(&mut Writer, usize)| {
            for worker in workers {
                worker.relations.iter_mut().enumerate().for_each(|(number, writer)| run(writer, number));
            }
        };
        each(&mut self.workers, &mut |writer, _| writer.name.finish(end, &mut out));
        let mut told = Vec::new();
        each(&mut self.workers, &mut |writer, number| {
            writer.newest.finish(end, &mut out);
            told.extend(out.drain().map(|newest| (number, newest)));
        });
        for (number, newest) in told {
            let is_bounded = self.rules[number].lifetime_us.is_some();
            for worker in self.workers.iter_mut().filter(|_| is_bounded) {
                worker.relations[number].relate.apply(1, newest.clone(), &mut out);
            }
        }
        each(&mut self.workers, &mut |writer, _| writer.relate.finish(end, &mut out));
        self.workers.iter_mut().flat_map(|worker| &mut worker.names).for_each(|names| names.finish(end, &mut out));
        self.epoch += 1;
    }

    fn relate(&mut self, number: usize, rows: &Changes, out: &mut Outbox) {
        let count = self.workers.len();
        for (owner, part) in exchange(rows, 1, count) {
            let writer = &mut self.workers[owner].relations[number];
            writer.name.apply(0, part, out);
            let named: Vec<_> = out.drain().collect();
            for named in named {
                if catalogue().relations[number].timed {
                    self.workers[owner].relations[number].newest.apply(0, named.clone(), out);
                }
                for (owner, part) in exchange(&named, 0, count) {
                    self.workers[owner].relations[number].relate.apply(0, part, out);
                }
            }
        }
    }

    fn forget(&mut self, forget: &[(String, String)], out: &mut Outbox) {
        let column = |of: fn(&(String, String)) -> &String| -> ArrayRef {
            Arc::new(forget.iter().map(|gone| Some(of(gone).as_str())).collect::<StringViewArray>())
        };
        let gone = [("kind", column(|gone| &gone.0)), ("id", column(|gone| &gone.1))];
        let gone = Changes::inserts(RecordBatch::try_from_iter(gone).unwrap());
        for worker in &mut self.workers {
            for (writer, rules) in worker.relations.iter_mut().zip(&self.rules) {
                writer.relate.apply(1 + usize::from(rules.lifetime_us.is_some()), gone.clone(), out);
            }
        }
        for (owner, part) in exchange(&gone, 1, self.workers.len()) {
            let worker = &mut self.workers[owner];
            worker.relations.iter_mut().for_each(|writer| writer.name.apply(1, part.clone(), out));
            worker.names.iter_mut().for_each(|names| names.apply(1, part.clone(), out));
        }
    }

    /// Saves what has changed, and some key groups whole; then another number of workers takes it up.
    pub(crate) fn restart(mut self, rewrite: &KeyGroupSet, workers: usize) -> Self {
        let count = self.workers.len();
        for (at, worker) in self.workers.iter_mut().enumerate() {
            let owned = KeyGroupSet::of_worker(at, count);
            let whole: KeyGroupSet = owned.iter().filter(|&group| !self.saved || rewrite.contains(group)).collect();
            for (operator, chains) in worker.stateful().into_iter().zip(&mut self.chains) {
                let mut state = StateWriter::default();
                operator.save(&whole, &mut state);
                whole.iter().for_each(|group| drop(chains.remove(&group)));
                for section in state.encode().unwrap() {
                    chains.entry(section.group).or_default().push(section);
                }
            }
        }
        let mut mesh = Self::new(&self.rules, workers);
        (mesh.chains, mesh.saved, mesh.epoch) = (self.chains, true, self.epoch);
        for (operator, chains) in mesh.chains.iter().enumerate() {
            for section in chains.values().flatten() {
                let worker = &mut mesh.workers[section.group.worker(KEY_GROUPS, workers)];
                worker.stateful()[operator].load(&mut StateReader::from(section)).unwrap();
            }
        }
        // What waits for all workers to have loaded comes with the first epoch.
        mesh.epoch(&[], &[]);
        mesh
    }
}

/// What of a batch goes to which worker.
fn exchange(changes: &Changes, key: usize, workers: usize) -> Vec<(usize, Changes)> {
    let hashes = hash_columns(&[Arc::clone(changes.column(key))], changes.len());
    let owners: Vec<usize> =
        hashes.iter().map(|&hash| KeyGroup::of(hash, KEY_GROUPS).worker(KEY_GROUPS, workers)).collect();
    let mut changes = changes.clone();
    changes.hashes = Some(hashes.into());
    let part = |worker| {
        let rows: Vec<u32> = (0..owners.len() as u32).filter(|&row| owners[row as usize] == worker).collect();
        (worker, changes.take(&rows))
    };
    (0..workers).map(part).filter(|(_, part)| !part.is_empty()).collect()
}

/// Rows of a relation: subject, object, weight, time where there is one, attributes.
fn batch(relation: &Relation, rows: &[&Counted]) -> Changes {
    let text = |of: fn(&Row) -> &String| -> ArrayRef {
        Arc::new(rows.iter().map(|(row, _)| Some(of(row).as_str())).collect::<StringViewArray>())
    };
    let weights = rows.iter().map(|(row, _)| row.weight).collect::<Int64Array>();
    let mut columns = vec![text(|row| &row.subject), text(|row| &row.object), Arc::new(weights) as ArrayRef];
    if relation.timed {
        let times = rows.iter().map(|(row, _)| row.time_us);
        columns.push(Arc::new(TimestampMicrosecondArray::from_iter_values(times)));
    }
    for (place, attribute) in relation.attributes.iter().enumerate() {
        columns.push(values(attribute.kind, rows.iter().map(|(row, _)| &row.attributes[place])));
    }
    let named = columns.into_iter().enumerate().map(|(number, column)| (number.to_string(), column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
    Changes::weighted(batch, rows.iter().map(|(_, times)| *times).collect())
}

fn values<'a>(kind: AttributeKind, values: impl Iterator<Item = &'a Value>) -> ArrayRef {
    let text = |value: &'a Value| if let Value::Text(text) = value { Some(&**text) } else { None };
    let int = |value: &Value| if let Value::Int(value) = value { Some(*value) } else { None };
    let bool = |value: &Value| if let Value::Bool(value) = value { Some(*value) } else { None };
    match kind {
        AttributeKind::Text => Arc::new(values.map(text).collect::<StringViewArray>()),
        AttributeKind::Bool => Arc::new(values.map(bool).collect::<BooleanArray>()),
        _ => Arc::new(values.map(int).collect::<Int64Array>()),
    }
}
