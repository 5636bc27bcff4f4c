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
    // --- E3xx: engine, image, container ---
    // --- E4xx: endpoints, ports, clock ---
    // --- E5xx: listener and messages ---
    // --- E6xx: spool and disk ---
    SpoolBusy = 601, "Another process works with the same spool.",
        "Stop the other connector; `soc-connector status` shows it. The lock is the kernel's and is never left behind.";
    SpoolUnusable = 602, "The spool's directory cannot be made, read or locked by this user.",
        "Check the owner and the rights of the spool's directory, and the file system's health.";
    SpoolDiskFull = 603, "The spool's file system is full.",
        "Free space on it, or move the installation to a larger one. Events are taken in again as soon as there is space.";
    SpoolWriteFailed = 604, "The disk or its file system refused a write of the spool.",
        "Check the kernel's log and the disk's health. What was not yet safe is kept in memory and written anew.";
    SpoolReadFailed = 605, "The disk or its file system refused a read of the spool.",
        "Check the kernel's log and the disk's health. After repeated failures the unreadable place is passed by and counted.";
    SpoolMessageTooLong = 606, "A message is longer than a spool record can be, 16 MiB.",
        "Lower `listener.max_message_bytes`; a longer message is then cut and marked.";
    // --- E7xx: uplink ---
    // --- E8xx: incubator, test, sample ---
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
