-- What customers do in a shop, what its items are, and where its customers live.

CREATE TABLE events (customer STRING, item STRING, action STRING, at TIMESTAMP(3))
  WITH (source = 'events', format = 'json');

CREATE TABLE items (item STRING, category STRING, brand STRING, price DECIMAL(10, 2))
  WITH (source = 'items', format = 'json');

CREATE TABLE customers (customer STRING, country STRING)
  WITH (source = 'customers', format = 'json');

CREATE VIEW features AS
SELECT item, category AS feature FROM items
UNION ALL
SELECT item, brand AS feature FROM items;

CREATE VIEW sold AS
SELECT c.country, e.item, e.at
FROM events e
JOIN customers c ON c.customer = e.customer
WHERE e.action = 'buy';

-- What was done each day.
CREATE TABLE daily (day DATE, action STRING, events BIGINT, PRIMARY KEY (day, action) NOT ENFORCED) WITH (sink = 'index');

INSERT INTO daily
SELECT CAST(at AS DATE) AS day, action, count(*) AS events
FROM events
GROUP BY 1, 2;
