use super::*;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use std::io::Write;

/// A frame with its own memory, to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Window(u32),
    Event(u32, Vec<u8>),
    Ack(u32),
}

/// Decodes `bytes` in pieces of the given sizes, the last one repeated.
fn decode(bytes: &[u8], pieces: &[usize], limits: Limits) -> Result<Vec<Owned>, Garbage> {
    let mut decoder = Decoder::new(limits);
    let mut frames = Vec::new();
    let mut rest = bytes;
    let mut sizes = pieces.iter().chain(std::iter::repeat(pieces.last().unwrap_or(&usize::MAX)));
    while !rest.is_empty() {
        let size = (*sizes.next().unwrap()).clamp(1, rest.len());
        decoder.feed(&rest[..size]);
        rest = &rest[size..];
        while let Some(frame) = decoder.next()? {
            frames.push(match frame {
                Frame::Window(count) => Owned::Window(count),
                Frame::Event { sequence, json } => Owned::Event(sequence, json.to_vec()),
                Frame::Ack(sequence) => Owned::Ack(sequence),
            });
        }
    }
    assert!(decoder.is_empty() || decoder.buffer.len() <= bytes.len());
    Ok(frames)
}

fn window(level: u8, events: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = Encoder::new(level);
    encoder.begin(Vec::new());
    for event in events {
        encoder.event(|out| out.extend_from_slice(event));
    }
    encoder.finish()
}

fn compressed(plain: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(plain).unwrap();
    let zlib = zlib.finish().unwrap();
    let mut frame = b"2C".to_vec();
    frame.extend_from_slice(&u32::try_from(zlib.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&zlib);
    frame
}

#[test]
fn frames_are_as_the_specification_draws_them() {
    let expected =
        [b"2W\0\0\0\x02".as_slice(), b"2J\0\0\0\x01\0\0\0\x07{\"a\":1}", b"2J\0\0\0\x02\0\0\0\x02{}"]
            .concat();
    assert_eq!(window(0, &[b"{\"a\":1}".to_vec(), b"{}".to_vec()]), expected);
    assert_eq!(ack(258), *b"2A\0\0\x01\x02");
}

#[test]
fn an_encoder_starts_each_window_at_one_and_leaves_nothing_of_the_last() {
    for level in [0, 6] {
        let mut encoder = Encoder::new(level);
        let mut buffer = Vec::new();
        for event in [b"first".as_slice(), b"second"] {
            encoder.begin(buffer);
            encoder.event(|out| out.extend_from_slice(event));
            buffer = encoder.finish();
            let frames = decode(&buffer, &[1], Limits::RECEIVER).unwrap();
            assert_eq!(frames, [Owned::Window(1), Owned::Event(1, event.to_vec())], "level {level}");
        }
    }
}

#[test]
fn what_is_no_lumberjack_is_refused_at_its_first_wrong_byte() {
    let limits =
        Limits { window_events: 10, event_bytes: 10, compressed_bytes: 100, decompressed_bytes: 100 };
    let mut cut = compressed(b"2J\0\0\0\x01\0\0\0\x02{}");
    let last = cut.len() - 1;
    cut[last] ^= 1;
    let table: [(Vec<u8>, Garbage); 11] = [
        (b"1W\0\0".to_vec(), Garbage::Version(b'1')),
        (b"HTTP/1.1 400 Bad Request".to_vec(), Garbage::Version(b'H')),
        (b"2D".to_vec(), Garbage::Type(b'D')),
        (b"2W\0\0\0\x0b".to_vec(), Garbage::WindowTooLarge(11)),
        (b"2J\0\0\0\x01\0\0\0\x0b".to_vec(), Garbage::FrameTooLong(11)),
        (b"2C\0\0\0\x65".to_vec(), Garbage::FrameTooLong(101)),
        (b"2C\0\0\0\x04abcd".to_vec(), Garbage::Compressed),
        (compressed(b"2J\0\0\0\x01\0\0\0\x02{"), Garbage::Compressed),
        (compressed(&compressed(b"")), Garbage::Type(b'C')),
        (compressed(&[b'2'; 101]), Garbage::UnfoldsTooFar),
        (cut, Garbage::Compressed),
    ];
    for (bytes, garbage) in table {
        assert_eq!(decode(&bytes, &[1], limits), Err(garbage), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_sender_takes_acknowledgements_and_nothing_else() {
    assert_eq!(decode(&ack(7), &[1], Limits::SENDER), Ok(vec![Owned::Ack(7)]));
    assert!(decode(b"2W\0\0\0\x01", &[1], Limits::SENDER).is_err());
    assert!(decode(b"2J\0\0\0\x01\0\0\0\x01", &[1], Limits::SENDER).is_err());
    assert!(decode(b"2C\0\0\0\x01", &[1], Limits::SENDER).is_err());
}

#[test]
fn a_bomb_costs_its_bound_and_no_more() {
    // A thousand times its size: what deflate can do at most.
    let bomb = compressed(&vec![b'2'; 64 << 20]);
    let limits = Limits { decompressed_bytes: 1 << 20, ..Limits::RECEIVER };
    let mut decoder = Decoder::new(limits);
    decoder.feed(&bomb);
    assert_eq!(decoder.next(), Err(Garbage::UnfoldsTooFar));
    assert!(decoder.unfolded.capacity() <= 2 << 20, "{} bytes", decoder.unfolded.capacity());
}

proptest! {
    #[test]
    fn windows_come_back_whole_in_whatever_pieces(
        windows in prop::collection::vec(
            (0u8..=9, prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)), 0..6),
        pieces in prop::collection::vec(1usize..50, 1..20),
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (level, events) in &windows {
            bytes.extend_from_slice(&window(*level, events));
            expected.push(Owned::Window(u32::try_from(events.len()).unwrap()));
            expected.extend((1..).zip(events).map(|(n, event)| Owned::Event(n, event.clone())));
        }
        prop_assert_eq!(decode(&bytes, &pieces, Limits::RECEIVER).unwrap(), expected);
    }

    #[test]
    fn a_beginning_of_a_window_holds_the_events_that_a_receiver_reads_of_it(
        level in prop_oneof![Just(0u8), 0u8..=9],
        events in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = window(level, &events);
        for length in [cut.index(bytes.len() + 1), bytes.len()] {
            let mut decoder = Decoder::new(Limits::RECEIVER);
            decoder.feed(&bytes[..length]);
            let mut read = 0;
            while let Some(frame) = decoder.next().unwrap() {
                read += u32::from(matches!(frame, Frame::Event { .. }));
            }
            prop_assert_eq!(events_within(&bytes[..length]), read);
        }
    }

    #[test]
    fn garbage_never_panics_and_means_the_same_in_whatever_pieces(
        bytes in prop::collection::vec(
            prop_oneof![Just(b'2'), Just(b'W'), Just(b'J'), Just(b'C'), Just(b'A'), 0u8..3, any::<u8>()], 0..300),
        pieces in prop::collection::vec(1usize..50, 1..20),
    ) {
        let limits = Limits { window_events: 100, event_bytes: 100, compressed_bytes: 100, decompressed_bytes: 1000 };
        prop_assert_eq!(decode(&bytes, &pieces, limits), decode(&bytes, &[usize::MAX], limits));
    }

    #[test]
    fn a_damaged_compressed_window_never_panics(
        events in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..10),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut bytes = window(6, &events);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = decode(&bytes, &[7], Limits::RECEIVER);
    }
}
