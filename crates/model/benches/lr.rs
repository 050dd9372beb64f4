//! Learning alone, on one core: how many examples a second from text, through the decoder and the encoder, and how many
//! from samples that are encoded already; and the progressive log loss of one pass in file order.
//!
//! The examples are those of `examples/ctr`, a9a, again and again. Ends with one line of JSON.

use arrow::datatypes::{DataType, Field, Schema};
use proxima_engine::{EpochEnd, Operator, Outbox};
use proxima_event::decode::{DecodeConfig, Decoded, EpochUnit, Format, decoder};
use proxima_event::{Changes, Chunk, Epoch, PartitionId};
use proxima_model::{Encode, Encoder, FeatureKind, FeatureSpec, LearnerSpec, LiveModel, Missing, ModelSpec, Train};
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

/// Passes over the file: about a million examples.
const PASSES: usize = 32;
const RUNS: usize = 5;
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks in an epoch: as many examples as 50 ms bring at some 300 thousand a second.
const EPOCH_CHUNKS: usize = 16;

fn main() {
    let text = read();
    let header_end = text.iter().position(|&byte| byte == b'\n').expect("the file has a header") + 1;
    let (header, lines) = text.split_at(header_end);
    let pass = chunks(header, lines);
    let chunks: Vec<Chunk> = (0..PASSES).flat_map(|_| pass.clone()).collect();
    let samples: Vec<Changes> =
        chunks.iter().scan(Reader::new(), |reader, chunk| Some(reader.read(chunk))).flatten().collect();
    let count: usize = samples.iter().map(Changes::len).sum();

    let (mut from_text, mut from_samples) = (0.0_f64, 0.0_f64);
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut reader = Reader::new();
        let model = learn(
            chunks.chunks(EPOCH_CHUNKS).map(|chunks| chunks.iter().flat_map(|chunk| reader.read(chunk)).collect()),
        );
        from_text = from_text.max(count as f64 / start.elapsed().as_secs_f64());
        assert_eq!(model.all().samples, count as u64);
        let start = Instant::now();
        learn(samples.chunks(EPOCH_CHUNKS * 2).map(<[Changes]>::to_vec));
        from_samples = from_samples.max(count as f64 / start.elapsed().as_secs_f64());
    }

    let mut reader = Reader::new();
    let once = learn([pass.iter().flat_map(|chunk| reader.read(chunk)).collect()]).all();
    println!("one pass over {} examples: log loss {:.6}, AUC {:?}", once.samples, once.log_loss, once.auc);
    let result = serde_json::json!({
        "examples": count,
        "examples_per_core_s_text": from_text.round(),
        "examples_per_core_s_binary": from_samples.round(),
        "progressive_log_loss": (once.log_loss * 1e6).round() / 1e6,
        "progressive_auc": once.auc.map(|auc| (auc * 1e4).round() / 1e4),
    });
    println!("{result}");
}

fn read() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/ctr/samples.csv.gz");
    let file = std::fs::File::open(path).expect("the example is there");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut text).expect("the example is whole");
    text
}

/// The file as a source would offer it.
fn chunks(header: &[u8], lines: &[u8]) -> Vec<Chunk> {
    let partition = Arc::new(PartitionId { source: "samples".into(), name: "samples.csv".into() });
    let (mut chunks, mut rest, mut start) = (Vec::new(), lines, header.len() as u64);
    while !rest.is_empty() {
        let cut = rest.len().min(CHUNK_BYTES);
        let end = rest[..cut].iter().rposition(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (now, later) = rest.split_at(end);
        let records = now.iter().filter(|&&byte| byte == b'\n').count();
        chunks.push(Chunk::from_bytes(Arc::clone(&partition), start, now.to_vec(), records, 2, Some(header.into())));
        (rest, start) = (later, start + end as u64);
    }
    chunks
}

fn spec() -> ModelSpec {
    let features = FeatureSpec {
        name: "features".into(),
        column: "features".into(),
        kind: FeatureKind::Sparse,
        missing: Missing::Skip,
        namespace: "features".into(),
    };
    ModelSpec {
        name: "income".into(),
        label: "label".into(),
        time: None,
        order: Some("n".into()),
        wait_us: None,
        features: vec![features],
        bias: true,
        hash_bits: 18,
        learner: LearnerSpec::default(),
        batch: 1,
        window: 10_000,
    }
}

/// What a worker does with text: decode it, encode its rows.
struct Reader {
    decoder: Box<dyn proxima_event::decode::Decoder>,
    encode: Encode,
}

impl Reader {
    fn new() -> Self {
        let field = |name: &str, kind| Field::new(name, kind, true);
        let columns =
            vec![field("n", DataType::Int64), field("label", DataType::Int32), field("features", DataType::Utf8View)];
        let schema = Arc::new(Schema::new(columns));
        let encoder = Encoder::bind(&spec(), &schema).expect("the columns are the model's");
        let encode =
            Encode::new(Encode::bind(&spec(), &schema).expect("the columns are the model's"), Arc::new(encoder));
        let (zone, epoch_unit) = (chrono_tz::UTC, EpochUnit::Millis);
        let config = DecodeConfig { schema, zone, epoch_unit, batch_rows: 2_048, changes: None };
        Self { decoder: decoder(Format::Csv, config), encode }
    }

    fn read(&mut self, chunk: &Chunk) -> Vec<Changes> {
        let (mut decoded, mut out) = (Decoded::default(), Outbox::default());
        self.decoder.decode(chunk, &mut decoded);
        assert!(decoded.rejected.is_empty(), "{}", decoded.rejected[0]);
        decoded.batches.into_iter().for_each(|batch| self.encode.apply(0, batch, &mut out));
        out.drain().collect()
    }
}

/// What the owner does with samples.
fn learn(epochs: impl IntoIterator<Item = Vec<Changes>>) -> Arc<LiveModel> {
    let live = Arc::new(LiveModel::new(spec()));
    let (mut train, mut out) = (Train::new(Arc::clone(&live)), Outbox::default());
    for (epoch, batches) in epochs.into_iter().enumerate() {
        batches.into_iter().for_each(|batch| train.apply(0, batch, &mut out));
        train.finish(EpochEnd { epoch: Epoch(epoch as u64), last: false }, &mut out);
    }
    live
}
