//! The SQL in the documentation is right.

use crate::{Options, compile};

/// The SQL of a document, with as many lines before each block as it has there.
fn sql_of(document: &str) -> String {
    let mut inside = false;
    let line = |line: &str| match line {
        "```sql" => {
            inside = true;
            "\n".to_string()
        }
        "```" => {
            inside = false;
            "\n".to_string()
        }
        line if inside => format!("{line}\n"),
        _ => "\n".to_string(),
    };
    document.lines().map(line).collect()
}

#[test]
fn all_sql_of_the_documentation_compiles() {
    for (name, document) in [
        ("docs/sql.md", include_str!("../../../../docs/sql.md")),
        ("docs/models.md", include_str!("../../../../docs/models.md")),
        ("README.md", include_str!("../../../../README.md")),
    ] {
        let sql = sql_of(document);
        assert!(sql.contains("CREATE TABLE"), "{name} has SQL");
        if let Err(problems) = compile(&sql, &[], &Options::default()) {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{name}:\n{}", told.join("\n"));
        }
    }
}
