//! What every server must do through the client, written once and run for every dialect against the test server, and
//! against the real llama.cpp engine where it is installed (`make test` installs it).
#![allow(missing_docs, clippy::unwrap_used)]
#![cfg(feature = "client")]

#[path = "behaviour/compare.rs"]
mod compare;
#[path = "behaviour/doctor.rs"]
mod doctor;
#[path = "behaviour/faults.rs"]
mod faults;
#[path = "behaviour/host.rs"]
mod host;
#[path = "behaviour/memory.rs"]
mod memory;
#[path = "behaviour/memory_device.rs"]
mod memory_device;
#[path = "behaviour/memory_faults.rs"]
mod memory_faults;
#[path = "behaviour/network.rs"]
mod network;
#[path = "behaviour/routes.rs"]
mod routes;
#[path = "behaviour/suite.rs"]
mod suite;
#[path = "behaviour/wire.rs"]
mod wire;
