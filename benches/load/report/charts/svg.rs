//! The frame of a chart: size, colours, title, legend.

use std::fmt::Write;

use super::growth;
use crate::report::servers;

pub const WIDTH: f64 = 720.0;
pub const HEIGHT: f64 = 400.0;
/// Position of the drawing within the frame.
pub const LEFT: f64 = 64.0;
pub const RIGHT: f64 = WIDTH - 16.0;
pub const TOP: f64 = 64.0;
pub const BOTTOM: f64 = HEIGHT - 48.0;

/// Colours that colour-blind readers can distinguish, for either background. The last one is for unknown servers. Not
/// CSS variables, which some SVG viewers do not support.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-size:15px;font-weight:600}.tick{fill:#59636e;font-size:12px}\
.grid{stroke:#d1d9e0}path.line{fill:none;stroke-width:2}\
.s0{fill:#0060a8;stroke:#0060a8}.s1{fill:#6e7781;stroke:#6e7781}.s2{fill:#bc4c00;stroke:#bc4c00}\
.s3{fill:#a0418e;stroke:#a0418e}.s4{fill:#00704f;stroke:#00704f}.s5{fill:#4aa3df;stroke:#4aa3df}\
.s6{fill:#0b3d75;stroke:#0b3d75}.s7{fill:#9a6700;stroke:#9a6700}.s8{fill:#57606a;stroke:#57606a}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.tick{fill:#9198a1}.grid{stroke:#3d444d}\
.s0{fill:#58b0ff;stroke:#58b0ff}.s1{fill:#9aa4ae;stroke:#9aa4ae}.s2{fill:#ff9a56;stroke:#ff9a56}\
.s3{fill:#e48fd3;stroke:#e48fd3}.s4{fill:#3fcf9c;stroke:#3fcf9c}.s5{fill:#9fd4ff;stroke:#9fd4ff}\
.s6{fill:#2f81f7;stroke:#2f81f7}.s7{fill:#d4a72c;stroke:#d4a72c}.s8{fill:#b0b8c0;stroke:#b0b8c0}}";

/// Puts a drawing into its frame.
pub fn framed(title: &str, servers: &[&str], drawing: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<text class=\"title\" x=\"16\" y=\"24\">{title}</text>\n",
        title = escaped(title)
    );
    let mut x = 16.0;
    for server in servers {
        mark(&mut svg, server, x + 6.0, 43.0);
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"48\">{}</text>", x + 18.0, escaped(server));
        // Upper bound of the width of letters of this size.
        x += 42.0 + 7.5 * server.chars().count() as f64;
    }
    svg.push_str(drawing);
    svg.push_str("</svg>\n");
    svg
}

/// The class of the colour of a server, or of another line.
pub fn class(server: &str) -> String {
    format!("s{}", place(server))
}

fn place(name: &str) -> usize {
    growth::place(name).unwrap_or_else(|| servers::place(name))
}

/// A server's mark. Marks also differ in shape.
pub fn mark(svg: &mut String, server: &str, x: f64, y: f64) {
    let class = class(server);
    let path = match place(server) {
        0 => format!("M{:.1} {y:.1}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z", x - 5.0),
        1 => format!("M{:.1} {:.1}h8v8h-8z", x - 4.0, y - 4.0),
        2 => format!("M{x:.1} {:.1}l5.5 9h-11z", y - 5.0),
        3 => format!("M{x:.1} {:.1}l5.5 5.5l-5.5 5.5l-5.5 -5.5z", y - 5.5),
        4 => format!("M{x:.1} {:.1}l5.5 -9h-11z", y + 5.0),
        5 => format!("M{:.1} {:.1}h3v10h-3z", x - 1.5, y - 5.0),
        6 => format!("M{:.1} {:.1}h10v3h-10z", x - 5.0, y - 1.5),
        7 => format!("M{:.1} {:.1}l3 -5h6l-3 5l3 5h-6z", x - 4.5, y),
        _ => format!("M{:.1} {:.1}h10v4h-10z", x - 5.0, y - 2.0),
    };
    let _ = writeln!(svg, "<path class=\"mark {class}\" d=\"{path}\"/>");
}

/// A label of an axis.
pub fn tick(svg: &mut String, anchor: &str, x: f64, y: f64, text: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"tick\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
        escaped(text)
    );
}

/// A line across the drawing.
pub fn grid(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(svg, "<path class=\"grid\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>", from.0, from.1, to.0, to.1);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
