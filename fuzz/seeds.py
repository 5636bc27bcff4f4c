#!/usr/bin/env python3
"""seeds.py DIR: writes the corpus of tests/corpus as seeds, in the form that each fuzz target reads."""
import pathlib
import sys
import tomllib

target = pathlib.Path(sys.argv[1])
corpus = pathlib.Path(__file__).resolve().parent.parent / "tests" / "corpus"
messages = sorted({
    example["raw"].encode()
    for path in corpus.glob("*.toml")
    for family in tomllib.loads(path.read_text())["family"]
    for example in family["example"]
})
for name in ("framer", "parser", "event"):
    (target / name).mkdir(parents=True, exist_ok=True)
for index, raw in enumerate(messages):
    # By turns as a line, with an octet count, and ended by NUL; the next message follows, so that one boundary is inside.
    following = messages[(index + 1) % len(messages)]
    framed = (
        raw + b"\n" + following,
        b"%d %s%d %s" % (len(raw), raw, len(following), following),
        raw + b"\0" + following + b"\r\n",
    )[index % 3]
    for name, seed in (("framer", b" " + bytes([index % 64]) + framed), ("parser", raw), ("event", b"\x58" + raw)):
        (target / name / f"seed-{index:04}").write_bytes(seed)
print(f"{len(messages)} seeds for each target in {target}")
