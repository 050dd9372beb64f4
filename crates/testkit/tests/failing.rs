//! Rows on which an expression fails are left out and counted, others are not.

use proxima_engine::RunConfig;
use proxima_testkit::harness::{plan, run_files};
use proxima_testkit::rows::sorted;

const VIEWS: &str = "
CREATE TABLE lines (a INT, b BIGINT) WITH (source = 'lines', format = 'json');
";

/// They had gone on at the other end: 2147483647 + 1 was -2147483648.
#[test]
fn integers_that_do_not_fit_are_no_others() -> Result<(), String> {
    let rows = [(i32::MAX, 0), (i32::MIN, 2), (1, i64::MAX), (1, i64::MIN), (7, 5)];
    let lines: String = rows.iter().map(|(a, b)| format!("{{\"a\":{a},\"b\":{b}}}\n")).collect();
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = folder.path().join("lines.json");
    std::fs::write(&file, lines).map_err(|error| error.to_string())?;
    for (expression, expected, failed) in [
        ("a + CAST(1 AS INT)", vec!["-2147483647", "2", "2", "8"], 1),
        ("a - CAST(1 AS INT)", vec!["0", "0", "2147483646", "6"], 1),
        ("b * 2", vec!["0", "10", "4"], 2),
        ("CASE WHEN b < 9 AND b > 0 THEN b * a END", vec!["-4294967296", "35", "NULL", "NULL", "NULL"], 0),
    ] {
        let plan = plan(VIEWS, &[("q", &format!("SELECT {expression} AS x FROM lines"))])?;
        let results = run_files(&plan, &file, RunConfig::default(), |_, _| {})?;
        let mut found: Vec<String> =
            sorted(&results.queries["q"].rows()).iter().map(|row| row[0].to_string()).collect();
        found.sort();
        assert_eq!(found, expected, "{expression}");
        assert_eq!(results.status.operators.iter().map(|operator| operator.stats.failed).sum::<u64>(), failed);
    }
    Ok(())
}
