//! The vectors in `../vectors/manifests.json`: each is what its recipe makes, and the library says of it what it
//! expects.
//!
//! `CAXTON_VECTORS=write` writes them anew, with fresh ML-DSA-65 signatures.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use caxton_capabilities::{
    Address, Contents, Deployer, Deployers, Deployment, Name, SignedManifest, VerifiedManifest,
    is_downgrade, widening,
};
use serde_json::{Value, json};

use crate::{
    cast::{DOMAIN, deployer, deployers, full, least, manifest},
    forge::{CLASSICAL, Pieces, SIGNATURES},
    recipes::{self, Made},
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/manifests.json");
/// The default that the changes know.
const DEFAULT: (&str, u64) = ("wall", 5_000);

fn text(bytes: &[u8]) -> String {
    format!("cxm1.{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a stranger must read.
pub(crate) fn said(contents: &Contents) -> Value {
    let rights = contents.rights.iter().flat_map(|rights| rights.iter());
    json!({
        "trust_domain": contents.trust_domain.as_ref().map(ToString::to_string),
        "address": contents.address.to_string(),
        "program": hex(&contents.program),
        "number": contents.number,
        "signed_at": contents.signed_at.seconds(),
        "limits": contents.limits,
        "imports": contents.imports,
        "protocols": contents.protocols,
        "services": contents.services.iter().map(Name::as_str).collect::<Vec<_>>(),
        "rights": rights.map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn vector(made: &Made) -> Value {
    let mut vector = json!({
        "name": made.name,
        "manifest": text(&made.bytes),
        "expect": made.expect,
    });
    if let Some(deployment) = &made.deployment {
        vector["deployment"] = deployment.clone();
    } else if made.expect == "accepted" {
        let signed = SignedManifest::from_bytes(&made.bytes).expect("it is read");
        vector["says"] = said(signed.manifest().contents());
        vector["key"] = json!(signed.key().to_string());
        vector["digest"] = json!(hex(&signed.digest()));
    }
    vector
}

fn change((name, old, new): &(&str, Contents, Contents)) -> Value {
    let default = |name: &str| (name == DEFAULT.0).then_some(DEFAULT.1);
    let [one, two] = [old, new].map(|contents| manifest(contents.clone()));
    let wider = widening(old, new, default);
    json!({
        "name": name,
        "old": said(old),
        "new": said(new),
        "defaults": { DEFAULT.0: DEFAULT.1 },
        "wider": wider.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "downgrade": is_downgrade(&one, &two),
    })
}

fn setting() -> Value {
    let all = [(1, "ann"), (2, "bob")].map(|(seed, operator)| {
        let key = deployer(seed).public().clone();
        json!({ "key": key.to_string(), "id": key.id().to_string(), "operator": operator })
    });
    json!({ "trust_domain": DOMAIN, "deployers": all })
}

/// The deployers as the file has them.
fn believed(file: &Value) -> Deployers {
    let all = file["deployers"].as_array().unwrap().iter();
    let all = all.map(|one| Deployer {
        key: one["key"].as_str().unwrap().parse().unwrap(),
        operator: one["operator"].as_str().unwrap().parse().unwrap(),
    });
    let domain = file["trust_domain"].as_str().unwrap().parse().ok();
    Deployers::try_new(domain, all.collect::<Vec<_>>()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

fn altered(verified: &VerifiedManifest, deployment: &Value) -> Option<&'static str> {
    let address: Address = deployment["address"].as_str().unwrap().parse().unwrap();
    let program = deployment["program"].as_str().unwrap();
    let program: Vec<_> = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&program[at..at + 2], 16).unwrap())
        .collect();
    let limits: BTreeMap<_, _> = serde_json::from_value(deployment["limits"].clone()).unwrap();
    let protocols: BTreeSet<_> = strings(&deployment["protocols"]).into_iter().collect();
    let services = strings(&deployment["services"]);
    let services: BTreeSet<Name> = services.iter().map(|name| name.parse().unwrap()).collect();
    let asked = Deployment {
        address: &address,
        program: &program.try_into().unwrap(),
        limits: &limits,
        protocols: &protocols,
        services: &services,
    };
    let imports = strings(&deployment["imports"]);
    let imports = || verified.imports(imports.iter().map(String::as_str));
    let differs = verified.of(&asked).and_then(|()| imports());
    differs.err().map(|altered| altered.field)
}

fn verdict(deployers: &Deployers, vector: &Value) -> String {
    let read = SignedManifest::from_text(vector["manifest"].as_str().unwrap());
    let verified = read
        .map_err(Into::into)
        .and_then(|signed| signed.verify(deployers));
    match verified {
        Err(refused) => format!("refused: {}", refused.class()),
        Ok(verified) => match vector
            .get("deployment")
            .map(|asked| altered(&verified, asked))
        {
            Some(Some(field)) => format!("altered: {field}"),
            _ => "accepted".to_owned(),
        },
    }
}

/// The bytes of a vector, with nothing where the random signature is, if they are long enough to have one.
fn without_chance(vector: &Value) -> Vec<u8> {
    let text = vector["manifest"].as_str().expect("a manifest");
    let digits = text.strip_prefix("cxm1.").expect("the prefix");
    let bytes = URL_SAFE_NO_PAD.decode(digits).expect("base64url");
    // What is a byte too long or too short leaves a few bytes of chance at the edges.
    let known = bytes.len().saturating_sub(SIGNATURES - CLASSICAL + 1);
    bytes[..known].to_vec()
}

#[test]
fn the_manifests_are_what_their_recipes_make_and_get_the_verdicts_they_name() {
    let all: Vec<Value> = recipes::all().iter().map(vector).collect();
    let mut made = setting();
    made["vectors"] = json!(all);
    made["changes"] = recipes::changes().iter().map(change).collect();
    if asked() {
        let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
        fs::write(PATH, text).unwrap();
    }
    let kept: Value = serde_json::from_str(&fs::read_to_string(PATH).unwrap()).unwrap();
    assert_eq!(kept["deployers"], made["deployers"]);
    assert_eq!(kept["changes"], made["changes"]);
    let deployers = believed(&kept);
    let kept_all = kept["vectors"].as_array().unwrap();
    assert_eq!(kept_all.len(), all.len());
    for (kept_one, made_one) in kept_all.iter().zip(&all) {
        let label = &kept_one["name"];
        assert_eq!(
            without_chance(kept_one),
            without_chance(made_one),
            "{label}"
        );
        let mut same_manifest = made_one.clone();
        same_manifest["manifest"] = kept_one["manifest"].clone();
        assert_eq!(*kept_one, same_manifest, "{label}");
        for (whose, vector) in [("kept", kept_one), ("made", made_one)] {
            assert_eq!(
                verdict(&deployers, vector),
                vector["expect"],
                "{whose} {label}"
            );
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test takes no flags; asked for, it writes what it otherwise compares"
)]
fn asked() -> bool {
    env::var("CAXTON_VECTORS").is_ok_and(|word| word == "write")
}

#[test]
fn the_text_of_a_manifest_has_one_form() {
    let good = manifest(least()).sign(&deployer(1)).unwrap().to_text();
    assert!(SignedManifest::from_text(&good).is_ok());
    let digits = &good[5..];
    for bad in [
        digits.to_owned(),
        format!("cxm2.{digits}"),
        format!("CXM1.{digits}"),
        format!("cxt1.{digits}"),
        format!("{good}="),
        format!("{good}\n"),
        format!(" {good}"),
        good[..good.len() - 1].to_owned(),
    ] {
        assert!(SignedManifest::from_text(&bad).is_err(), "{bad:.20}");
    }
}

#[test]
fn the_page_alone_is_enough_to_make_a_signed_manifest() {
    // `forge` has the bytes of the page and no code of the library's encoder.
    let mut contents = full();
    contents.rights = None;
    let made = SignedManifest::from_bytes(&Pieces::of(&contents, 1).bytes()).unwrap();
    assert_eq!(made.manifest().contents(), &contents);
    assert!(made.verify(&deployers()).is_ok());
}
