//! The topology as a timely dataflow on one worker. It only connects; the drivers do the work.

use crate::batch::{Batch, ByKey, ByTarget};
use crate::checkpoint::SavedState;
use crate::drive::Driver;
use crate::operator::Operator;
use crate::sinks::{Ack, SinkDriver, Write};
use crate::snapshot::{Bundle, SnapshotError, StateReader};
use crate::status::Counters;
use crate::topology::{Graph, Node, OperatorNode, Route};
use crossbeam_channel::Sender;
use proxima_event::{Changes, KeyGroupSet};
use std::sync::Arc;
use timely::communication::Pull;
use timely::container::NoopBuilder;
use timely::dataflow::channels::Message;
use timely::dataflow::channels::pact::{DistributorPact, Pipeline};
use timely::dataflow::operators::Input;
use timely::dataflow::operators::generic::InputHandleCore;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::{Handle as ProbeHandle, Probe};
use timely::dataflow::{InputHandle, Scope, Stream};

/// Where the rows of a table enter the dataflow.
pub(crate) type TableInput = InputHandle<u64, NoopBuilder<Batch>>;
type Puller = Box<dyn FnMut(&mut dyn FnMut(u64, Changes))>;
type Changelog<'scope> = Stream<'scope, u64, Batch>;

/// The dataflow of a worker, from outside.
pub(crate) struct Assembled {
    /// For each table node its input.
    pub(crate) inputs: Vec<(usize, TableInput)>,
    /// Passes an epoch when all sinks on all workers hold it.
    pub(crate) probe: ProbeHandle<u64>,
}

/// Where a run begins.
pub(crate) struct Start {
    /// Its first epoch.
    pub(crate) epoch: u64,
    /// What its operators hold then.
    pub(crate) state: Option<Arc<dyn SavedState>>,
}

impl Start {
    /// Gives an operator the state of the key groups that its worker owns. Says whether there is a state to load from.
    fn load(&self, operator: &mut dyn Operator, name: &str, owned: &KeyGroupSet) -> Result<bool, String> {
        let Some(state) = &self.state else { return Ok(false) };
        for bundle in state.bundles(name, owned)? {
            let loaded = load(operator, &bundle, owned);
            loaded.map_err(|error| format!("cannot load the state of {name}: {error}; start anew with --fresh"))?;
        }
        Ok(true)
    }
}

fn load(operator: &mut dyn Operator, bundle: &Bundle, owned: &KeyGroupSet) -> Result<(), SnapshotError> {
    for (group, batches) in bundle.read(owned)? {
        operator.load(&mut StateReader::of_batches(group, bundle.kind, &batches))?;
    }
    Ok(())
}

/// Builds the dataflow of a worker. `sinks` are the queues of its sinks, in order.
pub(crate) fn assemble(
    scope: Scope<'_, u64>,
    graph: &Graph,
    sinks: &[Sender<Write>],
    counters: &Arc<Counters>,
    start: &Start,
) -> Assembled {
    let probe = ProbeHandle::new();
    let mut inputs = Vec::new();
    let mut streams: Vec<Changelog<'_>> = Vec::new();
    let mut operators = 0;
    for (id, node) in graph.nodes.iter().enumerate() {
        let stream = match node {
            Node::Table(_) => {
                let (input, stream) = scope.new_input_with_builder::<NoopBuilder<Batch>>();
                inputs.push((id, input));
                stream
            }
            Node::Operator(node) => {
                operators += 1;
                operator(scope, node, &streams, counters, (operators - 1, start))
            }
        };
        streams.push(stream);
    }
    // What is read by something else is watched behind that.
    for (stream, _) in streams.iter().zip(graph.unread()).filter(|(_, unread)| *unread) {
        stream.clone().probe_with(&probe);
    }
    for (index, ((_, input), queue)) in graph.sinks.iter().zip(sinks).enumerate() {
        let input = streams[input.0].clone();
        sink(scope, index, input, queue.clone(), (counters, start)).probe_with(&probe);
    }
    Assembled { inputs, probe }
}

fn operator<'scope>(
    scope: Scope<'scope, u64>,
    node: &OperatorNode,
    streams: &[Changelog<'scope>],
    counters: &Arc<Counters>,
    (index, start): (usize, &Start),
) -> Changelog<'scope> {
    let mut builder = OperatorBuilder::new(node.name.clone(), scope);
    let mut pullers: Vec<Puller> = Vec::new();
    for (input, route) in &node.inputs {
        let stream = streams[input.0].clone();
        pullers.push(match route {
            Route::Local => puller(builder.new_input(stream, Pipeline)),
            Route::ByKey(columns) => {
                let columns = columns.clone();
                let pact = DistributorPact(move |peers| ByKey::new(columns, peers));
                puller(builder.new_input(stream, pact))
            }
            Route::Broadcast => {
                let copies = copy_to_all(scope, stream);
                puller(builder.new_input(copies, DistributorPact(|_| ByTarget)))
            }
        });
    }
    let (output, stream) = builder.new_output::<Batch>();
    let mut output = OutputBuilder::<u64, NoopBuilder<Batch>>::from(output);
    let activator = scope.activator_for(builder.operator_info().address);
    let routes = node.inputs.iter().map(|(_, route)| route.clone()).collect();
    let (mut operator, counters, worker) = ((node.make)(), Arc::clone(counters), scope.index());
    let owned = KeyGroupSet::of_worker(worker, scope.peers());
    operator.own(&owned);
    if counters.intake.checkpointer().is_some() {
        operator.track(&owned);
    }
    let is_loaded = start.load(&mut *operator, &counters.operators[index], &owned).unwrap_or_else(|error| {
        counters.intake.fail(error);
        false
    });
    let first = start.epoch;
    builder.build(move |mut capabilities| {
        let mut capability = capabilities.pop().expect("one output, one capability");
        capability.downgrade(&first);
        let mut driver = Driver::new(operator, routes, capability, counters, (worker, index, owned), is_loaded);
        move |frontiers| {
            for (input, pull) in pullers.iter_mut().enumerate() {
                pull(&mut |epoch, changes| driver.receive(epoch, input, changes));
            }
            if driver.advance(frontiers, &mut output) {
                activator.activate();
            }
        }
    });
    stream
}

fn sink<'scope>(
    scope: Scope<'scope, u64>,
    index: usize,
    input: Changelog<'scope>,
    queue: Sender<Write>,
    (counters, start): (&Arc<Counters>, &Start),
) -> Changelog<'scope> {
    let (name, own) = &counters.sinks[index];
    let mut builder = OperatorBuilder::new(name.clone(), scope);
    let mut pull = puller(builder.new_input(input, Pipeline));
    let (_output, stream) = builder.new_output::<Batch>();
    let address = builder.operator_info().address.to_vec();
    let ack = Arc::new(Ack::new(scope.worker().sync_activator_for(address)));
    let (shared, first) = ((Arc::clone(&counters.intake), Arc::clone(own)), start.epoch);
    builder.build_reschedule(move |mut capabilities| {
        let capability = capabilities.pop().expect("one output, one capability");
        let mut driver = SinkDriver::new(capability, queue, ack, shared, first);
        move |frontiers| {
            pull(&mut |epoch, changes| driver.receive(epoch, changes));
            driver.advance(frontiers)
        }
    });
    stream
}

/// Each batch once for every worker.
fn copy_to_all<'scope>(scope: Scope<'scope, u64>, stream: Changelog<'scope>) -> Changelog<'scope> {
    let mut builder = OperatorBuilder::new("broadcast".to_owned(), scope);
    let mut input = builder.new_input(stream, Pipeline);
    let (output, copies) = builder.new_output::<Batch>();
    let mut output = OutputBuilder::<u64, NoopBuilder<Batch>>::from(output);
    let peers = scope.peers();
    builder.build(move |capabilities| {
        drop(capabilities);
        move |_| {
            input.for_each(|capability, batch| {
                let Some(changes) = batch.take() else { return };
                for target in 0..peers {
                    let mut copy = Batch::to_worker(changes.clone(), target);
                    output.activate().session_with_builder(&capability).give_container(&mut copy);
                }
            });
        }
    });
    copies
}

fn puller<P: Pull<Message<u64, Batch>> + 'static>(mut input: InputHandleCore<u64, Batch, P>) -> Puller {
    Box::new(move |receive| {
        input.for_each(|capability, batch| {
            if let Some(changes) = batch.take() {
                receive(*capability.time(), changes);
            }
        });
    })
}
