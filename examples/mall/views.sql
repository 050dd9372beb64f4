-- From an app's logs and a database's changes to live results, in SQL alone.
--
-- Layers: what comes in; the log split by what it tells of; dimensions; active devices; lines of orders with all that
-- belongs to them; metrics by day and minute; what recommendations are made of.

---------------------------------------------------------------------------------------------------------------------
-- What comes in
---------------------------------------------------------------------------------------------------------------------

-- A line of the app's log. Three generations of its format are about: the first does not say whether the device is new
-- (is_new), the first two know no visits (sid) and name a province by its area code, the third by its id; and what
-- place a shown item had is `order` in the first two and `pos_seq` in the third.
CREATE TABLE logs (
  common STRUCT<ar STRING, ba STRING, ch STRING, is_new STRING, md STRING, mid STRING, os STRING, sid STRING,
                uid STRING, vc STRING> NOT NULL,
  start STRUCT<entry STRING, loading_time BIGINT, open_ad_id BIGINT, open_ad_ms BIGINT, open_ad_skip_ms BIGINT>,
  page STRUCT<page_id STRING, last_page_id STRING, item STRING, item_type STRING, during_time BIGINT>,
  displays ARRAY<STRUCT<display_type STRING, item STRING, item_type STRING, "order" BIGINT, pos_id BIGINT,
                        pos_seq BIGINT>>,
  actions ARRAY<STRUCT<action_id STRING, item STRING, item_type STRING, ts TIMESTAMP(3)>>,
  err STRUCT<error_code BIGINT, msg STRING>,
  ts TIMESTAMP(3) NOT NULL
) WITH (source = 'logs', format = 'json', event_time = 'ts', lifetime = '7 days', epoch_unit = 'ms');

CREATE TABLE base_region (id BIGINT, region_name STRING, PRIMARY KEY (id) NOT ENFORCED)
  WITH (source = 'changes', format = 'maxwell', table = 'mall.base_region');

CREATE TABLE base_province (
  id BIGINT, name STRING, region_id BIGINT, area_code STRING, iso_code STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (source = 'changes', format = 'maxwell', table = 'mall.base_province');

CREATE TABLE base_trademark (id BIGINT, tm_name STRING, PRIMARY KEY (id) NOT ENFORCED)
  WITH (source = 'changes', format = 'maxwell', table = 'mall.base_trademark');

CREATE TABLE base_category1 (id BIGINT, name STRING, PRIMARY KEY (id) NOT ENFORCED)
  WITH (source = 'changes', format = 'maxwell', table = 'mall.base_category1');

CREATE TABLE base_category2 (id BIGINT, name STRING, category1_id BIGINT, PRIMARY KEY (id) NOT ENFORCED)
  WITH (source = 'changes', format = 'maxwell', table = 'mall.base_category2');

CREATE TABLE base_category3 (id BIGINT, name STRING, category2_id BIGINT, PRIMARY KEY (id) NOT ENFORCED)
  WITH (source = 'changes', format = 'maxwell', table = 'mall.base_category3');

CREATE TABLE sku_info (
  id BIGINT, price DECIMAL(10, 2), sku_name STRING, tm_id BIGINT, category3_id BIGINT, is_sale INT,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (source = 'changes', format = 'maxwell', table = 'mall.sku_info');

CREATE TABLE user_info (
  id BIGINT, birthday DATE, gender STRING, user_level STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (source = 'changes', format = 'maxwell', table = 'mall.user_info');

CREATE TABLE order_info (
  id BIGINT, order_status STRING, user_id BIGINT, province_id BIGINT, create_time TIMESTAMP(3),
  total_amount DECIMAL(16, 2), activity_reduce_amount DECIMAL(16, 2), coupon_reduce_amount DECIMAL(16, 2),
  PRIMARY KEY (id) NOT ENFORCED
) WITH (source = 'changes', format = 'maxwell', table = 'mall.order_info');

CREATE TABLE order_detail (
  id BIGINT, order_id BIGINT, sku_id BIGINT, order_price DECIMAL(10, 2), sku_num BIGINT,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (source = 'changes', format = 'maxwell', table = 'mall.order_detail');

CREATE TABLE payment_info (
  id BIGINT, order_id BIGINT, payment_type STRING, payment_status STRING, callback_time TIMESTAMP(3),
  PRIMARY KEY (id) NOT ENFORCED
) WITH (source = 'changes', format = 'maxwell', table = 'mall.payment_info');

CREATE TABLE order_refund_info (
  id BIGINT, order_id BIGINT, sku_id BIGINT, refund_num BIGINT, refund_amount DECIMAL(16, 2), refund_status STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (source = 'changes', format = 'maxwell', table = 'mall.order_refund_info');

---------------------------------------------------------------------------------------------------------------------
-- The log split by what it tells of. A device has no two lines of one moment, so a line that comes twice is one, and the
-- layers need not remember all lines to find the greatest of a key.
---------------------------------------------------------------------------------------------------------------------

CREATE VIEW starts AS
SELECT DISTINCT
  common.mid AS mid, ts, TRY_CAST(common.uid AS BIGINT) AS user_id, common.ar AS place, common.ch AS channel,
  common.ba AS brand, common.md AS model, common.os AS os, common.vc AS version, common.is_new = '1' AS is_new,
  start.entry AS entry, start.loading_time AS loading_ms, start.open_ad_id AS ad_id, start.open_ad_ms AS ad_ms,
  start.open_ad_skip_ms AS skip_ms
FROM logs
WHERE start.entry IS NOT NULL;

CREATE VIEW pages AS
SELECT DISTINCT
  common.mid AS mid, ts, TRY_CAST(common.uid AS BIGINT) AS user_id, common.ar AS place, common.ch AS channel,
  common.ba AS brand, common.md AS model, common.os AS os, common.vc AS version, common.is_new = '1' AS is_new,
  common.sid AS sid, page.page_id AS page_id, page.last_page_id AS last_page_id, page.item AS item,
  page.item_type AS item_type, page.during_time AS during_ms
FROM logs
WHERE page.page_id IS NOT NULL;

-- One row a shown item.
CREATE VIEW displays AS
SELECT DISTINCT
  mid, ts, coalesce(shown."order", shown.pos_seq) AS place, page_id, shown.item AS item, shown.item_type AS item_type,
  shown.display_type AS display_type, shown.pos_id AS pos_id
FROM (SELECT common.mid AS mid, ts, page.page_id AS page_id, unnest(displays) AS shown FROM logs);

-- One row an action.
CREATE VIEW actions AS
SELECT DISTINCT
  mid, ts, act.action_id AS action_id, act.ts AS acted_at, page_id, act.item AS item, act.item_type AS item_type
FROM (SELECT common.mid AS mid, ts, page.page_id AS page_id, unnest(actions) AS act FROM logs);

CREATE VIEW errors AS
SELECT DISTINCT common.mid AS mid, ts, common.vc AS version, err.error_code AS error_code
FROM logs
WHERE err.error_code IS NOT NULL;

CREATE TABLE dwd_start (
  mid STRING, ts TIMESTAMP(3), user_id BIGINT, place STRING, channel STRING, brand STRING, model STRING, os STRING,
  version STRING, is_new BOOLEAN, entry STRING, loading_ms BIGINT, ad_id BIGINT, ad_ms BIGINT, skip_ms BIGINT,
  PRIMARY KEY (mid, ts) NOT ENFORCED
) WITH (sink = 'layers', one_row_per_key = 'true');
INSERT INTO dwd_start SELECT * FROM starts;

CREATE TABLE dwd_page (
  mid STRING, ts TIMESTAMP(3), user_id BIGINT, place STRING, channel STRING, brand STRING, model STRING, os STRING,
  version STRING, is_new BOOLEAN, sid STRING, page_id STRING, last_page_id STRING, item STRING, item_type STRING,
  during_ms BIGINT,
  PRIMARY KEY (mid, ts) NOT ENFORCED
) WITH (sink = 'layers', one_row_per_key = 'true');
INSERT INTO dwd_page SELECT * FROM pages;

CREATE TABLE dwd_display (
  mid STRING, ts TIMESTAMP(3), place BIGINT, page_id STRING, item STRING, item_type STRING, display_type STRING,
  pos_id BIGINT,
  PRIMARY KEY (mid, ts, place) NOT ENFORCED
) WITH (sink = 'layers', one_row_per_key = 'true');
INSERT INTO dwd_display SELECT * FROM displays;

CREATE TABLE dwd_action (
  mid STRING, ts TIMESTAMP(3), action_id STRING, acted_at TIMESTAMP(3), page_id STRING, item STRING, item_type STRING,
  PRIMARY KEY (mid, ts, action_id) NOT ENFORCED
) WITH (sink = 'layers', one_row_per_key = 'true');
INSERT INTO dwd_action SELECT * FROM actions;

CREATE TABLE dwd_error (
  mid STRING, ts TIMESTAMP(3), version STRING, error_code BIGINT,
  PRIMARY KEY (mid, ts) NOT ENFORCED
) WITH (sink = 'layers', one_row_per_key = 'true');
INSERT INTO dwd_error SELECT * FROM errors;

---------------------------------------------------------------------------------------------------------------------
-- Dimensions. They are joined, not looked up: when a customer's birthday or a product's name is corrected, what was
-- written with the old one is written anew.
---------------------------------------------------------------------------------------------------------------------

CREATE VIEW provinces AS
SELECT p.id, p.name, r.region_name AS region, p.area_code, p.iso_code
FROM base_province p LEFT JOIN base_region r ON r.id = p.region_id;

-- What a log line may call a province.
CREATE VIEW places AS
SELECT place, name, iso_code
FROM (
  SELECT place, name, iso_code, ROW_NUMBER() OVER (PARTITION BY place ORDER BY iso_code) AS nth
  FROM (
    SELECT area_code AS place, name, iso_code FROM base_province
    UNION ALL
    SELECT CAST(id AS STRING) AS place, name, iso_code FROM base_province
  )
)
WHERE nth = 1;

CREATE VIEW users AS
SELECT id, CASE gender WHEN 'F' THEN 'female' WHEN 'M' THEN 'male' ELSE 'unknown' END AS sex, birthday, user_level,
       CAST(date_part('year', birthday) * 10000 + date_part('month', birthday) * 100 + date_part('day', birthday)
            AS BIGINT) AS born
FROM user_info;

CREATE VIEW products AS
SELECT s.id, s.sku_name AS name, s.price, s.is_sale = 1 AS on_sale, t.tm_name AS trademark,
       c1.name AS category1, c2.name AS category2, c3.name AS category3
FROM sku_info s
LEFT JOIN base_trademark t ON t.id = s.tm_id
LEFT JOIN base_category3 c3 ON c3.id = s.category3_id
LEFT JOIN base_category2 c2 ON c2.id = c3.category2_id
LEFT JOIN base_category1 c1 ON c1.id = c2.category1_id;

CREATE TABLE dim_province (
  id BIGINT, name STRING, region STRING, area_code STRING, iso_code STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (sink = 'dimensions');
INSERT INTO dim_province SELECT id, name, region, area_code, iso_code FROM provinces;

CREATE TABLE dim_user (
  id BIGINT, sex STRING, birthday DATE, user_level STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (sink = 'dimensions');
INSERT INTO dim_user SELECT id, sex, birthday, user_level FROM users;

CREATE TABLE dim_product (
  id BIGINT, name STRING, price DECIMAL(10, 2), on_sale BOOLEAN, trademark STRING, category1 STRING, category2 STRING,
  category3 STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (sink = 'dimensions');
INSERT INTO dim_product SELECT id, name, price, on_sale, trademark, category1, category2, category3 FROM products;

---------------------------------------------------------------------------------------------------------------------
-- Active devices: the first page of a device in a day
---------------------------------------------------------------------------------------------------------------------

CREATE VIEW first_pages AS
SELECT day, mid, ts, user_id, place, channel, brand, model, version, is_new
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY day, mid ORDER BY ts) AS nth
  FROM (
    SELECT CAST(ts AS DATE) AS day, mid, ts, user_id, place, channel, brand, model, version, is_new
    FROM pages
  )
)
WHERE nth = 1;

CREATE TABLE active_devices (
  day DATE, mid STRING, hour INT, first_seen TIMESTAMP(3), user_id BIGINT, sex STRING, age_group STRING,
  province STRING, iso_code STRING, channel STRING, brand STRING, model STRING, version STRING, is_new BOOLEAN,
  PRIMARY KEY (day, mid) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO active_devices
SELECT f.day, f.mid, CAST(date_part('hour', f.ts) AS INT) AS hour, f.ts AS first_seen, f.user_id, u.sex,
       CASE WHEN u.id IS NULL THEN NULL
            WHEN u.born IS NULL THEN 'unknown'
            WHEN f.today - u.born < 180000 THEN 'under 18'
            WHEN f.today - u.born < 250000 THEN '18-24'
            WHEN f.today - u.born < 350000 THEN '25-34'
            WHEN f.today - u.born < 500000 THEN '35-49'
            ELSE '50 and over' END AS age_group,
       p.name AS province, p.iso_code, f.channel, f.brand, f.model, f.version, f.is_new
FROM (
  SELECT *, CAST(date_part('year', day) * 10000 + date_part('month', day) * 100 + date_part('day', day) AS BIGINT)
              AS today
  FROM first_pages
) f
LEFT JOIN users u ON u.id = f.user_id
LEFT JOIN places p ON p.place = f.place;

---------------------------------------------------------------------------------------------------------------------
-- Lines of orders with all that belongs to them
---------------------------------------------------------------------------------------------------------------------

-- What is due up to a line and up to the one before: the difference of two such sums is the line's share of a
-- reduction, rounded so that all shares sum to the whole. Amounts are in cents here. And which of the lines of its
-- product a line is: what is given back of a product stands at the first of them.
CREATE VIEW line_sums AS
SELECT d.id, d.order_id, sum(CAST(e.order_price * e.sku_num * 100 AS BIGINT)) AS up_to,
       count(*) FILTER (WHERE e.sku_id = d.sku_id) AS nth_of_sku
FROM order_detail d JOIN order_detail e ON e.order_id = d.order_id AND e.id <= d.id
GROUP BY d.id, d.order_id;

CREATE VIEW order_sums AS
SELECT order_id, sum(CAST(order_price * sku_num * 100 AS BIGINT)) AS whole
FROM order_detail
GROUP BY order_id;

CREATE VIEW line_shares AS
SELECT d.id, d.order_id, d.sku_id, CASE WHEN s.nth_of_sku = 1 THEN d.sku_id END AS refunded_sku,
       d.order_price AS price, d.sku_num AS units,
       d.order_price * d.sku_num AS original_amount,
       o.order_status AS status, o.user_id, o.province_id, o.create_time AS ordered_at,
       o.total_amount AS order_amount,
       -- Of nothing there is nothing to share.
       coalesce(CAST(o.activity_reduce_amount * 100 AS BIGINT) * s.up_to / nullif(w.whole, 0)
         - CAST(o.activity_reduce_amount * 100 AS BIGINT)
           * (s.up_to - CAST(d.order_price * d.sku_num * 100 AS BIGINT)) / nullif(w.whole, 0), 0) AS activity_cents,
       coalesce(CAST(o.coupon_reduce_amount * 100 AS BIGINT) * s.up_to / nullif(w.whole, 0)
         - CAST(o.coupon_reduce_amount * 100 AS BIGINT)
           * (s.up_to - CAST(d.order_price * d.sku_num * 100 AS BIGINT)) / nullif(w.whole, 0), 0) AS coupon_cents
FROM order_detail d
JOIN line_sums s ON s.id = d.id AND s.order_id = d.order_id
JOIN order_sums w ON w.order_id = d.order_id
JOIN order_info o ON o.id = d.order_id;

-- The first order of each user.
CREATE VIEW first_orders AS
SELECT id
FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY create_time, id) AS nth FROM order_info)
WHERE nth = 1;

-- An order may be paid in several attempts: the newest counts.
CREATE VIEW payments AS
SELECT order_id, payment_type, CASE WHEN payment_status = '1602' THEN callback_time END AS paid_at
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY id DESC) AS nth FROM payment_info)
WHERE nth = 1;

-- Money is given back when the shop has agreed; until then it is only wanted.
CREATE VIEW refunds AS
SELECT order_id, sku_id, max(refund_status) AS refund_status,
       coalesce(sum(refund_num) FILTER (WHERE refund_status = '0705'), 0) AS units,
       coalesce(sum(refund_amount) FILTER (WHERE refund_status = '0705'), 0) AS amount
FROM order_refund_info
GROUP BY order_id, sku_id;

CREATE VIEW order_lines AS
SELECT d.id AS detail_id, d.order_id, CAST(d.ordered_at AS DATE) AS day,
       CAST(date_part('hour', d.ordered_at) AS INT) AS hour, d.ordered_at, d.status, d.user_id, u.sex,
       CASE WHEN u.id IS NULL THEN NULL
            WHEN u.born IS NULL THEN 'unknown'
            WHEN d.today - u.born < 180000 THEN 'under 18'
            WHEN d.today - u.born < 250000 THEN '18-24'
            WHEN d.today - u.born < 350000 THEN '25-34'
            WHEN d.today - u.born < 500000 THEN '35-49'
            ELSE '50 and over' END AS age_group,
       u.user_level, f.id IS NOT NULL AS first_order, p.name AS province, p.region, p.iso_code, d.sku_id,
       k.name AS sku_name, k.trademark, k.category1, k.category2, k.category3, d.price, d.units, d.original_amount,
       CAST(CAST(d.activity_cents AS DECIMAL(16, 0)) * CAST('0.01' AS DECIMAL(2, 2)) AS DECIMAL(16, 2)) AS activity_share,
       CAST(CAST(d.coupon_cents AS DECIMAL(16, 0)) * CAST('0.01' AS DECIMAL(2, 2)) AS DECIMAL(16, 2)) AS coupon_share,
       CAST(d.original_amount - CAST(d.activity_cents + d.coupon_cents AS DECIMAL(16, 0)) * CAST('0.01' AS DECIMAL(2, 2))
            AS DECIMAL(16, 2)) AS amount,
       d.order_amount, y.payment_type, y.paid_at, r.refund_status,
       coalesce(r.units, 0) AS refund_units, coalesce(r.amount, 0) AS refund_amount
FROM (
  SELECT *, CAST(date_part('year', ordered_at) * 10000 + date_part('month', ordered_at) * 100
                 + date_part('day', ordered_at) AS BIGINT) AS today
  FROM line_shares
) d
LEFT JOIN users u ON u.id = d.user_id
LEFT JOIN first_orders f ON f.id = d.order_id
LEFT JOIN provinces p ON p.id = d.province_id
LEFT JOIN products k ON k.id = d.sku_id
LEFT JOIN payments y ON y.order_id = d.order_id
LEFT JOIN refunds r ON r.order_id = d.order_id AND r.sku_id = d.refunded_sku;

CREATE TABLE orders_wide (
  detail_id BIGINT, order_id BIGINT, day DATE, hour INT, ordered_at TIMESTAMP(3), status STRING, user_id BIGINT,
  sex STRING, age_group STRING, user_level STRING, first_order BOOLEAN, province STRING, region STRING,
  iso_code STRING, sku_id BIGINT, sku_name STRING, trademark STRING, category1 STRING, category2 STRING,
  category3 STRING, price DECIMAL(10, 2), units BIGINT, original_amount DECIMAL(16, 2),
  activity_share DECIMAL(16, 2), coupon_share DECIMAL(16, 2), amount DECIMAL(16, 2), order_amount DECIMAL(16, 2),
  payment_type STRING, paid_at TIMESTAMP(3), refund_status STRING, refund_units BIGINT, refund_amount DECIMAL(16, 2),
  PRIMARY KEY (detail_id) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO orders_wide SELECT * FROM order_lines;

---------------------------------------------------------------------------------------------------------------------
-- Sales by day and minute, by all that they are told apart by. Cancelled orders do not count; revenue is what was paid
-- and not given back.
---------------------------------------------------------------------------------------------------------------------

CREATE VIEW sales AS
SELECT day, tumble(ordered_at, INTERVAL '1 minute') AS minute, order_id, user_id, units, amount,
       CASE WHEN paid_at IS NULL THEN 0 ELSE amount - refund_amount END AS revenue,
       province, trademark, category3, sex, age_group
FROM order_lines
WHERE status <> '1003';

CREATE VIEW sales_by AS
SELECT day, minute, order_id, user_id, units, amount, revenue, 'all' AS dimension, 'all' AS value FROM sales
UNION ALL
SELECT day, minute, order_id, user_id, units, amount, revenue, 'province', province FROM sales
UNION ALL
SELECT day, minute, order_id, user_id, units, amount, revenue, 'trademark', trademark FROM sales
UNION ALL
SELECT day, minute, order_id, user_id, units, amount, revenue, 'category', category3 FROM sales
UNION ALL
SELECT day, minute, order_id, user_id, units, amount, revenue, 'sex', sex FROM sales
UNION ALL
SELECT day, minute, order_id, user_id, units, amount, revenue, 'age_group', age_group FROM sales;

CREATE TABLE sales_by_day (
  day DATE, dimension STRING, value STRING, orders BIGINT, buyers BIGINT, units BIGINT, ordered DECIMAL(18, 2),
  revenue DECIMAL(18, 2),
  PRIMARY KEY (day, dimension, value) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO sales_by_day
SELECT day, dimension, value, count(DISTINCT order_id) AS orders, count(DISTINCT user_id) AS buyers,
       sum(units) AS units, sum(amount) AS ordered, sum(revenue) AS revenue
FROM sales_by
GROUP BY day, dimension, value;

CREATE TABLE sales_by_minute (
  minute TIMESTAMP(3), dimension STRING, value STRING, orders BIGINT, buyers BIGINT, units BIGINT,
  ordered DECIMAL(18, 2), revenue DECIMAL(18, 2),
  PRIMARY KEY (minute, dimension, value) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO sales_by_minute
SELECT minute, dimension, value, count(DISTINCT order_id) AS orders, count(DISTINCT user_id) AS buyers,
       sum(units) AS units, sum(amount) AS ordered, sum(revenue) AS revenue
FROM sales_by
GROUP BY minute, dimension, value;

---------------------------------------------------------------------------------------------------------------------
-- Traffic: page views, visits, visits of one page, seconds on pages
---------------------------------------------------------------------------------------------------------------------

-- Since the third generation of the log a visit has an id.
CREATE VIEW visits_with_id AS
SELECT mid, sid, channel, min(ts) AS ts, CASE WHEN count(*) = 1 THEN 1 ELSE 0 END AS bounced
FROM pages
WHERE sid IS NOT NULL
GROUP BY mid, sid, channel;

-- Before, one begins with a page that has no page before it; it goes on if within half an hour the same device shows a
-- page that came from there.
CREATE VIEW entries AS
SELECT mid, channel, ts, page_id
FROM pages
WHERE sid IS NULL AND last_page_id IS NULL;

CREATE VIEW continued AS
SELECT DISTINCT e.mid, e.ts
FROM entries e
JOIN pages n ON n.mid = e.mid AND n.last_page_id = e.page_id AND n.ts > e.ts AND n.ts <= e.ts + INTERVAL '30 minutes'
WHERE n.sid IS NULL;

CREATE VIEW visits_without_id AS
SELECT e.mid, e.channel, e.ts, CASE WHEN c.mid IS NULL THEN 1 ELSE 0 END AS bounced
FROM entries e LEFT JOIN continued c ON c.mid = e.mid AND c.ts = e.ts;

CREATE VIEW traffic AS
SELECT ts, channel, 1 AS views, 0 AS visits, 0 AS bounces, during_ms FROM pages
UNION ALL
SELECT ts, channel, 0 AS views, 1 AS visits, bounced AS bounces, 0 AS during_ms FROM visits_with_id
UNION ALL
SELECT ts, channel, 0 AS views, 1 AS visits, bounced AS bounces, 0 AS during_ms FROM visits_without_id;

CREATE TABLE traffic_by_day (
  day DATE, channel STRING, page_views BIGINT, visits BIGINT, bounces BIGINT, seconds BIGINT,
  PRIMARY KEY (day, channel) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO traffic_by_day
SELECT CAST(ts AS DATE) AS day, channel, sum(views) AS page_views, sum(visits) AS visits, sum(bounces) AS bounces,
       sum(during_ms) / 1000 AS seconds
FROM traffic
GROUP BY CAST(ts AS DATE), channel;

CREATE TABLE traffic_by_minute (
  minute TIMESTAMP(3), page_views BIGINT, visits BIGINT, bounces BIGINT, seconds BIGINT,
  PRIMARY KEY (minute) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO traffic_by_minute
SELECT tumble(ts, INTERVAL '1 minute') AS minute, sum(views) AS page_views, sum(visits) AS visits,
       sum(bounces) AS bounces, sum(during_ms) / 1000 AS seconds
FROM traffic
GROUP BY 1;

---------------------------------------------------------------------------------------------------------------------
-- The way to a payment: how many devices have seen, on a day, each page up to this one
---------------------------------------------------------------------------------------------------------------------

CREATE VIEW ways AS
SELECT CAST(ts AS DATE) AS day, mid,
       count(*) FILTER (WHERE page_id = 'home') > 0 AS home,
       count(*) FILTER (WHERE page_id = 'good_list') > 0 AS list,
       count(*) FILTER (WHERE page_id = 'good_detail') > 0 AS detail,
       count(*) FILTER (WHERE page_id = 'cart') > 0 AS cart,
       count(*) FILTER (WHERE page_id = 'trade') > 0 AS trade,
       count(*) FILTER (WHERE page_id = 'payment') > 0 AS payment
FROM pages
GROUP BY CAST(ts AS DATE), mid;

CREATE TABLE funnel_by_day (
  day DATE, home BIGINT, list BIGINT, detail BIGINT, cart BIGINT, trade BIGINT, payment BIGINT,
  PRIMARY KEY (day) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO funnel_by_day
SELECT day,
       count(*) FILTER (WHERE home) AS home,
       count(*) FILTER (WHERE home AND list) AS list,
       count(*) FILTER (WHERE home AND list AND detail) AS detail,
       count(*) FILTER (WHERE home AND list AND detail AND cart) AS cart,
       count(*) FILTER (WHERE home AND list AND detail AND cart AND trade) AS trade,
       count(*) FILTER (WHERE home AND list AND detail AND cart AND trade AND payment) AS payment
FROM ways
GROUP BY day;

---------------------------------------------------------------------------------------------------------------------
-- Products: the ten most looked at in an hour that slides by ten minutes, and what is shown, looked at and wanted
---------------------------------------------------------------------------------------------------------------------

CREATE VIEW product_views AS
SELECT ts, CAST(item AS BIGINT) AS sku_id
FROM pages
WHERE page_id = 'good_detail' AND item_type = 'sku_id';

CREATE VIEW ranked_products AS
SELECT window_start, sku_id, views, place
FROM (
  SELECT window_start, sku_id, count(*) AS views,
         ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY count(*) DESC, sku_id) AS place
  FROM (SELECT unnest(hop(ts, INTERVAL '10 minutes', INTERVAL '1 hour')) AS window_start, sku_id FROM product_views)
  GROUP BY window_start, sku_id
)
WHERE place <= 10;

CREATE TABLE top_products (
  window_start TIMESTAMP(3), place BIGINT, sku_id BIGINT, sku_name STRING, views BIGINT,
  PRIMARY KEY (window_start, place) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO top_products
SELECT r.window_start, r.place, r.sku_id, s.sku_name, r.views
FROM ranked_products r LEFT JOIN sku_info s ON s.id = r.sku_id;

CREATE VIEW interest AS
SELECT CAST(ts AS DATE) AS day, CAST(item AS BIGINT) AS sku_id, 1 AS displays, 0 AS views, 0 AS favours, 0 AS carts
FROM displays
WHERE item_type = 'sku_id'
UNION ALL
SELECT CAST(ts AS DATE), sku_id, 0, 1, 0, 0 FROM product_views
UNION ALL
SELECT CAST(acted_at AS DATE), CAST(item AS BIGINT), 0, 0,
       CASE WHEN action_id = 'favor_add' THEN 1 ELSE 0 END, CASE WHEN action_id = 'cart_add' THEN 1 ELSE 0 END
FROM actions
WHERE item_type = 'sku_id';

CREATE TABLE product_interest (
  day DATE, sku_id BIGINT, displays BIGINT, views BIGINT, favours BIGINT, carts BIGINT,
  PRIMARY KEY (day, sku_id) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO product_interest
SELECT day, sku_id, sum(displays) AS displays, sum(views) AS views, sum(favours) AS favours, sum(carts) AS carts
FROM interest
GROUP BY day, sku_id;

---------------------------------------------------------------------------------------------------------------------
-- Starts and errors of the app
---------------------------------------------------------------------------------------------------------------------

CREATE TABLE starts_by_day (
  day DATE, entry STRING, starts BIGINT, loading_ms BIGINT, ad_ms BIGINT, skipped BIGINT,
  PRIMARY KEY (day, entry) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO starts_by_day
SELECT CAST(ts AS DATE) AS day, entry, count(*) AS starts, sum(loading_ms) AS loading_ms, sum(ad_ms) AS ad_ms,
       count(*) FILTER (WHERE skip_ms > 0) AS skipped
FROM starts
GROUP BY CAST(ts AS DATE), entry;

CREATE TABLE errors_by_day (
  day DATE, version STRING, error_code BIGINT, errors BIGINT, devices BIGINT,
  PRIMARY KEY (day, version, error_code) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO errors_by_day
SELECT CAST(ts AS DATE) AS day, version, error_code, count(*) AS errors, count(DISTINCT mid) AS devices
FROM errors
GROUP BY CAST(ts AS DATE), version, error_code;

---------------------------------------------------------------------------------------------------------------------
-- What recommendations are made of: who looked at what and who ordered it, what lies in one order, what is popular
-- where and with whom. Only users count, not devices that nobody has logged in on.
---------------------------------------------------------------------------------------------------------------------

-- When a user looked at a product last.
CREATE VIEW viewed AS
SELECT user_id, CAST(item AS BIGINT) AS sku_id, max(ts) AS at
FROM pages
WHERE page_id = 'good_detail' AND item_type = 'sku_id' AND user_id IS NOT NULL
GROUP BY user_id, CAST(item AS BIGINT);

-- What is not cancelled. An order that is cancelled later takes back what it had added.
CREATE VIEW ordered AS
SELECT order_id, user_id, sku_id, max(ordered_at) AS at
FROM line_shares
WHERE status <> '1003'
GROUP BY order_id, user_id, sku_id;

CREATE VIEW bought AS
SELECT user_id, sku_id, max(at) AS at
FROM ordered
GROUP BY user_id, sku_id;

-- Looks by day, in each province and everywhere. Days, since each is an edge of the product.
CREATE VIEW looks AS
SELECT day, sku_id, province, count(*) AS looks
FROM (
  SELECT CAST(v.ts AS DATE) AS day, v.sku_id, p.name AS province
  FROM (
    SELECT ts, place, CAST(item AS BIGINT) AS sku_id
    FROM pages
    WHERE page_id = 'good_detail' AND item_type = 'sku_id'
  ) v
  JOIN places p ON p.place = v.place
  UNION ALL
  SELECT CAST(ts AS DATE), sku_id, 'everywhere' FROM product_views
)
GROUP BY day, sku_id, province;

-- Units ordered by day in each age group.
CREATE VIEW units_by_age AS
SELECT day, sku_id, age_group, sum(units) AS units
FROM order_lines
WHERE status <> '1003' AND age_group IS NOT NULL
GROUP BY day, sku_id, age_group;

-- Users as they were on the last day that they came, and where.
CREATE VIEW last_seen AS
SELECT day, user_id, place
FROM (
  SELECT day, user_id, place, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY ts DESC, mid) AS nth
  FROM first_pages
  WHERE user_id IS NOT NULL
)
WHERE nth = 1;

CREATE VIEW people AS
SELECT u.id, u.sex, u.user_level,
       CASE WHEN s.today IS NULL OR u.born IS NULL THEN NULL
            WHEN s.today - u.born < 180000 THEN 'under 18'
            WHEN s.today - u.born < 250000 THEN '18-24'
            WHEN s.today - u.born < 350000 THEN '25-34'
            WHEN s.today - u.born < 500000 THEN '35-49'
            ELSE '50 and over' END AS age_group,
       p.name AS province
FROM users u
LEFT JOIN (
  SELECT user_id, place, CAST(date_part('year', day) * 10000 + date_part('month', day) * 100 + date_part('day', day)
                              AS BIGINT) AS today
  FROM last_seen
) s ON s.user_id = u.id
LEFT JOIN places p ON p.place = s.place;
