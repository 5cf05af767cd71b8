//! `docs/soak.md` and its charts.

use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use super::samples::{Sample, Trend};
use super::{Soak, chart};
use crate::measure::machine;
use crate::report::number::{short, thousands};

/// The charted values.
struct Seen {
    file: &'static str,
    title: &'static str,
    value: fn(&Sample) -> f64,
}

const SEEN: [Seen; 6] = [
    Seen { file: "memory.svg", title: "Resident memory, MiB", value: |sample| sample.rss_mib },
    Seen { file: "files.svg", title: "Open file descriptors", value: |sample| sample.files },
    Seen { file: "threads.svg", title: "Threads", value: |sample| sample.threads },
    Seen { file: "documents.svg", title: "Documents in memory", value: |sample| sample.documents },
    Seen { file: "latency.svg", title: "p99 from edit to viewer, ms", value: |sample| sample.p99_ms },
    Seen { file: "log.svg", title: "Lines logged, KiB", value: |sample| sample.log_kib },
];

/// The warm-up, until the maximum number of documents is open.
const WARM_UP: f64 = 0.15;

/// Writes the page and its charts into this folder.
pub fn write(soak: &Soak, docs: &Path) -> io::Result<()> {
    let folder = docs.join("soak");
    fs::create_dir_all(&folder)?;
    let warm_up = (f64::from(soak.minutes) * WARM_UP).ceil();
    let mut page = format!(
        "# Soak\n\n\
         {} minutes of coming and going, on {}: 2 writers and 20 viewers on one document, another one every two minutes \
         ({} edits); besides, 10 visitors a second ({} in all), who look at documents and go without a word, make documents \
         and fill them over HTTP ({} of them), log in on the legacy socket, or send what nobody understands. Documents are \
         unloaded after 20 s without use.\n\n\
         ```sh\nmake soak MINUTES={}\n```\n\n\
         The trend is a straight line through the means of minutes after the first {warm_up}, per hour, with two standard \
         errors: it is flat when it may as well be none.\n\n\
         | | mean | trend per hour | |\n|---|---|---|---|\n",
        soak.minutes,
        machine(),
        thousands(soak.edits as f64),
        thousands(soak.visits as f64),
        thousands(soak.documents as f64),
        soak.minutes,
    );
    let mut charts = String::new();
    for Seen { file, title, value } in SEEN {
        let points: Vec<(f64, f64)> = soak.samples.iter().map(|sample| (sample.minute, value(sample))).collect();
        if let Some(svg) = chart::draw(title, &points) {
            fs::write(folder.join(file), svg)?;
            let _ = write!(charts, "\n![{title}](soak/{file})\n");
        }
        let Some(trend) = Trend::of(&soak.samples, warm_up, value) else { continue };
        let verdict = if trend.is_flat() { "flat" } else { "not flat" };
        let (mean, slope, uncertainty) = (short(trend.mean), signed(trend.slope), short(trend.uncertainty));
        let _ = writeln!(page, "| {title} | {mean} | {slope} ± {uncertainty} | {verdict} |");
    }
    page.push_str(&charts);
    fs::write(docs.join("soak.md"), page)
}

fn signed(number: f64) -> String {
    format!("{}{}", if number < 0.0 { "−" } else { "+" }, short(number.abs()))
}
