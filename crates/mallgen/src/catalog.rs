//! What the shop's world is made of: places, trademarks, categories and the words of product names.

/// The parts of the country.
pub const REGIONS: [&str; 7] = ["North", "Northeast", "East", "Central", "South", "Southwest", "Northwest"];

/// A province: its name, the number of its region from 0, its area code in old logs, its ISO 3166-2 code, and how many
/// customers live there beside others.
pub type Province = (&'static str, usize, &'static str, &'static str, u64);

/// The provinces; ids count from 1.
pub const PROVINCES: [Province; 34] = [
    ("Beijing", 0, "110000", "CN-BJ", 60),
    ("Tianjin", 0, "120000", "CN-TJ", 18),
    ("Hebei", 0, "130000", "CN-HE", 40),
    ("Shanxi", 0, "140000", "CN-SX", 20),
    ("Inner Mongolia", 0, "150000", "CN-NM", 14),
    ("Liaoning", 1, "210000", "CN-LN", 28),
    ("Jilin", 1, "220000", "CN-JL", 15),
    ("Heilongjiang", 1, "230000", "CN-HL", 18),
    ("Shanghai", 2, "310000", "CN-SH", 62),
    ("Jiangsu", 2, "320000", "CN-JS", 70),
    ("Zhejiang", 2, "330000", "CN-ZJ", 66),
    ("Anhui", 2, "340000", "CN-AH", 34),
    ("Fujian", 2, "350000", "CN-FJ", 36),
    ("Jiangxi", 2, "360000", "CN-JX", 24),
    ("Shandong", 2, "370000", "CN-SD", 58),
    ("Henan", 3, "410000", "CN-HA", 46),
    ("Hubei", 3, "420000", "CN-HB", 38),
    ("Hunan", 3, "430000", "CN-HN", 36),
    ("Guangdong", 4, "440000", "CN-GD", 96),
    ("Guangxi", 4, "450000", "CN-GX", 24),
    ("Hainan", 4, "460000", "CN-HI", 8),
    ("Chongqing", 5, "500000", "CN-CQ", 28),
    ("Sichuan", 5, "510000", "CN-SC", 48),
    ("Guizhou", 5, "520000", "CN-GZ", 16),
    ("Yunnan", 5, "530000", "CN-YN", 20),
    ("Tibet", 5, "540000", "CN-XZ", 2),
    ("Shaanxi", 6, "610000", "CN-SN", 26),
    ("Gansu", 6, "620000", "CN-GS", 12),
    ("Qinghai", 6, "630000", "CN-QH", 3),
    ("Ningxia", 6, "640000", "CN-NX", 5),
    ("Xinjiang", 6, "650000", "CN-XJ", 12),
    ("Taiwan", 2, "710000", "CN-TW", 4),
    ("Hong Kong", 4, "810000", "CN-HK", 9),
    ("Macao", 4, "820000", "CN-MO", 2),
];

/// Trademarks, of nobody; ids count from 1.
pub const TRADEMARKS: [&str; 18] = [
    "Northwind",
    "Bluelark",
    "Kestrel",
    "Oakhollow",
    "Lumia & Son",
    "Redpine",
    "Tidewater",
    "Silverfern",
    "Marigold",
    "Granite Peak",
    "Sunharbor",
    "Foxglove",
    "Highmoor",
    "Cloudberry",
    "Ironwood",
    "Willowbrook",
    "Starling",
    "Ember",
];

/// A lowest category: its name, the middle one's, the uppermost one's, nouns of its products, and the range of prices
/// in whole yuan.
pub type Category = (&'static str, &'static str, &'static str, &'static [&'static str], i64, i64);

/// The lowest categories; ids count from 1.
pub const CATEGORIES: [Category; 20] = [
    ("Smartphones", "Phones", "Electronics", &["smartphone", "phone", "folding phone"], 899, 7999),
    ("Phone cases", "Phones", "Electronics", &["phone case", "bumper case"], 19, 199),
    ("Laptops", "Computers", "Electronics", &["laptop", "ultrabook", "gaming laptop"], 2999, 15999),
    ("Keyboards", "Computers", "Electronics", &["keyboard", "mechanical keyboard"], 79, 899),
    ("Televisions", "Home cinema", "Electronics", &["television", "smart television"], 1299, 12999),
    ("Headphones", "Home cinema", "Electronics", &["headphones", "earbuds", "headset"], 59, 2499),
    ("Rice", "Staple food", "Food", &["long grain rice", "sticky rice", "brown rice"], 25, 120),
    ("Noodles", "Staple food", "Food", &["wheat noodles", "rice noodles"], 12, 60),
    ("Tea", "Drinks", "Food", &["green tea", "black tea", "oolong tea"], 30, 680),
    ("Coffee", "Drinks", "Food", &["coffee beans", "instant coffee"], 28, 260),
    ("Lipsticks", "Make-up", "Beauty", &["lipstick", "lip gloss", "matte lipstick"], 39, 420),
    ("Perfumes", "Make-up", "Beauty", &["perfume", "eau de toilette"], 129, 1180),
    ("Creams", "Skin care", "Beauty", &["hand cream", "face cream", "sun cream"], 29, 560),
    ("Shampoos", "Hair care", "Beauty", &["shampoo", "hair mask"], 25, 190),
    ("Running shoes", "Shoes", "Clothing", &["running shoes", "trail shoes"], 199, 1299),
    ("Boots", "Shoes", "Clothing", &["boots", "rain boots"], 149, 999),
    ("Jackets", "Outerwear", "Clothing", &["jacket", "down jacket", "rain jacket"], 199, 2299),
    ("Pans", "Kitchen", "Household", &["frying pan", "wok", "saucepan"], 69, 899),
    ("Kettles", "Kitchen", "Household", &["kettle", "electric kettle"], 59, 499),
    ("Lamps", "Living", "Household", &["desk lamp", "floor lamp", "bedside lamp"], 49, 799),
];

/// What stands before the noun in a product's name.
pub const QUALITIES: [&str; 16] = [
    "Classic", "Compact", "Light", "Premium", "Everyday", "Silent", "Pro", "Mini", "Soft", "Fresh", "Golden", "Travel",
    "Family", "Nordic", "Smart", "Pure",
];

/// What stands behind it.
pub const VARIANTS: [&str; 12] = [
    "black",
    "white",
    "red",
    "deep blue",
    "500 g",
    "5 kg",
    "2026 edition",
    "gift box",
    "set of 3",
    "large",
    "small",
    "limited",
];

/// A phone: its brand, its model, its system, the channel that its app came by.
pub type Phone = (&'static str, &'static str, &'static str, &'static str);

/// Phones, the commonest first.
pub const PHONES: [Phone; 10] = [
    ("Huawei", "Huawei Mate 60", "Android 14.0", "huawei"),
    ("iPhone", "iPhone 15", "iOS 17.3", "Appstore"),
    ("Xiaomi", "Xiaomi 14", "Android 14.0", "xiaomi"),
    ("Redmi", "Redmi Note 13", "Android 13.0", "xiaomi"),
    ("vivo", "vivo x100", "Android 13.0", "vivo"),
    ("iPhone", "iPhone 13", "iOS 16.7", "Appstore"),
    ("oppo", "oppo Find X7", "Android 14.0", "oppo"),
    ("Samsung", "Galaxy S24", "Android 14.0", "wandoujia"),
    ("Honor", "Honor 90", "Android 13.0", "huawei"),
    ("Huawei", "Huawei P30", "Android 10.0", "web"),
];

/// The app's versions, each with the generation of its log format.
pub const VERSIONS: [(&str, u8); 5] = [("v2.0.1", 1), ("v2.1.111", 1), ("v2.1.132", 2), ("v2.1.134", 3), ("v3.0.0", 3)];

/// What people search for.
pub const KEYWORDS: [&str; 10] =
    ["phone", "rice", "lipstick", "black tea", "laptop", "running shoes", "lamp", "wok", "jacket", "gift box"];
