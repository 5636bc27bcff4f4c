//! Every error code with its cause and remedy, in one place. A code, once released, keeps its meaning for ever.
//!
//! E1xx directory, state and settings; E2xx certificates and keys; E3xx engine, image and container; E4xx endpoints,
//! ports, clock and what else setup checks of the host; E5xx listener and messages; E6xx spool and disk; E7xx uplink; E8xx incubator, `test` and `sample`;
//! E9xx the program itself.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $cause:literal, $remedy:literal;)*) => {
        /// A stable error code. Its number is what follows the `E`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Code { $( #[doc = $cause] $name = $number, )* }

        impl Code {
            /// All codes, in order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// Why this happens.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$name => $cause,)* }
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

codes! {
    // --- E1xx: directory, state, settings ---
    DirUnusable = 101, "The installation directory does not exist or cannot be read and written by this user.",
        "Create it, make it this user's own (`chown`), and run the command again; `--dir DIR` names another one.";
    DirBusy = 102, "Another soc-connector command or connector is at work in the same directory.",
        "Wait until it has ended, then run the command again.";
    StateBroken = 103, "A file in setup/ cannot be read as what it should be; it was damaged or written by hand.",
        "Run `soc-connector setup`: it writes the state anew and keeps conf/ and the spool.";
    NotAllowed = 104, "The command is not allowed in the present state.",
        "Run the command that the message names first; `soc-connector status` shows the state.";
    WriteFailed = 105, "A file in the installation directory could not be written.",
        "Check the owner of the directory and the free space on its file system.";
    ChecksFailed = 106, "One or more checks failed; each is listed above with its own code, cause and remedy.",
        "Mend what the lines above say, then run the command again; what was in force before still is.";
    // --- E12x: settings ---
    SettingsUnreadable = 121, "conf/soc-connector.toml cannot be read.",
        "Make the file readable for this user, or remove it and run `soc-connector setup`, which writes it anew.";
    SettingsInvalid = 122, "A setting has a value that is not allowed, an unknown name, or the file is not TOML.",
        "Correct the line that the message names; it says what is allowed there.";
    // --- E2xx: certificates and keys ---
    CertificateUnreadable = 211, "A certificate file does not exist or cannot be read by this user.",
        "Check that the file is where the message says, and its owner and mode (`chown`, `chmod 600`).";
    CertificateInvalid = 212, "A certificate file holds no certificate in PEM form, or one that was damaged.",
        "Copy the file again as it was handed over in the onboarding; it begins with `-----BEGIN CERTIFICATE-----`.";
    KeyUnreadable = 213, "The key file does not exist or cannot be read by this user.",
        "Check that the file is where the message says, and its owner and mode (`chown`, `chmod 600`).";
    KeyInvalid = 214, "The key file holds no private key in PEM form, or one of a kind that is not supported.",
        "Copy the file again as it was handed over in the onboarding; PKCS#8, PKCS#1 and SEC1 keys are read.";
    KeyEncrypted = 215, "The private key is protected by a passphrase, which a service cannot enter.",
        "Write it without one, readable for this user alone: `umask 077; openssl pkey -in OLD -out NEW-key.pem`.";
    KeyMismatch = 216, "The private key does not belong to the certificate.",
        "Put the two files of one and the same onboarding next to each other, and remove those of another.";
    RootsUnusable = 217, "There is no CA certificate to check the other side's certificate against.",
        "Install the system's CA certificates (package ca-certificates), or name a CA file in `tls.ca`.";
    ServerUntrusted = 221, "The server's certificate was not issued by a CA that this installation trusts.",
        "Make sure that no HTTPS proxy or firewall opens the connection; where a CA of its own is meant, name it in `tls.ca`.";
    ServerWrongName = 222, "The server's certificate is for other names than the one that was connected to.",
        "Check the endpoint in the settings and what the name resolves to on this host.";
    ServerExpired = 223, "By this host's clock the server's certificate is not valid any more, or not yet.",
        "Check this host's clock; where it is right, tell the SOC team.";
    ServerInvalid = 224, "The server's certificate cannot be used for what it is shown for.",
        "Check the endpoint in the settings; where it is right, tell the SOC team what the message says.";
    ClientRefused = 225, "The server does not accept this installation's certificate.",
        "Check its issuer and that it is still valid; where both are right, ask the SOC team whether it is let in.";
    TlsFailed = 226, "No TLS connection came about, for a reason that is not a certificate.",
        "Check that the port is the right one and that no HTTPS proxy or firewall stands in between.";
    PkiFailed = 231, "A certificate of the throw-away PKI could not be made.",
        "Read what the message says; an empty directory makes a new CA.";
    CertificateMissing = 232, "The client certificate or its key is not in the installation directory.",
        "Copy the two files of the onboarding, *-cert.pem and *-key.pem, into the installation directory.";
    CertificateAmbiguous = 233, "There are several client certificates or keys, so it is not clear which to use.",
        "Leave one *-cert.pem and one *-key.pem in the installation directory and move the others elsewhere.";
    KeyExposed = 234, "Other users of this host can read or change the private key.",
        "Take their rights away with the `chmod` that the message shows; if the host has other users, ask for a new key.";
    CertificateExpired = 235, "The client certificate is not valid any more.",
        "Check this host's clock; where it is right, ask the SOC team for a new certificate.";
    CertificateNotYetValid = 236, "The client certificate is not valid yet.",
        "Check this host's clock; where it is right, wait until the time that the message names.";
    CertificateEndsSoon = 237, "The client certificate ends soon; after that no event is accepted.",
        "Ask the SOC team for a new certificate now, put both files in place of the old ones, then `stop` and `start`.";
    CertificateNotForClients = 238, "The certificate must not be used by a client, so every server would refuse it.",
        "Copy the client certificate of the onboarding; a server's or a CA's certificate does not serve here.";
    CertificateWrongIssuer = 239, "The client certificate was not issued by the CA that the SOC accepts.",
        "Copy the certificate of the onboarding; where another CA is meant, set its common name in `tls.issuer`.";
    // --- E3xx: engine, image, container ---
    EngineMissing = 301, "The container engine is not installed, or its program is not on the PATH.",
        "Install Podman (the recommendation) or Docker with the system's package manager; `setup --docker` chooses Docker.";
    EngineUnreachable = 302, "The container engine's API does not answer at its socket.",
        "Check that it runs, for Docker with `systemctl status docker`; DOCKER_HOST must be unset or name a unix:// socket.";
    EngineDenied = 303, "This user may not use the container engine's socket.",
        "Run `setup` with `--sudo`, or run it as root; rootless Podman needs neither.";
    SudoRefused = 304, "sudo is not installed, refused, or was given no valid password.",
        "Give this user the right to run soc-connector through sudo (`sudo -l` shows what is allowed), or set up rootless Podman.";
    HelperFailed = 305, "The helper that gives access to the container engine for the time of a command did not start or ended early.",
        "Read the engine's own words in the message; `podman info` as the same user (with sudo where setup was told so) shows the same trouble.";
    EngineTimeout = 306, "The container engine did not answer in time.",
        "Look whether the machine or its disk is overloaded and whether `podman ps` or `docker ps` answers, then run the command again.";
    EngineRefused = 307, "The container engine refused a request or gave an answer that makes no sense.",
        "The message has the engine's own words; correct what they name and run the command again.";
    ImageMissing = 311, "The engine no longer has the image that setup put there.",
        "Run `setup`: it gets the image again.";
    ImageNotStatic = 312, "This soc-connector is linked to shared libraries, so it cannot run in an image that holds nothing else.",
        "Build it with `cargo build --release` inside its source tree, whose configuration links statically, or use a released binary.";
    ImageTooBig = 313, "The image is bigger than an image of soc-connector can be.",
        "Use a release build of soc-connector, or check that the image file is the right one.";
    ImageFileInvalid = 314, "The file is not an image archive of soc-connector, or is damaged.",
        "Save it again, with `docker save`, `podman save` (format docker-archive) or soc-connector itself, and compare checksums after the transfer.";
    ImageLoadFailed = 315, "The container engine did not accept the image archive.",
        "The message has the engine's own words; most often its storage is full (`podman system df`, `docker system df`).";
    ImagePullFailed = 316, "The image could not be pulled from its registry.",
        "Check the name in `engine.image` and that this machine reaches the registry; without it, leave `engine.image` out or load the image from a file.";
    ImageInUse = 317, "The image is in use by a container.",
        "Run `soc-connector delete` first; a container of another installation must be removed there.";
    ContainerExists = 321, "A container of that name exists already.",
        "Run `soc-connector delete`, then the command again.";
    ContainerMissing = 322, "There is no such container.",
        "Run `soc-connector start`; it makes the container anew.";
    ContainerNotStarted = 323, "The container engine could not start the container.",
        "The message has the engine's own words; `soc-connector delete` removes what is left over.";
    PortTaken = 324, "Another program listens on the syslog port already.",
        "Find it with `ss -lntup`, stop it, or choose another port with `setup --syslog-port N`.";
    NetworkImpossible = 325, "The engine cannot offer the syslog port in the network mode that was asked for.",
        "Set `engine.network` to \"auto\", or follow the message; ports below 1024 need `--sudo`.";
    MountImpossible = 326, "A path of the installation cannot be given to a container.",
        "Run `stop` and `delete` here, move the installation to a directory whose path has no colon and only UTF-8 characters, and run `setup` there.";
    // --- E4xx: endpoints, ports, clock, host ---
    NameUnresolved = 401, "A server's name could not be resolved to an address.",
        "Check this host's name servers (/etc/resolv.conf) and the endpoint in the settings.";
    ConnectFailed = 402, "No TCP connection to a server came about; most often a firewall stands in between.",
        "Let this host reach the address and port that the message names directly, not through an HTTPS proxy.";
    HandshakeSilent = 403, "A server accepted the TCP connection and then said nothing.",
        "Check that no firewall or proxy holds the connection, and that the port speaks TLS; else tell the SOC team.";
    HandshakeClosed = 404, "A server closed the connection during the TLS handshake or right after it.",
        "Check that no firewall or proxy breaks the connection; where none does, tell the SOC team.";
    PortBusy = 411, "Another program listens on the syslog port.",
        "Stop that program, or choose another port with `setup --syslog-port N`.";
    PortPrivileged = 412, "An ordinary user must not open a port as low as this.",
        "Run setup as root or with `--sudo`, or choose a port from 1024 on with `setup --syslog-port N`.";
    ClockOff = 421, "This host's clock and the incubator's differ.",
        "Let this host take the time from a server (`timedatectl set-ntp true`); timestamps of events depend on it.";
    ClockUnchecked = 422, "This host's clock could not be compared with the incubator's.",
        "Check that this host takes its time from a server (`timedatectl`); the message says why it was not compared.";
    DiskSmall = 431, "The file system of the installation directory has too little free space.",
        "Free space there, or lower `spool.max_mib` or `spool.reserve_mib` in the settings.";
    DirExposed = 432, "The installation directory belongs to another user, or every user can write into it.",
        "Make it this user's own with the `chown` or `chmod` that the message shows, or run the command as its owner.";
    EngineTooOld = 441, "The container engine is too old, or its version could not be told.",
        "Install Podman 3.0 or newer, or Docker 20.10 or newer.";
    SubordinateIdsMissing = 442, "This user has too few subordinate user or group ids, which rootless Podman needs.",
        "Give the user some with the `usermod` that the message shows, then run `podman system migrate`.";
    EngineNoAccess = 443, "This user must not use Docker.",
        "Run setup as root or with `--sudo`, or add the user to the group docker, whose members are as good as root.";
    // --- E5xx: listener and messages ---
    PortUnavailable = 501, "The connector cannot open its syslog port: another process has it, or the port is privileged.",
        "Run `ss -lntup` to see who has the port, stop that service or choose another with `setup --syslog-port N`; a port below 1024 needs `--sudo`.";
    ProbeLost = 502, "A probe sent to the published syslog port did not come out at the connector's listener.",
        "Look for a firewall rule on this host that blocks the port, and at the container's last lines above.";
    ConnectorSilent = 503, "The running connector does not answer on its socket in setup/run/.",
        "See `soc-connector status`: where it runs, logs/connector.log says why, and `stop` and `start` bring it up anew; else `start` starts it.";
    Unhealthy = 504, "The connector runs, but does not do its work: its listener, its spool or its uplink is in trouble.",
        "The message says which; `soc-connector status` and logs/connector.log say more.";
    InputUnreadable = 505, "The file of messages cannot be read.",
        "Check its name, its owner and its mode.";
    MetricsUnavailable = 506, "The metrics cannot be served over HTTP: another process has the port, most often another connector. Everything else works.",
        "Choose another `metrics.port` in the settings, or 0 to have none, and run setup, which ends in stage mode; `soc-connector metrics` prints them in any case.";
    // --- E6xx: spool and disk ---
    SpoolBusy = 601, "Another process works with the same spool.",
        "Stop the other connector; `soc-connector status` shows it. The lock is the kernel's and is never left behind.";
    SpoolUnusable = 602, "The spool's directory cannot be made, read or locked by this user.",
        "Check the owner and the rights of the spool's directory, and the file system's health.";
    SpoolDiskFull = 603, "The spool's file system is full.",
        "Free space on it, or run `stop` and `delete`, move the installation to a larger one, and run `setup` there. Events are taken in again as soon as there is space.";
    SpoolWriteFailed = 604, "The disk or its file system refused a write of the spool.",
        "Check the kernel's log and the disk's health. What was not yet safe is kept in memory and written anew.";
    SpoolReadFailed = 605, "The disk or its file system refused a read of the spool.",
        "Check the kernel's log and the disk's health. After repeated failures the unreadable place is passed by and counted.";
    SpoolMessageTooLong = 606, "A message is longer than a spool record can be, 16 MiB.",
        "Lower `listener.max_message_bytes`; a longer message is then cut and marked.";
    SpoolDamaged = 607, "Records on disk do not have the checksum that they were written with.",
        "The rest of the spool is used as it is; look at the disk (`dmesg`), and at `spool repair` for what is lost.";
    SpoolRefusedFull = 608, "The file of events that receivers refuse has its largest size, 16 MiB; the next such event blocks those behind it.",
        "Tell the SOC team that its receivers refuse so many events, read them with `soc-connector spool export --refused`, then `stop`, remove the file `refused` in the spool's directory, and `start`.";
    // --- E7xx: uplink ---
    ReceiverUnreachable = 701, "A receiver of the SOC cannot be reached over the network.",
        "Check name resolution, routes and firewalls: port 443 of the SOC's hosts must be reachable, without a proxy. Events are kept until then.";
    ReceiverLost = 702, "The connection to a receiver was lost.",
        "Nothing, where it was once: the connector reconnects and sends again what was not confirmed. Where it repeats, look for a firewall that cuts long connections.";
    ReceiverSilent = 703, "A receiver acknowledged nothing for too long while events were on their way.",
        "Nothing, where it was once: another receiver is tried and the events are sent again. Where it repeats, tell the SOC team.";
    ReceiverGarbage = 704, "A receiver answered something that is not the protocol of the stream.",
        "Check that the endpoint in the settings is a Lumberjack v2 (Beats) receiver and not a web server or proxy.";
    EventRefused = 705, "Receivers take other events, but not this one: it was set aside.",
        "Read it with `soc-connector spool export --refused` and show it to the SOC team: one of the two programs has a fault.";
    ReceiversRefuseEvents = 706, "The receivers take connections, but neither the event at the head of the queue nor another one.",
        "Tell the SOC team that its receivers take no events. Everything is kept until they do.";
    // --- E8xx: incubator, test, sample ---
    IncubatorUnreachable = 801, "The incubator cannot be reached over the network, or it ended the connection.",
        "Check name resolution, routes and firewalls: port 443 of the incubator must be reachable, without a proxy. Where it repeats, check the endpoint `uplink.incubator` in the settings.";
    IncubatorTimeout = 802, "The incubator did not answer in time.",
        "Run the command again; where it repeats, tell the SOC team.";
    IncubatorAnswer = 803, "The incubator answered something else than confirmations.",
        "Check the endpoint `uplink.incubator` in the settings; where it is right, tell the SOC team what the message says.";
    IncubatorBind = 811, "The incubator cannot listen on an address.",
        "Choose another address or port, or stop what listens there already (`ss -ltnp`).";
    TestNotSubmitted = 821, "The test message could not be sent to the connector's syslog port.",
        "Look at `soc-connector status`; if the connector does not run, `start` it; else look for a local firewall rule.";
    TestNotRunning = 822, "The connector ended during the test.",
        "Look at logs/connector.log, then run `stop`, `start` and `test` again.";
    TestNotArrived = 823, "The test message was sent but never reached the connector's listener.",
        "Look for a rule of the local firewall or another program on the syslog port (`ss -lntup`).";
    TestNoRoute = 824, "The connector took the test message in but has no working connection to the incubator.",
        "Run `soc-connector status`, which shows why; `setup` checks the way to the incubator step by step.";
    TestNotConfirmed = 825, "The test message was delivered, but the incubator did not confirm it in time.",
        "Run `test` again, the first run may take longer; if it fails repeatedly, ask the SOC team.";
    // --- E9xx: the program itself ---
    Internal = 901, "The program could not do something that should always be possible; the message says what.",
        "Run the command again with `-vv` and send its output to the people who maintain soc-connector.";
    UnknownCode = 902, "There is no error code of that number.",
        "Give a code as it was printed, for example `soc-connector explain E104`.";
}

impl Code {
    /// The code's number, as printed behind `E`.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Reads `E123`, `e123` or `123`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['E', 'e']).unwrap_or(text);
        let number: u16 = digits.parse().ok()?;
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "E{:03}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_ascending_and_read_back() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
        for &code in Code::ALL {
            assert_eq!(Code::parse(&code.to_string()), Some(code));
            assert!(code.cause().ends_with('.') && code.remedy().ends_with('.'), "{code}: whole sentences");
        }
    }
}
