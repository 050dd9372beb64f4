CREATE TABLE events (
  customer STRING,
  item     STRING,
  at       TIMESTAMP(3)
) WITH (source = 'events', format = 'json', epoch_unit = 'ms');
