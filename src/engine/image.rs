//! The container image, made from the running binary: no registry and no build tool is needed.
//!
//! # Format
//!
//! A docker-archive as `docker save` writes it and both engines load: `manifest.json`, a configuration named after its
//! SHA-256, and one layer (tar) with one file, `/soc-connector`. Everything in it follows from the binary and its
//! version: no clock, no host, no user. So the same binary gives the same archive, and the image's id, which is the
//! SHA-256 of the configuration, is the same in every engine and on every host; two sites can compare it.
//!
//! The root of the image holds nothing else, so the binary must be static; one that asks for a program interpreter is
//! refused with E312.

use crate::error::{Code, Error, Result};
use bytes::Bytes;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

/// Where the binary is in the image.
pub const ENTRYPOINT: &str = "/soc-connector";
/// Repository part of the image's name; the tag is the version.
pub const REPOSITORY: &str = "localhost/soc-connector";
/// What a released image may be at most, in bytes.
pub const MAX_RELEASE_BYTES: u64 = 20_000_000;
/// What is read or built at all, in bytes: a debug build with all its symbols stays below.
const MAX_ARCHIVE_BYTES: u64 = 512 << 20;

/// When every part of the image was "made": a real time would make each build another image.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// An image ready to be loaded.
#[derive(Debug, Clone)]
pub struct Image {
    /// `sha256:…`, as the engines will name it.
    pub id: String,
    /// `localhost/soc-connector:VERSION`.
    pub reference: String,
    /// The archive.
    pub archive: Bytes,
}

impl Image {
    /// Makes the image from the running binary. E312 where it is not static.
    pub fn of_this_program() -> Result<Self> {
        // The link, not the path behind it: it stays right when the file was replaced by an update meanwhile.
        let program = Path::new("/proc/self/exe");
        Self::of_file(program)
    }

    /// Makes the image from a soc-connector binary.
    pub fn of_file(program: &Path) -> Result<Self> {
        let binary = read_bounded(program)?;
        Self::of_binary(&binary, env!("CARGO_PKG_VERSION"))
    }

    /// Makes the image. Pure: the same arguments give the same bytes.
    pub fn of_binary(binary: &[u8], version: &str) -> Result<Self> {
        let architecture = check_static(binary)?;
        let layer = tar([("soc-connector", 0o755, binary)]);
        let layer_digest = sha256(&layer);
        let config = configuration(architecture, version, &layer_digest);
        let config_digest = sha256(&config);
        let reference = format!("{REPOSITORY}:{version}");
        let config_name = format!("{config_digest}.json");
        let layer_name = format!("{layer_digest}.tar");
        let manifest =
            json!([{"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}]).to_string();
        let archive = tar([
            (config_name.as_str(), 0o644, config.as_slice()),
            (layer_name.as_str(), 0o644, layer.as_slice()),
            ("manifest.json", 0o644, manifest.as_bytes()),
        ]);
        Ok(Self { id: format!("sha256:{config_digest}"), reference, archive: archive.into() })
    }

    /// Writes the archive, for a host that is to load it from a file.
    pub fn save(&self, path: &Path) -> Result<()> {
        crate::install::write_atomically(path, &self.archive)
    }

    /// Reads an archive, plain or gzip, and checks that it is an image of soc-connector whose parts are whole. E314
    /// where it is not.
    pub fn load_file(path: &Path) -> Result<Self> {
        let wrong = |what: &str| Error::new(Code::ImageFileInvalid, format!("{}: {what}", path.display()));
        let mut bytes = read_bounded(path)?;
        if bytes.starts_with(&GZIP_MAGIC) {
            let mut plain = Vec::new();
            GzDecoder::new(bytes.as_slice())
                .take(MAX_ARCHIVE_BYTES + 1)
                .read_to_end(&mut plain)
                .map_err(|error| wrong("is not a whole gzip file").caused_by(error))?;
            bytes = plain;
        }
        Self::of_archive(bytes.into()).map_err(|what| wrong(&what))
    }

    /// Checks an archive: the manifest, and that configuration and layers are what their digests say.
    fn of_archive(archive: Bytes) -> Result<Self, String> {
        if archive.len() as u64 > MAX_ARCHIVE_BYTES {
            return Err(format!("is bigger than {MAX_ARCHIVE_BYTES} bytes"));
        }
        let parts = entries(&archive)?;
        let part = |name: &str| parts.get(name).copied().ok_or_else(|| format!("has no {name}"));
        let manifest: Value =
            serde_json::from_slice(part("manifest.json")?).map_err(|e| format!("manifest.json: {e}"))?;
        let [image] = manifest.as_array().map(Vec::as_slice).unwrap_or_default() else {
            return Err("does not hold exactly one image".into());
        };
        let config = part(image["Config"].as_str().unwrap_or_default())?;
        let layers: Vec<&str> =
            image["Layers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let parsed: Value = serde_json::from_slice(config).map_err(|e| format!("configuration: {e}"))?;
        let digests: Vec<&str> =
            parsed["rootfs"]["diff_ids"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if layers.is_empty() || layers.len() != digests.len() {
            return Err("has another number of layers than its configuration says".into());
        }
        for (layer, digest) in layers.iter().zip(&digests) {
            if format!("sha256:{}", sha256(part(layer)?)) != *digest {
                return Err(format!("layer {layer} is damaged: its SHA-256 is another than {digest}"));
            }
        }
        if parsed["config"]["Entrypoint"][0] != ENTRYPOINT {
            return Err(format!("is another program's image: its entry point is not {ENTRYPOINT}"));
        }
        let reference = image["RepoTags"][0].as_str().unwrap_or_default().to_owned();
        Ok(Self { id: format!("sha256:{}", sha256(config)), reference, archive })
    }

    /// E313 where the archive is bigger than a released one may be.
    pub fn check_release_size(&self) -> Result<()> {
        let size = self.archive.len() as u64;
        if size <= MAX_RELEASE_BYTES {
            return Ok(());
        }
        Err(Error::new(
            Code::ImageTooBig,
            format!("the image has {size} bytes, and {MAX_RELEASE_BYTES} are the most for a release"),
        ))
    }
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_ARCHIVE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            Error::new(Code::ImageFileInvalid, format!("{} cannot be read", path.display())).caused_by(error)
        })?;
    if read as u64 > MAX_ARCHIVE_BYTES {
        return Err(Error::new(
            Code::ImageTooBig,
            format!("{} is bigger than {MAX_ARCHIVE_BYTES} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

/// The image's configuration (OCI image-spec, `config.md`; `Healthcheck` is Docker's own). The keys are sorted, so the
/// text follows from the values alone.
fn configuration(architecture: &str, version: &str, layer_digest: &str) -> Vec<u8> {
    let check = super::container::HealthCheck::default();
    json!({
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": {
            "Entrypoint": [ENTRYPOINT],
            "Cmd": ["run"],
            "WorkingDir": super::container::DIR_INSIDE,
            "ExposedPorts": {"1514/tcp": {}, "1514/udp": {}},
            "StopSignal": "SIGTERM",
            "Healthcheck": {
                "Test": ["CMD", ENTRYPOINT, "health"],
                "Interval": check.interval.as_nanos() as u64,
                "Timeout": check.timeout.as_nanos() as u64,
                "Retries": check.retries,
                "StartPeriod": check.start_period.as_nanos() as u64,
            },
            "Labels": {
                "org.opencontainers.image.title": "soc-connector",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.description": env!("CARGO_PKG_DESCRIPTION"),
                "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
        "history": [{"created": CREATED, "created_by": "soc-connector"}],
    })
    .to_string()
    .into_bytes()
}

/// A tar whose bytes follow from names, modes and contents.
fn tar<'a>(files: impl IntoIterator<Item = (&'a str, u32, &'a [u8])>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, mode, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content).expect("names are short and memory takes everything");
    }
    builder.into_inner().expect("memory takes everything")
}

/// The regular files of a tar by name.
fn entries(archive: &[u8]) -> Result<BTreeMap<String, &[u8]>, String> {
    let mut found = BTreeMap::new();
    let mut reader = tar::Archive::new(Cursor::new(archive));
    for entry in reader.entries().map_err(|error| format!("is not a tar archive: {error}"))? {
        let entry = entry.map_err(|error| format!("is not a whole tar archive: {error}"))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().map_err(|error| error.to_string())?.to_string_lossy().into_owned();
        let start = entry.raw_file_position() as usize;
        let content = usize::try_from(entry.size())
            .ok()
            .and_then(|size| archive.get(start..start.checked_add(size)?))
            .ok_or_else(|| format!("ends inside {name}"))?;
        found.insert(name, content);
    }
    Ok(found)
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

/// Checks that an ELF binary needs nothing but the kernel, and returns its architecture in the image-spec's word
/// (that of Go's GOARCH). ELF: System V ABI, chapters 4 and 5; `PT_INTERP` is what a dynamic program has.
fn check_static(binary: &[u8]) -> Result<&'static str> {
    const ELF_MAGIC_64_LITTLE: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
    const PT_INTERP: u32 = 3;
    const EM_X86_64: u16 = 62;
    const EM_AARCH64: u16 = 183;
    const EM_RISCV: u16 = 243;
    let wrong = |what: &str| Error::new(Code::ImageNotStatic, format!("this program {what}"));
    let short = || wrong("ends inside its own headers");
    let half = |at: usize| {
        binary.get(at..at + 2).map(|b| u16::from_le_bytes(b.try_into().expect("two bytes"))).ok_or_else(short)
    };
    if !binary.starts_with(&ELF_MAGIC_64_LITTLE) {
        return Err(wrong("is not a 64-bit Linux binary"));
    }
    let architecture = match half(18)? {
        EM_X86_64 => "amd64",
        EM_AARCH64 => "arm64",
        EM_RISCV => "riscv64",
        _ => return Err(wrong("is of an architecture that images of it are not made for")),
    };
    let table = binary
        .get(32..40)
        .map(|b| u64::from_le_bytes(b.try_into().expect("eight bytes")))
        .and_then(|offset| usize::try_from(offset).ok())
        .ok_or_else(short)?;
    let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
    for index in 0..count {
        let kind = table
            .checked_add(index * size)
            .and_then(|at| binary.get(at..at.checked_add(4)?))
            .map(|b| u32::from_le_bytes(b.try_into().expect("four bytes")))
            .ok_or_else(short)?;
        if kind == PT_INTERP {
            return Err(wrong("needs a dynamic linker, and the image has none"));
        }
    }
    Ok(architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least ELF header with one program header of this kind.
    fn elf(machine: u16, program_header: u32) -> Vec<u8> {
        let mut elf = vec![0; 64 + 56];
        elf[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        elf[18..20].copy_from_slice(&machine.to_le_bytes());
        elf[32..40].copy_from_slice(&64_u64.to_le_bytes());
        elf[54..56].copy_from_slice(&56_u16.to_le_bytes());
        elf[56..58].copy_from_slice(&1_u16.to_le_bytes());
        elf[64..68].copy_from_slice(&program_header.to_le_bytes());
        elf
    }

    const LOAD: u32 = 1;
    const INTERP: u32 = 3;

    #[test]
    fn the_same_binary_gives_the_same_bytes_and_another_one_another_image() {
        let binary = elf(62, LOAD);
        let first = Image::of_binary(&binary, "1.2.3").expect("static");
        let second = Image::of_binary(&binary, "1.2.3").expect("static");
        assert_eq!(first.archive, second.archive);
        assert_eq!(first.reference, "localhost/soc-connector:1.2.3");
        let mut other = binary;
        other.push(0);
        assert_ne!(first.id, Image::of_binary(&other, "1.2.3").expect("static").id);
    }

    #[test]
    fn the_archive_holds_one_executable_file_of_root() {
        let binary = elf(183, LOAD);
        let image = Image::of_binary(&binary, "1.2.3").expect("static");
        let parts = entries(&image.archive).expect("a tar");
        let manifest: Value = serde_json::from_slice(parts["manifest.json"]).expect("JSON");
        let config_name = manifest[0]["Config"].as_str().expect("text");
        assert_eq!(format!("sha256:{}", config_name.trim_end_matches(".json")), image.id);
        let config: Value = serde_json::from_slice(parts[config_name]).expect("JSON");
        assert_eq!(config["architecture"], "arm64");
        assert_eq!(config["config"]["Entrypoint"], json!(["/soc-connector"]));
        assert_eq!(config["config"]["Healthcheck"]["Test"], json!(["CMD", "/soc-connector", "health"]));
        let layer = parts[manifest[0]["Layers"][0].as_str().expect("text")];
        let mut layer = tar::Archive::new(layer);
        let mut files = layer.entries().expect("a tar");
        let mut file = files.next().expect("one").expect("readable");
        let header = file.header();
        assert_eq!(file.path().expect("a path").to_str(), Some("soc-connector"));
        assert_eq!(header.mode().expect("mode"), 0o755);
        assert_eq!(header.uid().expect("uid"), 0);
        assert_eq!(header.mtime().expect("time"), 0);
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("readable");
        assert_eq!(content, binary);
        assert!(files.next().is_none());
    }

    #[test]
    fn only_a_static_binary_becomes_an_image() {
        let mut short = elf(62, LOAD);
        short.truncate(66);
        for (what, binary) in [
            ("dynamic", elf(62, INTERP)),
            ("of another architecture", elf(8, LOAD)),
            ("cut off", short),
            ("a script", b"#!/bin/sh\n".to_vec()),
            ("nothing", Vec::new()),
        ] {
            let error = Image::of_binary(&binary, "1").expect_err(what);
            assert_eq!(error.code(), Code::ImageNotStatic, "{what}");
        }
        // This test is linked as the program is.
        Image::of_this_program().expect("static");
    }

    #[test]
    fn a_saved_image_is_read_back_plain_or_compressed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let image = Image::of_binary(&elf(62, LOAD), "1.2.3").expect("static");
        let plain = dir.path().join("image.tar");
        image.save(&plain).expect("written");
        let back = Image::load_file(&plain).expect("an image");
        assert_eq!(
            (back.id, back.reference, back.archive),
            (image.id.clone(), image.reference, image.archive.clone())
        );
        let packed = dir.path().join("image.tar.gz");
        let file = std::fs::File::create(&packed).expect("file");
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &image.archive).expect("written");
        gzip.finish().expect("written");
        assert_eq!(Image::load_file(&packed).expect("an image").id, image.id);
    }

    #[test]
    fn a_damaged_or_foreign_archive_is_refused() {
        let image = Image::of_binary(&elf(62, LOAD), "1.2.3").expect("static");
        let whole = image.archive.to_vec();
        let cut = whole[..whole.len() / 2].to_vec();
        let mut flipped = whole.clone();
        let at = whole.windows(4).rposition(|bytes| bytes == b"\x7fELF").expect("the binary is in it");
        flipped[at + 20] ^= 1;
        let foreign = tar([("manifest.json", 0o644, b"[]".as_slice())]);
        for (what, bytes) in [
            ("cut", cut),
            ("flipped", flipped),
            ("foreign", foreign),
            ("empty", Vec::new()),
            ("text", b"x".to_vec()),
        ] {
            assert!(Image::of_archive(bytes.into()).is_err(), "{what}");
        }
        assert!(Image::of_archive(whole.into()).is_ok());
    }

    #[test]
    fn a_release_has_its_bound() {
        let mut image = Image::of_binary(&elf(62, LOAD), "1").expect("static");
        image.check_release_size().expect("small");
        image.archive = vec![0; MAX_RELEASE_BYTES as usize + 1].into();
        assert_eq!(image.check_release_size().expect_err("big").code(), Code::ImageTooBig);
    }
}
