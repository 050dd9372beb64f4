//! The mall's views as the benchmark needs them: with indexes of its own, or without any views.

use anyhow::{Context, Result};

/// The views with names of indexes that nobody else uses.
pub(super) fn with_indexes(views: &str, prefix: &str) -> Result<String> {
    let mut target = "";
    let mut lines = Vec::new();
    for line in views.lines() {
        if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
            target = rest.split([' ', '(']).next().unwrap_or_default();
        }
        let index = format!("', index = '{prefix}{target}')");
        lines.push(if line.contains("WITH (sink = ") && !line.contains("'layers'") {
            line.replace("')", &index)
        } else {
            line.to_owned()
        });
    }
    Ok(lines.join("\n"))
}

/// The tables of the sources alone. All of their columns are decoded, and no row goes any further.
pub(super) fn reading_alone(views: &str) -> Result<String> {
    let code: Vec<&str> = views.lines().filter(|line| !line.starts_with("--")).collect();
    let code = code.join("\n");
    let tables = code
        .split(';')
        .map(str::trim)
        .filter(|statement| statement.starts_with("CREATE TABLE ") && statement.contains("WITH (source = "));
    tables.map(read).collect()
}

/// One table, and a statement that reads all of it and keeps nothing.
fn read(table: &str) -> Result<String> {
    let (head, with) = table.split_once("WITH (").with_context(|| format!("a table without source: {table}"))?;
    let (name, columns) = head["CREATE TABLE ".len()..].split_once('(').context("a table has columns")?;
    let columns = columns.rsplit_once(')').context("the columns end")?.0;
    // Changes are not brought into order by key here: that is the views' work.
    let (columns, key) = match columns.find("PRIMARY KEY") {
        Some(at) => (columns[..at].trim_end().trim_end_matches(','), "id"),
        None => (columns, "ts"),
    };
    let name = name.trim();
    let nothing = if key == "id" { "id < 0" } else { "ts < TIMESTAMP '1971-01-01'" };
    Ok(format!(
        "CREATE TABLE {name} ({columns}) WITH ({with};\n\
         CREATE TABLE {name}_read ({columns}, PRIMARY KEY ({key}) NOT ENFORCED) WITH (sink = 'layers');\n\
         INSERT INTO {name}_read SELECT * FROM {name} WHERE {nothing};\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::root;

    fn views() -> String {
        std::fs::read_to_string(root().join("examples/mall/views.sql")).unwrap()
    }

    #[test]
    fn every_target_gets_an_index_of_its_own() {
        let views = with_indexes(&views(), "mine-").unwrap();
        assert!(views.contains("WITH (sink = 'index', index = 'mine-active_devices')"));
        assert!(views.contains("WITH (sink = 'dimensions', index = 'mine-dim_user')"));
        assert!(!views.contains("'index')") && !views.contains("'dimensions')"));
    }

    #[test]
    fn every_table_of_a_source_is_read() {
        let views = views();
        let read = reading_alone(&views).unwrap();
        assert_eq!(read.matches("INSERT INTO").count(), views.matches("WITH (source = ").count());
        assert!(read.contains("INSERT INTO user_info_read SELECT * FROM user_info WHERE id < 0;"));
        assert!(!read.contains("sink = 'index'"));
    }
}
