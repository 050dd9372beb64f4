//! Paths that mean nothing are refused, all that is wrong with them at once.

use crate::expressions::compile;
use crate::graph::catalogue;
use proxima_graph::path::{
    Declaration, Declarations, DeclaredMerger, DeclaredSelect, DeclaredStep, Formula, Keep, MergerWord, Part, Session,
    Shape, Swing, link,
};

fn hop(relation: &str, reverse: bool, select: DeclaredSelect) -> Declaration {
    let step = DeclaredStep::Hop { relation: relation.to_owned(), reverse, select };
    Declaration { step, shape: Shape::default() }
}

fn plain(relation: &str, reverse: bool) -> Part {
    Part::Path(Box::new(hop(relation, reverse, DeclaredSelect::default())))
}

fn jump(left: Part, right: Part, merger: DeclaredMerger, keep: Keep) -> Declaration {
    let step = DeclaredStep::Jump { left, right, merger, with_self: false, keep };
    Declaration { step, shape: Shape::default() }
}

fn named(name: &str) -> Part {
    Part::Name(name.to_owned())
}

/// The problems of these paths as `key: message; advice`.
fn problems(paths: Vec<(&str, Declaration)>) -> Vec<String> {
    let paths: Declarations = paths.into_iter().map(|(name, path)| (name.to_owned(), path)).collect();
    let refused = link(&paths, &catalogue(), &compile).unwrap_err();
    refused.problems.iter().map(|problem| format!("{}: {}; {}", problem.key, problem.message, problem.advice)).collect()
}

const SUM: DeclaredMerger = DeclaredMerger::Word(MergerWord::Sum);

#[test]
fn names_and_kinds_must_fit() {
    let found = problems(vec![
        ("apart", jump(plain("viewed", false), plain("liked", false), SUM, Keep::Planned)),
        ("lost", jump(named("nowhere"), plain("seen", true), SUM, Keep::Planned)),
        ("round", jump(named("and_round"), plain("has", false), SUM, Keep::Planned)),
        ("and_round", jump(plain("liked", false), named("round"), SUM, Keep::Planned)),
    ]);
    assert_eq!(
        found,
        [
            "and_round.right.left: the path leads back to itself: and_round -> round -> and_round; \
             a path ends after some steps"
                .replace("and_round.right.left", "round.left"),
            "apart: left ends at \"item\", but right begins at \"user\"; reverse a hop, or put another between them"
                .to_owned(),
            "lost.left: there is no path \"nowhere\"; paths here: and_round, apart, lost, round".to_owned(),
            "lost.right.hop: there is no relation \"seen\"; relations here: viewed, liked, has, follows".to_owned(),
        ]
    );
}

#[test]
fn selectors_must_fit_their_relation() {
    let scores = |words: &[&str]| Some(words.iter().map(|word| ((*word).to_owned(), 1.0)).collect());
    let by = |by: &str| Some(by.to_owned());
    let timeless = DeclaredSelect { recent: Some(5), half_life_us: Some(1), ..DeclaredSelect::default() };
    let both = DeclaredSelect { recent: Some(5), top: Some(3), ..DeclaredSelect::default() };
    let words = DeclaredSelect { scores: scores(&["view", "2"]), ..DeclaredSelect::default() };
    let unknown = DeclaredSelect { scores: scores(&["view"]), by: by("act"), ..DeclaredSelect::default() };
    let stars = DeclaredSelect { scores: scores(&["1", "many"]), by: by("stars"), ..DeclaredSelect::default() };
    let sql = DeclaredSelect { formula: Some(Formula::Sql("wait".to_owned())), ..DeclaredSelect::default() };
    let found = problems(vec![
        ("a", hop("liked", false, timeless)),
        ("b", hop("viewed", false, both)),
        ("c", hop("viewed", false, words)),
        ("d", hop("viewed", false, unknown)),
        ("e", hop("viewed", false, stars)),
        ("f", hop("viewed", false, sql)),
    ]);
    assert_eq!(
        found,
        [
            "a.select.half_life: relation \"liked\" has no times; add a column time of type TIMESTAMP to its query",
            "a.select.recent: relation \"liked\" has no times; add a column time of type TIMESTAMP to its query",
            "b.select: recent and top exclude each other; keep one of them",
            "c.select.scores.view: \"view\" is no weight; name the attribute whose values these are: by = \"action\"",
            "d.select.by: relation \"viewed\" has no attribute \"act\"; attributes here: action, stars",
            "e.select.scores.many: \"many\" is no value that \"stars\" can be compared with; texts, whole numbers, \
             true and false can be",
            "f.select.sql: what is wait?; weight, age, time and the relation's attributes are known",
        ]
    );
}

#[test]
fn mergers_must_fit_their_parts() {
    let cosine = DeclaredMerger::Word(MergerWord::Cosine);
    let back = || jump(plain("viewed", false), plain("viewed", true), SUM, Keep::Planned);
    let found = problems(vec![
        ("a", jump(Part::Path(Box::new(back())), plain("viewed", false), cosine, Keep::Planned)),
        (
            "b",
            jump(
                plain("viewed", true),
                plain("viewed", false),
                DeclaredMerger::Swing(Swing { alpha: 1.0, weigh: true }),
                Keep::Planned,
            ),
        ),
        (
            "c",
            jump(
                plain("has", false),
                plain("has", true),
                DeclaredMerger::Session(Session { recent: 5, neighbours: 5 }),
                Keep::Planned,
            ),
        ),
        ("d", jump(plain("viewed", true), plain("liked", false), SUM, Keep::Maintained)),
    ]);
    assert_eq!(
        found,
        [
            "a.merger: \"cosine\" compares what two single hops lead to; make left and right hops without decay or \
             top, or take \"sum\"",
            "b.merger: \"swing\" looks at all pairs of objects in the middle, and their number has no bound; give left \
             a recent, top or sample of at most 2000",
            "c.merger: \"session\" looks at the newest sessions, but right is no hop with times; make right a hop along \
             a relation with times, without decay or top",
            "d.keep: no sums can be kept: it does not go back along the relation that it came by; leave keep away, or \
             write keep = \"requested\"",
        ]
    );
}
