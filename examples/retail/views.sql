-- From order lines to daily numbers, in SQL alone.

-- One line of an invoice, as the shop's system wrote it.
CREATE TABLE orders (
  InvoiceNo   STRING,
  StockCode   STRING,
  Description STRING,
  Quantity    INT,
  InvoiceDate TIMESTAMP(3),
  UnitPrice   DECIMAL(12, 3),
  CustomerID  STRING,
  Country     STRING
) WITH (source = 'orders', format = 'csv');

-- The same line in our words. A customer comes as 17850.0, or not at all; an invoice that starts with C cancels.
CREATE VIEW order_lines AS
SELECT
  InvoiceNo AS invoice,
  StockCode AS stock_code,
  trim(Description) AS description,
  Quantity AS quantity,
  InvoiceDate AS ordered_at,
  CAST(InvoiceDate AS DATE) AS day,
  Quantity * UnitPrice AS revenue,
  nullif(split_part(trim(CustomerID), '.', 1), '') AS customer,
  Country AS country,
  InvoiceNo LIKE 'C%' AS cancels,
  InvoiceNo NOT LIKE 'C%' AND Quantity > 0 AND UnitPrice > 0 AS sells
FROM orders;

-- Lines that sell something: no cancellations, no corrections of stock, nothing given away.
CREATE VIEW sales AS
SELECT invoice, stock_code, description, quantity, ordered_at, day, revenue, customer, country
FROM order_lines
WHERE sells;

-- Sales of products. POST, DOT, M, BANK CHARGES and their like are postage, manual entries and fees: a product's code
-- begins with five digits, or with DCGS (the shop's own gift range) or gift_ (vouchers).
CREATE VIEW product_sales AS
SELECT invoice, stock_code, description, quantity, ordered_at, day, revenue, customer
FROM sales
WHERE regexp_like(stock_code, '^([0-9]{5}|DCGS|gift_)');

-- A product has had several descriptions; the one sold last stands, and of two sold in the same minute the first by name.
CREATE VIEW descriptions AS
SELECT stock_code, description, max(ordered_at) AS last_sold
FROM product_sales
WHERE description <> ''
GROUP BY stock_code, description;

CREATE VIEW products AS
SELECT stock_code, description
FROM (
  SELECT stock_code, description,
         ROW_NUMBER() OVER (PARTITION BY stock_code ORDER BY last_sold DESC, description) AS place
  FROM descriptions
)
WHERE place = 1;

-- Which customer bought which product, however often.
CREATE VIEW purchases AS
SELECT DISTINCT customer, stock_code
FROM product_sales
WHERE customer IS NOT NULL;

-- One document a day.
CREATE TABLE daily (
  day                DATE,
  rows               BIGINT,
  orders             BIGINT,
  cancelled_invoices BIGINT,
  buying_customers   BIGINT,
  units              BIGINT,
  gmv_gbp            DECIMAL(18, 3),
  PRIMARY KEY (day) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO daily
SELECT
  day,
  count(*) AS rows,
  count(DISTINCT invoice) FILTER (WHERE sells) AS orders,
  count(DISTINCT invoice) FILTER (WHERE cancels) AS cancelled_invoices,
  count(DISTINCT customer) FILTER (WHERE sells) AS buying_customers,
  coalesce(sum(quantity) FILTER (WHERE sells), 0) AS units,
  coalesce(sum(revenue) FILTER (WHERE sells), 0) AS gmv_gbp
FROM order_lines
GROUP BY day;

-- One document for each country that bought on a day.
CREATE TABLE revenue_by_country_day (
  day       DATE,
  country   STRING,
  orders    BIGINT,
  customers BIGINT,
  units     BIGINT,
  revenue   DECIMAL(18, 3),
  PRIMARY KEY (day, country) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO revenue_by_country_day
SELECT
  day,
  country,
  count(DISTINCT invoice) AS orders,
  count(DISTINCT customer) AS customers,
  sum(quantity) AS units,
  sum(revenue) AS revenue
FROM sales
GROUP BY day, country;

-- The twenty products that brought most on a day. Equal revenues rank by code, so that the answer is one.
CREATE VIEW product_days AS
SELECT day, stock_code, sum(quantity) AS units, sum(revenue) AS revenue
FROM product_sales
GROUP BY day, stock_code;

CREATE VIEW best_product_days AS
SELECT day, place, stock_code, units, revenue
FROM (
  SELECT day, stock_code, units, revenue,
         ROW_NUMBER() OVER (PARTITION BY day ORDER BY revenue DESC, stock_code) AS place
  FROM product_days
)
WHERE place <= 20;

CREATE TABLE top_products_day (
  day         DATE,
  place       BIGINT,
  stock_code  STRING,
  description STRING,
  units       BIGINT,
  revenue     DECIMAL(18, 3),
  PRIMARY KEY (day, place) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO top_products_day
SELECT b.day, b.place, b.stock_code, p.description, b.units, b.revenue
FROM best_product_days b
LEFT JOIN products p ON p.stock_code = b.stock_code;

-- One document for each customer that is known and has bought.
CREATE TABLE customers (
  customer    STRING,
  first_order TIMESTAMP(3),
  last_order  TIMESTAMP(3),
  orders      BIGINT,
  spend       DECIMAL(18, 3),
  PRIMARY KEY (customer) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO customers
SELECT
  customer,
  min(ordered_at) AS first_order,
  max(ordered_at) AS last_order,
  count(DISTINCT invoice) AS orders,
  sum(revenue) AS spend
FROM sales
WHERE customer IS NOT NULL
GROUP BY customer;
