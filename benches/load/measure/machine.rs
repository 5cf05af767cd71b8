//! The machine of the run.

use std::fs::read_to_string;

/// Processor, cores, memory and kernel, in one line.
pub fn machine() -> String {
    let field = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map(|rest| rest.trim_start_matches([':', ' ', '\t']).trim().to_owned())
    };
    let processor = read_to_string("/proc/cpuinfo").ok().and_then(|text| field(&text, "model name"));
    let memory = read_to_string("/proc/meminfo").ok().and_then(|text| field(&text, "MemTotal"));
    let gib = memory.and_then(|text| text.strip_suffix(" kB")?.parse::<f64>().ok()).map(|kib| kib / (1 << 20) as f64);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{}, {cores} cores, {:.0} GiB, Linux {}",
        processor.unwrap_or_else(|| "unknown processor".to_owned()),
        gib.unwrap_or(f64::NAN),
        kernel.trim()
    )
}
