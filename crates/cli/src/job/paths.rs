//! `[paths.NAME]` of hops and jumps: read into declarations, which the graph's catalogue is then held against.

use super::broken::Broken;
use super::fields::{Fields, Located};
use super::outputs::RawOutput;
use super::problem::{Place, Problem};
use arrow::datatypes::SchemaRef;
use chrono_tz::Tz;
use proxima_graph::Catalogue;
use proxima_graph::path::{
    Declaration, Declarations, DeclaredMerger, DeclaredSelect, DeclaredStep, Expression, Formula, Functions, Keep,
    MergerWord, Part, Paths, Session, Shape, Swing, Unlinked, link,
};
use proxima_view::NumberExpression;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The ways of computing a jump by their words.
const KEEPS: [(&str, Keep); 2] = [("requested", Keep::Requested), ("maintained", Keep::Maintained)];

/// A path as it was written.
#[derive(Debug)]
pub struct RawWalk {
    /// Where its lists are kept, if they are.
    pub output: Option<RawOutput>,
    declaration: Option<Declaration>,
    /// Where every key stands.
    places: BTreeMap<String, Place>,
}

impl RawWalk {
    /// Whether a table is a path of hops and jumps.
    #[must_use]
    pub fn is_one(fields: &Fields<'_>) -> bool {
        !fields.has("kind") && !fields.has("relation")
    }

    /// Reads the path's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self { places: fields.places(), output: RawOutput::read(fields), declaration: read_path(fields) }
    }

    /// The relations that it goes along itself.
    #[must_use]
    pub fn relations(&self) -> BTreeSet<&str> {
        let mut relations = BTreeSet::new();
        self.declaration.iter().for_each(|path| add_relations(path, &mut relations));
        relations
    }
}

fn add_relations<'a>(path: &'a Declaration, relations: &mut BTreeSet<&'a str>) {
    match &path.step {
        DeclaredStep::Hop { relation, .. } => drop(relations.insert(relation)),
        DeclaredStep::Jump { left, right, .. } => {
            for part in [left, right] {
                if let Part::Path(path) = part {
                    add_relations(path, relations);
                }
            }
        }
        DeclaredStep::Broken => {}
    }
}

/// A path whose hops along these relations are broken.
fn without(path: &Declaration, relations: &BTreeSet<String>) -> Declaration {
    let part = |part: &Part| match part {
        Part::Name(name) => Part::Name(name.clone()),
        Part::Path(path) => Part::Path(Box::new(without(path, relations))),
    };
    let step = match path.step.clone() {
        DeclaredStep::Hop { relation, .. } if relations.contains(&relation) => DeclaredStep::Broken,
        DeclaredStep::Jump { left, right, merger, with_self, keep } => {
            DeclaredStep::Jump { left: part(&left), right: part(&right), merger, with_self, keep }
        }
        step => step,
    };
    Declaration { step, ..path.clone() }
}

fn read_path(fields: &mut Fields<'_>) -> Option<Declaration> {
    let shape = Shape {
        idf: fields.boolean("idf").is_some_and(|idf| idf.value),
        popularity: fields.float("popularity").map_or(0.0, |popularity| popularity.value),
        decay: fields.float("decay").map_or(1.0, |decay| decay.value),
        top: fields.number("top", 1).map(|top| to_usize(top.value)),
    };
    let step = if fields.has("hop") { read_hop(fields) } else { read_jump(fields) };
    Some(Declaration { step: step?, shape })
}

fn read_hop(fields: &mut Fields<'_>) -> Option<DeclaredStep> {
    let relation = fields.required_text("hop", "name a relation");
    let reverse = fields.boolean("reverse").is_some_and(|reverse| reverse.value);
    let mut section = fields.section("select");
    let select = read_select(&mut section);
    section.finish();
    Some(DeclaredStep::Hop { relation: relation?.value.text, reverse, select })
}

fn read_select(fields: &mut Fields<'_>) -> DeclaredSelect {
    let count = |number: Option<Located<u64>>| number.map(|number| to_usize(number.value));
    let seed;
    let select = DeclaredSelect {
        scores: fields.any_floats("scores"),
        by: fields.text("by").map(|by| by.value.text),
        formula: read_formula(fields),
        half_life_us: fields
            .duration("half_life")
            .map(|half_life| i64::try_from(half_life.value.as_micros()).unwrap_or(i64::MAX)),
        recent: count(fields.number("recent", 1)),
        top: count(fields.number("top", 1)),
        sample: count(fields.number("sample", 1)),
        seed: {
            seed = fields.number("seed", 0);
            seed.as_ref().map_or(0, |seed| seed.value)
        },
        position: fields.boolean("position").is_some_and(|position| position.value),
        share: fields.boolean("share").is_some_and(|share| share.value),
        power: fields.float("power").map(|power| power.value),
    };
    if let (None, Some(seed)) = (select.sample, seed) {
        fields.problem(seed.error("a seed without a sample").advise("add sample = n, or leave the seed out"));
    }
    select
}

fn read_jump(fields: &mut Fields<'_>) -> Option<DeclaredStep> {
    let left = read_part(fields, "left");
    let right = read_part(fields, "right");
    let merger = read_merger(fields);
    let with_self = fields.boolean("with_self").is_some_and(|with_self| with_self.value);
    let keep = if fields.holds_integer("keep") {
        fields.number("keep", 0).map(|work| Keep::Above(work.value))
    } else {
        fields.word("keep", &KEEPS).map(|keep| keep.value)
    };
    Some(DeclaredStep::Jump { left: left?, right: right?, merger: merger?, with_self, keep: keep.unwrap_or_default() })
}

fn read_part(fields: &mut Fields<'_>, name: &'static str) -> Option<Part> {
    if !fields.holds_table(name) {
        let advice = "name a path, or write one: { hop = \"viewed\" }";
        return fields.required_text(name, advice).map(|path| Part::Name(path.value.text));
    }
    let mut section = fields.section(name);
    let path = read_path(&mut section);
    section.finish();
    path.map(|path| Part::Path(Box::new(path)))
}

/// What the authors of VMIS-kNN found to be good (Serenade, section 5).
const SESSION: Session = Session { recent: 500, neighbours: 100 };

/// What the authors of Swing take.
const SWING: Swing = Swing { alpha: 1.0, weigh: true };

fn read_merger(fields: &mut Fields<'_>) -> Option<DeclaredMerger> {
    let words = MergerWord::WORDS.map(|(word, merger)| (word, DeclaredWord::Word(merger)));
    let words = [&words[..], &[("swing", DeclaredWord::Swing), ("session", DeclaredWord::Session)]].concat();
    if !fields.holds_table("merger") {
        return Some(match fields.required_word("merger", &words)?.value {
            DeclaredWord::Word(word) => DeclaredMerger::Word(word),
            DeclaredWord::Swing => DeclaredMerger::Swing(SWING),
            DeclaredWord::Session => DeclaredMerger::Session(SESSION),
        });
    }
    let mut section = fields.section("merger");
    let merger = match section.has("sql") || section.has("function") {
        true => read_formula(&mut section).map(DeclaredMerger::Formula),
        false => section.required_word("kind", &words).map(|word| read_known(word.value, &mut section)),
    };
    section.finish();
    merger
}

/// A merger with a name; only its own keys are read.
fn read_known(word: DeclaredWord, fields: &mut Fields<'_>) -> DeclaredMerger {
    match word {
        DeclaredWord::Word(word) => DeclaredMerger::Word(word),
        DeclaredWord::Swing => DeclaredMerger::Swing(Swing {
            alpha: fields.float("alpha").map_or(SWING.alpha, |alpha| alpha.value),
            weigh: fields.boolean("weigh").map_or(SWING.weigh, |weigh| weigh.value),
        }),
        DeclaredWord::Session => DeclaredMerger::Session(Session {
            recent: fields.number("recent", 1).map_or(SESSION.recent, |recent| to_usize(recent.value)),
            neighbours: fields.number("neighbours", 1).map_or(SESSION.neighbours, |most| to_usize(most.value)),
        }),
    }
}

fn read_formula(fields: &mut Fields<'_>) -> Option<Formula> {
    let sql = fields.text("sql");
    let function = fields.text("function");
    if let (Some(_), Some(function)) = (&sql, &function) {
        fields.problem(function.error("sql and function exclude each other").advise("keep one of them"));
    }
    let sql = sql.map(|sql| Formula::Sql(sql.value.text));
    sql.or_else(|| function.map(|function| Formula::Function(function.value.text)))
}

#[derive(Clone, Copy)]
enum DeclaredWord {
    Word(MergerWord),
    Swing,
    Session,
}

/// What formulas are made with.
pub struct Formulas<'a> {
    /// The time zone of SQL.
    pub zone: Tz,
    /// The functions that paths may name.
    pub functions: &'a Functions,
}

impl Formulas<'_> {
    fn compile(&self, formula: &Formula, columns: &SchemaRef) -> Result<Arc<dyn Expression>, String> {
        match formula {
            Formula::Sql(sql) => Ok(Arc::new(SqlExpression(NumberExpression::compile(sql, columns, self.zone)?))),
            Formula::Function(name) => match self.functions.get(name) {
                Some(function) => function.bind(columns),
                None => Err(format!("there is no function \"{name}\"{}", self.known())),
            },
        }
    }

    fn known(&self) -> String {
        let known: Vec<&str> = self.functions.keys().map(String::as_str).collect();
        match known[..] {
            [] => "; declare it under [functions]".to_owned(),
            _ => format!("; functions here: {}", known.join(", ")),
        }
    }
}

/// Checks all paths against what the graph is made of. Gives those with which nothing is wrong.
pub fn check(
    walks: &[(String, RawWalk)],
    catalogue: &Catalogue,
    formulas: &Formulas<'_>,
    (broken, problems): (&mut Broken, &mut Vec<Problem>),
) -> Paths {
    let declared = |walk: &RawWalk| match &walk.declaration {
        Some(declaration) => without(declaration, &broken.relations),
        None => Declaration { step: DeclaredStep::Broken, shape: Shape::default() },
    };
    let declarations: Declarations = walks.iter().map(|(name, walk)| (name.clone(), declared(walk))).collect();
    let linked = link(&declarations, catalogue, &|formula, columns| formulas.compile(formula, columns));
    let paths = linked.unwrap_or_else(|Unlinked { problems: found, sound }| {
        problems.extend(found.into_iter().map(|found| {
            let key = format!("paths.{}", found.key);
            Problem::error(&place_of(walks, &key), key, found.message).advise(found.advice)
        }));
        sound
    });
    broken.paths = declarations.into_keys().filter(|name| paths.get(name).is_none()).collect();
    paths
}

/// Where a key stands, or else the nearest table around it that was written.
fn place_of(walks: &[(String, RawWalk)], key: &str) -> Place {
    let find = |key: &str| walks.iter().find_map(|(_, walk)| walk.places.get(key).cloned());
    let mut around = key;
    loop {
        if let Some(place) = find(around) {
            return place;
        }
        around = around.rsplit_once('.').map(|(around, _)| around).expect("the path itself has a place");
    }
}

/// SQL as the graph evaluates it.
struct SqlExpression(NumberExpression);

impl fmt::Debug for SqlExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Expression for SqlExpression {
    fn evaluate(&self, rows: &arrow::array::RecordBatch, scores: &mut Vec<f64>) {
        self.0.numbers(rows, scores);
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
