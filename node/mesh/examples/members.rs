//! A node of the mesh meets somebody else's program over QUIC, which was written from docs/wire.md alone: each
//! dials the other, both greet, both ask. `.ci/peers` runs it; what the program has to do stands in
//! `tests/strangers/README.md`.
//!
//!   members NAME PROGRAM [ARGUMENT...] FOLDER     the folder exists; a line for each thing found right

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::{
    env,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use caxton_mesh::{Caller, Mesh, MeshConfig, Service, Wire};
use futures_util::future::BoxFuture;

mod papers;

use papers::{DOMAIN, Outcome};

/// How long the program may take to be known.
const PATIENCE: Duration = Duration::from_secs(20);
/// The certificate is not believed (docs/wire.md, section 7).
const NOT_BELIEVED: u32 = 0x10;

struct Quiet;

impl Service for Quiet {
    fn now(&self) -> SystemTime {
        papers::now()
    }

    fn call<'a>(
        &'a self,
        _from: &'a Caller,
        _kind: u16,
        _body: Vec<u8>,
    ) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async { Err("there is nothing to ask for here".to_owned()) })
    }
}

struct Stage {
    name: String,
    program: Vec<String>,
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, program @ .., folder] = arguments.as_slice() else {
        return Err("usage: members NAME PROGRAM [ARGUMENT...] FOLDER".into());
    };
    let stage = Stage {
        name: name.clone(),
        program: program.to_vec(),
        folder: Path::new(folder).to_path_buf(),
    };
    for group in ["SecP384r1MLKEM1024", "X25519MLKEM768"] {
        stage.is_dialled(group).await?;
    }
    stage.dials("SecP384r1MLKEM1024").await?;
    stage.refuses_both_ways().await
}

impl Stage {
    fn mesh(&self) -> Outcome<Mesh> {
        let (credentials, trust) = papers::issue(&self.folder)?;
        Ok(Mesh::start(MeshConfig {
            wire: Wire::Udp(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?),
            advertise: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            cluster: "strangers".to_owned(),
            generation: 1,
            boot: [1; 16],
            seed: 1,
            credentials,
            trust,
            seeds: Vec::new(),
            agreed: Vec::new(),
            service: Arc::new(Quiet),
            door: None,
        })?)
    }

    /// The program dials us, and is a member then.
    async fn is_dialled(&self, group: &str) -> Outcome<()> {
        let mesh = self.mesh()?;
        let port = mesh.advertised().port();
        let (child, lines) = self.start("dial", group, "good", port)?;
        self.is_met(&mesh).await?;
        self.has_said(child, lines, group).await?;
        println!("{}: it dials over QUIC, {group}: it is a member", self.name);
        mesh.stop().await;
        Ok(())
    }

    /// We dial the program, and it is a member then.
    async fn dials(&self, group: &str) -> Outcome<()> {
        let mesh = self.mesh()?;
        let (child, mut lines) = self.start("answer", group, "good", 0)?;
        let name = mesh.dial(port_of(&mut lines)?).await?;
        if *name != *"theirs" {
            return Err(format!("`{name}` answered").into());
        }
        self.is_met(&mesh).await?;
        self.has_said(child, lines, group).await?;
        println!(
            "{}: it answers over QUIC, {group}: it is a member",
            self.name
        );
        mesh.stop().await;
        Ok(())
    }

    /// With papers of another authority it is no member, whoever dials.
    async fn refuses_both_ways(&self) -> Outcome<()> {
        let group = "SecP384r1MLKEM1024";
        let mesh = self.mesh()?;
        let port = mesh.advertised().port();
        let (child, lines) = self.start("dial", group, "stranger", port)?;
        let said = self.ends(child, lines).await?;
        let (child, mut lines) = self.start("answer", group, "stranger", 0)?;
        let dialled = mesh.dial(port_of(&mut lines)?).await;
        let said = [said, self.ends(child, lines).await?];
        let refused = mesh.watch().refusals();
        let they_know = said.iter().all(|said| said.contains("refused"));
        if dialled.is_ok() || refused != [(NOT_BELIEVED, 2)].into() || !they_know {
            return Err(format!("we refused {refused:?}; they said {said:?}").into());
        }
        println!(
            "{}: of another authority it is refused, both ways",
            self.name
        );
        mesh.stop().await;
        Ok(())
    }

    /// Waits until the mesh holds the program's certificate.
    async fn is_met(&self, mesh: &Mesh) -> Outcome<()> {
        let met = async {
            loop {
                if let Some(certificate) = mesh.certificate_of("theirs") {
                    return certificate;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let certificate = tokio::time::timeout(PATIENCE, met).await.map_err(|_late| {
            let errors = fs::read_to_string(self.folder.join("errors")).unwrap_or_default();
            format!("{} is not met\n{errors}", self.name)
        })?;
        let name = certificate.spiffe.map(|id| id.to_string());
        match name == Some(format!("spiffe://{DOMAIN}/node/theirs")) {
            true => Ok(()),
            false => Err(format!("{name:?} is met").into()),
        }
    }

    async fn has_said(&self, child: Child, lines: Lines, group: &str) -> Outcome<()> {
        let said = self.ends(child, lines).await?;
        for line in [
            format!("group {group}"),
            "scheme mldsa87".to_owned(),
            format!("name spiffe://{DOMAIN}/node/ours"),
            "done".to_owned(),
        ] {
            if !said.lines().any(|is| is == line) {
                return Err(format!("they did not say `{line}` but {said:?}").into());
            }
        }
        Ok(())
    }

    /// What the program says until it ends, which it does now that its input does; the mesh goes on meanwhile.
    async fn ends(&self, mut child: Child, mut lines: Lines) -> Outcome<String> {
        drop(child.stdin.take());
        let ended = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            lines.read_to_string(&mut said)?;
            child.wait().map(|status| (said, status))
        });
        let (said, status) = ended.await??;
        if status.success() {
            return Ok(said);
        }
        let errors = fs::read_to_string(self.folder.join("errors"))?;
        Err(format!("{} failed: {said}\n{errors}", self.name).into())
    }

    fn start(&self, role: &str, group: &str, papers: &str, port: u16) -> Outcome<(Child, Lines)> {
        let (program, arguments) = self.program.split_first().ok_or("no program is named")?;
        let mut child = Command::new(program)
            .args(arguments)
            .args([role, group, papers, &port.to_string()])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(self.folder.join("errors"))?)
            .spawn()?;
        let lines = child.stdout.take().ok_or("it has no output")?;
        Ok((child, BufReader::new(lines)))
    }
}

type Lines = BufReader<ChildStdout>;

/// Where the program answers: it says so first.
fn port_of(lines: &mut Lines) -> Outcome<SocketAddr> {
    let mut first = String::new();
    lines.read_line(&mut first)?;
    let port = first
        .trim()
        .strip_prefix("port ")
        .ok_or("it says no port")?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?)))
}
