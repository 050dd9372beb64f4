-- A sign of life of a device.
CREATE TABLE events (
  mid STRING,
  ts  TIMESTAMP(3)
) WITH (source = 'events', format = 'json', epoch_unit = 'ms');

-- The state: each device of each day once.
CREATE VIEW devices AS
SELECT DISTINCT CAST(ts AS DATE) AS day, mid
FROM events;

CREATE TABLE devices_by_day (
  day     DATE,
  devices BIGINT,
  PRIMARY KEY (day) NOT ENFORCED
) WITH (sink = 'index');

INSERT INTO devices_by_day
SELECT day, count(*) AS devices
FROM devices
GROUP BY day;
