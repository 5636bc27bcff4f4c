//! The settings file from end to end: what is wrong is named, what is written reads back, what people wrote stays.

use super::keys::SECTIONS;
use super::schema::Kind;
use super::*;
use crate::error::Code;
use crate::install::Install;
use crate::state::Mode;
use proptest::prelude::*;

fn path() -> &'static Path {
    Path::new("f.toml")
}

fn read(text: &str) -> Settings {
    parse(text, path()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn errors(text: &str) -> Vec<String> {
    let error = parse(text, path()).expect_err(text);
    assert_eq!(error.code(), Code::SettingsInvalid);
    error.what().lines().map(str::to_owned).collect()
}

/// Text, the line that is named, and what the message says there.
const WRONG: &[(&str, usize, &[&str])] = &[
    // Not TOML.
    ("[listener]\nsyslog_port 1514\n", 2, &["this is not TOML"]),
    ("[listener\n", 1, &["this is not TOML"]),
    ("[spool]\n\n[spool]\n", 3, &["this is not TOML", "duplicate"]),
    ("[spool]\nmax_mib = 64\nmax_mib = 65\n", 3, &["this is not TOML", "duplicate"]),
    // Unknown names.
    ("[listner]\n", 1, &["[listner] is no section", "did you mean listener?", "connector, engine, listener"]),
    ("\n\n[colour]\n", 3, &["[colour] is no section", "connector, engine"]),
    ("syslog_port = 514\n", 1, &["outside every section", "[listener]"]),
    ("[listener]\n# c\nsyslog_prt = 514\n", 3, &["listener.syslog_prt", "did you mean syslog_port?"]),
    ("[listener]\nidle_timeout = 5\n", 2, &["did you mean idle_timeout_s?", "max_connections"]),
    ("[listener.tls]\nport = 6514\n", 1, &["listener.tls is no setting"]),
    ("listener = 5\n", 1, &["listener is a section", "[listener]"]),
    // Wrong types.
    ("[listener]\nsyslog_port = \"514\"\n", 2, &["listener.syslog_port = \"514\"", "from 1 to 65535"]),
    ("[listener]\nsyslog_port = 514.0\n", 2, &["a whole number from 1 to 65535"]),
    ("[listener]\nsyslog_port = [514]\n", 2, &["listener.syslog_port = [514]"]),
    ("[listener.syslog_port]\nudp = 514\n", 1, &["listener.syslog_port is a section here", "65535"]),
    ("[engine]\nsudo = \"yes\"\n", 2, &["engine.sudo = \"yes\"", "true or false"]),
    ("[engine]\nsudo = 1\n", 2, &["true or false"]),
    ("[uplink]\nincubator = 443\n", 2, &["uplink.incubator = 443", "\"host:port\""]),
    ("[uplink]\nconcentrators = \"a:443\"\n", 2, &["a list of 1 to 16"]),
    // Out of bounds: one below and one above of each kind of bound.
    ("[listener]\nsyslog_port = 0\n", 2, &["listener.syslog_port = 0", "from 1 to 65535"]),
    ("[listener]\nsyslog_port = 65536\n", 2, &["from 1 to 65535"]),
    ("[listener]\nsyslog_port = -1\n", 2, &["from 1 to 65535"]),
    ("[listener]\nsyslog_port = 99999999999999999999\n", 2, &["this is not TOML"]),
    ("[listener]\nmax_message_bytes = 479\n", 2, &["from 480 to 1048576", "RFC 5424"]),
    ("[listener]\nidle_timeout_s = 604801\n", 2, &["0 (never) or a whole number from 1 to 604800"]),
    ("[spool]\nmax_mib = 63\n", 2, &["from 64 to"]),
    ("[spool]\nsync_interval_ms = 10001\n", 2, &["0 (sync every batch)", "milliseconds"]),
    ("[uplink]\ncompression = 10\n", 2, &["0 (not compressed) or a whole number from 1 to 9"]),
    ("[uplink]\nack_timeout_s = 0\n", 2, &["from 5 to 3600"]),
    ("[limits]\npids = 4294967424\n", 2, &["from 32 to 32768"]),
    // Wrong values.
    ("[connector]\nid = \"\"\n", 2, &["connector.id = \"\"", "1 to 64 of the characters"]),
    ("[connector]\nid = \"a b\"\n", 2, &["1 to 64 of the characters"]),
    ("[connector]\nid = \"ü\"\n", 2, &["1 to 64 of the characters"]),
    ("[engine]\nkind = \"Podman\"\n", 2, &["did you mean \"podman\"?", "one of \"podman\", \"docker\""]),
    ("[engine]\nkind = \"lxc\"\n", 2, &["one of \"podman\", \"docker\""]),
    ("[engine]\nnetwork = \"nat\"\n", 2, &["\"auto\", \"host\", \"bridge\", \"slirp4netns\""]),
    ("[engine]\nimage = \"-v /:/host\"\n", 2, &["an image reference"]),
    ("[engine]\nimage = \"\"\n", 2, &["an image reference"]),
    ("[listener]\naddresses = []\n", 2, &["there are 0", "a list of 1 to 16"]),
    (
        "[listener]\naddresses = [\n  \"::\",\n  \"eth0\",\n]\n",
        4,
        &["listener.addresses = \"eth0\"", "IPv4 or IPv6"],
    ),
    ("[listener]\naddresses = [\"::1\", \"0::1\"]\n", 2, &["it stands there twice"]),
    ("[normaliser]\ntime_zone = \"Europe/Berln\"\n", 2, &["did you mean \"Europe/Berlin\"?", "tz database"]),
    ("[normaliser]\ntime_zone = \"+01:00\"\n", 2, &["a name of the tz database"]),
    ("[spool]\nwhen_full = \"drop\"\n", 2, &["one of \"block\", \"drop-oldest\""]),
    ("[uplink]\nincubator = \"host\"\n", 2, &["\":port\" is missing"]),
    ("[uplink]\nconcentrators = [\n\"a:1\",\n\"b:0\"]\n", 4, &["uplink.concentrators = \"b:0\"", "no port"]),
    ("[uplink]\nconcentrators = [\"a:1\", \"A:1\"]\n", 2, &["it stands there twice"]),
    ("[uplink]\nformat = \"json\"\n", 2, &["did you mean \"ndjson\"?", "\"lumberjack\""]),
    ("[tls]\nca = \"\"\n", 2, &["the path of a file"]),
    ("[tls]\nissuer = \"\"\n", 2, &["1 to 64 characters"]),
    // The table of sources.
    ("[normaliser]\nsource = 5\n", 2, &["[[normaliser.source]]"]),
    ("[[normaliser.source]]\nnetwork = \"10.0.0.0/8\"\n", 2, &["number 1 has no time_zone and no charset"]),
    ("[[normaliser.source]]\ntime_zone = \"UTC\"\n", 2, &["number 1 has no network"]),
    (
        "[[normaliser.source]]\nnetwork = \"10.0.0.1/8\"\ntime_zone = \"UTC\"\n",
        2,
        &["did you mean \"10.0.0.0/8\"?"],
    ),
    (
        "[[normaliser.source]]\nnetwork = \"10.0.0.0/8\"\ntime_zone = 1\n",
        3,
        &["normaliser.source.time_zone = 1"],
    ),
    (
        "[[normaliser.source]]\nnetwork = \"10.0.0.0/8\"\ncharset = \"utf-16\"\n",
        3,
        &["normaliser.source.charset = \"utf-16\"", "UTF-16LE does not contain ASCII", "windows-1252"],
    ),
    ("[normaliser]\ncharset = \"latin\"\n", 2, &["a label of the WHATWG Encoding Standard"]),
    (
        "[[normaliser.source]]\nnet = \"10.0.0.0/8\"\n",
        2,
        &["normaliser.source.net is no setting", "network, time_zone, charset"],
    ),
    (
        "[[normaliser.source]]\nnetwork = \"10.0.0.1\"\ntime_zone = \"UTC\"\n\
         [[normaliser.source]]\nnetwork = \"10.0.0.1/32\"\ntime_zone = \"UTC\"\n",
        5,
        &["10.0.0.1/32 has a row already"],
    ),
    // Settings that contradict each other.
    ("[listener]\nmax_connections = 16384\n", 1, &["limits.files = 16384", "allowed: 16640 or more"]),
    ("[limits]\nfiles = 8000\n", 2, &["limits.files = 8000", "max_connections = 8192", "allowed: 8448"]),
];

#[test]
fn every_error_names_its_line_its_key_and_what_is_allowed() {
    for (text, line, says) in WRONG {
        let errors = errors(text);
        assert_eq!(errors.len(), 1, "{text}: {errors:#?}");
        assert!(errors[0].starts_with(&format!("f.toml:{line}: ")), "line {line} of\n{text}: {}", errors[0]);
        for part in *says {
            assert!(errors[0].contains(part), "{part:?} in {}", errors[0]);
        }
    }
}

#[test]
fn all_errors_of_a_file_are_named_at_once_in_its_order() {
    let text = "[uplink]\ncompresion = 3\nincubator = \"x\"\n[listener]\nsyslog_port = 0\n\
                [[normaliser.source]]\nnetwork = \"x\"\ntime_zone = \"y\"\n";
    let lines: Vec<String> =
        errors(text).iter().map(|error| error.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["f.toml:2", "f.toml:3", "f.toml:5", "f.toml:7", "f.toml:8"]);

    // Sections are read one after the other, even where one is continued behind another.
    let text =
        "[[normaliser.source]]\nnetwork = 1\ntime_zone = \"UTC\"\n[spool]\nx = 1\n[normaliser]\ny = 1\n";
    let lines: Vec<String> = errors(text).iter().map(|error| error[..8].to_owned()).collect();
    assert_eq!(lines, ["f.toml:2", "f.toml:5", "f.toml:7"]);
}

#[test]
fn a_file_that_is_something_else_does_not_flood_the_console() {
    let text = (0..1000).map(|n| format!("key{n} = {n}")).collect::<Vec<_>>().join("\n");
    let errors = errors(&text);
    assert_eq!(errors.len(), 21);
    assert!(errors[20].contains("980 more"), "{}", errors[20]);
    let long = format!("[tls]\nissuer = \"{}\"\n", "x".repeat(10_000));
    assert!(self::errors(&long)[0].len() < 300);
}

#[test]
fn all_spellings_of_toml_are_read() {
    let spelled = [
        "[listener]\nsyslog_port = 514\n",
        "listener.syslog_port = 514\n",
        "listener = { syslog_port = 514 }\n",
        "[listener]\r\n\"syslog_port\" = 0x202 # comment\r\n",
        "\u{feff}[listener]\nsyslog_port = 5_14",
    ];
    for text in spelled {
        assert_eq!(read(text).listener.syslog_port, 514, "{text}");
    }
    for text in [
        "[[normaliser.source]]\nnetwork = \"10.1.0.0/16\"\ntime_zone = \"Europe/Berlin\"\n",
        "[normaliser]\nsource = [ { network = \"10.1.0.0/16\", time_zone = \"Europe/Berlin\" } ]\n",
    ] {
        let sources = read(text).normaliser.sources;
        let row = Source {
            network: "10.1.0.0".parse().unwrap(),
            prefix_bits: 16,
            time_zone: Some(chrono_tz::Europe::Berlin),
            charset: None,
        };
        assert_eq!(sources, [row]);
    }
    assert_eq!(read(""), Settings::default());
}

#[test]
fn the_template_is_the_defaults_also_where_its_lines_are_uncommented() {
    assert_eq!(read(&TEMPLATE), Settings::default());
    // A setting's line begins with `#` and no space, but for the items of a list; what has no default is an example.
    let examples = [
        "#id = ",
        "#image = ",
        "#ca = ",
        "#[[",
        "#network = \"10.",
        "#time_zone = \"Europe",
        "#charset = \"windows",
    ];
    let uncommented: Vec<&str> = TEMPLATE
        .lines()
        .filter(|line| !examples.iter().any(|example| line.starts_with(example)))
        .map(|line| {
            let bare = line.strip_prefix('#').unwrap_or(line);
            if bare.starts_with(' ') && !bare.starts_with("    \"") { line } else { bare }
        })
        .collect();
    let uncommented = uncommented.join("\n");
    assert_eq!(read(&uncommented), Settings::default());
    let set = uncommented.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).count();
    let keys: usize = SECTIONS.iter().map(|section| section.keys.len()).sum();
    assert_eq!(
        set,
        keys - 3,
        "every setting but id, image and ca stands there with its default:\n{uncommented}"
    );
}

#[test]
fn every_setting_is_documented_with_what_is_allowed_and_its_default() {
    for section in SECTIONS {
        let header = format!("\n[{}]\n", section.name);
        let body = TEMPLATE.split(&header).nth(1).unwrap_or_else(|| panic!("{header}"));
        for key in section.keys {
            let line = format!("\n#{} = ", key.name);
            let before = body.split(&line).next().unwrap();
            assert!(before.len() < body.len(), "{}.{}", section.name, key.name);
            let comment = before.rsplit("\n\n").next().unwrap();
            assert!(
                comment.trim_start().starts_with(&format!("# {}", key.about.lines().next().unwrap())),
                "{comment}"
            );
            assert!(comment.contains("# Allowed: "), "{comment}");
            assert!(matches!(key.kind, Kind::List { .. }) || comment.contains("# Default: "), "{comment}");
        }
    }
    assert!(TEMPLATE.lines().all(|line| line.chars().count() <= 112), "fits on a screen");
}

#[test]
fn the_file_in_the_source_tree_is_the_template() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/soc-connector.toml");
    if std::env::var_os("UPDATE_FILES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, TEMPLATE.as_bytes()).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == *TEMPLATE, "run this test with UPDATE_FILES=1 to write {} anew", path.display());
}

/// Settings within their bounds, in the units of the file.
fn any_settings() -> impl Strategy<Value = Settings> {
    let number = any::<u64>();
    let numbers = proptest::collection::vec(number, 32);
    let words = proptest::collection::vec(any::<usize>(), 16);
    let texts = (
        "[A-Za-z0-9._-]{1,64}",
        proptest::option::of("[a-z0-9][a-z0-9._/:@-]{0,40}"),
        proptest::option::of("[^\\x00]{1,20}"),
        "[^\\p{C}]{1,64}",
        proptest::collection::btree_set("[a-z]([a-z0-9-]{0,20}[a-z0-9])?:[1-9][0-9]{0,3}", 1..8),
        proptest::collection::btree_set(any::<IpAddr>(), 1..8),
    );
    let rows =
        proptest::collection::btree_map(any::<u32>(), (0_u8..=32, 0..chrono_tz::TZ_VARIANTS.len()), 0..5);
    (numbers, words, texts, rows).prop_map(|(numbers, words, texts, rows)| {
        let mut settings = Settings::default();
        let (mut numbers, mut words) = (numbers.into_iter().cycle(), words.into_iter().cycle());
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            match &key.kind {
                Kind::Whole { min, max, set, .. } => {
                    set(&mut settings, min + numbers.next().unwrap() % (max - min + 1));
                }
                Kind::Flag { set, .. } => set(&mut settings, words.next().unwrap() % 2 == 0),
                Kind::OneOf { words: all, set, .. } => {
                    set(&mut settings, all[words.next().unwrap() % all.len()]);
                }
                Kind::Text { .. } | Kind::List { .. } => {}
            }
        }
        settings.listener.max_connections = settings.listener.max_connections.min(256);
        let (id, image, ca, issuer, concentrators, addresses) = texts;
        settings.connector.id = id;
        settings.engine.image = image;
        settings.tls = Tls { ca: ca.map(PathBuf::from), issuer };
        settings.uplink.concentrators = concentrators.iter().map(|text| text.parse().unwrap()).collect();
        settings.listener.addresses = addresses.into_iter().collect();
        for (network, (bits, zone)) in rows {
            let network = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0) & network;
            let row = Source {
                network: IpAddr::V4(network.into()),
                prefix_bits: bits,
                time_zone: (bits % 3 > 0).then_some(chrono_tz::TZ_VARIANTS[zone]),
                charset: (bits % 3 != 1).then_some(encoding_rs::SHIFT_JIS),
            };
            let known = &settings.normaliser.sources;
            if !known.iter().any(|r| (r.network, r.prefix_bits) == (row.network, row.prefix_bits)) {
                settings.normaliser.sources.push(row);
            }
        }
        settings
    })
}

proptest! {
    #[test]
    fn what_is_rendered_reads_back(settings in any_settings()) {
        prop_assert_eq!(parse(&render(&settings), path()).unwrap(), settings);
    }

    #[test]
    fn changes_take_effect_and_touch_nothing_else(settings in any_settings(), port in 1_u16.., docker: bool) {
        let changes = Changes {
            syslog_port: Change::Set(port),
            engine: Change::Set(if docker { EngineKind::Docker } else { EngineKind::Podman }),
            image: Change::Unset,
            ..Changes::default()
        };
        let text = edit(&render(&settings), &changes, path()).unwrap();
        prop_assert_eq!(&edit(&text, &changes, path()).unwrap(), &text, "the same again changes nothing");
        let mut expected = settings;
        expected.listener.syslog_port = port;
        expected.engine.kind = if docker { EngineKind::Docker } else { EngineKind::Podman };
        expected.engine.image = None;
        prop_assert_eq!(parse(&text, path()).unwrap(), expected);
    }

    #[test]
    fn every_other_line_stays_whatever_people_put_between(
        notes in proptest::collection::vec((0_usize..200, "(# ?[^\\p{C}]{0,20}| {0,3})"), 0..20)
    ) {
        let mut lines: Vec<String> = TEMPLATE.lines().map(str::to_owned).collect();
        for (at, note) in notes {
            lines.insert(at % (lines.len() + 1), note);
        }
        let text = lines.join("\n");
        prop_assume!(parse(&text, path()).is_ok());
        let changes = Changes {
            syslog_port: Change::Set(514),
            sudo: Change::Set(true),
            ca: Change::Set("ca.pem".to_owned()),
            ..Changes::default()
        };
        let edited = edit(&text, &changes, path()).unwrap();
        let changed: Vec<_> = edited.split('\n').zip(text.split('\n')).filter(|(new, old)| new != old).collect();
        prop_assert_eq!(edited.split('\n').count(), text.split('\n').count());
        prop_assert_eq!(changed.len(), 3, "{:?}", changed);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\[{0,2}(listener|normaliser\\.source|x)\\]{0,2}|[a-z_]{1,8}|[=\n\"{},.\\[\\]#0-9 ]){0,40}") {
        let _ = parse(&text, path());
    }
}

/// Before, changes, after.
fn edits() -> Vec<(&'static str, Changes, &'static str)> {
    let port = |port| Changes { syslog_port: Change::Set(port), ..Changes::default() };
    let docker =
        || Changes { engine: Change::Set(EngineKind::Docker), sudo: Change::Set(true), ..Changes::default() };
    let no_image = || Changes { image: Change::Unset, ..Changes::default() };
    vec![
        ("", Changes::default(), ""),
        ("", port(514), "\n[listener]\nsyslog_port = 514\n"),
        ("[engine]", docker(), "[engine]\nsudo = true\nkind = \"docker\"\n"),
        // A value that stands there, with everything people put around it.
        (
            "# ours\n[listener] # in\n\n  syslog_port=1514# why\n# after\n[spool]\nmax_mib = 1_024\n",
            port(514),
            "# ours\n[listener] # in\n\n  syslog_port=514# why\n# after\n[spool]\nmax_mib = 1_024\n",
        ),
        ("[listener]\r\nsyslog_port = 1514\r\n# c\r\n", port(6), "[listener]\r\nsyslog_port = 6\r\n# c\r\n"),
        ("\u{feff}[listener]\nsyslog_port = 1\n", port(6), "\u{feff}[listener]\nsyslog_port = 6\n"),
        ("listener.syslog_port = 1514 # c\n", port(6), "listener.syslog_port = 6 # c\n"),
        ("listener = { syslog_port = 1 } # c\n", port(6), "listener = { syslog_port = 6 } # c\n"),
        // The line that shows the default, in this section and in no other.
        (
            "[spool]\n#syslog_port = 1\n[listener]\n# text\n#syslog_port = 1514\n#x = 1\n",
            port(6),
            "[spool]\n#syslog_port = 1\n[listener]\n# text\nsyslog_port = 6\n#x = 1\n",
        ),
        ("[listener]\r\n#syslog_port = 1514\r\n", port(6), "[listener]\r\nsyslog_port = 6\r\n"),
        (
            "[listener]\n  #syslog_port = 1514   # 514 is rsyslog's\n",
            port(6),
            "[listener]\n  syslog_port = 6   # 514 is rsyslog's\n",
        ),
        ("[listener]\n#syslog_port = see below\n", port(6), "[listener]\nsyslog_port = 6\n"),
        // No line at all.
        ("[listener] # c\n# text\n[spool]\n", port(6), "[listener] # c\nsyslog_port = 6\n# text\n[spool]\n"),
        ("[listener]\r\n# text\r\n", port(6), "[listener]\r\nsyslog_port = 6\r\n# text\r\n"),
        ("# no end", port(6), "# no end\n\n[listener]\nsyslog_port = 6\n"),
        ("listener = {}\n", port(6), "listener = { syslog_port = 6 }\n"),
        // Back to the default.
        (
            "[engine]\n  image = \"a\" # c\nsudo = true\n",
            no_image(),
            "[engine]\n  #image = \"a\" # c\nsudo = true\n",
        ),
        ("[engine]\nsudo = true\n", no_image(), "[engine]\nsudo = true\n"),
        ("engine = { image = \"a\", sudo = true }\n", no_image(), "engine = { sudo = true }\n"),
    ]
}

#[test]
fn edits_keep_everything_that_people_wrote() {
    for (before, changes, after) in edits() {
        let edited = edit(before, &changes, path()).unwrap_or_else(|error| panic!("{error}: {before}"));
        assert_eq!(edited, after, "{before}");
        assert_eq!(edit(after, &changes, path()).unwrap(), after, "again");
    }
}

#[test]
fn an_edit_of_the_template_changes_one_line() {
    let changes = Changes { syslog_port: Change::Set(514), ..Changes::default() };
    let edited = edit(&TEMPLATE, &changes, path()).unwrap();
    assert_eq!(edited, TEMPLATE.replace("#syslog_port = 1514\n", "syslog_port = 514\n"));
    let back = Changes { syslog_port: Change::Unset, ..Changes::default() };
    let back = edit(&edited, &back, path()).unwrap();
    assert_eq!(read(&back), Settings::default());
    assert_eq!(back.lines().count(), TEMPLATE.lines().count());
}

#[test]
fn an_edit_that_would_make_the_file_wrong_is_refused() {
    let wrong_id = Changes { id: Change::Set("a b".to_owned()), ..Changes::default() };
    let error = edit("", &wrong_id, path()).unwrap_err();
    assert_eq!(error.code(), Code::SettingsInvalid);
    assert!(error.what().contains("connector.id = \"a b\"") && error.what().contains("1 to 64"), "{error}");
    assert!(!error.what().contains("f.toml"), "it is the option that is wrong, not the file: {error}");
    let error = edit("[spool]\nmax_mib = 1\n", &Changes::default(), path()).unwrap_err();
    assert!(error.what().contains("f.toml:2: spool.max_mib"), "{error}");
}

fn install() -> (tempfile::TempDir, Install) {
    let dir = tempfile::tempdir().unwrap();
    let install = Install::open(dir.path()).unwrap();
    install.create_layout().unwrap();
    (dir, install)
}

#[test]
fn setup_writes_the_file_once_and_keeps_id_and_edits() {
    let (_dir, install) = install();
    assert_eq!(load(&install).unwrap_err().code(), Code::SettingsUnreadable, "none yet");

    let docker = Changes { engine: Change::Set(EngineKind::Docker), ..Changes::default() };
    let first = prepare(&install, &docker).unwrap();
    assert_eq!((first.engine.kind, first.connector.id.len()), (EngineKind::Docker, 16));
    assert_eq!(load(&install).unwrap(), first);

    let file = install.settings_file();
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("# ours\n");
    std::fs::write(&file, &text).unwrap();
    assert_eq!(
        prepare(&install, &Changes::default()).unwrap(),
        first,
        "an option not given keeps what was set"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let inode = |file: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(file).unwrap());
    let before = inode(&file);
    prepare(&install, &docker).unwrap();
    assert_eq!(inode(&file), before, "a file that needs no change is not written");

    let (_other_dir, other) = self::install();
    assert_ne!(prepare(&other, &Changes::default()).unwrap().connector.id, first.connector.id);
}

#[test]
fn after_a_reset_the_id_is_that_of_the_events_which_wait() {
    for (has_events, is_kept) in [(true, true), (false, false)] {
        let (_dir, install) = install();
        let first = prepare(&install, &Changes::default()).unwrap();
        std::fs::rename(install.settings_file(), install.old_settings_file()).unwrap();
        let spool = install.spool_dir(Mode::Production);
        std::fs::create_dir_all(&spool).unwrap();
        if has_events {
            std::fs::write(spool.join("state"), "").unwrap();
        }
        let second = prepare(&install, &Changes::default()).unwrap();
        assert_eq!(second.connector.id == first.connector.id, is_kept, "events: {has_events}");
        let named = Changes { id: Change::Set("named".to_owned()), ..Changes::default() };
        std::fs::remove_file(install.settings_file()).unwrap();
        assert_eq!(prepare(&install, &named).unwrap().connector.id, "named", "an option is stronger");
    }
}

#[test]
fn setup_writes_nothing_where_something_is_wrong() {
    let (_dir, install) = install();
    let wrong = Changes { image: Change::Set(" ".to_owned()), ..Changes::default() };
    assert_eq!(prepare(&install, &wrong).unwrap_err().code(), Code::SettingsInvalid);
    assert!(!install.settings_file().exists());
    let text = "[connector]\nid = \"a\"\ncolour = 1\n";
    std::fs::write(install.settings_file(), text).unwrap();
    assert_eq!(prepare(&install, &Changes::default()).unwrap_err().code(), Code::SettingsInvalid);
    assert_eq!(std::fs::read_to_string(install.settings_file()).unwrap(), text);
}

#[test]
fn a_file_that_cannot_be_read_as_text_is_named() {
    let (_dir, install) = install();
    let file = install.settings_file();
    std::fs::write(&file, b"\xff\xfe").unwrap();
    assert_eq!(load(&install).unwrap_err().code(), Code::SettingsUnreadable);
    std::fs::write(&file, "#".repeat(1_048_577)).unwrap();
    assert_eq!(load(&install).unwrap_err().code(), Code::SettingsUnreadable);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(load(&install).unwrap_err().code(), Code::SettingsUnreadable);
}

#[test]
fn a_file_without_an_id_is_not_run_with() {
    let (_dir, install) = install();
    std::fs::write(install.settings_file(), "").unwrap();
    let error = load(&install).unwrap_err();
    assert_eq!(error.code(), Code::SettingsInvalid);
    assert!(error.what().contains("connector.id"), "{error}");
}
