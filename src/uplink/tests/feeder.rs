//! How windows are filled.

use super::*;
use crate::uplink::feeder::Feeder;
use crate::uplink::lumberjack::{Decoder, Frame, Limits};

/// Messages of one size each, and how often the queue was asked.
struct Large {
    sizes: Vec<usize>,
}

impl Queue for Large {
    fn id(&self) -> &'static str {
        "large"
    }

    fn read_after(&self, seq: u64, max_events: usize, max_bytes: usize) -> Result<Option<Chunk>> {
        let mut batch = Batch::default();
        let start = usize::try_from(seq).unwrap();
        for &size in self.sizes.iter().skip(start).take(max_events) {
            if !batch.is_empty() && batch.size_bytes() + size > max_bytes {
                break;
            }
            batch.push(origin(), &vec![b'x'; size]);
        }
        let range = 0..batch.len();
        Ok((!range.is_empty()).then(|| Chunk { first_seq: seq + 1, batch: Arc::new(batch), range }))
    }

    fn acknowledged(&self) -> u64 {
        0
    }

    fn set_aside(&self, _seq: u64) -> Result<()> {
        unreachable!("nothing is refused here")
    }

    fn acknowledge(&self, _seq: u64) -> Result<()> {
        Ok(())
    }
}

/// Fills windows to the end of the queue; each one's numbers and bytes.
fn windows(sizes: Vec<usize>, writer: impl EventWriter, settings: &settings::Uplink) -> Vec<(u32, Vec<u8>)> {
    let queue = Arc::new(Large { sizes });
    let mut feeder = Feeder::new(queue, writer, settings);
    let (mut seq, mut windows) = (0, Vec::new());
    while let Some(prepared) = feeder.prepare(seq, None, Vec::new()).unwrap() {
        seq = prepared.window.last_seq().unwrap();
        assert_eq!(prepared.rules, [("plain", u64::from(prepared.window.len()))]);
        windows.push((prepared.window.len(), prepared.bytes));
    }
    windows
}

#[test]
fn a_window_has_only_so_many_bytes_and_every_event_is_in_one() {
    const MESSAGE: usize = 64 * 1024;
    for compression in [0, 1] {
        let settings = settings::Uplink { compression, window_events: 2048, ..settings::Uplink::default() };
        let windows = windows(vec![MESSAGE; 100], PlainWriter("c"), &settings);
        let lengths: Vec<u32> = windows.iter().map(|(count, _)| *count).collect();
        assert_eq!(lengths.iter().sum::<u32>(), 100);
        assert!(lengths.iter().all(|&count| count as usize * MESSAGE <= 1 << 20), "{lengths:?}");
        let mut sequences = Vec::new();
        for (count, bytes) in windows {
            let mut decoder = Decoder::new(Limits::RECEIVER);
            decoder.feed(&bytes);
            assert_eq!(decoder.next(), Ok(Some(Frame::Window(count))));
            while let Some(Frame::Event { sequence, .. }) = decoder.next().unwrap() {
                sequences.push(sequence);
            }
        }
        assert_eq!(sequences, lengths.iter().flat_map(|&count| 1..=count).collect::<Vec<_>>());
    }
}

#[test]
fn a_message_above_every_bound_has_a_window_of_its_own() {
    let windows = windows(vec![5 << 20, 10, 5 << 20], PlainWriter("c"), &settings());
    let lengths: Vec<u32> = windows.iter().map(|(count, _)| *count).collect();
    assert_eq!(lengths, [1, 2]);
}

#[test]
fn figures_by_rule_count_an_event_once_although_it_is_prepared_again() {
    let queue = Arc::new(Large { sizes: vec![10; 10] });
    let mut feeder = Feeder::new(queue, PlainWriter("c"), &settings());
    assert_eq!(feeder.prepare(0, None, Vec::new()).unwrap().unwrap().rules, [("plain", 10)]);
    assert_eq!(feeder.prepare(4, None, Vec::new()).unwrap().unwrap().rules, []);
}

/// Its events come from the past.
struct Late(PlainWriter);

impl EventWriter for Late {
    fn write_event(&mut self, out: &mut Vec<u8>, seq: u64, origin: &Origin, raw: &[u8]) -> &'static str {
        self.0.write_event(out, seq, origin, raw)
    }

    fn clock_was_far_off(&self) -> bool {
        true
    }
}

#[test]
fn clocks_that_are_far_off_count_an_event_once_as_well() {
    let queue = Arc::new(Large { sizes: vec![10; 10] });
    let mut feeder = Feeder::new(queue, Late(PlainWriter("c")), &settings());
    assert_eq!(feeder.prepare(0, None, Vec::new()).unwrap().unwrap().clocks_far_off, 10);
    assert_eq!(feeder.prepare(4, None, Vec::new()).unwrap().unwrap().clocks_far_off, 0);
}

/// Makes much of little, as JSON does of control characters.
struct Unfolding;

impl EventWriter for Unfolding {
    fn write_event(&mut self, out: &mut Vec<u8>, _seq: u64, _origin: &Origin, _raw: &[u8]) -> &'static str {
        out.resize(out.len() + (1 << 20), b'x');
        "plain"
    }
}

#[test]
fn what_grows_in_json_makes_windows_of_fewer_events() {
    let windows = windows(vec![10; 10], Unfolding, &settings());
    let lengths: Vec<u32> = windows.iter().map(|(count, _)| *count).collect();
    assert_eq!(lengths, [4, 4, 2]);
}
