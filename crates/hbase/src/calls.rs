//! The gateway's calls: what is asked, and what comes back.

use crate::fault::Fault;
use crate::wire::{self, Input, Output, binaries, binary, number, read_structure, structure, structures};
use proxima_checkpoint::store::rows::{Change, Family, NewRow, Row, Seen};
use std::ops::Range;
use thrift::protocol::{TInputProtocol, TMessageIdentifier, TMessageType, TOutputProtocol};
use thrift::{ApplicationErrorKind, Error};

/// `TCompareOp.EQUAL`
const EQUAL: i32 = 2;

/// A request and how its answer is read.
pub(crate) trait Call {
    /// The method.
    const NAME: &'static str;
    /// What comes back.
    type Answer;

    /// Writes the arguments' fields.
    fn arguments(&self, out: &mut Output<'_>) -> thrift::Result<()>;

    /// Reads what a call that has succeeded gives back.
    fn answer(&self, input: &mut Input) -> Result<Self::Answer, Fault>;

    /// What a call gives back that gives back nothing; `None` where there must be something.
    fn nothing(&self) -> Option<Self::Answer> {
        None
    }

    /// Writes the whole request.
    fn write(&self, mut out: Output<'_>, sequence: i32) -> thrift::Result<()> {
        out.write_message_begin(&TMessageIdentifier::new(Self::NAME, TMessageType::Call, sequence))?;
        self.arguments(&mut out)?;
        out.write_field_stop()
    }

    /// Reads the whole answer.
    fn read(&self, input: &mut Input, sequence: i32) -> Result<Self::Answer, Fault> {
        let message = input.read_message_begin()?;
        if message.message_type == TMessageType::Exception {
            return Err(refused(Error::read_application_error_from_in_protocol(input)?));
        }
        if message.sequence_number != sequence || message.name != Self::NAME {
            return Err(Fault::Link(format!("the gateway answered something else than {}", Self::NAME)));
        }
        let (mut answer, mut error) = (None, None);
        read_structure(input, |input, id| {
            match id {
                0 => answer = Some(self.answer(input)?),
                1 => error = Some(read_error(input)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        match error {
            Some(error) => Err(error),
            None => answer.or_else(|| self.nothing()).ok_or_else(|| Fault::Link("the answer is empty".to_owned())),
        }
    }
}

/// An error of the gateway itself: such as one of Thrift1, which does not know our calls.
fn refused(error: thrift::ApplicationError) -> Fault {
    match error.kind {
        ApplicationErrorKind::UnknownMethod
        | ApplicationErrorKind::WrongMethodName
        | ApplicationErrorKind::InvalidProtocol => Fault::Stranger(error.message),
        // Anything in HBase that is no exception of its interface comes as an internal error.
        _ => Fault::Refused { message: error.message },
    }
}

/// `TIOError`: what comes behind its first line is Java's stack.
fn read_error(input: &mut Input) -> Result<Fault, Fault> {
    let mut message = String::new();
    read_structure(input, |input, id| {
        if id == 1 {
            message = input.read_string()?;
        }
        Ok(id == 1)
    })?;
    let line = message.lines().next().unwrap_or("it does not say why").to_owned();
    Ok(Fault::Refused { message: line })
}

/// `getMultiple`
pub(crate) struct Get<'a> {
    pub(crate) table: &'a str,
    pub(crate) keys: &'a [Vec<u8>],
    pub(crate) family: Option<Family>,
}

impl Call for Get<'_> {
    const NAME: &'static str = "getMultiple";
    type Answer = Vec<Row>;

    fn arguments(&self, out: &mut Output<'_>) -> thrift::Result<()> {
        binary(out, 1, self.table.as_bytes())?;
        structures(out, 2, self.keys, |out, key| wire::get(out, key, self.family))
    }

    fn answer(&self, input: &mut Input) -> Result<Vec<Row>, Fault> {
        wire::read_rows(input)
    }
}

/// `putMultiple`
pub(crate) struct Put<'a> {
    pub(crate) table: &'a str,
    pub(crate) rows: &'a [NewRow],
}

impl Call for Put<'_> {
    const NAME: &'static str = "putMultiple";
    type Answer = ();

    fn arguments(&self, out: &mut Output<'_>) -> thrift::Result<()> {
        binary(out, 1, self.table.as_bytes())?;
        structures(out, 2, self.rows, wire::put)
    }

    fn answer(&self, _: &mut Input) -> Result<(), Fault> {
        Err(unexpected())
    }

    fn nothing(&self) -> Option<()> {
        Some(())
    }
}

/// `checkAndMutate`
pub(crate) struct ChangeIf<'a> {
    pub(crate) table: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) column: &'a str,
    /// Without it the column must not be there. An empty value says so on the way: the interface promises that none at
    /// all does, but gateways (of HBase 2.6, for one) stumble over it.
    pub(crate) expected: Option<&'a [u8]>,
    pub(crate) change: &'a Change,
}

impl Call for ChangeIf<'_> {
    const NAME: &'static str = "checkAndMutate";
    type Answer = bool;

    fn arguments(&self, out: &mut Output<'_>) -> thrift::Result<()> {
        binary(out, 1, self.table.as_bytes())?;
        binary(out, 2, self.key)?;
        binary(out, 3, wire::FAMILIES[Family::Head as usize])?;
        binary(out, 4, self.column.as_bytes())?;
        number(out, 5, EQUAL)?;
        binary(out, 6, self.expected.unwrap_or_default())?;
        structure(out, 7, |out| wire::change(out, self.key, self.change))
    }

    fn answer(&self, input: &mut Input) -> Result<bool, Fault> {
        Ok(input.read_bool()?)
    }
}

/// `deleteMultiple`
pub(crate) struct Delete<'a> {
    pub(crate) table: &'a str,
    pub(crate) keys: &'a [Vec<u8>],
    pub(crate) up_to: Option<i64>,
}

impl Call for Delete<'_> {
    const NAME: &'static str = "deleteMultiple";
    type Answer = ();

    fn arguments(&self, out: &mut Output<'_>) -> thrift::Result<()> {
        binary(out, 1, self.table.as_bytes())?;
        structures(out, 2, self.keys, |out, key| wire::delete(out, key, self.up_to))
    }

    /// The deletes that failed.
    fn answer(&self, input: &mut Input) -> Result<(), Fault> {
        match input.read_list_begin()?.size {
            0 => Ok(()),
            failed => Err(Fault::Link(format!("{failed} of {} rows could not be deleted", self.keys.len()))),
        }
    }
}

/// `getScannerResults`
pub(crate) struct Scan<'a> {
    pub(crate) table: &'a str,
    pub(crate) range: Range<&'a [u8]>,
    pub(crate) seen: Seen,
    pub(crate) limit: i32,
}

impl Call for Scan<'_> {
    const NAME: &'static str = "getScannerResults";
    type Answer = Vec<Row>;

    fn arguments(&self, out: &mut Output<'_>) -> thrift::Result<()> {
        let family = (self.seen == Seen::Head).then_some(Family::Head);
        binary(out, 1, self.table.as_bytes())?;
        structure(out, 2, |out| wire::scan(out, &self.range, family, self.limit))?;
        number(out, 3, self.limit)
    }

    fn answer(&self, input: &mut Input) -> Result<Vec<Row>, Fault> {
        wire::read_rows(input)
    }
}

/// `tableExists`
pub(crate) struct Exists<'a>(pub(crate) (Option<&'a str>, &'a str));

impl Call for Exists<'_> {
    const NAME: &'static str = "tableExists";
    type Answer = bool;

    fn arguments(&self, out: &mut Output<'_>) -> thrift::Result<()> {
        structure(out, 1, |out| wire::table_name(out, self.0))
    }

    fn answer(&self, input: &mut Input) -> Result<bool, Fault> {
        Ok(input.read_bool()?)
    }
}

/// `createTable`
pub(crate) struct Create<'a> {
    pub(crate) name: (Option<&'a str>, &'a str),
    pub(crate) splits: &'a [Vec<u8>],
}

impl Call for Create<'_> {
    const NAME: &'static str = "createTable";
    type Answer = ();

    fn arguments(&self, out: &mut Output<'_>) -> thrift::Result<()> {
        structure(out, 1, |out| wire::table(out, self.name))?;
        binaries(out, 2, self.splits)
    }

    fn answer(&self, _: &mut Input) -> Result<(), Fault> {
        Err(unexpected())
    }

    fn nothing(&self) -> Option<()> {
        Some(())
    }
}

fn unexpected() -> Fault {
    Fault::Link("the gateway answered something where there is nothing".to_owned())
}
