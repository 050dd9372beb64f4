//! The Kafka source and the Kafka sink.
