//! A line chart over minutes, from zero.

use std::fmt::Write;

use crate::report::charts::scale::linear;
use crate::report::charts::svg::{BOTTOM, LEFT, RIGHT, TOP, framed, grid, tick};
use crate::report::number::exact;

/// `None` without points.
pub fn draw(title: &str, points: &[(f64, f64)]) -> Option<String> {
    let (last, _) = points.last()?;
    let largest = points.iter().map(|(_, y)| *y).filter(|y| y.is_finite()).max_by(f64::total_cmp)?;
    let ((x_end, x_step), (y_end, y_step)) = (linear(*last), linear(largest.max(0.1)));
    let across = |x: f64| LEFT + x / x_end * (RIGHT - LEFT - 16.0);
    let up = |y: f64| BOTTOM - y / y_end * (BOTTOM - TOP);
    let mut svg = String::new();
    for number in 0..=(y_end / y_step).round() as u32 {
        let y = f64::from(number) * y_step;
        grid(&mut svg, (LEFT, up(y)), (RIGHT, up(y)));
        tick(&mut svg, "end", LEFT - 8.0, up(y) + 4.0, &exact(y));
    }
    for number in 0..=(x_end / x_step).round() as u32 {
        let x = f64::from(number) * x_step;
        grid(&mut svg, (across(x), BOTTOM), (across(x), BOTTOM + 5.0));
        tick(&mut svg, "middle", across(x), BOTTOM + 20.0, &exact(x));
    }
    tick(&mut svg, "end", RIGHT, BOTTOM + 38.0, "minutes");
    let path: Vec<String> =
        points.iter().filter(|(_, y)| y.is_finite()).map(|(x, y)| format!("{:.1} {:.1}", across(*x), up(*y))).collect();
    let _ = writeln!(svg, "<path class=\"line s0\" d=\"M{}\"/>", path.join("L"));
    Some(framed(title, &[], &svg))
}
