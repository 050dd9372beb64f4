//! Checkpoints in HBase, by its Thrift2 gateway.
//!
//! Beside the way of a record: what operators hold rests here, so a job on an empty disk goes on from HBase alone. How
//! objects become rows is `proxima_checkpoint::store::rows`; here is what brings rows there.
//!
//! | file | what |
//! |---|---|
//! | `address` | `hbase://host:port/table/prefix` |
//! | `wire` | pure: the gateway's structures as bytes and back |
//! | `calls` | one request and its answer |
//! | `link` | a connection with time limits |
//! | `client` | how connections are kept, over several gateways |
//! | `fault` | what errors mean |
//! | `table` | the calls as [`Rows`](proxima_checkpoint::store::rows::Rows), and the table's creation |

mod address;
mod calls;
mod client;
mod fault;
mod link;
mod table;
mod wire;

pub use address::{Address, AddressError, Transport};
pub use table::{HBaseTable, open};
