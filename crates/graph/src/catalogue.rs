//! The names of what a graph holds: kinds of objects, relations between them, and the attributes of both.

use crate::graph::{Direction, KindId, RelationId};

/// What a job's graph is made of. Kinds, relations and attributes are known by their places here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The kinds of objects, by [`KindId`].
    pub kinds: Vec<Kind>,
    /// The relations, by [`RelationId`].
    pub relations: Vec<Relation>,
}

/// A kind of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name: `item`.
    pub name: String,
    /// The attributes of its objects.
    pub attributes: Vec<Attribute>,
}

/// A relation between two kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Its name: `viewed`.
    pub name: String,
    /// What its subjects are.
    pub subject: KindId,
    /// What its objects are.
    pub object: KindId,
    /// Whether rows have a time. A subject and an object have a row for each time and combination of attributes; a
    /// relation with neither has one, with the sum of the weights.
    pub timed: bool,
    /// The attributes of its rows.
    pub attributes: Vec<Attribute>,
}

/// An attribute of objects or of a relation's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: AttributeKind,
}

/// The types of attributes; each value may also be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    /// Yes or no.
    Bool,
    /// An integer.
    Int,
    /// A float, or a decimal as the nearest one.
    Float,
    /// A time, as microseconds since 1970.
    Time,
    /// A text.
    Text,
}

impl Catalogue {
    /// The kind of this name.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<KindId> {
        let place = self.kinds.iter().position(|kind| kind.name == name)?;
        Some(KindId(u16::try_from(place).expect("there are fewer kinds than that")))
    }

    /// The relation of this name.
    #[must_use]
    pub fn relation(&self, name: &str) -> Option<RelationId> {
        let place = self.relations.iter().position(|relation| relation.name == name)?;
        Some(RelationId(u16::try_from(place).expect("there are fewer relations than that")))
    }
}

impl Relation {
    /// The kinds at the beginning and at the end of a walk.
    #[must_use]
    pub fn ends(&self, direction: Direction) -> (KindId, KindId) {
        match direction {
            Direction::Forward => (self.subject, self.object),
            Direction::Reverse => (self.object, self.subject),
        }
    }
}

impl std::ops::Index<KindId> for Catalogue {
    type Output = Kind;

    fn index(&self, kind: KindId) -> &Kind {
        &self.kinds[kind.0 as usize]
    }
}

impl std::ops::Index<RelationId> for Catalogue {
    type Output = Relation;

    fn index(&self, relation: RelationId) -> &Relation {
        &self.relations[relation.0 as usize]
    }
}
