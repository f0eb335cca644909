//! Who may do what, as operators said it: operators, their keys, tenants, policies, what was taken back, the emergency stop.
//!
//! - `book`: all of it as one document (pure)
//! - `issuer`: this node's key for capability tokens
//! - `jwks`: fetches the key set of that issuer, where it does not lie in a file
//! - `jwt`: who shows a JSON Web Token of the issuer that is configured
//! - `keeper`: changes the document where this node may, and makes it count: durable first, then in force here, then told
//!   to the cluster; elsewhere it follows what the CA says
//! - `keys`: whose key it is that somebody shows
//! - `manifests`: whether a deployment is what its deployer signed
//! - `service_tokens`: credentials of a quarter of an hour
//!
//! One writer: the node that holds the cluster's authority, or a node by itself. The document travels inside the
//! cluster's state, under the CA's signature, so any member may carry it and none can change it.

pub(crate) mod book;
pub(crate) mod issuer;
pub(crate) mod jwks;
pub(crate) mod jwt;
pub(crate) mod keeper;
pub(crate) mod keys;
pub(crate) mod manifests;
pub(crate) mod service_tokens;
