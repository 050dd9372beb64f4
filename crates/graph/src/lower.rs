//! Relations and objects become operators of a topology: this connects and decides nothing.

use crate::announce::{Announce, Union};
use crate::config::RelationColumns;
use crate::couple::Couple;
use crate::identify::{Identify, output};
use crate::objects::ObjectRows;
use proxima_engine::{NodeId, Route, Topology};

/// A checked path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSpec {
    /// Its name in the job.
    pub name: String,
    /// Where the columns of its relation are.
    pub columns: RelationColumns,
    /// For how many epochs changes of a row are held back to coalesce them; 20 are a second of epochs of 50 ms.
    pub publish_epochs: u64,
    /// Objects with more subjects than this keep a row of counts; the rows of others are gathered when they are
    /// published. Usually [`HOT_ABOVE`](crate::couple::HOT_ABOVE).
    pub hot_above: u32,
}

/// A checked kind of object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSpec {
    /// Its name in the job.
    pub name: String,
    /// The column with the object's id.
    pub id: usize,
}

/// The table of a path's results in the key-value store.
#[must_use]
pub fn path_table(path: &str) -> String {
    format!("paths/{path}")
}

/// The table of the lists that a path of hops and jumps keeps in the key-value store.
#[must_use]
pub fn list_table(path: &str) -> String {
    format!("lists/{path}")
}

/// The table of the attributes of a kind of object in the key-value store.
#[must_use]
pub fn object_table(object: &str) -> String {
    format!("objects/{object}")
}

/// Adds a path over the stream `relation`. The node that is returned feeds a key-value sink for the path's table
/// ([`path_table`]); each key is always written by the same worker.
pub fn lower(topology: &mut Topology, path: &PathSpec, relation: NodeId) -> NodeId {
    let PathSpec { name, columns, publish_epochs, hot_above } = path.clone();
    let identified = topology.operator(
        format!("{name}/identify"),
        vec![(relation, Route::ByKey(vec![columns.object]))],
        move || Box::new(Identify::new(columns)),
    );
    let announced =
        topology.operator(format!("{name}/announce"), vec![(identified, Route::Local)], || Box::new(Announce));
    let coupled = topology.operator(
        format!("{name}/couple"),
        vec![(identified, Route::ByKey(vec![output::SUBJECT]))],
        move || Box::new(Couple::new(publish_epochs, hot_above)),
    );
    topology
        .operator(format!("{name}/union"), vec![(announced, Route::Local), (coupled, Route::Local)], || Box::new(Union))
}

/// Adds the documents of objects made of the stream `rows`, which is netted by id and on the worker that owns the id.
/// The node that is returned feeds a key-value sink for the objects' table ([`object_table`]).
pub fn lower_objects(topology: &mut Topology, object: &ObjectSpec, rows: NodeId) -> NodeId {
    let id = object.id;
    topology.operator(format!("{}/documents", object.name), vec![(rows, Route::Local)], move || {
        Box::new(ObjectRows::new(id))
    })
}
