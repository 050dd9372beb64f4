//! The rows of the layers between logs and indexes: one a start, a page, a shown item, an action, an error.

use super::written::{Documents, Written};
use crate::catalog::{PHONES, PROVINCES, VERSIONS};
use crate::json::Object;
use crate::log::{Body, Page, Record, Start};
use std::io;

/// The rows, as they are written.
#[derive(Debug)]
pub(super) struct Layers {
    starts: Documents,
    pages: Documents,
    displays: Documents,
    actions: Documents,
    errors: Documents,
}

impl Layers {
    pub(super) fn create(written: &Written) -> io::Result<Self> {
        Ok(Self {
            starts: written.documents("dwd_start")?,
            pages: written.documents("dwd_page")?,
            displays: written.documents("dwd_display")?,
            actions: written.documents("dwd_action")?,
            errors: written.documents("dwd_error")?,
        })
    }

    pub(super) fn log(&mut self, record: &Record) {
        if let Some(code) = record.error {
            self.errors.add(|object| {
                key(object, record).text("version", VERSIONS[record.client.version].0).int("error_code", code);
            });
        }
        match &record.body {
            Body::Start(start) => self.start(record, start),
            Body::Page(page) => self.page(record, page),
        }
    }

    fn start(&mut self, record: &Record, start: &Start) {
        self.starts.add(|object| {
            client(key(object, record), record);
            object.text("entry", start.entry).int("loading_ms", start.loading_ms).int("ad_id", start.ad);
            object.int("ad_ms", start.ad_ms).int("skip_ms", start.skip_ms);
        });
    }

    fn page(&mut self, record: &Record, page: &Page) {
        self.pages.add(|object| {
            client(key(object, record), record);
            object.text_or_null("sid", record.client.sid().as_deref()).text("page_id", page.id);
            object.text_or_null("last_page_id", page.last);
            object.text_or_null("item", page.item.as_ref().map(|(_, item)| item.as_str()));
            object.text_or_null("item_type", page.item.as_ref().map(|(kind, _)| *kind));
            object.int("during_ms", page.during_ms);
        });
        for (shown, place) in page.displays.iter().zip(1..) {
            self.displays.add(|object| {
                key(object, record).int("place", place).text("page_id", page.id);
                object.text("item", &shown.item.to_string()).text("item_type", shown.item_type);
                let kind = (record.client.generation() < 3).then_some(shown.kind);
                object.text_or_null("display_type", kind).int("pos_id", shown.part);
            });
        }
        for action in &page.actions {
            self.actions.add(|object| {
                key(object, record).text("action_id", action.id).moment("acted_at", Some(action.ts));
                object.text("page_id", page.id).text("item", &action.sku.to_string()).text("item_type", "sku_id");
            });
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let Self { starts, pages, displays, actions, errors } = self;
        [starts, pages, displays, actions, errors].into_iter().try_for_each(Documents::finish)
    }
}

fn key<'a, 'o>(object: &'a mut Object<'o>, record: &Record) -> &'a mut Object<'o> {
    object.text("mid", &record.client.mid()).moment("ts", Some(record.ts))
}

fn client(object: &mut Object<'_>, record: &Record) {
    let client = &record.client;
    let (brand, model, system, channel) = PHONES[client.phone];
    let place = match client.generation() {
        1 | 2 => PROVINCES[client.province].2.to_owned(),
        _ => (client.province + 1).to_string(),
    };
    object.int_or_null("user_id", client.user).text("place", &place).text("channel", channel);
    object.text("brand", brand).text("model", model).text("os", system);
    object.text("version", VERSIONS[client.version].0);
    match client.newness() {
        Some(new) => object.boolean("is_new", new),
        None => object.null("is_new"),
    };
}
