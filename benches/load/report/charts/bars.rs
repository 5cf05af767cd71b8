//! Grouped bars from zero.

use std::fmt::Write;

use super::Series;
use super::scale::linear;
use super::svg::{BOTTOM, LEFT, RIGHT, TOP, class, framed, grid, tick};
use crate::report::number::{exact, short};

/// A group for each x, with a bar for each server. `None` without points.
pub fn draw(title: &str, group: impl Fn(f64) -> String, series: &[Series<'_>]) -> Option<String> {
    let points = series.iter().flat_map(|series| series.points.iter().copied());
    let largest = points.clone().map(|(_, y)| y).max_by(f64::total_cmp)?;
    let mut groups: Vec<f64> = points.map(|(x, _)| x).collect();
    groups.sort_by(f64::total_cmp);
    groups.dedup();
    let (end, step) = linear(largest);
    let up = |y: f64| BOTTOM - y / end * (BOTTOM - TOP);
    let mut svg = String::new();
    for number in 0..=(end / step).round() as u32 {
        let y = f64::from(number) * step;
        grid(&mut svg, (LEFT, up(y)), (RIGHT, up(y)));
        tick(&mut svg, "end", LEFT - 8.0, up(y) + 4.0, &exact(y));
    }
    let group_width = (RIGHT - LEFT) / groups.len() as f64;
    let width = (group_width * 0.94 / series.len() as f64).min(64.0);
    for (number, x) in groups.iter().enumerate() {
        let middle = LEFT + (number as f64 + 0.5) * group_width;
        tick(&mut svg, "middle", middle, BOTTOM + 20.0, &group(*x));
        let left = middle - width * series.len() as f64 / 2.0;
        for (place, Series { server, points }) in series.iter().enumerate() {
            let Some((_, y)) = points.iter().find(|(other, _)| other == x) else { continue };
            let (left, top) = (left + place as f64 * width, up(*y));
            let _ = writeln!(
                svg,
                "<path class=\"mark {}\" d=\"M{:.1} {BOTTOM:.1}V{top:.1}h{:.1}V{BOTTOM:.1}z\"/>",
                class(server),
                left + 2.0,
                width - 4.0
            );
            tick(&mut svg, "middle", left + width / 2.0, top - 5.0, &short(*y));
        }
    }
    let servers: Vec<&str> = series.iter().map(|series| series.server).collect();
    Some(framed(title, &servers, &svg))
}
