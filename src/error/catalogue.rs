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
    EngineTooOld = 308, "The container engine is older than the oldest supported version.",
        "Install Podman 3.0 or Docker 20.10, or a later version of either.";
    RootlessUnprepared = 309, "This machine is not prepared for rootless containers of this user.",
        "Give the user a range in /etc/subuid and /etc/subgid as the message says and run `podman system migrate`, or use `--sudo`.";
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
        "Move the installation to a directory whose path has no colon and only UTF-8 characters.";
    // --- E4xx: endpoints, ports, clock ---
    // --- E5xx: listener and messages ---
    // --- E6xx: spool and disk ---
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
