-- Clicks of shopping sessions, as relations between sessions and items.

CREATE TABLE clicks (session STRING, item STRING, at TIMESTAMP(3)) WITH (source = 'clicks', format = 'csv');

-- An item counts once in a session, with its last click.
CREATE VIEW clicked AS
SELECT session, item, max(at) AS at
FROM clicks
GROUP BY session, item;

CREATE VIEW sessions AS
SELECT session, max(at) AS last
FROM clicks
GROUP BY session;

CREATE VIEW visited AS
SELECT c.session, c.item, s.last
FROM clicked c
JOIN sessions s ON s.session = c.session;

-- How often each item was clicked.
CREATE TABLE items (item STRING, clicks BIGINT, PRIMARY KEY (item) NOT ENFORCED) WITH (sink = 'index');

INSERT INTO items
SELECT item, count(*) AS clicks
FROM clicks
GROUP BY item;
