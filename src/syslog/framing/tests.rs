use super::*;
use proptest::prelude::*;

const MAX: usize = 64;

/// The messages of a stream that comes in reads of the given lengths, then ends.
fn frames_of(stream: &[u8], max: usize, mut lengths: impl Iterator<Item = usize>) -> Vec<(Vec<u8>, bool)> {
    let mut framer = Framer::new(max);
    let mut found = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (read, later) = rest.split_at(lengths.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        framer.push(read, |frame| found.push((frame.message.to_vec(), frame.cut)));
        assert!(framer.kept_bytes() <= max.max(MAX_COUNT_DIGITS + 3), "{} bytes kept", framer.kept_bytes());
        assert!(!framer.delivered || framer.kept.capacity() == 0, "memory is kept for what is delivered");
        rest = later;
    }
    framer.finish(|frame| found.push((frame.message.to_vec(), frame.cut)));
    assert_eq!(framer.kept_bytes(), 0);
    found
}

fn whole(stream: &[u8]) -> Vec<(String, bool)> {
    let text = |(message, cut): (Vec<u8>, bool)| (String::from_utf8(message).unwrap(), cut);
    let at_once: Vec<_> = frames_of(stream, MAX, std::iter::empty()).into_iter().map(text).collect();
    let byte_by_byte: Vec<_> = frames_of(stream, MAX, std::iter::repeat(1)).into_iter().map(text).collect();
    assert_eq!(at_once, byte_by_byte, "the same in one read and in many");
    at_once
}

/// Streams and the messages in them; a message that has to be cut ends with `…`.
#[test]
fn a_stream_is_cut_into_its_messages() {
    let long = "a".repeat(MAX);
    let table: &[(&str, String, &[&str])] = &[
        ("lines", "<13>one\n<14>two\n".into(), &["<13>one", "<14>two"]),
        ("no trailer at the end", "<13>one\n<14>two".into(), &["<13>one", "<14>two"]),
        ("CR LF", "<13>one\r\n<14>two\r\n".into(), &["<13>one", "<14>two"]),
        ("CR alone splits nothing", "<13>one\rtwo\n".into(), &["<13>one\rtwo"]),
        ("NUL, as Python's SysLogHandler sends", "<13>one\0<14>two\0".into(), &["<13>one", "<14>two"]),
        ("NUL and LF", "<13>one\0\n<14>two\0\n".into(), &["<13>one", "<14>two"]),
        ("empty frames", "\n\r\n\0\n<13>one\n\n\n".into(), &["<13>one"]),
        ("octets", "7 <13>one7 <14>two".into(), &["<13>one", "<14>two"]),
        ("octets with LF inside", "11 <13>one\ntwo7 <14>two".into(), &["<13>one\ntwo", "<14>two"]),
        ("octets and LF behind", "7 <13>one\n7 <14>two\n".into(), &["<13>one", "<14>two"]),
        ("octets with a counted LF", "8 <13>one\n8 <14>two\n".into(), &["<13>one", "<14>two"]),
        ("octets with a counted NUL", "8 <13>one\08 <14>two\0".into(), &["<13>one", "<14>two"]),
        (
            "both on one connection",
            "7 <13>one<14>two\n9 <15>three\n".into(),
            &["<13>one", "<14>two", "<15>three"],
        ),
        ("a year is no count", "2026 was good\n<13>x\n".into(), &["2026 was good", "<13>x"]),
        ("nor is a number before a sign", "5 < 6 is true\n".into(), &["5 < 6 is true"]),
        ("a leading zero is no count", "07 <13>one\n".into(), &["07 <13>one"]),
        ("a count alone", "7".into(), &["7"]),
        ("a count and a space", "7 ".into(), &["7 "]),
        ("a count and half a PRI", "7 <".into(), &["7 <"]),
        ("the end inside counted octets", "40 <13>one".into(), &["<13>one"]),
        ("too small for a PRI", "2 <13>one\n<14>two\n".into(), &["2 <13>one", "<14>two"]),
        (
            "a count that is none",
            "99999999999999999999999 <13>one\n<14>two\n".into(),
            &["99999999999999999999999 <13>one", "<14>two"],
        ),
        (
            "more octets than anyone sends",
            "999999999 <13>one\n7 <14>two".into(),
            &["999999999 <13>one", "<14>two"],
        ),
        ("a count too small", "5 <13>one7 <14>two7 <15>thr".into(), &["<13>o", "ne", "<14>two", "<15>thr"]),
        (
            "a count too small, with LF",
            "5 <13>one\nmore7 <14>two".into(),
            &["<13>o", "ne", "more", "<14>two"],
        ),
        (
            "a count too large",
            "12 <13>one7 <14>two7 <15>thr7 <16>fou".into(),
            &["<13>one7 <14", ">two", "<15>thr", "<16>fou"],
        ),
        ("as long as the bound", format!("{long}\n<13>x\n"), &[&long, "<13>x"]),
        ("as long as the bound, CR LF", format!("{long}\r\n<13>x\n"), &[&long, "<13>x"]),
        ("longer", format!("{long}bc\n<13>x\n"), &[&format!("{long}…"), "<13>x"]),
        ("longer, at the end", format!("{long}bc"), &[&format!("{long}…")]),
        ("longer by CR inside", format!("{long}\r\rb\n<13>x\n"), &[&format!("{long}…"), "<13>x"]),
        (
            "octets beyond the bound are skipped, whatever they look like",
            format!("{} <13>{}\n7 <14>two7 <15>thr", 4 + MAX + 10, "b".repeat(MAX)),
            &[&format!("<13>{}…", "b".repeat(MAX - 4)), "<15>thr"],
        ),
        (
            "octets of the bound and a trailer",
            format!("{} <13>{}\n7 <14>two", MAX + 1, "b".repeat(MAX - 4)),
            &[&format!("<13>{}", "b".repeat(MAX - 4)), "<14>two"],
        ),
        ("spaces are a message", "   \n".into(), &["   "]),
    ];
    for (name, stream, messages) in table {
        let expected: Vec<_> = messages
            .iter()
            .map(|message| match message.strip_suffix('…') {
                Some(message) => (message.to_owned(), true),
                None => ((*message).to_owned(), false),
            })
            .collect();
        assert_eq!(whole(stream.as_bytes()), expected, "{name}");
    }
}

#[test]
fn a_datagram_is_one_message() {
    let message = |bytes| datagram(bytes, 8).map(|frame| (frame.message, frame.cut));
    assert_eq!(message(b"<13>x\n"), Some((&b"<13>x"[..], false)));
    assert_eq!(message(b"<13>x\r\n\0\n"), Some((&b"<13>x"[..], false)));
    assert_eq!(message(b"<13>\nx\0y"), Some((&b"<13>\nx\0y"[..], false)));
    assert_eq!(message(b"<13>5678\n"), Some((&b"<13>5678"[..], false)));
    assert_eq!(message(b"<13>56789"), Some((&b"<13>5678"[..], true)));
    assert_eq!(message(b"\r\n\0"), None);
    assert_eq!(message(b""), None);
}

#[test]
fn a_message_that_lies_whole_in_a_read_is_not_copied() {
    let read = b"<13>one\n7 <14>two<15>three\r\n<16>rest";
    let mut framer = Framer::new(MAX);
    let mut borrowed = 0;
    framer.push(read, |frame| borrowed += usize::from(read.as_ptr_range().contains(&frame.message.as_ptr())));
    assert_eq!(borrowed, 3);
    assert_eq!(framer.kept_bytes(), b"<16>rest".len());
}

/// Streams in which counts, signs and trailers are likely, right and wrong.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-z <>0-9]{0,12}".prop_map(String::into_bytes),
        4 => "<[0-9]{1,3}>[a-z\n ]{0,20}".prop_map(|text| format!("{} {text}", text.len()).into_bytes()),
        2 => ("[a-z]{0,90}", 0_usize..120).prop_map(|(text, count)| format!("{count} <13>{text}").into_bytes()),
        2 => "[1-9][0-9]{0,22} <[0-9]".prop_map(String::into_bytes),
        2 => prop_oneof![Just("\n"), Just("\r\n"), Just("\0"), Just("\r"), Just("\n\n")]
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..80),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn reads_of_any_length_give_the_same_messages(
        stream in streams(),
        lengths in prop::collection::vec(1_usize..40, 1..40),
        max in prop_oneof![Just(1_usize), 2_usize..8, 8_usize..100],
    ) {
        let at_once = frames_of(&stream, max, std::iter::empty());
        prop_assert!(at_once.iter().all(|(message, _)| !message.is_empty() && message.len() <= max));
        prop_assert!(at_once.iter().all(|(message, cut)| !cut || message.len() == max));
        prop_assert_eq!(&frames_of(&stream, max, lengths.iter().copied().cycle()), &at_once);
        prop_assert_eq!(&frames_of(&stream, max, std::iter::repeat(1)), &at_once);
    }

    #[test]
    fn what_was_framed_comes_out_as_it_was(
        messages in prop::collection::vec(("<[0-9]{1,3}>[^\n\r\0]{0,50}", any::<bool>()), 0..20),
        lengths in prop::collection::vec(1_usize..40, 1..40),
    ) {
        let mut stream = Vec::new();
        for (message, counted) in &messages {
            let framed = if *counted { format!("{} {message}", message.len()) } else { format!("{message}\n") };
            stream.extend_from_slice(framed.as_bytes());
        }
        let found = frames_of(&stream, 4096, lengths.iter().copied().cycle());
        let expected: Vec<_> = messages.iter().map(|(message, _)| (message.clone().into_bytes(), false)).collect();
        prop_assert_eq!(found, expected);
    }
}
