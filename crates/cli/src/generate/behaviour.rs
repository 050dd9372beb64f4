//! Behaviour events: who did what with which item, and when.
//!
//! Two days of a shop: busy in the evening, quiet at night; some items and people seen far more often than others; one
//! event in eight arrives late, by up to half a minute. Two million events hold about 300,000 pairs of day and device
//! and 1,660,000 pairs of item and minute; 98 of 100 are of a type that the benchmark's views count.

use proxima_mallgen::zipf::{Zipf, below};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::io::{self, Write};

/// Midnight of 2 March 2026 in UTC, in milliseconds.
const START_MS: u64 = 1_772_409_600_000;
const HOUR_MS: u64 = 3_600_000;
const DAYS: usize = 2;

/// How busy each hour of a day is.
const HOURS: [u64; 24] =
    [26, 18, 13, 10, 9, 11, 17, 27, 38, 46, 51, 54, 58, 55, 52, 51, 52, 55, 61, 70, 78, 80, 66, 42];

const ITEMS: u64 = 200_000;
const PEOPLE: u64 = 158_000;
/// How alike the most popular items are: chosen together with the number of items for the pairs of item and minute.
const ITEMS_FLAT: u64 = 16;
/// How alike the most active people are: chosen together with their number for the pairs of day and device.
const PEOPLE_FLAT: u64 = 5_000;

/// One event in this many is late.
const LATE_ONE_IN: u64 = 8;
const LATE_MS_MAX: u64 = 30_000;

/// How many of 100 events are of type 1 (view), 2 (click), 3 (cart), 4 (favourite), 5 (the application was left).
const TYPES: [u64; 5] = [68, 21, 6, 3, 2];

const AREAS: [&str; 8] = ["110000", "310000", "440000", "330000", "320000", "510000", "370000", "420000"];
const SYSTEMS: [&str; 6] = [
    "Android 14; Pixel 8 Pro Build/UQ1A.240205.004; wv; okhttp/4.12.0; zh-CN",
    "Android 13; Redmi Note 12 Build/TKQ1.221114.001; wv; okhttp/4.12.0; zh",
    "Android 12; HUAWEI P50 Build/HUAWEIABR-AL00; wv; okhttp/4.12.0; zh-CN",
    "iOS 17.3.1; iPhone15,3; Scale/3.00; CFNetwork/1492; Darwin/23.3.0; zh",
    "iOS 16.7.5; iPhone10,6; Scale/3.00; CFNetwork/1410; Darwin/22.6.0; zh",
    "Android 11; vivo X60 Build/RP1A.200720.012; wv; okhttp/4.9.3; zh-HK",
];
const VERSIONS: [&str; 4] =
    ["v2.1.134-20260214-release", "v2.1.132-20260117-release", "v2.0.1-20251103-release", "v2.1.111-20251220-beta"];

/// One event, before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who, from 0.
    pub person: u32,
    /// The item's id.
    pub item_id: u64,
    /// What happened: 1 to 5.
    pub kind: u8,
    /// When, in milliseconds since 1970.
    pub ts: u64,
}

impl Event {
    /// The number in the device's id: each person has one device.
    #[must_use]
    pub fn device(&self) -> u64 {
        // A step without a divisor in common with the number of people reaches each number once.
        100_000 + u64::from(self.person) * 92_821 % PEOPLE
    }

    /// Writes the event as a line of JSON, without the newline.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let &Self { person, item_id, kind, ts } = self;
        let (user, about) = (mix(u64::from(person)), mix(!u64::from(person)));
        write!(out, "{{\"user_id\":\"{user:016x}{about:016x}\",\"item_id\":{item_id},\"type\":{kind},\"ts\":{ts},")?;
        write!(
            out,
            "\"common\":{{\"mid\":\"mid_{:06}\",\"ar\":\"{}\",\"os\":\"{}\",\"vc\":\"{}\",\"is_new\":\"{}\"}}}}",
            self.device(),
            pick(&AREAS, about),
            pick(&SYSTEMS, about >> 8),
            pick(&VERSIONS, about >> 16),
            u8::from((about >> 24) % 12 == 0),
        )
    }
}

fn pick<'a>(of: &[&'a str], random: u64) -> &'a str {
    of[(random % of.len() as u64) as usize]
}

/// Spreads a number over all 64 bits (the finaliser of SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The events of a seed, in the order in which they arrive.
#[derive(Clone, Debug)]
pub struct Behaviour {
    random: ChaCha8Rng,
    items: Zipf,
    people: Zipf,
    events: u64,
    next: u64,
}

impl Behaviour {
    /// So many events, spread over both days.
    #[must_use]
    pub fn new(seed: u64, events: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            random: ChaCha8Rng::from_seed(bytes),
            items: Zipf::new(ITEMS, ITEMS_FLAT),
            people: Zipf::new(PEOPLE, PEOPLE_FLAT),
            events,
            next: 0,
        }
    }

    fn draw_kind(&mut self) -> u8 {
        let mut point = below(&mut self.random, TYPES.iter().sum());
        let mut kind = 1;
        for share in TYPES {
            if point < share {
                break;
            }
            point -= share;
            kind += 1;
        }
        kind
    }

    /// When an event that arrives at `arrival` happened.
    fn draw_ts(&mut self, arrival: u64) -> u64 {
        let late = below(&mut self.random, LATE_ONE_IN) == 0;
        let delay = below(&mut self.random, LATE_MS_MAX);
        if late { START_MS.max(arrival - delay) } else { arrival }
    }
}

impl Iterator for Behaviour {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.next == self.events {
            return None;
        }
        let arrival = arrival_ms(self.next, self.events);
        self.next += 1;
        // The order of the draws is part of what a seed stands for.
        let person = self.people.draw(&mut self.random);
        let rank = u64::from(self.items.draw(&mut self.random));
        let kind = self.draw_kind();
        let ts = self.draw_ts(arrival);
        // As for devices: ids do not tell the rank.
        Some(Event { person, item_id: 1_000_000 + rank * 77_773 % ITEMS, kind, ts })
    }
}

/// When the `n`-th of `events` arrives: the events are spread evenly over the busyness of all hours.
fn arrival_ms(n: u64, events: u64) -> u64 {
    let day: u64 = HOURS.iter().sum();
    let busy = u128::from(day) * u128::from(HOUR_MS) * DAYS as u128;
    let mut done = (busy * u128::from(n) / u128::from(events)) as u64;
    let mut hour_begin = START_MS;
    for busyness in HOURS.iter().cycle() {
        if done < busyness * HOUR_MS {
            return hour_begin + done / busyness;
        }
        done -= busyness * HOUR_MS;
        hour_begin += HOUR_MS;
    }
    unreachable!("the hours repeat without end")
}

/// Writes events as lines of JSON.
///
/// # Errors
/// When writing fails.
pub fn write_lines(events: impl Iterator<Item = Event>, out: &mut impl Write) -> io::Result<()> {
    for event in events {
        event.write_json(out)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Answers;
    use super::*;
    use serde_json::Value;
    use std::collections::{HashMap, HashSet};

    fn text(seed: u64, events: u64) -> String {
        let mut out = Vec::new();
        write_lines(Behaviour::new(seed, events), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn fnv1a(text: &str) -> u64 {
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }

    #[test]
    fn a_seed_gives_the_same_bytes_for_ever() {
        let text = text(1, 1000);
        assert_eq!(text.lines().next().unwrap(), FIRST);
        assert_eq!((text.len(), fnv1a(&text)), THOUSAND);
    }

    const FIRST: &str = r#"{"user_id":"5c5be03868be0c3fbe139df386007fbe","item_id":1009931,"type":2,"ts":1772409600000,"common":{"mid":"mid_196511","ar":"370000","os":"iOS 17.3.1; iPhone15,3; Scale/3.00; CFNetwork/1492; Darwin/23.3.0; zh","vc":"v2.1.134-20260214-release","is_new":"0"}}"#;
    /// Length and FNV-1a digest of a thousand lines.
    const THOUSAND: (usize, u64) = (258_901, 0xe26eece8ffa8e78e);

    #[test]
    fn another_seed_gives_other_events() {
        assert_ne!(text(1, 10), text(2, 10));
    }

    #[test]
    fn lines_are_of_the_size_that_was_promised() {
        let mean = text(3, 10_000).len() / 10_000;
        assert!((255..265).contains(&mean), "{mean} bytes");
    }

    /// The answers once more, from nothing but the text.
    #[test]
    fn the_answers_are_those_of_a_naive_pass_over_the_lines() {
        let (mut devices, mut minutes, mut counted) = (HashSet::new(), HashMap::<_, u64>::new(), 0);
        for line in text(1, 20_000).lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let ts = event["ts"].as_u64().unwrap();
            assert!((START_MS..START_MS + 48 * HOUR_MS).contains(&ts));
            if [1, 2, 3, 4].contains(&event["type"].as_u64().unwrap()) {
                counted += 1;
                devices.insert((ts / (24 * HOUR_MS), event["common"]["mid"].as_str().unwrap().to_owned()));
                *minutes.entry((event["item_id"].as_u64().unwrap(), ts / 60_000)).or_default() += 1;
            }
        }
        let mut answers = Answers::default();
        Behaviour::new(1, 20_000).for_each(|event| answers.add(&event));
        let key = answers.key();
        assert_eq!(key["events"], 20_000);
        assert_eq!(key["counted"], counted);
        assert_eq!(key["devices_by_day"], devices.len());
        assert_eq!(key["items_by_minute"], minutes.len());
        assert_eq!(key["busiest_item_minute"], *minutes.values().max().unwrap());
    }

    #[test]
    fn some_events_are_late_and_most_are_not() {
        let times: Vec<u64> = Behaviour::new(1, 50_000).map(|event| event.ts).collect();
        let late = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!((4_000..8_000).contains(&late), "{late}");
    }

    #[test]
    fn ids_are_not_shared() {
        let devices: HashSet<u64> =
            (0..PEOPLE as u32).map(|person| Event { person, item_id: 0, kind: 1, ts: 0 }.device()).collect();
        assert_eq!(devices.len() as u64, PEOPLE);
        let items: HashSet<u64> = (0..ITEMS).map(|rank| rank * 77_773 % ITEMS).collect();
        assert_eq!(items.len() as u64, ITEMS);
    }
}
