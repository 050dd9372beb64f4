//! The operators that SQL becomes.

use super::{explain, plan};

/// Prints plans, to look at them.
#[test]
fn look() {
    for query in [
        "SELECT Country, Quantity * 2 AS twice FROM orders WHERE Quantity > 0",
        "SELECT CAST(InvoiceDate AS DATE) AS day, count(*) AS n, count(DISTINCT CASE WHEN Quantity > 0 THEN InvoiceNo END) AS orders, sum(Quantity * UnitPrice) AS revenue FROM orders GROUP BY 1",
        "SELECT DISTINCT CAST(ts AS DATE) AS day, mid FROM clicks WHERE type IN (3)",
        "SELECT item, date_trunc('minute', ts) AS minute, count(*) AS n FROM clicks GROUP BY 1, 2",
        "SELECT item, tumble(ts, INTERVAL '5 minutes') AS w, avg(type) AS a FROM clicks GROUP BY 1, 2 HAVING count(*) > 3",
        "SELECT w, count(*) AS n FROM (SELECT unnest(hop(ts, INTERVAL '1 minute', INTERVAL '5 minutes')) AS w FROM clicks) GROUP BY w",
        "SELECT Country, StockCode FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY Country ORDER BY Quantity DESC) AS n FROM orders) WHERE n = 1",
        "SELECT Country, StockCode, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY Country ORDER BY Quantity DESC) AS n FROM orders) WHERE n <= 3 AND Quantity > 1",
        "SELECT Country, StockCode FROM orders QUALIFY ROW_NUMBER() OVER (PARTITION BY Country ORDER BY Quantity) < 3",
        "SELECT DISTINCT ON (Country) Country, StockCode FROM orders ORDER BY Country, InvoiceDate DESC",
        "SELECT StockCode, sum(Quantity) AS q FROM orders GROUP BY StockCode ORDER BY q DESC LIMIT 10",
        "SELECT StockCode, Quantity FROM orders ORDER BY Quantity DESC LIMIT 5 OFFSET 2",
        "SELECT c.mid, i.name FROM clicks c JOIN items i ON c.item = i.id AND c.type > i.id WHERE i.category = 'x' AND c.type = 1",
        "SELECT c.mid, i.name FROM clicks c LEFT JOIN items FOR SYSTEM_TIME AS OF c.ts AS i ON c.item = i.id",
        "SELECT c.mid, i.name FROM clicks c, items i WHERE c.item = i.id",
        "SELECT Country AS x FROM orders UNION ALL SELECT name FROM items",
        "SELECT Country AS x FROM orders UNION SELECT name FROM items",
        "SELECT mid, d['item'] AS item FROM (SELECT mid, unnest(displays) AS d FROM clicks)",
        "WITH a AS (SELECT Country AS c, Quantity AS q FROM orders WHERE Quantity > 0) SELECT c, max(q) AS m, min(q) FILTER (WHERE q > 3) AS n FROM a GROUP BY c",
    ] {
        println!("-- {query}\n{}", explain(query));
    }
    let _ = plan;
}
