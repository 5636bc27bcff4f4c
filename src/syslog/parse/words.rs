//! English words that begin texts, for devices that leave HOSTNAME out.
//!
//! By RFC 3164 the word behind the timestamp is the host, and a device that writes `Could not bind` there means no host
//! named Could. What tells the two apart is the language alone. Hosts are named by whatever people like (Reading, Max,
//! Backup, Garching), so that a word has to be on a list that leaves such names out, and what follows has to go on as
//! sentences do, with a word in small letters for most. Nothing that a device writes behind its name in a form of its own
//! does: a TAG, a level, a mnemonic, a payload, a header, the name once more.

use super::level::{is_level, is_level_in_capitals};
use super::{host, skip_spaces, word};
use std::collections::HashSet;
use std::sync::LazyLock;

/// Words that are no host's name, whatever their capitals and whatever follows.
const PLAIN: &str = "\
    a access alarm all an attempt authentication cannot client cold config configuration connection failed failure \
    fan interface invalid link login logout new no not password poe port power session slot started starting \
    successful successfully temperature the this unable unit user warm";

/// Verbs, adjectives, adverbs and small words that no host is named: with a capital, before a word of letters, a number,
/// an address or what is quoted; all in small letters or capitals, from `LEAST_BYTES` on, before a word in small letters.
const SENTENCE: &str = "\
    able abnormal aborted aborting about accepted accepting acquired activated activating added adding additional \
    after again allocated allocating allowed allowing already also although always and another any are assigned \
    assigning attached attaching attempted attempting attempts authenticated authorized automatically available bad \
    because been before begin beginning being below between blocked blocking bogus booted booting both but bypassed \
    calculated called calling can canceled cancelled cannot changed changes changing checked checking cleared \
    clearing closed closing completed configured connected connecting copied copying corrupt corrupted could \
    created creating current currently deactivated deactivating decreased deleted deleting denied denying \
    deregistered destroyed detected detecting did different disabled disabling discarded discarding disconnected \
    disconnecting discovered dismissed does done downloaded downloading dropped dropping due duplicate during each \
    either empty enabled enabling encountered ended ending entered entering erased erasing established establishing \
    every exceeded exceeding excessive executed executing exited exiting expected expired exported failed fatal \
    finally finished finishing forced forcing found from generated generating get getting give giving got granted \
    had handled handling has have how ignore ignored ignoring illegal imported importing inactive incoming \
    incompatible incomplete incorrect increased initialised initialising initialized initializing insecure inserted \
    inserting installed installing insufficient into issued its joined joining keeping killed killing last launched \
    launching least leaving listening loaded loading locked logged looking malformed manually many marked merged \
    might min missing modified more mounted mounting moved moving multiple needed next none nothing notified now \
    obtained obtaining old once only opened opening out outgoing over parsed parsing passed pending performed \
    performing permitted please possible powered powering premature previous probably probing processed prohibited \
    purged purging queued quitting raised reached reactivated read rebooted rebooting rebuilding receive received \
    receiving recognized reconnected reconnecting recovered recovering redirected reestablished refused refusing \
    registered registering rejected rejecting released releasing reloaded reloading remaining removed removing \
    renamed renewed repeated replaced replacing reported requested requesting required rescanning reset resetting \
    resolved resolving restarted restarting restored restoring resumed resuming retrieved retrieving retrying \
    returned returning rotated rotating running same saved saving scanned scheduled searching seems seen selected \
    sending sent set setting several shall should shutting since skipped skipping some someone something specified \
    stale stopped stopping stored storing subsequent succeeded such suddenly supported suppressed suspended \
    suspending suspicious switched switching synced synchronised synchronized synchronizing syncing terminated \
    terminating tested than that their then there these they those timed toggled too transferred transferring \
    transmitted tried triggered truncated try trying unable unauthorised unauthorized unavailable unblocked \
    undefined under unexpected unexpectedly unhandled uninstalled unlocked unmounted unmounting unplugged \
    unreachable unrecognised unrecognized unregistered unsuccessful unsupported until unused updated updating \
    upgraded upgrading uploaded uploading use used using valid validated validating verified verifying very \
    violated waiting warning was watching were what when where whether which while who why with within without \
    would writing written wrong you your";

/// Nouns of devices' texts: with a capital, before a word in small letters or what is quoted. What hosts are named by for
/// their tasks (backup, mail, proxy, cache) is not among them.
const NOUNS: &str = "\
    account action activity address allocation argument assertion association attack attribute authorization \
    battery binding broadcast buffer button cable call capacity card certificate change chassis check checksum \
    circuit clock collision command communication conflict copy count counter cover credential credentials cycle \
    date daylight decryption delay deletion delivery destination detection device digest disconnect disconnection \
    disk drive driver duplex element encryption entry error errors event exception execution exit expiration fault \
    feature field fingerprint firmware flood flow forwarding fragment frame frames frequency function fuse \
    handshake hardware hash header heartbeat humidity index information initialisation initialization input \
    installation integrity intrusion invitation item job keepalive key lease length level load lock loss mask \
    memory message messages method mode module motion mount name neighbor neighbour notification number object \
    operation option outlet output overflow packet packets paper parameter parity partition path payload peer \
    permission policy position problem process processes profile program protection protocol query queue quota \
    range rate reason reboot reception record recovery redundancy refresh registration release reload removal \
    replication request resource resources response restart result retry role route routes rule scan schedule \
    script sector segment selftest sensor sequence service services sessions severity shell shutdown signature size \
    snapshot socket source speed stack startup state status string subnet subscription success supply switchover \
    symbol synchronisation synchronization syntax system table tamper task thread threat threshold throughput \
    timeout timer toner topology transaction transfer transmission tray trigger tunnel type undervoltage upgrade \
    uptime usage users value variable version violation virus voltage vulnerability watchdog watermark write";

/// As they are written, before a word in small letters or a number. What hosts are named by for their tasks (DNS, NTP,
/// VPN) is not among them.
const ACRONYMS: &str = "\
    ARP BFD BGP CPU CRC DDNS DFS DHCPv6 DMA DNSSEC DPD EAP EAPOL ECC FCS ICMP IGMP IKE IKEv1 IKEv2 IO IP IPSEC \
    IPSec IPsec IPv4 IPv6 ISAKMP LACP LLDP MAC MSTP MTU NIC NMI NVRAM OSPF PPP PPPoE PSU RAM RSTP RTP SFP SIM SSID \
    SSL STP SYN TCP TLS TTL UDP UPnP URL USB VLAN VRRP VTP WAN WPA WPS";

/// What is said of a word with a colon that follows, so that this is no TAG: `Invalid command: reboot`.
const OF_A_WORD: &str = "\
    duplicate illegal insufficient invalid missing rejected unexpected unrecognised unrecognized unsupported";

/// What follows a verb that is known by its end alone: places are named so too.
const BEHIND_VERBS: &str = "\
    a an at by for from in into of on the to with";

/// Words in one case, small letters or capitals, are names of hosts as well where they are shorter.
const LEAST_BYTES: usize = 5;

/// The longest word of the lists, in bytes.
const MAX_WORD_BYTES: usize = 15;

struct Words(LazyLock<HashSet<&'static [u8]>>);

impl Words {
    fn has(&self, word: &[u8]) -> bool {
        self.0.contains(word)
    }

    /// Whatever the capitals of `word`.
    fn has_any_case(&self, word: &[u8]) -> bool {
        let mut small = [0; MAX_WORD_BYTES];
        small.get_mut(..word.len()).is_some_and(|small| {
            small.copy_from_slice(word);
            small.make_ascii_lowercase();
            self.has(small)
        })
    }
}

macro_rules! words {
    ($name:ident, $list:expr) => {
        static $name: Words =
            Words(LazyLock::new(|| $list.split_ascii_whitespace().map(str::as_bytes).collect()));
    };
}

words!(PLAIN_WORDS, PLAIN);
words!(SENTENCE_WORDS, SENTENCE);
words!(NOUN_WORDS, NOUNS);
words!(ACRONYM_WORDS, ACRONYMS);
words!(WORDS_OF_A_WORD, OF_A_WORD);
words!(WORDS_BEHIND_VERBS, BEHIND_VERBS);

/// Whether a word begins texts, whatever its capitals and what follows it.
pub(super) fn is_first_of_text(word: &[u8]) -> bool {
    PLAIN_WORDS.has_any_case(word)
}

/// Whether `first`, of letters alone, begins a sentence that goes on with `text`.
pub(super) fn begins_sentence(first: &[u8], text: &[u8]) -> bool {
    let (next, rest) = word(text);
    let bare = next.strip_suffix(b".").or_else(|| next.strip_suffix(b",")).unwrap_or(next);
    let is_letters = !bare.is_empty() && bare.iter().all(u8::is_ascii_alphabetic) && is_prose(bare, rest);
    let is_small = is_letters && bare.iter().all(u8::is_ascii_lowercase);
    let is_number = !next.is_empty() && next.iter().all(u8::is_ascii_digit);
    let is_quoted = matches!(next, [b'\'' | b'"', b'A'..=b'Z' | b'a'..=b'z', ..]);
    match case_of(first) {
        _ if next == first => false,
        Case::Capital => {
            let is_word = is_small || is_letters && case_of(bare) != Case::Mixed;
            let goes_on = is_word || is_number || is_quoted || host::is_address(bare);
            goes_on && SENTENCE_WORDS.has_any_case(first)
                || (is_small || is_quoted) && NOUN_WORDS.has_any_case(first)
                || is_verb(first) && WORDS_BEHIND_VERBS.has(next)
        }
        Case::Small => is_small && first.len() >= LEAST_BYTES && SENTENCE_WORDS.has(first),
        Case::Capitals => {
            (is_small || is_number) && ACRONYM_WORDS.has(first)
                || is_small && first.len() >= LEAST_BYTES && SENTENCE_WORDS.has_any_case(first)
        }
        Case::Mixed => is_small && ACRONYM_WORDS.has(first),
    }
}

/// Whether `next` is a sentence's second word and `rest` what follows it, rather than a daemon's name, a severity,
/// facility and severity, pairs, or the name of what a device writes.
fn is_prose(next: &[u8], rest: &[u8]) -> bool {
    let (third, _) = word(skip_spaces(rest));
    let is_named = next.ends_with(b"logd") || is_level_in_capitals(next) || is_level(third);
    !is_named && !third.contains(&b'=') && !third.ends_with(b":")
}

/// Whether `first` says something of the word behind it, which has a colon and would be a TAG behind another.
pub(super) fn is_before_colon(first: &[u8], tag: &[u8]) -> bool {
    case_of(first) == Case::Capital
        && tag.iter().all(u8::is_ascii_lowercase)
        && WORDS_OF_A_WORD.has_any_case(first)
}

#[derive(PartialEq)]
enum Case {
    Small,
    Capital,
    Capitals,
    Mixed,
}

fn case_of(word: &[u8]) -> Case {
    let capitals = word.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    match capitals {
        0 => Case::Small,
        1 if word[0].is_ascii_uppercase() && word.len() > 1 => Case::Capital,
        _ if capitals == word.len() => Case::Capitals,
        _ => Case::Mixed,
    }
}

/// A verb's form by its end: `Renegotiating`, `Overloaded`.
fn is_verb(word: &[u8]) -> bool {
    const LEAST: usize = 7;
    word.len() >= LEAST && (word.ends_with(b"ing") || word.ends_with(b"ed"))
}
