//! The user's key to sign deployments with, and the one way to a deployed agent: signed, then sent.
//!
//! The key is made when it is first needed, beside the contexts, and never leaves: a node gets its public half. A node
//! that does not know it yet is told it, where the caller may do that; else the error says whom to ask.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use caxton_api::{
    codes, paths,
    types::{Deployed, Deployment, NewDeployerKey, Operator, Program, Whoami},
};
use caxton_capabilities::{Address, Contents, IssuerKey, Manifest, Moment, Principal, Rights};
use jiff::Timestamp;
use reqwest::Method;
use zeroize::Zeroizing;

use crate::{
    client::{Client, Request},
    error::CliError,
    exit::Exit,
    explain,
    node::{demo_digest, demo_imports},
};

/// The file of the key, beside the contexts.
pub const KEY_FILE: &str = "deployer.key";
/// What the file begins with, as that of any issuer's key.
const PREFIX: &str = "cxis1.";

/// Signs `wish` with the user's key and makes the agent so. `imports` are those of its program, where they are known.
///
/// # Errors
/// The key cannot be read or made, or the node refuses the deployment.
pub async fn deploy(
    client: &Client,
    agent: &Address,
    wish: &Deployment,
    (imports, timeout): (Option<Vec<String>>, Option<std::time::Duration>),
) -> Result<Deployed, CliError> {
    let Some(signer) = Signer::of(client)? else {
        return send(client, agent, wish, timeout).await;
    };
    let imports = match imports {
        Some(imports) => imports,
        None => imports_of(client, agent, &wish.program).await?,
    };
    let signed = signed(signer.key(), agent, wish, imports)?;
    signer
        .known(client, async || send(client, agent, &signed, timeout).await)
        .await
}

/// The user's key, and where it lies.
pub(crate) struct Signer<'a> {
    key: IssuerKey,
    file: &'a Path,
}

impl<'a> Signer<'a> {
    /// The key of whoever uses this client, made where there is none; none where the context has no place for one.
    pub(crate) fn of(client: &'a Client) -> Result<Option<Self>, CliError> {
        let file = client.target().deployer_key.as_deref();
        file.map(|file| {
            Ok(Self {
                key: key(file)?,
                file,
            })
        })
        .transpose()
    }

    pub(crate) const fn key(&self) -> &IssuerKey {
        &self.key
    }

    /// Who calls, as the node knows them.
    pub(crate) async fn caller(&self, client: &Client) -> Result<Principal, CliError> {
        let who: Whoami = client.call(Request::get(paths::WHOAMI)).await?;
        let caller = who.principal.parse();
        caller.map_err(|error| wrong("the caller's own name", &error))
    }

    /// Sends what is signed, and once more where the node had to be told the key first.
    pub(crate) async fn known<T>(
        &self,
        client: &Client,
        send: impl AsyncFn() -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let error = match send().await {
            Err(error) if error.code == codes::UNKNOWN_DEPLOYER.code => error,
            answer => return answer,
        };
        introduce(client, &self.key).await.map_err(|refused| {
            let file = self.file.with_extension("key.pub");
            error.why(refused.what).fix(format!(
                "ask an administrator: caxton operator key NAME --add {}",
                file.display()
            ))
        })?;
        send().await
    }
}

/// [`deploy`] for an agent that is named by its tenant and name.
///
/// # Errors
/// As [`deploy`], or the names are none.
pub async fn deploy_named(
    client: &Client,
    (tenant, agent): (&str, &str),
    wish: &Deployment,
    imports: Option<Vec<String>>,
) -> Result<Deployed, CliError> {
    let tenant = tenant
        .parse()
        .map_err(|error| wrong("the tenant", &error))?;
    let agent = agent.parse().map_err(|error| wrong("the agent", &error))?;
    deploy(client, &Address::new(tenant, agent), wish, (imports, None)).await
}

async fn send(
    client: &Client,
    agent: &Address,
    wish: &Deployment,
    timeout: Option<std::time::Duration>,
) -> Result<Deployed, CliError> {
    let parts = [agent.tenant.as_str(), agent.agent.as_str()];
    let mut request = Request::new(Method::PUT, paths::fill(paths::AGENT, &parts)).json(wish)?;
    if let Some(timeout) = timeout {
        request = request.timeout(timeout);
    }
    client.call(request).await
}

/// What a program imports that is inside this binary, or that the node has.
async fn imports_of(
    client: &Client,
    agent: &Address,
    program: &str,
) -> Result<Vec<String>, CliError> {
    if let Some(known) = program.strip_prefix("demo:").and_then(demo_imports) {
        return Ok(known.iter().map(|name| (*name).to_owned()).collect());
    }
    let path = paths::fill(paths::PROGRAM, &[program]);
    let request = Request::get(path).query("tenant", agent.tenant.as_str());
    let program: Program = client.call(request).await?;
    Ok(program.imports)
}

/// The same wish, with a manifest of exactly what it says.
fn signed(
    key: &IssuerKey,
    agent: &Address,
    wish: &Deployment,
    imports: Vec<String>,
) -> Result<Deployment, CliError> {
    let now = Timestamp::now();
    let number = u64::try_from(now.as_microsecond()).unwrap_or(1).max(1);
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let services = wish.services.iter().flatten();
    let grants = wish.rights.iter().flatten().map(|text| text.parse());
    let grants: Vec<_> = grants
        .collect::<Result<_, _>>()
        .map_err(|error| wrong("a right", &error))?;
    let contents = Contents {
        trust_domain: None,
        address: agent.clone(),
        program: digest(&wish.program)?,
        number,
        limits: wish.limits.clone(),
        imports: imports.into_iter().collect(),
        protocols: wish.protocols.iter().flatten().cloned().collect(),
        services: services
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map_err(|error| wrong("a service", &error))?,
        rights: match grants.is_empty() {
            true => None,
            false => Some(Rights::try_new(grants).map_err(|error| wrong("the rights", &error))?),
        },
        signed_at: Moment::from_seconds(seconds).ok_or_else(|| {
            CliError::new(
                &explain::INTERNAL,
                Exit::Failed,
                "the clock is outside all calendars",
            )
        })?,
    };
    let manifest = Manifest::try_new(contents).map_err(|error| wrong("the deployment", &error))?;
    let manifest = manifest
        .sign(key)
        .map_err(|error| wrong("the deployer's key", &error))?;
    Ok(Deployment {
        manifest: Some(manifest.to_text()),
        ..wish.clone()
    })
}

/// SHA-256 of the program's bytes. Sample programs are inside this binary as they are in the node's.
fn digest(program: &str) -> Result<[u8; 32], CliError> {
    if let Some(digest) = parse(program) {
        return Ok(digest);
    }
    let demo = program.strip_prefix("demo:");
    demo.and_then(demo_digest).ok_or_else(|| {
        let what = format!("there is no program `{program}`");
        CliError::new(&explain::INPUT, Exit::Usage, what)
    })
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:")?;
    let mut digest = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// Tells the node the public half of the key, in the caller's own name.
async fn introduce(client: &Client, key: &IssuerKey) -> Result<(), CliError> {
    let who: Whoami = client.call(Request::get(paths::WHOAMI)).await?;
    let name = who.principal.trim_start_matches("operator:").to_owned();
    let path = paths::fill(paths::DEPLOYER_KEYS, &[&name]);
    let new = NewDeployerKey {
        public_key: key.public().to_string(),
    };
    let request = Request::new(Method::POST, path).json(&new)?;
    let _known: Operator = client.call(request).await?;
    Ok(())
}

/// The user's key, made where there is none.
fn key(file: &Path) -> Result<IssuerKey, CliError> {
    if !file.exists() {
        make(file)?;
    }
    let text = Zeroizing::new(crate::context::read_secret_text(file)?);
    let bytes = text.trim().strip_prefix(PREFIX);
    let bytes = bytes.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let secret = Zeroizing::new(bytes.unwrap_or_default());
    let secret: Option<&[u8; 64]> = secret.as_slice().try_into().ok();
    let unusable = || {
        let what = format!("`{}` holds no key to sign deployments with", file.display());
        CliError::new(&explain::INPUT, Exit::Usage, what)
            .fix("move it away: the next deployment makes another")
    };
    IssuerKey::from_secret(secret.ok_or_else(unusable)?).map_err(|_weak| unusable())
}

/// Makes a key. Of two commands that do so at once, one is first, and both go on with its key.
fn make(file: &Path) -> Result<(), CliError> {
    let mut secret = Zeroizing::new([0; 64]);
    let no_entropy = |_error| {
        CliError::new(
            &explain::INTERNAL,
            Exit::Failed,
            "the system gave no random bytes",
        )
    };
    rand::fill(&mut *secret).map_err(no_entropy)?;
    let key =
        IssuerKey::from_secret(&secret).map_err(|error| wrong("the deployer's key", &error))?;
    let text = Zeroizing::new(format!("{PREFIX}{}\n", URL_SAFE_NO_PAD.encode(*secret)));
    let cannot = |error: std::io::Error| {
        let what = format!("`{}` cannot be written", file.display());
        CliError::new(&explain::INPUT, Exit::Usage, what).because(&error)
    };
    let parent = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(cannot)?;
    let draft = tempfile_beside(file);
    let write = |path: &Path, bytes: &[u8], mode: u32| {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write(&draft, text.as_bytes(), 0o600).map_err(cannot)?;
    let linked = fs::hard_link(&draft, file);
    let _draft = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(cannot(error)),
        Ok(()) => {
            let public = format!("{}\n", key.public());
            let beside = file.with_extension("key.pub");
            let _stale = fs::remove_file(&beside);
            write(&beside, public.as_bytes(), 0o644).map_err(cannot)
        }
    }
}

fn tempfile_beside(file: &Path) -> std::path::PathBuf {
    file.with_extension(format!("{}.draft", std::process::id()))
}

pub(crate) fn wrong(what: &str, error: &dyn std::error::Error) -> CliError {
    CliError::new(&explain::INPUT, Exit::Usage, format!("{what} is refused")).because(error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_for_its_owner_alone_with_its_public_half_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("caxton").join(KEY_FILE);
        let id = key(&file).unwrap().public().id();
        assert_eq!(key(&file).unwrap().public().id(), id);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let public = fs::read_to_string(file.with_extension("key.pub")).unwrap();
        let public: caxton_capabilities::IssuerPublic = public.trim().parse().unwrap();
        assert_eq!(public.id(), id);
        let left: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_key_that_others_can_read_and_a_file_that_is_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(KEY_FILE);
        key(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(key(&file).is_err());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "cxis1.AAAA\n").unwrap();
        assert!(key(&file).unwrap_err().what.contains("no key"));
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        assert!(parse(&format!("sha256:{}", "a1".repeat(32))).is_some());
        for text in [
            "demo:echo",
            "sha256:",
            &format!("sha256:{}", "é".repeat(32)),
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
