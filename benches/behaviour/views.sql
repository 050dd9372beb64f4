-- What people do in a shop, as their applications send it. Only these columns are decoded.
CREATE TABLE events (
  item_id BIGINT,
  type    INT,
  ts      TIMESTAMP(3),
  common  STRUCT<mid STRING>
) WITH (source = 'events', format = 'json');

CREATE TABLE devices_by_day (
  day DATE,
  mid STRING,
  PRIMARY KEY (day, mid) NOT ENFORCED
) WITH (sink = 'count');

CREATE TABLE items_by_minute (
  item_id BIGINT,
  minute  TIMESTAMP(3),
  events  BIGINT,
  PRIMARY KEY (item_id, minute) NOT ENFORCED
) WITH (sink = 'count');

-- Type 5 only says that the application was left.
INSERT INTO devices_by_day
SELECT DISTINCT CAST(ts AS DATE) AS day, common['mid'] AS mid
FROM events
WHERE type IN (1, 2, 3, 4);

INSERT INTO items_by_minute
SELECT item_id, date_trunc('minute', ts) AS minute, count(*) AS events
FROM events
WHERE type IN (1, 2, 3, 4)
GROUP BY 1, 2;
