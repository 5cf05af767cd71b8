//! Line charts with logarithmic axes.

use std::fmt::Write;

use super::Series;
use super::scale::Log;
use super::svg::{BOTTOM, LEFT, RIGHT, TOP, class, framed, grid, mark, tick};
use crate::report::number::thousands;

/// A line for each server. `None` without points.
pub fn draw(title: &str, x_title: &str, series: &[Series<'_>]) -> Option<String> {
    let points = series.iter().flat_map(|series| series.points.iter().copied());
    points.clone().next()?;
    let mut xs: Vec<f64> = points.clone().map(|(x, _)| x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let (x_axis, y_axis) = (Log::over(points.clone().map(|(x, _)| x)), Log::over(points.clone().map(|(_, y)| y)));
    let across = |x: f64| LEFT + 16.0 + x_axis.place(x) * (RIGHT - LEFT - 48.0);
    let up = |place: f64| BOTTOM - place * (BOTTOM - TOP);
    let mut svg = String::new();
    for (place, text) in y_axis.ticks() {
        grid(&mut svg, (LEFT, up(place)), (RIGHT, up(place)));
        tick(&mut svg, "end", LEFT - 8.0, up(place) + 4.0, &text);
    }
    // The axis shows the measured values of x.
    for x in xs {
        grid(&mut svg, (across(x), BOTTOM), (across(x), BOTTOM + 5.0));
        tick(&mut svg, "middle", across(x), BOTTOM + 20.0, &thousands(x));
    }
    tick(&mut svg, "end", RIGHT, BOTTOM + 38.0, x_title);
    for Series { server, points } in series {
        let places: Vec<_> = points.iter().map(|(x, y)| (across(*x), up(y_axis.place(*y)))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let _ = writeln!(svg, "<path class=\"line {}\" d=\"M{}\"/>", class(server), path.join("L"));
        for (x, y) in places {
            mark(&mut svg, server, x, y);
        }
    }
    let servers: Vec<&str> = series.iter().map(|series| series.server).collect();
    Some(framed(title, &servers, &svg))
}
