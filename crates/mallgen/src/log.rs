//! What the app reports: a start, or a page with what was shown and done on it; in three generations of its format.
//!
//! | generation | new device | visit | place | shown items |
//! |---|---|---|---|---|
//! | 1 | not said | not said | area code | `display_type`, `order`, `pos_id` |
//! | 2 | `is_new` | not said | area code | as before |
//! | 3 | `is_new` | `sid` | id of the province | `pos_id`, `pos_seq` |

use crate::catalog::{PHONES, PROVINCES, VERSIONS};
use crate::clock::Millis;
use crate::json::Object;

/// Who reports.
#[derive(Clone, Debug)]
pub struct Client {
    /// The device's number.
    pub device: u64,
    /// The user's id, if somebody is logged in.
    pub user: Option<i64>,
    /// Which of the app's versions.
    pub version: usize,
    /// Which of the phones.
    pub phone: usize,
    /// Which of the provinces.
    pub province: usize,
    /// Whether this is the device's first day.
    pub is_new: bool,
    /// The visit's number.
    pub visit: u64,
}

impl Client {
    /// The generation of the log format: 1 to 3.
    #[must_use]
    pub fn generation(&self) -> u8 {
        VERSIONS[self.version].1
    }

    /// The device's id.
    #[must_use]
    pub fn mid(&self) -> String {
        format!("mid_{:06}", self.device)
    }

    /// The visit's id, where the format has one.
    #[must_use]
    pub fn sid(&self) -> Option<String> {
        (self.generation() >= 3).then(|| format!("{:08x}-{:04x}", self.visit, self.device & 0xffff))
    }

    /// Whether the device is new, where the format says so.
    #[must_use]
    pub fn newness(&self) -> Option<bool> {
        (self.generation() >= 2).then_some(self.is_new)
    }
}

/// The app was opened.
#[derive(Clone, Debug)]
pub struct Start {
    /// By which way.
    pub entry: &'static str,
    /// How long it took.
    pub loading_ms: i64,
    /// Which advertisement was shown.
    pub ad: i64,
    /// For how long.
    pub ad_ms: i64,
    /// After how long it was skipped; 0: not at all.
    pub skip_ms: i64,
}

/// An item that was shown on a page.
#[derive(Clone, Debug)]
pub struct Display {
    /// Why: `promotion`, `recommend`, `query` or `activity`.
    pub kind: &'static str,
    /// What sort of item: `sku_id` or `activity_id`.
    pub item_type: &'static str,
    /// Its id.
    pub item: i64,
    /// In which part of the page.
    pub part: i64,
}

/// Something that was done on a page.
#[derive(Clone, Debug)]
pub struct Action {
    /// What.
    pub id: &'static str,
    /// With which product.
    pub sku: i64,
    /// When.
    pub ts: Millis,
}

/// A page was looked at.
#[derive(Clone, Debug)]
pub struct Page {
    /// Which.
    pub id: &'static str,
    /// The one before; none where the visit begins.
    pub last: Option<&'static str>,
    /// What it is about: the sort of item and its id.
    pub item: Option<(&'static str, String)>,
    /// For how long.
    pub during_ms: i64,
    /// What was shown.
    pub displays: Vec<Display>,
    /// What was done.
    pub actions: Vec<Action>,
}

/// What is reported.
#[derive(Clone, Debug)]
pub enum Body {
    /// The app was opened.
    Start(Start),
    /// A page was looked at.
    Page(Page),
}

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// By whom.
    pub client: Client,
    /// When it began. A device has no two records of one moment.
    pub ts: Millis,
    /// What.
    pub body: Body,
    /// The code of an error that was met.
    pub error: Option<i64>,
}

impl Record {
    /// When the app sends it: a page when it is left.
    #[must_use]
    pub fn sent(&self) -> Millis {
        match &self.body {
            Body::Start(start) => self.ts + start.loading_ms,
            Body::Page(page) => self.ts + page.during_ms,
        }
    }

    /// The line, without a newline.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(768);
        let mut object = Object::open(&mut out);
        let generation = self.client.generation();
        if let Body::Page(Page { actions, .. }) = &self.body
            && !actions.is_empty()
        {
            object.objects("actions", actions, |object, action| {
                object.text("action_id", action.id).text("item", &action.sku.to_string()).text("item_type", "sku_id");
                object.int("ts", action.ts);
            });
        }
        object.object("common", |object| write_client(object, &self.client));
        if let Some(code) = self.error {
            object.object("err", |object| {
                let message = "Exception in thread \"main\"\n\tat mall.app.Main.main(Main.java:42)";
                object.int("error_code", code).text("msg", message);
            });
        }
        match &self.body {
            Body::Start(start) => write_start(&mut object, start),
            Body::Page(page) => write_page(&mut object, page, generation),
        }
        object.int("ts", self.ts);
        object.close();
        out
    }
}

fn write_client(object: &mut Object<'_>, client: &Client) {
    let (brand, model, system, channel) = PHONES[client.phone];
    if client.generation() >= 3 {
        object.text("ar", &(client.province + 1).to_string());
    } else {
        object.text("ar", PROVINCES[client.province].2);
    }
    object.text("ba", brand).text("ch", channel);
    if let Some(new) = client.newness() {
        object.text("is_new", if new { "1" } else { "0" });
    }
    object.text("md", model).text("mid", &client.mid()).text("os", system);
    if let Some(sid) = client.sid() {
        object.text("sid", &sid);
    }
    if let Some(user) = client.user {
        object.text("uid", &user.to_string());
    }
    object.text("vc", VERSIONS[client.version].0);
}

fn write_start(object: &mut Object<'_>, start: &Start) {
    object.object("start", |object| {
        object.text("entry", start.entry).int("loading_time", start.loading_ms).int("open_ad_id", start.ad);
        object.int("open_ad_ms", start.ad_ms).int("open_ad_skip_ms", start.skip_ms);
    });
}

fn write_page(object: &mut Object<'_>, page: &Page, generation: u8) {
    if !page.displays.is_empty() {
        let mut order = 0;
        object.objects("displays", &page.displays, |object, shown| {
            order += 1;
            if generation < 3 {
                object.text("display_type", shown.kind);
            }
            object.text("item", &shown.item.to_string()).text("item_type", shown.item_type);
            if generation < 3 {
                object.int("order", order).int("pos_id", shown.part);
            } else {
                object.int("pos_id", shown.part).int("pos_seq", order);
            }
        });
    }
    object.object("page", |object| {
        object.int("during_time", page.during_ms);
        if let Some((kind, item)) = &page.item {
            object.text("item", item).text("item_type", kind);
        }
        if let Some(last) = page.last {
            object.text("last_page_id", last);
        }
        object.text("page_id", page.id);
    });
}
