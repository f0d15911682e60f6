//! Reads the devices of this machine: NVIDIA through NVML, AMD from Linux's `/sys`, main memory through sysinfo.
//!
//! What is not there is no fault: without a driver there is no GPU, and main memory is what remains. GPUs that tell
//! their memory neither way (Intel's, and AMD's on Windows) are not seen.
//! Not here: the types and the choice among devices (`device`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nvml_wrapper::Nvml;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

use super::{Device, DeviceKind, Holder, Vendor, choose_gpu};

/// An AMD GPU that owns less than this is part of the processor and uses main memory: what it owns is a carve-out that
/// no model server counts on. The rule is ours; cards that run models have 2 GiB and more.
const SMALLEST_CARD: u64 = 2 << 30;

/// Reads the GPUs of this machine, then its main memory.
///
/// Blocks: the first call opens NVIDIA's library, which takes tens of milliseconds. In a container, main memory is
/// the machine's, whatever the container may use of it.
pub fn devices() -> Vec<Device> {
    let main = main_memory();
    let mut found = nvidia(main.as_ref());
    found.extend(amd(Path::new("/sys/class/drm")));
    if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
        found.extend(main.as_ref().map(|main| shared("Apple GPU".to_owned(), Vendor::Apple, 0, main)));
    }
    found.extend(main);
    found
}

/// Reads the GPU that a model server on this machine probably uses; see [`choose_gpu`]. Blocks as [`devices`] does.
pub fn gpu() -> Option<Device> {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    choose_gpu(&devices(), visible.as_deref()).cloned()
}

/// Lists the processes that hold memory of `device`, the largest first; empty where the driver does not tell, which is
/// everywhere but on NVIDIA. In a container, processes outside of it have no name.
pub fn holders(device: &Device) -> Vec<Holder> {
    if device.vendor != Some(Vendor::Nvidia) {
        return Vec::new();
    }
    let Some(handle) = nvml().and_then(|nvml| nvml.device_by_index(device.index).ok()) else {
        return Vec::new();
    };
    let computing = handle.running_compute_processes().unwrap_or_default();
    let drawing = handle.running_graphics_processes().unwrap_or_default();
    let mut holders = merge(computing.iter().chain(&drawing));
    name(&mut holders);
    holders
}

/// NVML, opened once and kept: opening it costs more than everything that is asked of it.
fn nvml() -> Option<&'static Nvml> {
    static NVML: OnceLock<Option<Nvml>> = OnceLock::new();
    NVML.get_or_init(|| {
        let opened = Nvml::builder().lib_path(library()?.as_os_str()).init();
        if let Err(error) = &opened {
            tracing::debug!(%error, "no GPU of NVIDIA");
        }
        opened.ok()
    })
    .as_ref()
}

/// Where the driver puts its library. On Windows by its whole path, so that no other folder's file is taken for it.
fn library() -> Option<PathBuf> {
    if cfg!(windows) {
        let root = std::env::var_os("SystemRoot")?;
        return Some(Path::new(&root).join("System32").join("nvml.dll"));
    }
    (!cfg!(target_os = "macos")).then(|| PathBuf::from("libnvidia-ml.so.1"))
}

fn nvidia(main: Option<&Device>) -> Vec<Device> {
    let Some(nvml) = nvml() else { return Vec::new() };
    let count = nvml.device_count().unwrap_or(0);
    let read = |index: u32| {
        let handle = nvml.device_by_index(index).ok()?;
        let name = handle.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned());
        match handle.memory_info() {
            Ok(memory) => Some(Device {
                name,
                vendor: Some(Vendor::Nvidia),
                total_bytes: memory.total,
                free_bytes: memory.free,
                kind: DeviceKind::Gpu,
                index,
            }),
            // GPUs of one chip with the processor (Jetson, GB10) have no memory to tell of.
            Err(NvmlError::NotSupported) => Some(shared(name, Vendor::Nvidia, index, main?)),
            Err(_) => None,
        }
    };
    (0..count).filter_map(read).collect()
}

/// A GPU that uses main memory.
fn shared(name: String, vendor: Vendor, index: u32, main: &Device) -> Device {
    Device { name, vendor: Some(vendor), kind: DeviceKind::Unified, index, ..main.clone() }
}

/// Reads what Linux's driver `amdgpu` tells in `folder`, which is `/sys/class/drm`.
///
/// Source: the kernel's documentation, "AMDGPU driver", `mem_info_vram_total` and its siblings.
fn amd(folder: &Path) -> Vec<Device> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut cards: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            // `card0` is a GPU and `card0-DP-1` a socket of it.
            let number = entry.file_name().to_str()?.strip_prefix("card")?.parse().ok()?;
            Some((number, entry.path().join("device")))
        })
        .collect();
    cards.sort_unstable();
    let read = cards.iter().filter_map(|(_, card)| amd_card(card));
    read.zip(0..).map(|(device, index)| Device { index, ..device }).collect()
}

fn amd_card(card: &Path) -> Option<Device> {
    let text = |name: &str| fs::read_to_string(card.join(name)).map(|text| text.trim().to_owned()).ok();
    let bytes = |name: &str| text(name)?.parse::<u64>().ok();
    let (mut total, mut used) = (bytes("mem_info_vram_total")?, bytes("mem_info_vram_used")?);
    let mut kind = DeviceKind::Gpu;
    if total < SMALLEST_CARD
        && let (Some(shared), Some(shared_used)) = (bytes("mem_info_gtt_total"), bytes("mem_info_gtt_used"))
    {
        kind = DeviceKind::Unified;
        total = total.saturating_add(shared);
        used = used.saturating_add(shared_used);
    }
    Some(Device {
        name: text("product_name").filter(|name| !name.is_empty()).unwrap_or_else(|| "AMD GPU".to_owned()),
        vendor: Some(Vendor::Amd),
        total_bytes: total,
        free_bytes: total.saturating_sub(used),
        kind,
        index: 0,
    })
}

fn main_memory() -> Option<Device> {
    let memory = MemoryRefreshKind::nothing().with_ram();
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory));
    let total_bytes = system.total_memory();
    (total_bytes > 0).then(|| Device {
        name: "main memory".to_owned(),
        vendor: None,
        total_bytes,
        free_bytes: system.available_memory().min(total_bytes),
        kind: DeviceKind::System,
        index: 0,
    })
}

/// One holder a process, the largest first: a process that both computes and draws is in both lists.
fn merge<'a>(processes: impl Iterator<Item = &'a ProcessInfo>) -> Vec<Holder> {
    let mut holders: Vec<Holder> = Vec::new();
    for process in processes {
        let used_bytes = match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        };
        match holders.iter_mut().find(|holder| holder.pid == process.pid) {
            Some(holder) => holder.used_bytes = holder.used_bytes.max(used_bytes),
            None => holders.push(Holder { pid: process.pid, name: None, used_bytes }),
        }
    }
    holders.sort_by_key(|holder| std::cmp::Reverse(holder.used_bytes));
    holders
}

/// Gives each holder the name of its process.
fn name(holders: &mut [Holder]) {
    let pids: Vec<Pid> = holders.iter().map(|holder| Pid::from_u32(holder.pid)).collect();
    let mut system = System::new();
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&pids),
        false,
        ProcessRefreshKind::nothing().without_tasks(),
    );
    for (holder, pid) in holders.iter_mut().zip(pids) {
        let name = system.process(pid).map(|process| process.name().to_string_lossy().into_owned());
        holder.name = name.filter(|name| !name.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_main_memory_last_and_reading_it_never_fails() {
        let found = devices();
        let main = found.last().unwrap();
        assert_eq!((main.kind, main.name.as_str()), (DeviceKind::System, "main memory"));
        assert!(main.free_bytes > 0);
        assert!(found.iter().all(|device| device.free_bytes <= device.total_bytes), "{found:?}");
        assert!(holders(main).is_empty());
        if let Some(gpu) = gpu() {
            assert!(found.iter().any(|device| device.name == gpu.name), "{gpu:?}");
        }
    }

    fn card(folder: &Path, name: &str, files: &[(&str, &str)]) {
        let device = folder.join(name).join("device");
        fs::create_dir_all(&device).unwrap();
        for (name, text) in files {
            fs::write(device.join(name), text).unwrap();
        }
    }

    #[test]
    fn amd_cards_are_read_from_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let vram = |total, used| [("mem_info_vram_total", total), ("mem_info_vram_used", used)];
        // A GPU of another vendor, a socket, a damaged card, and no card at all.
        card(folder.path(), "card0", &[("vendor", "0x10de\n")]);
        card(folder.path(), "card1-DP-1", &vram("1", "1"));
        card(folder.path(), "card3", &vram("many", "0\n"));
        card(folder.path(), "renderD128", &vram("1", "1"));
        card(folder.path(), "card10", &vram("25753026560\n", "26000000000\n"));
        card(folder.path(), "card2", &vram("17163091968\n", "163091968\n"));
        card(folder.path(), "card2", &[("product_name", "Radeon RX 9070 XT\n")]);
        card(folder.path(), "card11", &vram("536870912\n", "500000000\n"));
        card(
            folder.path(),
            "card11",
            &[("mem_info_gtt_total", "33000000000\n"), ("mem_info_gtt_used", "1000000000\n")],
        );
        let found = amd(folder.path());
        let shown: Vec<_> = found
            .iter()
            .map(|device| {
                (device.name.as_str(), device.kind, device.index, device.total_bytes, device.free_bytes)
            })
            .collect();
        let expected = [
            ("Radeon RX 9070 XT", DeviceKind::Gpu, 0, 17_163_091_968, 17_000_000_000),
            ("AMD GPU", DeviceKind::Gpu, 1, 25_753_026_560, 0),
            ("AMD GPU", DeviceKind::Unified, 2, 33_536_870_912, 32_036_870_912),
        ];
        assert_eq!(shown, expected);
        assert!(amd(&folder.path().join("none")).is_empty());
    }

    #[test]
    fn a_process_is_one_holder_with_its_name() {
        let process = |pid, used_gpu_memory| ProcessInfo {
            pid,
            used_gpu_memory,
            gpu_instance_id: None,
            compute_instance_id: None,
        };
        let own = std::process::id();
        let processes = [
            process(own, UsedGpuMemory::Used(10)),
            process(u32::MAX, UsedGpuMemory::Used(20)),
            process(own, UsedGpuMemory::Used(30)),
            process(u32::MAX - 1, UsedGpuMemory::Unavailable),
        ];
        let mut holders = merge(processes.iter());
        name(&mut holders);
        let shown: Vec<_> = holders.iter().map(|holder| (holder.pid, holder.used_bytes)).collect();
        assert_eq!(shown, [(own, Some(30)), (u32::MAX, Some(20)), (u32::MAX - 1, None)]);
        assert!(holders[0].name.is_some(), "{holders:?}");
        assert!(holders[1].name.is_none() && holders[2].name.is_none(), "{holders:?}");
    }
}
