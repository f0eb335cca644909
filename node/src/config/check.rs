//! The checked configuration, and what must hold between settings.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use caxton_capabilities::Name;

use super::{
    door::{ApiLimits, Jwt, Networks, jwt_of, limits_of},
    limits,
    resolve::{Origin, Resolver, Summary},
    sections::{
        Agents, ApiSettings, AuditExport, Compile, ExportForm, JwtSettings, LimitSettings, Log,
        MeshSettings, Messages, Metrics, Mode, NodeSettings, Security, Seeds, Store, TlsSettings,
        Top, Trace,
    },
};

/// Where a production node keeps its data: systemd's `StateDirectory=caxton`.
const PRODUCTION_DATA: &str = "/var/lib/caxton";

/// Everything a node is told, checked: each part is handed its own struct.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Who the node is and where its data lies.
    pub node: Node,
    /// The management API.
    pub api: Api,
    /// Whose JSON Web Tokens count; none: nobody's.
    pub jwt: Option<Jwt>,
    /// The way to the other nodes.
    pub mesh: Mesh,
    /// Certificates of the cluster's own CA.
    pub security: Security,
    /// How long stopping may take before what is left is killed.
    pub shutdown_grace: Duration,
    /// What the node writes about itself.
    pub log: Log,
    /// Messages between agents.
    pub messages: Messages,
    /// The agents and their supervision.
    pub agents: Agents,
    /// Limits of programs that differ from the sandbox's defaults, each in its own unit.
    pub limits: BTreeMap<String, u64>,
    /// Compiling programs.
    pub compile: Compile,
    /// The store on disk.
    pub store: Store,
    /// The record of what messages did.
    pub trace: Trace,
    /// Who is handed the audit log; nobody without.
    pub audit_export: Option<Export>,
    /// Figures for monitoring.
    pub metrics: Metrics,
    /// What is told of all of it.
    pub summary: Summary,
}

/// Who is handed the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Export {
    /// Where they are.
    pub to: ExportTo,
    /// What the messages or lines are.
    pub format: ExportForm,
}

/// Where the audit log is handed on to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportTo {
    /// A receiver of syslog over TLS.
    Syslog {
        /// `HOST:PORT`.
        address: String,
        /// PEM file with the CA of its certificate.
        ca: PathBuf,
    },
    /// The end of this file.
    File(PathBuf),
}

/// Who the node is and where its data lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// Its name, unique in the cluster.
    pub name: Name,
    /// Whether somebody chose the name; a development node that joins takes the next free one otherwise.
    pub name_explicit: bool,
    /// Whether somebody chose the folder.
    pub data_explicit: bool,
    /// Where development nodes of one user leave the way in for each other; none without a home.
    pub doors: Option<PathBuf>,
    /// What it is for.
    pub mode: Mode,
    /// The folder of store and keys. Of an ephemeral node: the folder in which it makes a fresh one.
    pub data: PathBuf,
    /// Whether the data is gone when the node stops.
    pub ephemeral: bool,
}

/// The management API: HTTPS on one port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Api {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether somebody chose that address; a development node may take the next free port otherwise.
    pub listen_explicit: bool,
    /// Connections at the same time.
    pub connections_max: usize,
    /// The largest request body but for programs.
    pub body_bytes_max: usize,
    /// The largest program that can be deployed.
    pub program_bytes_max: usize,
    /// How long a client may take for its handshake and the headers of a request.
    pub header_timeout: Duration,
    /// How long a request may take, streams excepted.
    pub request_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Proxies whose word on a client's address is believed.
    pub trusted_proxies: Networks,
    /// How often somebody may ask.
    pub limits: ApiLimits,
    /// The operator's certificate; a development node makes its own without.
    pub tls: Option<Tls>,
}

/// The way to the other nodes: QUIC on one UDP port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mesh {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether somebody chose that address; a development node may take the next free port otherwise.
    pub listen_explicit: bool,
    /// Where others dial it, if not where it listens.
    pub advertise: Option<SocketAddr>,
    /// Members to ask for the way in.
    pub join: Seeds,
    /// A file with the join token.
    pub token_file: Option<PathBuf>,
    /// How often connections get fresh keys.
    pub key_rotation_interval: Duration,
}

/// A certificate of the operator's own CA. Paths: the node reads them and checks their rights.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// PEM file with the certificate, followed by those between it and the CA.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with the CA that clients are told to trust; they use their own store without.
    pub ca: Option<PathBuf>,
}

/// Reads and checks everything. `None` when something is wrong; the resolver has the problems then.
pub(super) fn check(from: &mut Resolver<'_>) -> Option<Config> {
    let node = NodeSettings::read(from);
    let api = ApiSettings::read(from);
    let tls = TlsSettings::read(from);
    let rates = LimitSettings::read(from);
    let jwt = JwtSettings::read(from);
    let mesh = MeshSettings::read(from);
    let security = Security::read(from);
    let top = Top::read(from);
    let log = Log::read(from);
    let messages = Messages::read(from);
    let agents = Agents::read(from);
    let limits = limits::read(from);
    let compile = Compile::read(from);
    let store = Store::read(from);
    let trace = Trace::read(from);
    let audit_export = AuditExport::read(from);
    let metrics = Metrics::read(from);

    // Everything was read before the first `?`, so that one run reports all that is wrong.
    if let Some(messages) = &messages {
        check_messages(from, messages);
    }
    if let Some(compile) = &compile {
        check_compile(from, compile);
    }
    let tls = tls.map(|tls| check_tls(from, tls));
    let jwt = jwt.and_then(|jwt| jwt_of(from, jwt));
    if let (Some(node), Some(api), Some(mesh)) = (&node, &api, &mesh) {
        check_door(from, node.mode, api.listen, mesh);
    }
    if let Some(security) = &security {
        check_security(from, security);
    }
    let audit_export = audit_export.map(|export| check_export(from, export));
    let node = node.and_then(|node| check_node(from, node));
    let rates = (node.as_ref().zip(rates)).map(|(node, rates)| limits_of(from, node.mode, rates));
    Some(Config {
        node: node?,
        api: api_of(from, api?, tls?, rates?),
        jwt: jwt?,
        mesh: mesh_of(from, mesh?),
        security: security?,
        shutdown_grace: top?.shutdown_grace,
        log: log?,
        messages: messages?,
        agents: agents?,
        limits,
        compile: compile?,
        store: store?,
        trace: trace?,
        audit_export: audit_export?,
        metrics: metrics?,
        summary: from.summary(),
    })
}

fn check_messages(from: &mut Resolver<'_>, messages: &Messages) {
    if messages.backoff_first > messages.backoff_max {
        from.contradiction(
            &["messages.backoff_first", "messages.backoff_max"],
            "`messages.backoff_first` must not be above `messages.backoff_max`",
            "lower the first pause or raise the longest one",
        );
    }
    if messages.bytes_max > messages.tenant_in_flight_bytes_max {
        from.contradiction(
            &["messages.tenant_in_flight_bytes_max", "messages.bytes_max"],
            "`messages.tenant_in_flight_bytes_max` must not be below `messages.bytes_max`",
            "a tenant could not send the largest message: raise the first or lower the second",
        );
    }
}

fn check_compile(from: &mut Resolver<'_>, compile: &Compile) {
    if compile.cpu_max > compile.wall_max {
        from.contradiction(
            &["compile.cpu_max", "compile.wall_max"],
            "`compile.cpu_max` must not be above `compile.wall_max`",
            "lower the processor time or raise the time by the clock",
        );
    }
}

/// A certificate and its key come together or not at all.
fn check_tls(from: &mut Resolver<'_>, tls: TlsSettings) -> Option<Tls> {
    let TlsSettings {
        certificate,
        key,
        ca,
    } = tls;
    let missing = match (certificate, key, &ca) {
        (Some(certificate), Some(key), _) => {
            return Some(Tls {
                certificate,
                key,
                ca,
            });
        }
        (None, None, None) => return None,
        (None, ..) => "api.tls.certificate",
        (_, None, _) => "api.tls.key",
    };
    from.contradiction(
        &["api.tls.certificate", "api.tls.key", "api.tls.ca"],
        format!("`{missing}` is missing"),
        "`api.tls.certificate` and `api.tls.key` are PEM files that belong together: give both",
    );
    None
}

/// One receiver and the CA of its certificate come together, or there is a file, or neither.
fn check_export(from: &mut Resolver<'_>, export: AuditExport) -> Option<Export> {
    let AuditExport {
        address,
        ca,
        file,
        format,
    } = export;
    let to = match (address.0.as_slice(), ca, file) {
        ([], None, None) => return None,
        ([], None, Some(file)) => Some(ExportTo::File(file)),
        ([address], Some(ca), None) => Some(ExportTo::Syslog {
            address: address.clone(),
            ca,
        }),
        ([], Some(_), _) | ([_, ..], ..) => None,
    };
    if to.is_none() {
        from.contradiction(
            &["audit.export.address", "audit.export.ca"],
            "`audit.export` is one receiver, `address` with the `ca` of its certificate, or one `file`",
            "give both of a receiver, or a file, or nothing",
        );
    }
    to.map(|to| Export { to, format })
}

/// SECURITY: a development node's CA key lies beside its certificates, and its first operator is made
/// without asking. So nobody but this machine may reach it.
fn check_door(from: &mut Resolver<'_>, mode: Mode, listen: SocketAddr, mesh: &MeshSettings) {
    match mode {
        Mode::Development if !listen.ip().is_loopback() => from.contradiction(
            &["api.listen"],
            format!("a development node listens on loopback addresses alone, and `{listen}` is none"),
            "set `node.mode: production` with `api.tls.certificate` and `api.tls.key` of your own CA, or stay on \
             127.0.0.1 and come in through a tunnel: `ssh -L 8443:127.0.0.1:8443 HOST`",
        ),
        Mode::Development if !mesh.listen.ip().is_loopback() => from.contradiction(
            &["mesh.listen"],
            format!("a development node listens on loopback addresses alone, and `{}` is none", mesh.listen),
            "stay on 127.0.0.1 or ::1: keys of a development CA lie on this disk, so it is not shown to a network",
        ),
        Mode::Development | Mode::Production => {}
    }
    let nowhere = mesh.listen.ip().is_unspecified() && mesh.advertise.is_none();
    if nowhere && mesh.join.0.is_empty() {
        from.contradiction(
            &["mesh.advertise", "mesh.listen"],
            format!("others cannot dial `{}`", mesh.listen),
            "set `mesh.advertise` to the address by which other nodes reach this one",
        );
    }
}

fn check_security(from: &mut Resolver<'_>, security: &Security) {
    if security.renew_before >= security.certificate_lifetime {
        from.contradiction(
            &["security.renew_before", "security.certificate_lifetime"],
            "`security.renew_before` must be below `security.certificate_lifetime`",
            "a certificate would be replaced as soon as it is issued",
        );
    }
    if security.check_interval >= security.renew_before {
        from.contradiction(
            &["security.check_interval", "security.renew_before"],
            "`security.check_interval` must be below `security.renew_before`",
            "a certificate could end between two looks at it",
        );
    }
}

fn mesh_of(from: &Resolver<'_>, mesh: MeshSettings) -> Mesh {
    Mesh {
        listen: mesh.listen,
        listen_explicit: from.origin("mesh.listen") != Origin::Default,
        advertise: mesh.advertise,
        join: mesh.join,
        token_file: mesh.token_file,
        key_rotation_interval: mesh.key_rotation_interval,
    }
}

fn check_node(from: &mut Resolver<'_>, node: NodeSettings) -> Option<Node> {
    let NodeSettings {
        mode,
        name,
        data,
        ephemeral,
    } = node;
    if ephemeral && mode == Mode::Production {
        from.contradiction(
            &["node.ephemeral", "node.mode"],
            "a production node keeps its data, `node.ephemeral` throws it away",
            "remove one of the two",
        );
    }
    if ephemeral && data.is_some() {
        from.contradiction(
            &["node.ephemeral", "node.data"],
            "`node.ephemeral` throws data away, `node.data` names where to keep it",
            "remove one of the two",
        );
    }
    let data_explicit = data.is_some();
    let data = data.or_else(|| data_by_default(from.environment, mode, ephemeral, &name));
    let Some(data) = data else {
        from.contradiction(
            &[],
            "no folder for the node's data: neither HOME nor XDG_DATA_HOME is set",
            "set `node.data`, or `node.ephemeral: true`",
        );
        return None;
    };
    from.show("node.data", data.display().to_string());
    let base = base_folder(from.environment, "XDG_DATA_HOME", ".local/share");
    Some(Node {
        name,
        name_explicit: from.is_given("node.name"),
        data_explicit,
        doors: base.map(|base| base.join("caxton/dev/doors")),
        mode,
        data,
        ephemeral,
    })
}

fn data_by_default(
    environment: &dyn Fn(&str) -> Option<String>,
    mode: Mode,
    ephemeral: bool,
    name: &Name,
) -> Option<PathBuf> {
    match mode {
        _ if ephemeral => Some(folder(environment, "TMPDIR").unwrap_or_else(|| "/tmp".into())),
        Mode::Production => Some(PRODUCTION_DATA.into()),
        Mode::Development => {
            let data = base_folder(environment, "XDG_DATA_HOME", ".local/share")?;
            Some(data.join("caxton/dev").join(name.as_str()))
        }
    }
}

/// A folder of the XDG Base Directory Specification 0.8: the variable, or a place below HOME.
pub(super) fn base_folder(
    environment: &dyn Fn(&str) -> Option<String>,
    variable: &str,
    below_home: &str,
) -> Option<PathBuf> {
    folder(environment, variable).or_else(|| Some(folder(environment, "HOME")?.join(below_home)))
}

/// A folder from the environment. The specification has relative ones ignored.
fn folder(environment: &dyn Fn(&str) -> Option<String>, variable: &str) -> Option<PathBuf> {
    environment(variable)
        .map(PathBuf::from)
        .filter(|path: &PathBuf| Path::is_absolute(path))
}

fn api_of(from: &Resolver<'_>, api: ApiSettings, tls: Option<Tls>, limits: ApiLimits) -> Api {
    Api {
        listen: api.listen,
        listen_explicit: from.origin("api.listen") != Origin::Default,
        connections_max: api.connections_max,
        body_bytes_max: api.body_bytes_max,
        program_bytes_max: api.program_bytes_max,
        header_timeout: api.header_timeout,
        request_timeout: api.request_timeout,
        keep_alive: api.keep_alive,
        trusted_proxies: api.trusted_proxies,
        limits,
        tls,
    }
}
