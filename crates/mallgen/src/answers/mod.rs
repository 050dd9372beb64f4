//! What a job must answer: every document of every index of `examples/mall`, from the facts themselves.
//!
//! Logs are counted as they are reported, before the network makes some late, doubled or broken. Of the database only
//! the last state of each row counts: a view is right when it equals the batch answer over what the tables hold in the
//! end, so a customer's new birthday or a product's new name shows in old documents too.
//!
//! Memory grows with the answers: the documents of active devices and orders, and the rows that they name.

mod devices;
mod layers;
mod pages;
mod sales;
mod tables;
mod wide;
mod written;

use crate::change::Change;
use crate::log::Record;
use devices::Devices;
use layers::Layers;
use pages::Pages;
use std::io;
use std::path::Path;
use tables::Tables;
use written::Written;

/// The answers, as they grow.
#[derive(Debug)]
pub struct Answers {
    tables: Tables,
    devices: Devices,
    pages: Pages,
    layers: Option<Layers>,
    written: Written,
}

impl Answers {
    /// Answers that will be written to a folder: a file for each index, `NAME.jsonl`, a document a line. With `layers`
    /// also the rows of the layers between logs and indexes, which are as many as the logs'.
    ///
    /// # Errors
    /// When the folder or a file cannot be made.
    pub fn create(folder: &Path, layers: bool) -> io::Result<Self> {
        let written = Written::create(folder)?;
        let layers = if layers { Some(Layers::create(&written)?) } else { None };
        let (tables, devices, pages) = (Tables::default(), Devices::default(), Pages::default());
        Ok(Self { tables, devices, pages, layers, written })
    }

    /// Counts a record in.
    pub fn log(&mut self, record: &Record) {
        self.devices.log(record);
        self.pages.log(record);
        if let Some(layers) = &mut self.layers {
            layers.log(record);
        }
    }

    /// Takes a change over.
    pub fn change(&mut self, change: &Change) {
        self.tables.change(change);
    }

    /// Writes the documents.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(self) -> io::Result<()> {
        let Self { tables, devices, pages, layers, written } = self;
        if let Some(layers) = layers {
            layers.finish()?;
        }
        tables.write_dimensions(&written)?;
        devices.write(&tables, &written)?;
        pages.write(&tables, &written)?;
        let lines = wide::lines(&tables);
        wide::write(&lines, &tables, &written)?;
        sales::write(&lines, &tables, &written)
    }
}
