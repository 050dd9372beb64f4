//! A path in words: what it does, and how it is computed.

use super::plan::{Added, Way};
use super::spec::{Hop, Jump, Keep, Merger, Path, RowScore, Select, Set, Shape, Step};
use crate::catalogue::Catalogue;
use crate::graph::Direction;

impl Path {
    /// The path as an indented tree, for people.
    #[must_use]
    pub fn describe(&self, catalogue: &Catalogue) -> String {
        let mut text = String::new();
        self.write(catalogue, "", "", &mut text);
        text
    }

    fn write(&self, catalogue: &Catalogue, indent: &str, role: &str, text: &mut String) {
        let name = self.name.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        let (from, to) = (&catalogue[self.from].name, &catalogue[self.to].name);
        let (step, way) = match &self.step {
            Step::Hop(hop) => (hop.describe(catalogue), None),
            Step::Jump(jump) => (jump.describe(), Some((jump.way(), jump.keep))),
        };
        let shape = self.shape.describe();
        text.push_str(&format!("{indent}{role}{name}{from} -> {to}, {step}{shape}\n"));
        match way {
            Some((Way::Requested(why), _)) => text.push_str(&format!("{indent}  requested: {why}\n")),
            Some((Way::Maintained { relation, direction, added }, keep)) => text.push_str(&format!(
                "{indent}  maintained: a {} over the middle of {} there and back; {}\n",
                match added {
                    Added::Products => "sum",
                    Added::Ones => "count",
                },
                catalogue[relation].name,
                describe_kept(direction, keep),
            )),
            None => {}
        }
        if let Step::Jump(jump) = &self.step {
            let indent = format!("{indent}  ");
            jump.left.write(catalogue, &indent, "left  ", text);
            jump.right.write(catalogue, &indent, "right ", text);
        }
    }
}

/// For which objects a sum is kept.
fn describe_kept(direction: Direction, keep: Keep) -> String {
    match (direction, keep.hot_work()) {
        (Direction::Forward, _) | (_, None) => "gathered, since it is kept for objects of the relation only".to_owned(),
        (Direction::Reverse, Some(0)) => "kept for every object".to_owned(),
        (Direction::Reverse, Some(work)) => {
            format!("kept for objects that would take more than {work} rows to gather, gathered for the others")
        }
    }
}

impl Jump {
    fn describe(&self) -> String {
        let constants = match &self.merger {
            Merger::Swing(swing) => format!(" (alpha {}, weighed {})", swing.alpha, swing.weigh),
            Merger::Session(session) => format!(" ({} of {} newest)", session.neighbours, session.recent),
            Merger::Expression(expression) => format!(" {expression:?}"),
            _ => String::new(),
        };
        format!("jump by {}{constants}", self.merger.word())
    }
}

impl Hop {
    fn describe(&self, catalogue: &Catalogue) -> String {
        let back = if self.direction == Direction::Reverse { ", reverse" } else { "" };
        let relation = &catalogue[self.relation];
        let select = self.select.describe(|attribute| relation.attributes[attribute].name.clone());
        format!("hop {}{back}{select}", relation.name)
    }
}

impl Select {
    fn describe(&self, attribute: impl Fn(usize) -> String) -> String {
        let row = match &self.row {
            RowScore::Weight => None,
            RowScore::Weights(_) => Some("scores by weight".to_owned()),
            RowScore::Attribute { attribute: place, .. } => Some(format!("scores by {}", attribute(*place))),
            RowScore::Expression(expression) => Some(format!("score {expression:?}")),
        };
        let set = match self.set {
            Set::All => None,
            Set::Recent(k) => Some(format!("newest {k}")),
            Set::Top(k) => Some(format!("top {k}")),
            Set::Sample { k, seed } => Some(format!("sample of {k}, seed {seed}")),
        };
        let words = [
            row,
            self.half_life_us.map(|half_life| format!("half after {} s", half_life as f64 / 1e6)),
            set,
            self.position.then(|| "by position".to_owned()),
            self.share.then(|| "as shares".to_owned()),
            self.power.map(|power| format!("to the power of {power}")),
        ];
        words.into_iter().flatten().map(|word| format!("; {word}")).collect()
    }
}

impl Shape {
    fn describe(&self) -> String {
        let words = [
            self.idf.then(|| "idf".to_owned()),
            (self.popularity != 0.0).then(|| format!("popularity {}", self.popularity)),
            (self.decay != 1.0).then(|| format!("decay {}", self.decay)),
            self.top.map(|top| format!("top {top}")),
        ];
        words.into_iter().flatten().map(|word| format!("; {word}")).collect()
    }
}
