//! The server on a real loopback socket, in front of a host that records what it is told.
// `cfg(test)` tells clippy that what stands in these modules is tests, helpers included.

#[cfg(test)]
mod access;
#[cfg(test)]
mod client;
#[cfg(test)]
mod host;
#[cfg(test)]
mod ingest;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod otlp;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod tls;
