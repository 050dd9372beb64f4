//! Random scalar expressions and conditions over the columns of a relation.

use super::dice::Dice;

/// What can be done with a value. Widths do not matter: targets declare the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Int,
    Decimal(i8),
    Text,
    Bool,
    Time,
    Date,
    /// A float that sums exactly in any order: a small multiple of 1/8.
    Dyadic,
    /// A float whose sum depends on the order in batch: it may be summed and shown, and nothing be decided by it.
    Rounded,
}

impl Class {
    /// The type that a target declares for it.
    pub(super) fn sql(self) -> String {
        match self {
            Self::Int => "BIGINT".into(),
            Self::Decimal(scale) => format!("DECIMAL(38, {scale})"),
            Self::Text => "STRING".into(),
            Self::Bool => "BOOLEAN".into(),
            Self::Time => "TIMESTAMP(3)".into(),
            Self::Date => "DATE".into(),
            Self::Dyadic | Self::Rounded => "DOUBLE".into(),
        }
    }

    /// Whether rows may be grouped, joined, ordered and filtered by it.
    pub(super) fn decides(self) -> bool {
        self != Self::Rounded
    }
}

/// A column of a relation.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// How it is written.
    pub(super) name: String,
    pub(super) class: Class,
}

impl Column {
    pub(super) fn new(name: impl Into<String>, class: Class) -> Self {
        Self { name: name.into(), class }
    }
}

/// A random expression of a class that one of the columns has, and that class.
pub(super) fn any(dice: &mut Dice, columns: &[Column]) -> (String, Class) {
    let class = dice.pick(columns).class;
    (expression(dice, columns, class, 2), class)
}

/// A random expression of this class.
pub(super) fn expression(dice: &mut Dice, columns: &[Column], class: Class, depth: usize) -> String {
    if depth == 0 || dice.chance(45) {
        return leaf(dice, columns, class);
    }
    let depth = depth - 1;
    match (class, dice.below(5)) {
        (_, 0) => {
            let condition = condition(dice, columns, depth);
            let (yes, no) = (expression(dice, columns, class, depth), expression(dice, columns, class, depth));
            format!("CASE WHEN {condition} THEN {yes} ELSE {no} END")
        }
        (Class::Rounded | Class::Dyadic, _) => leaf(dice, columns, class),
        (_, 1) => format!("coalesce({}, {})", leaf(dice, columns, class), literal(dice, class)),
        (_, 2) => format!("nullif({}, {})", leaf(dice, columns, class), literal(dice, class)),
        (Class::Int, 3) => format!("abs({})", expression(dice, columns, class, depth)),
        (Class::Int | Class::Decimal(_), _) => {
            let (left, right) = (leaf(dice, columns, class), leaf(dice, columns, class));
            format!("({left} {} {right})", dice.pick(&["+", "-"]))
        }
        (Class::Text, 3) => format!("upper({})", expression(dice, columns, class, depth)),
        (Class::Text, _) => format!("({} || {})", leaf(dice, columns, class), leaf(dice, columns, class)),
        (Class::Time, 3) => format!("date_trunc('hour', {})", leaf(dice, columns, class)),
        (Class::Time, _) => format!("tumble({}, INTERVAL '2 hours')", leaf(dice, columns, class)),
        (Class::Bool, _) => condition(dice, columns, depth),
        (Class::Date, _) => match of_class(dice, columns, Class::Time) {
            Some(time) => format!("CAST({time} AS DATE)"),
            None => leaf(dice, columns, class),
        },
    }
}

fn leaf(dice: &mut Dice, columns: &[Column], class: Class) -> String {
    match of_class(dice, columns, class) {
        Some(name) if dice.chance(90) || !class.decides() => name,
        _ => literal(dice, class),
    }
}

fn of_class(dice: &mut Dice, columns: &[Column], class: Class) -> Option<String> {
    let fit: Vec<&Column> = columns.iter().filter(|column| column.class == class).collect();
    (!fit.is_empty()).then(|| dice.pick(&fit).name.clone())
}

/// A constant that has a fair chance to be among the values.
pub(super) fn literal(dice: &mut Dice, class: Class) -> String {
    match class {
        Class::Int => dice.range(0, 5).to_string(),
        Class::Decimal(scale) => format!("CAST({} AS DECIMAL(9, {scale}))", dice.range(-20, 300)),
        Class::Text => format!("'{}'", dice.pick(&["a", "b", "longer than the twelve bytes inside"])),
        Class::Bool => dice.chance(50).to_string(),
        Class::Time => format!("TIMESTAMP '2024-01-0{} 06:00:00'", dice.range(1, 4)),
        Class::Date => format!("DATE '2024-01-0{}'", dice.range(1, 5)),
        Class::Dyadic | Class::Rounded => format!("CAST({} AS DOUBLE)", dice.range(-50, 50)),
    }
}

/// A random condition.
pub(super) fn condition(dice: &mut Dice, columns: &[Column], depth: usize) -> String {
    let deciding: Vec<Column> = columns.iter().filter(|column| column.class.decides()).cloned().collect();
    if deciding.is_empty() {
        return "true".into();
    }
    if depth > 0 && dice.chance(30) {
        let (left, right) = (condition(dice, columns, depth - 1), condition(dice, columns, depth - 1));
        return match dice.below(3) {
            0 => format!("NOT ({left})"),
            1 => format!("({left} OR {right})"),
            _ => format!("({left} AND {right})"),
        };
    }
    let Column { name, class } = dice.pick(&deciding).clone();
    match (class, dice.below(5)) {
        (_, 0) => format!("{name} IS {}NULL", dice.pick(&["", "NOT "])),
        (Class::Bool, _) => name,
        (Class::Text, 1) => format!("{name} LIKE '{}'", dice.pick(&["a%", "%e%", "_b"])),
        (_, 1) => format!("{name} IN ({}, {})", literal(dice, class), literal(dice, class)),
        (_, 2) => format!("{name} BETWEEN {} AND {}", literal(dice, class), literal(dice, class)),
        _ => {
            let operator = *dice.pick(&["<", "<=", ">", ">=", "<>", "="]);
            let other = expression(dice, &deciding, class, depth.min(1));
            format!("{name} {operator} {other}")
        }
    }
}
