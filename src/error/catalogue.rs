//! Every error code with its cause and remedy, in one place. A code, once released, keeps its meaning for ever.
//!
//! E1xx directory, state and settings; E2xx certificates and keys; E3xx engine, image and container; E4xx endpoints,
//! ports and clock; E5xx listener and messages; E6xx spool and disk; E7xx uplink; E8xx incubator, `test` and `sample`;
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
    DirBusy = 102, "Another soc-connector command is at work in the same directory.",
        "Wait until it has ended, then run the command again.";
    StateBroken = 103, "A file in setup/ cannot be read as what it should be; it was damaged or written by hand.",
        "Run `soc-connector setup`: it writes the state anew and keeps conf/ and the spool.";
    NotAllowed = 104, "The command is not allowed in the present state.",
        "Run the command that the message names first; `soc-connector status` shows the state.";
    WriteFailed = 105, "A file in the installation directory could not be written.",
        "Check the owner of the directory and the free space on its file system.";
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
    // --- E3xx: engine, image, container ---
    // --- E4xx: endpoints, ports, clock ---
    // --- E5xx: listener and messages ---
    // --- E6xx: spool and disk ---
    // --- E7xx: uplink ---
    ReceiverUnreachable = 701, "A receiver of the SOC cannot be reached over the network.",
        "Check name resolution, routes and firewalls: port 443 of the SOC's hosts must be reachable, without a proxy. Events are kept until then.";
    ReceiverLost = 702, "The connection to a receiver was lost.",
        "Nothing, where it was once: the connector reconnects and sends again what was not confirmed. Where it repeats, look for a firewall that cuts long connections.";
    ReceiverSilent = 703, "A receiver acknowledged nothing for too long while events were on their way.",
        "Nothing, where it was once: another receiver is tried and the events are sent again. Where it repeats, tell the SOC team.";
    ReceiverGarbage = 704, "A receiver answered something that is not the protocol of the stream.",
        "Check that the endpoint in the settings is a Lumberjack v2 (Beats) receiver and not a web server or proxy.";
    // --- E8xx: incubator, test, sample ---
    IncubatorUnreachable = 801, "The incubator cannot be reached over the network, or it ended the connection.",
        "Check name resolution, routes and firewalls: port 443 of the incubator must be reachable, without a proxy. Where it repeats, check the endpoint `uplink.incubator` in the settings.";
    IncubatorTimeout = 802, "The incubator did not answer in time.",
        "Run the command again; where it repeats, tell the SOC team.";
    IncubatorAnswer = 803, "The incubator answered something else than confirmations.",
        "Check the endpoint `uplink.incubator` in the settings; where it is right, tell the SOC team what the message says.";
    IncubatorBind = 811, "The incubator cannot listen on an address.",
        "Choose another address or port, or stop what listens there already (`ss -ltnp`).";
    // --- E9xx: the program itself ---
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
