//! The sink for Elasticsearch and OpenSearch, and searches passed through to them.
