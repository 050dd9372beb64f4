//! What librdkafka can do and the crate `rdkafka` does not show: queues of single partitions that are read by the batch
//! or joined to one, the end of a partition with its offset, and the ids of topics. All `unsafe` of this crate is here.
//!
//! Reading by the batch takes a lock for a thousand messages instead of one, and allocates nothing for a message.

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::time::Duration;

/// A queue of a consumer. It must not outlive the consumer, so it borrows it.
#[derive(Debug)]
pub(crate) struct Queue<'c> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    consumer: PhantomData<&'c ()>,
}

impl<'c> Queue<'c> {
    /// A queue that nothing comes to until another one is joined to it.
    pub(crate) fn new<C: ConsumerContext>(consumer: &'c BaseConsumer<C>) -> Self {
        // SAFETY: the consumer's handle is valid as long as the consumer, which is borrowed.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Self { queue: NonNull::new(queue).expect("librdkafka always makes a queue"), consumer: PhantomData }
    }

    /// The queue of one partition, taken off the consumer's own. To be asked for before the partition is assigned, so
    /// that no message goes the other way.
    pub(crate) fn of_partition<C: ConsumerContext>(consumer: &'c BaseConsumer<C>, topic: &str, partition: i32) -> Self {
        let topic = c_string(topic);
        // SAFETY: as in `new`; the name is copied. A null forward takes the partition off the consumer's queue.
        let queue = unsafe {
            let queue = sys::rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), partition);
            sys::rd_kafka_queue_forward(queue, ptr::null_mut());
            queue
        };
        Self {
            queue: NonNull::new(queue).expect("a consumer makes the partition it does not know"),
            consumer: PhantomData,
        }
    }

    /// Lets all that comes to this queue, and is in it, go to another one.
    pub(crate) fn forward_to(&self, other: &Self) {
        // SAFETY: both are queues of a living consumer; librdkafka counts the reference that it keeps to the other one.
        unsafe { sys::rd_kafka_queue_forward(self.queue.as_ptr(), other.queue.as_ptr()) }
    }

    /// Takes messages into `batch`, which is emptied first: until it is full or the time is over.
    pub(crate) fn take(&self, batch: &mut Batch<'c>, most: usize, timeout: Duration) {
        batch.clear();
        let most = most.min(batch.messages.capacity());
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: there is room for `most` pointers behind the empty vector, and as many as were written are counted.
        unsafe {
            let room = batch.messages.spare_capacity_mut().as_mut_ptr().cast();
            let count = sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), timeout, room, most);
            batch.messages.set_len(usize::try_from(count).unwrap_or(0));
        }
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        // SAFETY: this handle is ours; librdkafka keeps the queue itself as long as others need it.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// Messages that were taken off a queue, in the order of each partition.
#[derive(Debug)]
pub(crate) struct Batch<'c> {
    messages: Vec<NonNull<sys::rd_kafka_message_t>>,
    consumer: PhantomData<&'c ()>,
}

impl Batch<'_> {
    /// A batch with room for so many messages.
    pub(crate) fn with_capacity(messages: usize) -> Self {
        Self { messages: Vec::with_capacity(messages), consumer: PhantomData }
    }

    /// The messages, and what librdkafka reports among them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        // SAFETY: the pointers are valid until `clear`, which needs the batch for itself.
        self.messages.iter().map(|message| Message(unsafe { message.as_ref() }))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    fn clear(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: each was given to us and is given back once; nobody refers to it after `drain`.
            unsafe { sys::rd_kafka_message_destroy(message.as_ptr()) }
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// One message, or one report about a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'b>(&'b sys::rd_kafka_message_t);

/// What stands for the topic of a message as long as its consumer lives: names are compared once, not for each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TopicHandle(usize);

impl<'b> Message<'b> {
    /// What is reported in place of a message.
    pub(crate) fn error(&self) -> Option<RDKafkaErrorCode> {
        (self.0.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| self.0.err.into())
    }

    /// The report in words.
    pub(crate) fn reason(&self) -> String {
        // SAFETY: for reports the text is kept within the message and ends with a zero.
        unsafe { text(sys::rd_kafka_message_errstr(self.0)) }
    }

    /// Its topic; `None` for reports that belong to none.
    pub(crate) fn topic(&self) -> Option<TopicHandle> {
        (!self.0.rkt.is_null()).then_some(TopicHandle(self.0.rkt as usize))
    }

    /// The name of its topic.
    pub(crate) fn topic_name(&self) -> String {
        if self.0.rkt.is_null() {
            return String::new();
        }
        // SAFETY: the topic is valid as long as the message, and so is its name.
        unsafe { text(sys::rd_kafka_topic_name(self.0.rkt)) }
    }

    /// The number of its partition.
    pub(crate) fn partition(&self) -> i32 {
        self.0.partition
    }

    /// Its offset; in a report that a partition has no more messages, the offset that the next one will have at least.
    pub(crate) fn offset(&self) -> u64 {
        u64::try_from(self.0.offset).unwrap_or(0)
    }

    /// Its value; `None` for a tombstone.
    pub(crate) fn value(&self) -> Option<&'b [u8]> {
        // SAFETY: the value is within the message, which is borrowed for 'b.
        (!self.0.payload.is_null())
            .then(|| unsafe { std::slice::from_raw_parts(self.0.payload.cast::<u8>(), self.0.len) })
    }
}

/// The last offsets that the consumer has heard of: the first one kept and the one behind the last. No request is made.
pub(crate) fn known_watermarks<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<(u64, u64)> {
    let topic = c_string(topic);
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the handle is valid while the consumer is borrowed; both numbers are ours.
    let answer = unsafe {
        sys::rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    let known = answer == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
    Some((u64::try_from(low).unwrap_or(0), u64::try_from(high).ok()?)).filter(|_| known)
}

/// A topic as the brokers describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicDescription {
    /// Its name.
    pub(crate) name: String,
    /// What tells it from a later topic of the same name; empty for brokers that do not give ids (before 2.8).
    pub(crate) id: String,
    /// The numbers of its partitions.
    pub(crate) partitions: Vec<i32>,
    /// Why it cannot be described.
    pub(crate) error: Option<RDKafkaErrorCode>,
}

/// Asks the brokers for topics.
///
/// # Errors
/// With the code and the reason when no broker answers in time.
pub(crate) fn describe_topics<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    names: &[String],
    timeout: Duration,
) -> Result<Vec<TopicDescription>, (RDKafkaErrorCode, String)> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<CString> = names.iter().map(|name| c_string(name)).collect();
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the handle is valid while the consumer is borrowed. Everything that is made here is destroyed here, after
    // its last use, and what the result refers to is copied before the event goes.
    unsafe {
        let client = consumer.client().native_ptr();
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let options =
            sys::rd_kafka_AdminOptions_new(client, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, ptr::null_mut(), 0);
        let queue = sys::rd_kafka_queue_new(client);
        sys::rd_kafka_DescribeTopics(client, topics, options, queue);
        // The request has its own time limit; a little longer and its answer is sure to come.
        let event = sys::rd_kafka_queue_poll(queue, timeout_ms.saturating_add(1_000));
        let described = described(event);
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_TopicCollection_destroy(topics);
        described
    }
}

/// # Safety
/// The event is null or the answer to `rd_kafka_DescribeTopics`.
unsafe fn described(event: *mut sys::rd_kafka_event_t) -> Result<Vec<TopicDescription>, (RDKafkaErrorCode, String)> {
    if event.is_null() {
        return Err((RDKafkaErrorCode::OperationTimedOut, "no answer in time".to_owned()));
    }
    // SAFETY: the event is valid, and so is everything that it holds until it is destroyed.
    unsafe {
        let error = sys::rd_kafka_event_error(event);
        if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err((error.into(), text(sys::rd_kafka_event_error_string(event))));
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        Ok((0..count).map(|at| description(*topics.add(at))).collect())
    }
}

/// # Safety
/// The topic is one of a result that is not destroyed yet.
unsafe fn description(topic: *const sys::rd_kafka_TopicDescription_t) -> TopicDescription {
    // SAFETY: all that is read belongs to the topic, and is copied.
    unsafe {
        let error = sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic));
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let known =
            sys::rd_kafka_Uuid_most_significant_bits(id) != 0 || sys::rd_kafka_Uuid_least_significant_bits(id) != 0;
        let mut count = 0;
        let partitions = sys::rd_kafka_TopicDescription_partitions(topic, &raw mut count);
        TopicDescription {
            name: text(sys::rd_kafka_TopicDescription_name(topic)),
            id: if known { text(sys::rd_kafka_Uuid_base64str(id)) } else { String::new() },
            partitions: (0..count).map(|at| sys::rd_kafka_TopicPartitionInfo_partition(*partitions.add(at))).collect(),
            error: (error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| error.into()),
        }
    }
}

/// # Safety
/// The text is null or ends with a zero.
unsafe fn text(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A name for librdkafka. No topic's name holds a zero byte; one that did would name nothing.
fn c_string(name: &str) -> CString {
    CString::new(name).unwrap_or_default()
}
