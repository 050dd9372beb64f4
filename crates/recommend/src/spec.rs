//! What a job says of a recommendation, checked.

use proxima_graph::{Attribute, AttributeKind, Value};

/// `[recommendations.NAME]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommendation {
    /// Its name in the job.
    pub name: String,
    /// Whether it recommends objects to others of their own kind: nothing is recommended to itself.
    pub own_kind: bool,
    /// The paths that give candidates.
    pub from: Vec<Feed>,
    /// The model that ranks them, by its name; without one the paths' scores are mixed.
    pub model: Option<String>,
    /// What holds for every item.
    pub rules: Rules,
    /// Where items come from when there are too few, one after the other.
    pub fallback: Vec<Fallback>,
    /// How many items are given to who does not say.
    pub number: usize,
    /// The attributes of items, by which a question may filter.
    pub item_attributes: Vec<Attribute>,
    /// The attributes of objects that it recommends to, which a question may tell.
    pub subject_attributes: Vec<Attribute>,
}

/// A path that gives candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// The path.
    pub path: String,
    /// Where it begins.
    pub start: Start,
    /// How much it counts beside the others.
    pub share: f64,
    /// How many candidates it gives at the most.
    pub candidates: usize,
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the object that is recommended to.
    Subject,
    /// At each of the items that the question names as just seen; scores are added.
    Seen,
}

/// A path that fills up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The path.
    pub path: String,
    /// Whether it begins at the object itself.
    pub own: bool,
    /// Else the attribute of the object that it begins at.
    pub by: Option<String>,
    /// Where it begins without that, or where nothing is found from there.
    pub at: Option<String>,
}

/// What holds for every item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Relations, from the object to items, that an item must not have: what was bought or seen.
    pub drop: Vec<String>,
    /// What an item must have.
    pub require: Vec<Require>,
    /// No more than so many items of one value of an attribute.
    pub at_most: Vec<Cap>,
    /// What is added to scores; less than nothing buries.
    pub boost: Vec<Boost>,
    /// Items at fixed places, the first place first: where two may not both be shown, it is the one before.
    pub pin: Vec<Pin>,
    /// Items that score less are dropped.
    pub min_score: Option<f64>,
}

/// An item is dropped unless an attribute of it is so.
#[derive(Clone, Debug, PartialEq)]
pub struct Require {
    /// The attribute.
    pub attribute: String,
    /// What it must be.
    pub is: Is,
}

/// A condition on a value. NULL meets none.
#[derive(Clone, Debug, PartialEq)]
pub enum Is {
    /// True, or a number above 0.
    Positive,
    /// Equal to this.
    Equal(Value),
    /// A number of at least this.
    AtLeast(f64),
    /// A number of at most this.
    AtMost(f64),
}

impl Is {
    /// Whether a value is so.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Positive => matches!(value, Value::Bool(true)) || number(value).is_some_and(|number| number > 0.0),
            Self::Equal(Value::Null) => false,
            Self::Equal(wanted) => match (wanted, value) {
                (Value::Int(wanted), Value::Int(value)) => wanted == value,
                _ => number(wanted).zip(number(value)).map_or(wanted == value, |(wanted, value)| wanted == value),
            },
            Self::AtLeast(least) => number(value).is_some_and(|number| number >= *least),
            Self::AtMost(most) => number(value).is_some_and(|number| number <= *most),
        }
    }

    /// Why this says nothing about values of a kind: it holds for none of them, or for all.
    #[must_use]
    pub fn misfit(&self, kind: AttributeKind) -> Option<&'static str> {
        use AttributeKind::{Bool, Float, Int, Text, Time};
        match (self, kind) {
            (Self::Equal(Value::Null), _)
            | (Self::Equal(Value::Bool(_)) | Self::Positive, Bool)
            | (Self::Equal(Value::Text(_)), Text)
            | (Self::Positive, Int | Float)
            | (Self::Equal(Value::Int(_) | Value::Float(_)) | Self::AtLeast(_) | Self::AtMost(_), Int | Float | Time) => {
                None
            }
            (Self::Positive, Text | Time) => Some("is neither a number nor true or false"),
            (_, Bool) => Some("is true or false"),
            (_, Int | Float) => Some("is a number"),
            (_, Time) => Some("is a time, to be compared with microseconds since 1970"),
            (_, Text) => Some("is a text"),
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Null | Value::Bool(_) | Value::Text(_) => None,
    }
}

/// No more than so many items of one value of an attribute; items without a value are not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// The attribute.
    pub attribute: String,
    /// How many.
    pub most: usize,
}

/// What is added to the score of items.
#[derive(Clone, Debug, PartialEq)]
pub struct Boost {
    /// What an explanation calls it.
    pub name: String,
    /// The attribute that decides.
    pub attribute: String,
    /// Which items it is for.
    pub is: Is,
    /// What is added. Mixed scores lie between 0 and 1; those of a model are log odds.
    pub by: f64,
}

/// An item at a fixed place, whatever it scores. It is left out where a `drop` or a `require` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The item.
    pub item: String,
    /// Its place, from 1.
    pub place: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_for_what_they_say() {
        let text = |text: &str| Value::Text(text.into());
        assert!(Is::Positive.holds(&Value::Int(1)) && Is::Positive.holds(&Value::Bool(true)));
        assert!(![Value::Null, Value::Int(0), Value::Float(-1.0), text("1")].iter().any(|no| Is::Positive.holds(no)));
        assert!(Is::Equal(Value::Int(2)).holds(&Value::Float(2.0)) && Is::Equal(text("a")).holds(&text("a")));
        assert!(!Is::Equal(Value::Null).holds(&Value::Null) && !Is::Equal(text("2")).holds(&Value::Int(2)));
        assert!(Is::AtLeast(2.0).holds(&Value::Int(2)) && !Is::AtMost(2.0).holds(&Value::Null));
        assert!(!Is::Equal(Value::Int((1 << 53) + 1)).holds(&Value::Int(1 << 53)), "no digit is lost");
    }

    #[test]
    fn a_condition_that_says_nothing_about_a_kind_is_known() {
        use AttributeKind::{Bool, Float, Int, Text, Time};
        let conditions = [
            (Is::Positive, &[Bool, Int, Float][..]),
            (Is::Equal(Value::Null), &[Bool, Int, Float, Time, Text]),
            (Is::Equal(Value::Bool(true)), &[Bool]),
            (Is::Equal(Value::Int(1)), &[Int, Float, Time]),
            (Is::Equal(Value::Text("a".into())), &[Text]),
            (Is::AtLeast(1.0), &[Int, Float, Time]),
        ];
        for (is, fits) in conditions {
            for kind in [Bool, Int, Float, Time, Text] {
                assert_eq!(is.misfit(kind).is_none(), fits.contains(&kind), "{is:?} of {kind:?}");
            }
        }
    }
}
