//! Which known word did the writer mean?

/// The known word nearest to `word`, if it is near enough to be meant: at most a third of its letters differ.
///
/// ```
/// use proxima_cli::job::nearest::nearest;
/// assert_eq!(nearest("intervall", ["interval", "lag"]), Some("interval"));
/// assert_eq!(nearest("colour", ["interval", "lag"]), None);
/// ```
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|candidate| (edits(word, candidate), candidate));
    let (distance, candidate) = distances.min()?;
    let long = word.chars().count().max(candidate.chars().count());
    (distance * 3 <= long).then_some(candidate)
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour to turn one word into another
/// (the optimal string alignment distance).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if swapped {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(edits(a, b), expected, "{a} {b}");
            assert_eq!(edits(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn far_words_are_not_meant() {
        assert_eq!(nearest("paht", ["path", "kind", "follow"]), Some("path"));
        assert_eq!(nearest("x", ["path", "kind"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
