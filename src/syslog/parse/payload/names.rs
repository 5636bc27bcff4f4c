//! The host of a record of keys and values, a JSON object or pairs.
//!
//! Some names are the sender's own whatever stands beside them, for a schema says so or because nobody else has one (a
//! sensor, an appliance). A device's name is the sender's too, unless the record tells of another machine: what was
//! found on it, what it leased, that it is down. A `hostname` or a computer's name may moreover be whose site was asked
//! for, or the other end of a connection. Where that cannot be told, nothing is said.

use super::json::Member;
use super::key::Key;
use crate::syslog::parse::host;
use std::ops::RangeInclusive;

/// What a member's key says of the whole object.
#[derive(Clone, Copy)]
enum Sign {
    /// It is the record of a request, or of a connection.
    Request,
    /// It tells of a machine that need not be its sender.
    Report,
    /// Logstash's event, GELF or Suricata's EVE, whose `host` is the sender.
    Schema,
    /// A message of syslog, field by field.
    Syslog,
    /// An event of Windows.
    Windows,
    /// Bunyan's and Pino's records have both of these.
    Process,
    Level,
    /// F5's, `FortiClient`'s or Sidewinder's record, whose machine is the sender whatever traffic it tells of.
    Appliance,
    /// The rule of a firewall of SECUI, whose machine is the sender but in reports.
    Rule,
    /// An appliance's serial number.
    Serial,
    /// `OpenCanary`'s record of what somebody did to it.
    Decoy,
}

const SIGNS: usize = Sign::Decoy as usize + 1;

/// The names in an object, and the signs of what they are.
#[derive(Default)]
pub(super) struct Names<'a> {
    own: Option<&'a [u8]>,
    device: Option<&'a [u8]>,
    machine: Option<&'a [u8]>,
    windows: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    address: Option<&'a [u8]>,
    decoy: Option<&'a [u8]>,
    signs: [bool; SIGNS],
}

impl<'a> Names<'a> {
    pub(super) fn take(&mut self, member: &Member<'a>) {
        let key = Key::new(&[member.parent, member.key]);
        if let Some(sign) = sign(member, key.folded()) {
            self.signs[sign as usize] = true;
        }
        let name = match (member.depth, member.key, key.folded()) {
            // CEE's dictionary; others measure a pressure by that name.
            (1, b"p_sys", _) if member.value.first().is_some_and(u8::is_ascii_alphabetic) => &mut self.own,
            // A value that is its own key's name is what a product was delivered with.
            (_, _, name) if is_of_schema(member, name) || is_own(name) && member.value != name => {
                &mut self.own
            }
            (1, b"Computer" | b"Hostname", _) => &mut self.windows,
            // As an object of its own a device with a host's name or an address is one that a sensor watches.
            (1, _, b"devicehostname") => &mut self.device,
            (_, _, name) if is_device(name) => &mut self.device,
            // Quantities that are measured have words for names.
            (_, _, b"sensorname") if host::is_no_word(member.value) => &mut self.own,
            (1, _, b"sensor") if host::is_no_word(member.value) => &mut self.device,
            (_, _, name) if is_machine(name) => &mut self.machine,
            (1, _, name) if is_address(name) => &mut self.address,
            (1, _, b"host" | b"logsource") => &mut self.host,
            (1, b"CanaryName", _) => &mut self.own,
            (1, b"node_id", _) => &mut self.decoy,
            _ => return,
        };
        *name = name.or_else(|| name_of(member.value));
    }

    /// The sender's name.
    pub(super) fn host(&self) -> Option<&'a [u8]> {
        let is_plain = !self.has(Sign::Report) && !self.has(Sign::Request);
        let is_host = self.has(Sign::Schema) || is_plain && self.has(Sign::Syslog);
        let is_appliance = self.has(Sign::Appliance) || self.has(Sign::Rule) && !self.has(Sign::Report);
        let is_logger = self.has(Sign::Process) && self.has(Sign::Level);
        self.own
            .or(self.decoy.filter(|_| self.has(Sign::Decoy)))
            .or(self.host.filter(|_| is_host))
            .or(self.windows.filter(|_| is_plain || self.has(Sign::Windows)))
            .or(self.of_sender(self.device))
            .or(self.machine.filter(|_| is_plain || is_logger || is_appliance))
            .or(self.of_sender(self.address))
    }

    /// The same in LEEF, where a machine's name is that of another as a rule. An appliance with a serial number beside
    /// its name (PAN-OS) is the sender whatever traffic it tells of.
    pub(super) fn device(&self) -> Option<&'a [u8]> {
        let appliance = self.device.filter(|_| self.has(Sign::Serial) && !self.has(Sign::Report));
        self.own.or(appliance).or(self.of_sender(self.device)).or(self.of_sender(self.address))
    }

    /// A device's name or address, which is the sender's but in reports on others and in requests, whose client it may be.
    fn of_sender(&self, name: Option<&'a [u8]>) -> Option<&'a [u8]> {
        name.filter(|_| !self.has(Sign::Report) && !self.has(Sign::Request))
    }

    fn has(&self, sign: Sign) -> bool {
        self.signs[sign as usize]
    }
}

/// A name or an address, without a port; nothing for what stands there where none is known.
pub(super) fn name_of(value: &[u8]) -> Option<&[u8]> {
    const NONE: [&[u8]; 5] = [b"n/a", b"none", b"null", b"undefined", b"unknown"];
    let address = host::without_port(value).filter(|address| host::is_address(address));
    let name = Some(address.unwrap_or(value)).filter(|name| host::is_host(name))?;
    (!NONE.iter().any(|none| none.eq_ignore_ascii_case(name))).then_some(name)
}

/// The name in Elastic Common Schema, and in Beats before version 7; in rsyslog's `StdJSONFmt`, in journald's export,
/// in osquery's, in Corelight's, in Logstash's messages of syslog.
fn is_of_schema(member: &Member<'_>, folded: &[u8]) -> bool {
    match member.depth {
        1 => {
            matches!(
                member.key,
                b"host.name" | b"fromhost" | b"_HOSTNAME" | b"_system_name" | b"hostIdentifier"
            )
        }
        _ => (member.parent, member.key) == (b"host", b"name") || folded == b"beathostname",
    }
}

/// Names that only the sender of a record has: CEF's `dvchost`, Elastic's `observer`, syslog's own, those of sensors
/// and appliances.
fn is_own(name: &[u8]) -> bool {
    matches!(
        name,
        b"appliancename"
            | b"cbserver"
            | b"devname"
            | b"dvchost"
            | b"dvchostname"
            | b"firewallname"
            | b"kuberneteshost"
            | b"observerhostname"
            | b"observername"
            | b"sysloghost"
            | b"sysloghostname"
            | b"unithostname"
    )
}

/// Names of a device.
fn is_device(name: &[u8]) -> bool {
    matches!(name, b"appliance" | b"devicename" | b"gatewayname" | b"nodename")
}

/// Names of a machine, which may be another.
fn is_machine(name: &[u8]) -> bool {
    matches!(
        name,
        b"agenthostname"
            | b"computer"
            | b"computername"
            | b"hosthostname"
            | b"hostname"
            | b"machine"
            | b"machinename"
            | b"propertiesmachinename"
    )
}

/// Addresses of a device that documents no name.
fn is_address(name: &[u8]) -> bool {
    matches!(name, b"deviceaddress" | b"deviceip" | b"devip" | b"dvc" | b"headendaddr")
}

/// What a key says of the object. A `path` is a file's, and no sign of a request.
fn sign(member: &Member<'_>, folded: &[u8]) -> Option<Sign> {
    match (member.depth, member.key, folded) {
        (1, b"@timestamp" | b"DATE" | b"ISODATE" | b"short_message" | b"event_type", _) => Some(Sign::Schema),
        (1, b"EventID" | b"EventTime", _) => Some(Sign::Windows),
        (1, b"bigip_mgmt_ip" | b"fgtserial", _) => Some(Sign::Appliance),
        (1, b"fw_rule_id", _) => Some(Sign::Rule),
        (1, b"fac", _) if member.value.starts_with(b"f_") => Some(Sign::Appliance),
        (1, b"SerialNumber", _) if is_number_of(12..=32, member.value) => Some(Sign::Serial),
        (1, b"logtype", _) if is_number_of(4..=5, member.value) => Some(Sign::Decoy),
        (1, b"pid", _) => Some(Sign::Process),
        (1, b"level", _) => Some(Sign::Level),
        (1, _, b"facility" | b"program" | b"ident" | b"syslogtag" | b"sourcetype") => Some(Sign::Syslog),
        (1, ..) if is_of_request(folded, member.value) => Some(Sign::Request),
        _ => is_of_report(folded).then_some(Sign::Report),
    }
}

/// Whether this is a number of so many digits.
fn is_number_of(digits: RangeInclusive<usize>, value: &[u8]) -> bool {
    digits.contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

/// What logs of access, of logins and of traffic have: the request, who asked, the answer's code, whither, and a peer's
/// port.
fn is_of_request(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"status" => matches!(value, [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9']),
        b"port" => value.iter().all(u8::is_ascii_digit),
        [b'd', b's', b't', ..] => true,
        _ => matches!(
            name,
            b"addr"
                | b"client"
                | b"clientip"
                | b"destination"
                | b"destinationip"
                | b"destip"
                | b"httpmethod"
                | b"httpreferer"
                | b"httpuseragent"
                | b"method"
                | b"query"
                | b"querystring"
                | b"referer"
                | b"referrer"
                | b"remip"
                | b"remoteaddr"
                | b"remotehost"
                | b"remoteip"
                | b"idorigh"
                | b"idresph"
                | b"qtype"
                | b"rcode"
                | b"request"
                | b"requestmethod"
                | b"requesturi"
                | b"responsecode"
                | b"rhost"
                | b"statuscode"
                | b"terminal"
                | b"tunnelip"
                | b"uri"
                | b"url"
                | b"user"
                | b"useragent"
                | b"username"
                | b"vhost"
        ),
    }
}

/// What was found on a machine, what it is in a network or in a fleet, who watches it.
fn is_of_report(name: &[u8]) -> bool {
    const STARTS: [&[u8]; 29] = [
        b"alarm",
        b"breach",
        b"computerfqdn",
        b"computerid",
        b"computerip",
        b"cve",
        b"detect",
        b"deviceos",
        b"dhcp",
        b"endpoint",
        b"hwaddr",
        b"incident",
        b"infect",
        b"lease",
        b"macaddr",
        b"malware",
        b"md5",
        b"mitre",
        b"monitor",
        b"quarantin",
        b"remediat",
        b"sha256",
        b"tactic",
        b"threat",
        b"trigger",
        b"verdict",
        b"victim",
        b"virus",
        b"watchlist",
    ];
    matches!(name, b"bssid" | b"clientmac" | b"imei" | b"mac" | b"ssid" | b"udid")
        || STARTS.iter().any(|start| name.starts_with(start))
}
