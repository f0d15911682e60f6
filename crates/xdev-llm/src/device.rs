//! `Device`: memory that a model can be loaded into, and the choice of the one that a model server probably uses.
//!
//! [`DeviceSource`] is where a caller reads devices: this machine (feature `device`), or what a test makes up.
//! Not here: how this machine is read (`machine`), and whether a model fits (`forecast`).

#[cfg(feature = "device")]
mod machine;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

#[cfg(feature = "device")]
pub use machine::{devices, gpu, holders};

/// `DeviceKind` says what sort of memory a device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// A GPU with memory of its own; what does not fit spills into main memory.
    Gpu,
    /// A GPU that shares the main memory of the machine.
    Unified,
    /// The main memory of the machine.
    System,
}

impl DeviceKind {
    /// The name in JSON and on the terminal.
    pub fn as_str(self) -> &'static str {
        match self {
            DeviceKind::Gpu => "gpu",
            DeviceKind::Unified => "unified",
            DeviceKind::System => "system",
        }
    }
}

/// `Vendor` is the maker of a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Vendor {
    /// NVIDIA, read through its own library.
    Nvidia,
    /// AMD, read from Linux's `/sys`.
    Amd,
    /// Apple, whose GPU uses main memory.
    Apple,
}

/// `Device` is one memory that a model can be loaded into, as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// What users know it by, such as `NVIDIA GeForce RTX 3060` or `main memory`.
    pub name: String,
    /// Who made it; none for main memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Vendor>,
    /// All its memory, in bytes.
    pub total_bytes: u64,
    /// What is free of it, in bytes. Of main memory, what can be had without swapping.
    pub free_bytes: u64,
    /// What sort of memory it is.
    pub kind: DeviceKind,
    /// Its number among the devices of its vendor, in the order of their places on the bus, from 0.
    pub index: u32,
}

/// `Holder` is a process that holds memory of a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The number of the process.
    pub pid: u32,
    /// Its name; none where the system does not tell, as for another container's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it holds, in bytes; none where the driver does not tell, as on Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
}

/// Chooses the GPU that a model server probably uses: the one with the most memory.
///
/// A GPU with memory of its own goes before one that shares main memory, the first before its equals. `visible` is the
/// environment variable `CUDA_VISIBLE_DEVICES`: where it names indices, other GPUs of NVIDIA are left out, and all of
/// them where it is empty or -1. Names of other forms (`GPU-…`, `MIG-…`) leave none out. Indices are taken in the order
/// of the bus, which is CUDA's where `CUDA_DEVICE_ORDER` is `PCI_BUS_ID` or all GPUs are alike.
///
/// A server that spreads a model over several GPUs can hold more than this one device tells.
pub fn choose_gpu<'a>(devices: &'a [Device], visible: Option<&str>) -> Option<&'a Device> {
    let indices = visible.and_then(visible_indices);
    let is_visible = |device: &Device| match &indices {
        Some(indices) if device.vendor == Some(Vendor::Nvidia) => indices.contains(&device.index),
        _ => true,
    };
    let candidates = devices.iter().filter(|device| device.kind != DeviceKind::System && is_visible(device));
    // The last of equals is what `max_by_key` takes, so that it walks from behind.
    candidates.rev().max_by_key(|device| (device.kind == DeviceKind::Gpu, device.total_bytes))
}

/// The indices that `CUDA_VISIBLE_DEVICES` names; `None` where it names anything else.
///
/// CUDA takes the list up to the first number that is none of a device; -1 is the usual one.
fn visible_indices(list: &str) -> Option<Vec<u32>> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let numbers = names.map(str::parse::<i64>).collect::<Result<Vec<_>, _>>().ok()?;
    Some(numbers.into_iter().map_while(|number| u32::try_from(number).ok()).collect())
}

/// `DeviceSource` reads devices, from this machine or from a function that a test gives.
///
/// ```
/// use xdev_llm::{Device, DeviceKind, DeviceSource};
///
/// let source = DeviceSource::new(|| {
///     vec![Device {
///         name: "main memory".into(),
///         vendor: None,
///         total_bytes: 16 << 30,
///         free_bytes: 9 << 30,
///         kind: DeviceKind::System,
///         index: 0,
///     }]
/// });
/// assert_eq!(source.memory(None).unwrap().free_bytes, 9 << 30);
/// ```
#[derive(Clone)]
pub struct DeviceSource(Arc<dyn Fn() -> Vec<Device> + Send + Sync>);

impl DeviceSource {
    /// Makes a source of a function that is called for each reading.
    pub fn new(read: impl Fn() -> Vec<Device> + Send + Sync + 'static) -> Self {
        DeviceSource(Arc::new(read))
    }

    /// Makes the source that reads this machine; see [`devices`].
    #[cfg(feature = "device")]
    pub fn this_machine() -> Self {
        DeviceSource::new(devices)
    }

    /// Reads all devices now. Blocks: the first time, opening the driver's library takes tens of milliseconds.
    pub fn devices(&self) -> Vec<Device> {
        (self.0)()
    }

    /// Reads the memory that a model server on this machine probably loads into: the GPU of [`choose_gpu`], or main
    /// memory where there is no GPU. Blocks as [`devices`](Self::devices) does.
    pub fn memory(&self, visible: Option<&str>) -> Option<Device> {
        let found = self.devices();
        let main = || found.iter().find(|device| device.kind == DeviceKind::System);
        choose_gpu(&found, visible).or_else(main).cloned()
    }
}

impl fmt::Debug for DeviceSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DeviceSource")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(kind: DeviceKind, vendor: Option<Vendor>, index: u32, gigabytes: u64) -> Device {
        Device {
            name: format!("{kind:?} {index}"),
            vendor,
            total_bytes: gigabytes << 30,
            free_bytes: gigabytes << 29,
            kind,
            index,
        }
    }

    fn workstation() -> Vec<Device> {
        vec![
            device(DeviceKind::Gpu, Some(Vendor::Nvidia), 0, 8),
            device(DeviceKind::Gpu, Some(Vendor::Nvidia), 1, 24),
            device(DeviceKind::Gpu, Some(Vendor::Nvidia), 2, 24),
            device(DeviceKind::Unified, Some(Vendor::Amd), 0, 64),
            device(DeviceKind::System, None, 0, 128),
        ]
    }

    #[test]
    fn the_largest_gpu_that_cuda_may_see_is_chosen() {
        let devices = workstation();
        let chosen = |visible| choose_gpu(&devices, visible).map(|device| device.name.as_str());
        let table = [
            (None, "Gpu 1"),
            (Some("0"), "Gpu 0"),
            (Some("2,1"), "Gpu 1"),
            (Some(" 0 , 2 "), "Gpu 2"),
            (Some("0,-1,1"), "Gpu 0"),
            (Some("GPU-8932f937"), "Gpu 1"),
            (Some("7"), "Unified 0"),
            (Some("-1"), "Unified 0"),
            (Some(""), "Unified 0"),
        ];
        for (visible, expected) in table {
            assert_eq!(chosen(visible), Some(expected), "{visible:?}");
        }
        assert_eq!(choose_gpu(&devices[4..], None), None);
        assert_eq!(choose_gpu(&[], None), None);
    }

    #[test]
    fn memory_is_the_gpu_or_else_main_memory() {
        let source = DeviceSource::new(workstation);
        assert_eq!(source.memory(Some("0")).unwrap().name, "Gpu 0");
        let source = DeviceSource::new(|| workstation().split_off(4));
        assert_eq!(source.memory(None).unwrap().kind, DeviceKind::System);
        assert_eq!(DeviceSource::new(Vec::new).memory(None), None);
    }

    #[test]
    fn json_names_are_snake_case_and_skip_what_is_not_told() {
        let json = serde_json::to_string(&device(DeviceKind::System, None, 0, 1)).unwrap();
        assert_eq!(
            json,
            r#"{"name":"System 0","total_bytes":1073741824,"free_bytes":536870912,"kind":"system","index":0}"#
        );
        let json = serde_json::to_string(&device(DeviceKind::Gpu, Some(Vendor::Amd), 0, 1)).unwrap();
        assert!(json.contains(r#""vendor":"amd""#) && json.contains(r#""kind":"gpu""#), "{json}");
    }
}
