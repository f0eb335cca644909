//! Capability tokens over files: no node is asked. Private keys and tokens come from files alone, never from a command line.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, str::FromStr, time::Duration};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use caxton_capabilities::{
    Audiences, Block, Caveats, HolderKey, HolderPublic, Issuer, IssuerKey, IssuerPublic, Issuers,
    Moment, Performatives, Rate, Revoked, Rights, Terms, Token, TrustDomain, verify::verify,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::{
    App,
    files::{self, LINES_BYTES_MAX, NewFile},
};
use crate::{
    args::{Attenuate, CreateToken, KeyFor, TokenTerms},
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
};

/// What the files of private keys begin with, and how many secret bytes follow in base64url.
const ISSUER: (&str, usize) = ("cxis1.", 64);
const HOLDER: (&str, usize) = ("cxhs1.", 32);

pub(super) fn keygen(app: &App, kind: KeyFor, out: &Path) -> Result<Exit, CliError> {
    let (prefix, length) = match kind {
        KeyFor::Issuer => ISSUER,
        KeyFor::Holder => HOLDER,
    };
    let mut secret = Zeroizing::new(vec![0; length]);
    rand::fill(&mut secret).map_err(|_no_entropy| failed("the system gave no random bytes"))?;
    let (public, id) = match kind {
        KeyFor::Issuer => {
            let key = issuer_key(&secret)?;
            (key.public().to_string(), key.public().id())
        }
        KeyFor::Holder => {
            let key = holder_key(&secret)?;
            (key.public().to_string(), key.public().id())
        }
    };
    let text = Zeroizing::new(format!("{prefix}{}\n", URL_SAFE_NO_PAD.encode(&secret)));
    let public_file = out.with_extension(match out.extension() {
        Some(extension) => format!("{}.pub", extension.to_string_lossy()),
        None => "pub".to_owned(),
    });
    NewFile::create(out, 0o600)?.write(text.as_bytes())?;
    NewFile::create(&public_file, 0o644)?.write(format!("{public}\n").as_bytes())?;
    app.terminal.line(&id.to_string())?;
    app.terminal.hint(&format!(
        "  {} is secret; {} is for others",
        out.display(),
        public_file.display()
    ));
    Ok(Exit::Ok)
}

pub(super) fn create(app: &App, args: &CreateToken, key: &Path) -> Result<Exit, CliError> {
    let key = issuer_key(&secret(key, ISSUER)?)?;
    let domain: TrustDomain = parse("--domain", args.domain.as_deref().unwrap_or_default())?;
    let mut terms = terms(&args.terms)?;
    let now = now()?;
    terms.caveats.not_before = Some(now);
    terms.caveats.expires = Some(after(now, args.ttl));
    let token = Token::issue(&key, domain, terms, nonce()?).map_err(|error| refused(&error))?;
    print(app, &token)
}

pub(super) fn attenuate(app: &App, args: &Attenuate) -> Result<Exit, CliError> {
    let token = token(&args.token_file)?;
    let key = holder_key(&secret(&args.holder_key_file, HOLDER)?)?;
    let given = TokenTerms {
        rights: match args.rights.is_empty() {
            true => rights_of(&token),
            false => args.rights.clone(),
        },
        subject: args.subject.clone(),
        holder: args.holder.clone(),
        audiences: Vec::new(),
        performatives: Vec::new(),
        bytes_max: None,
        rate: None,
    };
    let mut terms = terms(&given)?;
    if let Some(ttl) = args.ttl {
        terms.caveats.expires = Some(after(now()?, ttl));
    }
    let narrower = token
        .attenuate(&key, terms, nonce()?)
        .map_err(|error| refused(&error))?;
    print(app, &narrower)
}

pub(super) fn inspect(app: &App, file: &Path) -> Result<Exit, CliError> {
    let token = token(file)?;
    let rows: Vec<Value> = token
        .blocks()
        .zip(token.ids())
        .map(|(block, id)| row(block, &id.to_string()))
        .collect();
    app.terminal.list(&shapes::TOKEN_BLOCK, &rows)?;
    app.terminal.hint(match token.is_sealed() {
        true => "  sealed: whoever has its bytes has its rights",
        false => "  open: its holder must prove to be there",
    });
    Ok(Exit::Ok)
}

pub(super) fn check(app: &App, file: &Path, issuer: &Path, domain: &str) -> Result<Exit, CliError> {
    let token = token(file)?;
    let key: IssuerPublic = parse("--issuer", &text(issuer)?)?;
    let now = now()?;
    // Until when the key counts, a node's trust says; here it counts now.
    let issuer = Issuer::of_cluster(key, after(now, Duration::from_secs(1)));
    let issuer = issuer.map_err(|error| refused(&error))?;
    let issuers = Issuers::try_new(parse("--domain", domain)?, 1, [issuer]);
    let issuers = issuers.map_err(|error| refused(&error))?;
    let verdict = verify(&token, &issuers, &Revoked::default(), now);
    let said = match &verdict {
        Ok(_) => {
            "it counts, unless it was taken back; its caveats are asked at each use".to_owned()
        }
        Err(error) => chain(error),
    };
    let answer = json!({
        "verdict": if verdict.is_ok() { "ok" } else { "refused" },
        "reason": verdict.as_ref().err().map(|error| error.class()),
        "said": said,
    });
    match app.terminal.format.is_human() {
        true => app.terminal.line(&format!(
            "{} {said}",
            if verdict.is_ok() { "✓" } else { "✗" }
        ))?,
        false => app.terminal.item(&shapes::TOKEN_VERDICT, &answer)?,
    }
    Ok(match verdict {
        Ok(_) => Exit::Ok,
        Err(_) => Exit::Failed,
    })
}

fn terms(given: &TokenTerms) -> Result<Terms, CliError> {
    if given.rights.is_empty() {
        return Err(CliError::new(
            &explain::INPUT,
            Exit::Usage,
            "a token gives at least one right",
        )
        .fix("--right 'send acme/billing'"));
    }
    let rights = all("--right", &given.rights)?;
    let audience = match given.audiences.is_empty() {
        true => None,
        false => Some(
            Audiences::try_new(all("--audience", &given.audiences)?)
                .map_err(|error| refused(&error))?,
        ),
    };
    let performatives = match given.performatives.is_empty() {
        true => None,
        false => Some(
            Performatives::try_new(all("--performative", &given.performatives)?)
                .map_err(|error| refused(&error))?,
        ),
    };
    let holder = match &given.holder {
        Some(file) => Some(parse::<HolderPublic>("--holder", &text(file)?)?),
        None => None,
    };
    Ok(Terms {
        subject: given
            .subject
            .as_deref()
            .map(|subject| parse("--subject", subject))
            .transpose()?,
        rights: Rights::try_new(rights).map_err(|error| refused(&error))?,
        caveats: Caveats {
            audience,
            performatives,
            bytes_max: given.bytes_max,
            rate: given.rate.as_deref().map(rate).transpose()?,
            ..Caveats::default()
        },
        holder,
    })
}

fn rights_of(token: &Token) -> Vec<String> {
    let last = token.blocks().last();
    last.map(|block| {
        block
            .terms()
            .rights
            .iter()
            .map(ToString::to_string)
            .collect()
    })
    .unwrap_or_default()
}

fn rate(text: &str) -> Result<Rate, CliError> {
    let wrong = || {
        let what = format!("`{text}` is no rate");
        CliError::new(&explain::INPUT, Exit::Usage, what).fix("--rate 100/60")
    };
    let (count, seconds) = text.split_once('/').ok_or_else(wrong)?;
    let (count, seconds) = (count.parse(), seconds.parse());
    let (Ok(count), Ok(seconds)) = (count, seconds) else {
        return Err(wrong());
    };
    Rate::try_new(count, seconds).map_err(|error| refused(&error))
}

fn row(block: &Block, id: &str) -> Value {
    let terms = block.terms();
    let caveats = &terms.caveats;
    let mut asked = Vec::new();
    if let Some(audience) = &caveats.audience {
        let names: Vec<&str> = audience.iter().map(|name| name.as_str()).collect();
        asked.push(format!("at {}", names.join(" or ")));
    }
    if let Some(tenant) = &caveats.tenant {
        asked.push(format!("for {tenant}"));
    }
    if let Some(rate) = caveats.rate {
        asked.push(format!("{} in {} s", rate.count(), rate.seconds()));
    }
    if let Some(bytes) = caveats.bytes_max {
        asked.push(format!("at most {bytes} bytes"));
    }
    if let Some(acts) = caveats.performatives {
        asked.push(acts.words().collect::<Vec<_>>().join(" or "));
    }
    if let Some(conversation) = &caveats.conversation {
        asked.push(format!("in {conversation}"));
    }
    let rights: Vec<String> = terms.rights.iter().map(ToString::to_string).collect();
    let when = |moment: Option<Moment>| {
        let seconds = i64::try_from(moment?.seconds()).ok()?;
        Timestamp::from_second(seconds)
            .ok()
            .map(|at| at.to_string())
    };
    json!({
        "id": id,
        "issuer": block.origin().map(|origin| origin.issuer.to_string()),
        "domain": block.origin().map(|origin| origin.trust_domain.to_string()),
        "subject": terms.subject.as_ref().map(ToString::to_string),
        "rights": rights.join(", "),
        "not_before": when(caveats.not_before),
        "expires_at": when(caveats.expires),
        "caveats": asked.join(", "),
        "holder": terms.holder.as_ref().map(|holder| holder.id().to_string()),
    })
}

fn print(app: &App, token: &Token) -> Result<Exit, CliError> {
    app.terminal.line(&token.to_text())?;
    Ok(Exit::Ok)
}

fn now() -> Result<Moment, CliError> {
    let seconds = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    Moment::from_seconds(seconds).ok_or_else(|| failed("the clock is not of this world"))
}

fn after(now: Moment, ttl: Duration) -> Moment {
    now.after(ttl.as_secs())
}

fn nonce() -> Result<[u8; 16], CliError> {
    let mut nonce = [0; 16];
    rand::fill(&mut nonce).map_err(|_no_entropy| failed("the system gave no random bytes"))?;
    Ok(nonce)
}

fn issuer_key(secret: &[u8]) -> Result<IssuerKey, CliError> {
    let mut seed = Zeroizing::new([0; 64]);
    seed.copy_from_slice(secret);
    IssuerKey::from_secret(&seed).map_err(|error| refused(&error))
}

fn holder_key(secret: &[u8]) -> Result<HolderKey, CliError> {
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(secret);
    Ok(HolderKey::from_secret(&seed))
}

/// The secret bytes of a key's file, which nobody else may read.
fn secret(file: &Path, (prefix, length): (&str, usize)) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let open = fs::metadata(file).map(|held| held.permissions().mode() & 0o077 != 0);
    if open.unwrap_or(false) {
        let what = format!("others may read `{}`", file.display());
        return Err(CliError::new(&explain::INPUT, Exit::Usage, what)
            .fix(format!("chmod 600 {}", file.display())));
    }
    let text = Zeroizing::new(text(file)?);
    let bytes = text
        .strip_prefix(prefix)
        .and_then(|digits| URL_SAFE_NO_PAD.decode(digits).ok())
        .map(Zeroizing::new);
    bytes.filter(|bytes| bytes.len() == length).ok_or_else(|| {
        let what = format!("`{}` is no private key of this kind", file.display());
        CliError::new(&explain::INPUT, Exit::Usage, what).fix("caxton token keygen makes one")
    })
}

fn token(file: &Path) -> Result<Token, CliError> {
    let text = text(file)?;
    Token::from_text(&text).map_err(|error| {
        let what = format!("`{}` is no capability token", file.display());
        CliError::new(&explain::INPUT, Exit::Usage, what).because(&error)
    })
}

fn text(file: &Path) -> Result<String, CliError> {
    Ok(files::read_text(file, LINES_BYTES_MAX)?.trim().to_owned())
}

fn all<T: FromStr>(what: &str, texts: &[String]) -> Result<Vec<T>, CliError>
where
    T::Err: std::error::Error,
{
    texts.iter().map(|text| parse(what, text)).collect()
}

fn parse<T: FromStr>(what: &str, text: &str) -> Result<T, CliError>
where
    T::Err: std::error::Error,
{
    text.parse().map_err(|error: T::Err| {
        CliError::new(
            &explain::INPUT,
            Exit::Usage,
            format!("{what} is not what is due"),
        )
        .because(&error)
    })
}

fn refused(error: &dyn std::error::Error) -> CliError {
    CliError::new(&explain::INPUT, Exit::Usage, "there is no such token").because(error)
}

fn failed(what: &str) -> CliError {
    CliError::new(&explain::INTERNAL, Exit::Failed, what.to_owned())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
