//! A model becomes operators of a topology: this connects and decides nothing.

use crate::encode::Encode;
use crate::features::Encoder;
use crate::live::LiveModel;
use crate::spec::BindError;
use crate::train::Train;
use arrow::datatypes::Schema;
use proxima_engine::{NodeId, Route, Topology};
use std::sync::Arc;

/// Adds the model over the stream `rows`, whose columns are `schema`. Its owner keeps `live` true.
///
/// # Errors
/// When the model does not fit the columns.
pub fn lower(
    topology: &mut Topology,
    live: &Arc<LiveModel>,
    rows: NodeId,
    schema: &Schema,
) -> Result<NodeId, Vec<BindError>> {
    let spec = live.spec();
    let columns = Encode::bind(spec, schema)?;
    let encoder = Arc::new(Encoder::bind(spec, schema)?);
    let encoded = topology.operator(format!("{}/encode", spec.name), vec![(rows, Route::Local)], move || {
        Box::new(Encode::new(columns.clone(), Arc::clone(&encoder)))
    });
    let live = Arc::clone(live);
    let name = format!("{}/train", live.spec().name);
    // No key: every sample goes to one worker.
    Ok(topology
        .operator(name, vec![(encoded, Route::ByKey(Vec::new()))], move || Box::new(Train::new(Arc::clone(&live)))))
}
