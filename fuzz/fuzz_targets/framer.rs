//! However a stream is cut into reads, the same messages come of it, none empty, none above the bound, and no more is
//! kept between two reads than one message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soc_connector_fuzz::syslog::framing::{Frame, Framer, datagram};

/// A count of at most twelve digits, its space and a bracket are kept until they tell the framing.
const COUNT_BYTES: usize = 16;

type Messages = Vec<(Vec<u8>, bool)>;

fn frames(max: usize, reads: &[&[u8]]) -> Messages {
    let mut framer = Framer::new(max);
    let mut found = Vec::new();
    let mut each = |Frame { message, cut }: Frame<'_>| {
        assert!(!message.is_empty() && message.len() <= max);
        assert!(!cut || message.len() == max);
        found.push((message.to_vec(), cut));
    };
    for read in reads {
        framer.push(read, &mut each);
        assert!(framer.kept_bytes() <= max.max(COUNT_BYTES));
    }
    framer.finish(&mut each);
    assert_eq!(framer.kept_bytes(), 0);
    found
}

fuzz_target!(|input: &[u8]| {
    // Two bytes choose the bound and the length of a read; the rest is the stream.
    let [bound, step, stream @ ..] = input else { return };
    let max = if *bound == b' ' { 65_536 } else { usize::from(*bound) + 1 };
    let whole = frames(max, &[stream]);
    let reads: Vec<_> = stream.chunks(usize::from(*step % 64) + 1).collect();
    assert_eq!(whole, frames(max, &reads));
    let single: Vec<_> = stream.chunks(1).collect();
    assert_eq!(whole, frames(max, &single));
    let octets: usize = whole.iter().map(|(message, _)| message.len()).sum();
    assert!(octets <= stream.len(), "no byte comes twice");

    if let Some(Frame { message, cut }) = datagram(stream, max) {
        assert!(stream.starts_with(message) && !message.is_empty());
        assert_eq!(
            cut,
            message.len() == max && stream[max..].iter().any(|byte| !matches!(byte, b'\n' | b'\r' | 0))
        );
    } else {
        assert!(stream.iter().all(|byte| matches!(byte, b'\n' | b'\r' | 0)));
    }
});
