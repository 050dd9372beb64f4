//! The thread that writes the log: group by group, each with one fsync, in segments of about one size.

use super::log::{Shared, State, Waiting};
use super::segments;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// A full log is let go of segment by segment: it has so many at the least.
const SEGMENTS_MIN: u64 = 8;

/// Writes what gathers, until the log is closed.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    file: File,
    /// Whether a full log could not go on in a new segment, which is tried again and again and told once.
    told: bool,
}

/// Requests that are written together.
struct Group {
    bytes: Vec<u8>,
    waiting: Vec<Waiting>,
    /// The number of the first record, and the one behind the last.
    first: u64,
    end: u64,
}

/// What is to be done next.
enum Task {
    Write(Group),
    Roll,
    Close,
}

/// Whether the log can be written any more.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    Stop,
}

impl Writer {
    /// Writes behind what stands in `file`, the last segment.
    pub(super) fn new(shared: Arc<Shared>, file: File) -> Self {
        Self { shared, file, told: false }
    }

    /// Works until the log is closed and all that came is written.
    pub(super) fn run(mut self) {
        loop {
            match self.next() {
                Task::Write(group) => {
                    if self.write(group) == Then::Stop {
                        return;
                    }
                }
                Task::Roll => self.make_room(),
                Task::Close => return,
            }
        }
    }

    fn next(&self) -> Task {
        let mut state = self.shared.state.lock();
        loop {
            if !state.pending.is_empty() {
                return Task::Write(take_group(&mut state));
            }
            if state.closing {
                return Task::Close;
            }
            if std::mem::take(&mut state.roll) {
                return Task::Roll;
            }
            self.shared.work.wait(&mut state);
        }
    }

    fn write(&mut self, group: Group) -> Then {
        let Group { bytes, waiting, first, end } = group;
        let standing = match self.roll_when(first, self.segment_bytes()) {
            Ok(standing) => standing,
            Err(error) => {
                self.shared.take_back(waiting, &format!("cannot make a segment of the log: {error}"), false);
                return Then::GoOn;
            }
        };
        if let Err(error) = self.file.write_all(&bytes) {
            // Cut off, so that the next group stands right behind the last whole one.
            let for_ever = self.file.set_len(standing).is_err();
            self.shared.take_back(waiting, &format!("cannot write to the log: {error}"), for_ever);
            return Then::GoOn;
        }
        if let Err(error) = self.file.sync_data() {
            // After a failed fsync nobody knows what the disk holds.
            self.shared.take_back(waiting, &format!("cannot sync the log: {error}; restart to go on"), true);
            return Then::Stop;
        }
        let again = self.note_durable(end, bytes.len() as u64);
        for Waiting { accepted, end: own, answer } in waiting.into_iter().chain(again) {
            debug_assert!(own <= end, "a group is durable as a whole");
            answer(Ok(accepted));
        }
        Then::GoOn
    }

    /// The records before `end` are durable. Gives the requests that came again while they were on their way.
    fn note_durable(&self, end: u64, bytes: u64) -> Vec<Waiting> {
        let mut state = self.shared.state.lock();
        state.durable = end;
        state.unread += bytes;
        if let Some(last) = state.segments.back_mut() {
            last.bytes += bytes;
        }
        let again = state.waiting.extract_if(.., |waiting| waiting.end <= end).collect();
        drop(state);
        self.shared.written.notify_all();
        again
    }

    /// Begins a new segment with record `first` when the last one holds so many bytes. Gives how many bytes stand in the
    /// one that is written next.
    fn roll_when(&mut self, first: u64, bytes: u64) -> io::Result<u64> {
        let standing = self.shared.state.lock().standing();
        // Two segments cannot begin with the same record.
        if standing == 0 || standing < bytes {
            return Ok(standing);
        }
        let (segment, file) = segments::create(&self.shared.config.folder, first)?;
        self.file = file;
        self.shared.state.lock().segments.push_back(segment);
        Ok(0)
    }

    /// Goes on in a new segment, and deletes what is released already.
    fn make_room(&mut self) {
        let (durable, released) = {
            let state = self.shared.state.lock();
            (state.durable, state.released)
        };
        let made = self.roll_when(durable, 0).and_then(|_| self.shared.release(released));
        if let Err(error) = &made
            && !self.told
        {
            let source = &self.shared.config.source;
            tracing::warn!(source = %source, %error, "the log is full and cannot go on in a new segment");
        }
        self.told = made.is_err();
    }

    fn segment_bytes(&self) -> u64 {
        let config = &self.shared.config;
        config.segment_bytes.min(config.log_bytes / SEGMENTS_MIN)
    }
}

fn take_group(state: &mut State) -> Group {
    let (bytes, waiting) = (std::mem::take(&mut state.pending), std::mem::take(&mut state.waiting));
    Group { bytes, waiting, first: state.durable, end: state.next }
}

#[cfg(test)]
mod tests {
    use super::super::log::{Accepted, prepare};
    use super::*;
    use crate::http::HttpConfig;
    use std::sync::mpsc;

    /// A request comes again after the writer has taken the first one, and before that is durable.
    #[test]
    fn a_request_that_comes_again_meanwhile_is_answered_with_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = prepare(HttpConfig::new("clicks", folder.path())).unwrap();
        let (send, answers) = mpsc::channel();
        let append = |shared: &Shared, key: &str| {
            let send = send.clone();
            shared.append(vec![b"1".to_vec()], key, Box::new(move |answer| send.send(answer.unwrap()).unwrap()));
        };
        append(&writer.shared, "a");
        let Task::Write(group) = writer.next() else { panic!("a request waits") };
        append(&writer.shared, "a");
        append(&writer.shared, "b");
        assert!(answers.try_recv().is_err(), "nothing is durable yet");
        assert!(writer.write(group) == Then::GoOn);
        let first = |duplicate| Accepted { records: 1, duplicate };
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [first(false), first(true)]);
        let Task::Write(group) = writer.next() else { panic!("the other key's request waits") };
        assert!(writer.write(group) == Then::GoOn);
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [first(false)]);
    }
}
