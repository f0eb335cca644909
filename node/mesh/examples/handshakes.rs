//! TLS handshakes of the mesh with somebody else's program, over TCP: exactly the TLS that the QUIC endpoint
//! has, both ways, with each key exchange of the profile and with what must be refused. `.ci/peers` runs it;
//! what the programs have to do stands in `tests/strangers/README.md`.
//!
//!   handshakes NAME PROGRAM [ARGUMENT...] FOLDER     the folder exists; a line for each thing found right

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::{
    env,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use caxton_mesh::{Credentials, Trust, Verdict};
use caxton_pki::CertificateSummary;
use rustls::{ClientConnection, ConnectionCommon, ServerConnection};

mod papers;

use papers::{DOMAIN, Outcome};

/// The key exchanges of the profile.
const GROUPS: [(&str, u16); 2] = [("SecP384r1MLKEM1024", 0x11ed), ("X25519MLKEM768", 0x11ec)];
/// How long a program may take for one handshake.
const PATIENCE: Duration = Duration::from_secs(30);

/// What we hold in every handshake, and where the other end finds what it is to hold.
struct Stage {
    name: String,
    program: Vec<String>,
    folder: PathBuf,
    ours: Credentials,
    trust: Arc<Trust>,
}

/// One handshake: which way, and what the other end comes with.
#[derive(Clone, Copy)]
struct Case<'a> {
    they_dial: bool,
    groups: &'a str,
    papers: &'a str,
}

/// What one end saw of the other.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    group: u16,
    name: String,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, program @ .., folder] = arguments.as_slice() else {
        return Err("usage: handshakes NAME PROGRAM [ARGUMENT...] FOLDER".into());
    };
    let stage = Stage::set(name, program, Path::new(folder))?;
    for they_dial in [true, false] {
        for (group, number) in GROUPS {
            stage.agrees(they_dial, group, number)?;
        }
        let case = |groups, papers| Case {
            they_dial,
            groups,
            papers,
        };
        let both = "SecP384r1MLKEM1024:X25519MLKEM768";
        stage.refuses(
            case(both, "stranger"),
            "no trusted root stands above the certificate",
        )?;
        // Where the other end finds nothing in what we offer, it is the one that hangs up.
        let ours_or_theirs = |ours| if they_dial { ours } else { "" };
        stage.refuses(case("X25519", "good"), ours_or_theirs("NoKxGroupsInCommon"))?;
        stage.refuses(
            case(both, "classical"),
            ours_or_theirs("it showed no certificate"),
        )?;
    }
    Ok(())
}

impl Stage {
    fn set(name: &str, program: &[String], folder: &Path) -> Outcome<Self> {
        let (ours, trust) = papers::issue(folder)?;
        Ok(Self {
            name: name.to_owned(),
            program: program.to_vec(),
            folder: folder.to_path_buf(),
            ours,
            trust,
        })
    }

    /// A handshake with this key exchange, and what both ends saw.
    fn agrees(&self, they_dial: bool, group: &str, number: u16) -> Outcome<()> {
        let (papers, groups) = ("good", group);
        let case = Case {
            they_dial,
            groups,
            papers,
        };
        let (seen, said) = self.shake_hands(case)?;
        let what = case.words(group);
        let theirs = Seen {
            group: number,
            name: format!("spiffe://{DOMAIN}/node/theirs"),
        };
        if seen.as_ref() != Ok(&theirs) {
            return Err(format!("{what}: we saw {seen:?}; they said {said:?}").into());
        }
        let wanted = [
            format!("group {group}"),
            "scheme mldsa87".to_owned(),
            format!("name spiffe://{DOMAIN}/node/ours"),
            "done".to_owned(),
        ];
        let said: Vec<String> = said.iter().map(|line| line.to_lowercase()).collect();
        for line in wanted {
            if !said.contains(&line.to_lowercase()) {
                return Err(format!("{what}: they did not say `{line}` but {said:?}").into());
            }
        }
        println!(
            "{}: {what}: mldsa87, and both know the other's name",
            self.name
        );
        Ok(())
    }

    /// A handshake that is refused, by us for `reason` where there is one.
    fn refuses(&self, case: Case<'_>, reason: &str) -> Outcome<()> {
        let (seen, said) = self.shake_hands(case)?;
        let what = case.words(&format!("{} papers, {}", case.papers, case.groups));
        let they_know = said.iter().any(|line| line.starts_with("refused"));
        match seen {
            Err(ours) if ours.contains(reason) && they_know => {
                println!("{}: {what}: refused", self.name);
                Ok(())
            }
            other => Err(format!("{what}: we saw {other:?}; they said {said:?}").into()),
        }
    }

    /// What we saw, or why we refused or were; and the lines of the other end.
    fn shake_hands(&self, case: Case<'_>) -> Outcome<(Result<Seen, String>, Vec<String>)> {
        let (seen, child, mut lines) = if case.they_dial {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let port = listener.local_addr()?.port();
            let (child, lines) = self.start(case, port)?;
            let (stream, _) = listener.accept()?;
            (self.answer(stream), child, lines)
        } else {
            let (child, mut lines) = self.start(case, 0)?;
            let mut first = String::new();
            lines.read_line(&mut first)?;
            let port = first
                .trim()
                .strip_prefix("port ")
                .ok_or("it says no port")?;
            let stream = TcpStream::connect(("127.0.0.1", port.parse()?))?;
            (self.dial(stream), child, lines)
        };
        let mut said = String::new();
        lines.read_to_string(&mut said)?;
        let mut child = child;
        if !child.wait()?.success() {
            let errors = fs::read_to_string(self.folder.join("errors"))?;
            return Err(format!("{} failed; we saw {seen:?}\n{errors}", self.name).into());
        }
        Ok((seen, said.lines().map(str::to_owned).collect()))
    }

    fn start(
        &self,
        case: Case<'_>,
        port: u16,
    ) -> Outcome<(Child, BufReader<std::process::ChildStdout>)> {
        let (program, arguments) = self.program.split_first().ok_or("no program is named")?;
        let role = if case.they_dial { "dial" } else { "answer" };
        // For OpenSSL where its caller cannot say which groups are meant.
        let settings = self.folder.join("openssl.cnf");
        fs::write(
            &settings,
            format!(
                "openssl_conf = begin\n[begin]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n\
                 [all]\nGroups = {}\n",
                case.groups
            ),
        )?;
        let mut child = Command::new(program)
            .args(arguments)
            .args([role, case.groups, case.papers, &port.to_string()])
            .arg(&self.folder)
            .env("OPENSSL_CONF", &settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(self.folder.join("errors"))?)
            .spawn()?;
        let lines = child.stdout.take().ok_or("it has no output")?;
        Ok((child, BufReader::new(lines)))
    }

    fn answer(&self, stream: TcpStream) -> Result<Seen, String> {
        let (config, verdict) = self.ours.answering(&self.trust);
        let connection = ServerConnection::new(Arc::new(config)).map_err(|e| e.to_string())?;
        talk(connection, stream, &verdict, false)
    }

    fn dial(&self, stream: TcpStream) -> Result<Seen, String> {
        let (config, verdict) = self.ours.dialling(&self.trust);
        let name = "mesh.caxton.internal".try_into().expect("a name");
        let connection =
            ClientConnection::new(Arc::new(config), name).map_err(|e| e.to_string())?;
        talk(connection, stream, &verdict, true)
    }
}

impl Case<'_> {
    fn words(&self, of: &str) -> String {
        let way = if self.they_dial {
            "it dials"
        } else {
            "it answers"
        };
        format!("{way}, {of}")
    }
}

/// The handshake, a word each way under its keys, and what was seen.
fn talk<C, D>(
    mut connection: C,
    mut stream: TcpStream,
    verdict: &Verdict,
    we_dialled: bool,
) -> Result<Seen, String>
where
    C: std::ops::DerefMut<Target = ConnectionCommon<D>>,
    D: rustls::SideData,
{
    let told = |error: std::io::Error| {
        let ours = verdict.get().map(ToString::to_string);
        ours.unwrap_or_else(|| error.to_string())
    };
    let patience = Some(PATIENCE);
    stream.set_read_timeout(patience).map_err(told)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(told)?;
    }
    let group = connection.negotiated_key_exchange_group();
    let group = group.map_or(0, |group| u16::from(group.name()));
    // As the endpoint does: who shows none is no member.
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    let name = leaf
        .and_then(|leaf| CertificateSummary::parse(leaf).ok()?.spiffe)
        .map(|id| id.to_string())
        .ok_or("it showed no certificate")?;
    let mut words = rustls::Stream::new(&mut connection, &mut stream);
    let (ask, mut answer) = (b"hello\n", [0; 6]);
    if we_dialled {
        words.write_all(ask).map_err(told)?;
    }
    words.read_exact(&mut answer).map_err(told)?;
    if !we_dialled {
        words.write_all(&answer).map_err(told)?;
    }
    connection.send_close_notify();
    let _gone_already = connection.complete_io(&mut stream);
    if &answer == ask {
        Ok(Seen { group, name })
    } else {
        Err(format!("it said {answer:?}"))
    }
}
