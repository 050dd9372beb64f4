-- Orders become what recommendations are made of: who bought what and when, where it sold, and what a product is.

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

-- Lines that sell a product: no cancellations, no postage, nothing given away.
CREATE VIEW sales AS
SELECT
  InvoiceNo AS invoice,
  StockCode AS product,
  trim(Description) AS description,
  UnitPrice AS price,
  InvoiceDate AS at,
  nullif(split_part(trim(CustomerID), '.', 1), '') AS customer,
  Country AS country
FROM orders
WHERE InvoiceNo NOT LIKE 'C%' AND Quantity > 0 AND UnitPrice > 0
  AND regexp_like(StockCode, '^([0-9]{5}|DCGS|gift_)');

-- A customer's last purchase of a product.
CREATE VIEW purchases AS
SELECT customer, product, max(at) AS at FROM sales WHERE customer IS NOT NULL GROUP BY customer, product;

-- What a product is called and costs, as it was sold last.
CREATE VIEW products AS
SELECT product, description, CAST(price AS DOUBLE) AS price
FROM (
  SELECT product, description, price,
         ROW_NUMBER() OVER (PARTITION BY product ORDER BY at DESC, description, price) AS place
  FROM sales WHERE description <> ''
)
WHERE place = 1;

-- Where a customer last ordered from.
CREATE VIEW customers AS
SELECT customer, country
FROM (
  SELECT customer, country, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY at DESC, country) AS place
  FROM sales WHERE customer IS NOT NULL
)
WHERE place = 1;
