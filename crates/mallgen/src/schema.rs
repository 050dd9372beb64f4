//! The tables of the shop's database.

use std::fmt::Write;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Parts of the country.
    Region,
    /// Provinces, each in a region.
    Province,
    /// Trademarks.
    Trademark,
    /// The uppermost level of categories.
    Category1,
    /// The middle level of categories.
    Category2,
    /// The lowest level of categories: every product is in one.
    Category3,
    /// Products.
    Sku,
    /// Customers.
    User,
    /// Where customers have their orders sent.
    Address,
    /// What customers have put into their carts.
    Cart,
    /// Orders.
    Order,
    /// The lines of orders.
    Detail,
    /// When an order got which status.
    StatusLog,
    /// Payments of orders.
    Payment,
    /// Lines that customers want their money back for.
    Refund,
}

/// A column and its type in MySQL.
pub type Column = (&'static str, &'static str);

const ID: Column = ("id", "BIGINT NOT NULL PRIMARY KEY");

impl Table {
    /// All tables, dimensions first.
    pub const ALL: [Self; 15] = [
        Self::Region,
        Self::Province,
        Self::Trademark,
        Self::Category1,
        Self::Category2,
        Self::Category3,
        Self::Sku,
        Self::User,
        Self::Address,
        Self::Cart,
        Self::Order,
        Self::Detail,
        Self::StatusLog,
        Self::Payment,
        Self::Refund,
    ];

    /// The name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Region => "base_region",
            Self::Province => "base_province",
            Self::Trademark => "base_trademark",
            Self::Category1 => "base_category1",
            Self::Category2 => "base_category2",
            Self::Category3 => "base_category3",
            Self::Sku => "sku_info",
            Self::User => "user_info",
            Self::Address => "user_address",
            Self::Cart => "cart_info",
            Self::Order => "order_info",
            Self::Detail => "order_detail",
            Self::StatusLog => "order_status_log",
            Self::Payment => "payment_info",
            Self::Refund => "order_refund_info",
        }
    }

    /// The columns; the first one is the key.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Region => &[ID, ("region_name", "VARCHAR(20) NOT NULL")],
            Self::Province => &[
                ID,
                ("name", "VARCHAR(30) NOT NULL"),
                ("region_id", "BIGINT NOT NULL"),
                ("area_code", "VARCHAR(10) NOT NULL"),
                ("iso_code", "VARCHAR(10)"),
            ],
            Self::Trademark => &[ID, ("tm_name", "VARCHAR(60) NOT NULL")],
            Self::Category1 => &[ID, ("name", "VARCHAR(60) NOT NULL")],
            Self::Category2 => &[ID, ("name", "VARCHAR(60) NOT NULL"), ("category1_id", "BIGINT NOT NULL")],
            Self::Category3 => &[ID, ("name", "VARCHAR(60) NOT NULL"), ("category2_id", "BIGINT NOT NULL")],
            Self::Sku => &[
                ID,
                ("price", "DECIMAL(10,2) NOT NULL"),
                ("sku_name", "VARCHAR(200) NOT NULL"),
                ("tm_id", "BIGINT NOT NULL"),
                ("category3_id", "BIGINT NOT NULL"),
                ("is_sale", "TINYINT NOT NULL"),
                ("create_time", "DATETIME NOT NULL"),
                ("operate_time", "DATETIME"),
            ],
            Self::User => &[
                ID,
                ("login_name", "VARCHAR(60) NOT NULL"),
                ("nick_name", "VARCHAR(60)"),
                ("birthday", "DATE"),
                ("gender", "VARCHAR(1)"),
                ("user_level", "VARCHAR(10) NOT NULL"),
                ("create_time", "DATETIME NOT NULL"),
                ("operate_time", "DATETIME"),
            ],
            Self::Address => &[
                ID,
                ("user_id", "BIGINT NOT NULL"),
                ("province_id", "BIGINT NOT NULL"),
                ("user_address", "VARCHAR(200) NOT NULL"),
                ("is_default", "TINYINT NOT NULL"),
            ],
            Self::Cart => &[
                ID,
                ("user_id", "BIGINT NOT NULL"),
                ("sku_id", "BIGINT NOT NULL"),
                ("cart_price", "DECIMAL(10,2) NOT NULL"),
                ("sku_num", "INT NOT NULL"),
                ("is_ordered", "TINYINT NOT NULL"),
                ("create_time", "DATETIME NOT NULL"),
                ("operate_time", "DATETIME"),
            ],
            _ => self.order_columns(),
        }
    }

    fn order_columns(self) -> &'static [Column] {
        match self {
            Self::Order => &[
                ID,
                ("consignee", "VARCHAR(60)"),
                ("total_amount", "DECIMAL(16,2) NOT NULL"),
                ("order_status", "VARCHAR(10) NOT NULL"),
                ("user_id", "BIGINT NOT NULL"),
                ("payment_way", "VARCHAR(10)"),
                ("out_trade_no", "VARCHAR(50) NOT NULL"),
                ("create_time", "DATETIME NOT NULL"),
                ("operate_time", "DATETIME"),
                ("expire_time", "DATETIME NOT NULL"),
                ("province_id", "BIGINT NOT NULL"),
                ("activity_reduce_amount", "DECIMAL(16,2) NOT NULL"),
                ("coupon_reduce_amount", "DECIMAL(16,2) NOT NULL"),
                ("original_total_amount", "DECIMAL(16,2) NOT NULL"),
                ("freight_fee", "DECIMAL(16,2) NOT NULL"),
            ],
            Self::Detail => &[
                ID,
                ("order_id", "BIGINT NOT NULL"),
                ("sku_id", "BIGINT NOT NULL"),
                ("sku_name", "VARCHAR(200) NOT NULL"),
                ("order_price", "DECIMAL(10,2) NOT NULL"),
                ("sku_num", "BIGINT NOT NULL"),
                ("create_time", "DATETIME NOT NULL"),
                ("source_type", "VARCHAR(20) NOT NULL"),
            ],
            Self::StatusLog => &[
                ID,
                ("order_id", "BIGINT NOT NULL"),
                ("order_status", "VARCHAR(10) NOT NULL"),
                ("operate_time", "DATETIME NOT NULL"),
            ],
            Self::Payment => &[
                ID,
                ("out_trade_no", "VARCHAR(50) NOT NULL"),
                ("order_id", "BIGINT NOT NULL"),
                ("user_id", "BIGINT NOT NULL"),
                ("payment_type", "VARCHAR(20) NOT NULL"),
                ("total_amount", "DECIMAL(16,2) NOT NULL"),
                ("subject", "VARCHAR(200) NOT NULL"),
                ("payment_status", "VARCHAR(10) NOT NULL"),
                ("create_time", "DATETIME NOT NULL"),
                ("callback_time", "DATETIME"),
            ],
            _ => &[
                ID,
                ("user_id", "BIGINT NOT NULL"),
                ("order_id", "BIGINT NOT NULL"),
                ("sku_id", "BIGINT NOT NULL"),
                ("refund_type", "VARCHAR(20) NOT NULL"),
                ("refund_num", "BIGINT NOT NULL"),
                ("refund_amount", "DECIMAL(16,2) NOT NULL"),
                ("refund_status", "VARCHAR(10) NOT NULL"),
                ("create_time", "DATETIME NOT NULL"),
                ("operate_time", "DATETIME"),
            ],
        }
    }

    /// The number of a column.
    ///
    /// # Panics
    /// When the table has no such column.
    #[must_use]
    pub fn column(self, name: &str) -> usize {
        let place = self.columns().iter().position(|(column, _)| *column == name);
        place.unwrap_or_else(|| panic!("{} has no column {name}", self.name()))
    }
}

/// The name of the database.
pub const DATABASE: &str = "mall";

/// The statements that create the database's tables.
#[must_use]
pub fn ddl() -> String {
    let mut text = format!("CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\nUSE {DATABASE};\n");
    for table in Table::ALL {
        let columns: Vec<_> = table.columns().iter().map(|(name, kind)| format!("  {name} {kind}")).collect();
        writeln!(text, "\nCREATE TABLE {} (\n{}\n);", table.name(), columns.join(",\n"))
            .expect("memory takes all that is written");
    }
    text
}
