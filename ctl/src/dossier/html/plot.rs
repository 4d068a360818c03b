//! A small plot: the new hosts as a full line, the old ones as a broken one, so that print without colour shows both.

use super::super::{curve::Curves, markup::Markup};
use crate::display::time::clock;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// The figure, with its scale in words beside it: text within a drawing would shrink with it.
pub(super) fn plot(curves: &Curves, to: &mut Markup) {
    let highest = curves.highest();
    to.element("figure", &[], |figure| {
        figure.element("figcaption", &[], |caption| {
            caption.leaf("strong", "", curves.title);
            for (name, values) in [("new", &curves.new), ("old", &curves.old)] {
                let known = values.iter().flatten().copied();
                let Some(most) = known.reduce(f64::max) else { continue };
                caption.leaf(
                    "span",
                    &format!("key {name}"),
                    format!("{name}, up to {}", (curves.say)(most)),
                );
            }
        });
        figure.element("div", &[("class", "plot")], |plot| {
            plot.element("div", &[("class", "scale")], |scale| {
                scale.leaf("span", "", (curves.say)(highest));
                scale.leaf("span", "", "0");
            });
            let view = format!("0 0 {WIDTH} {HEIGHT}");
            let label = format!("{} over time", curves.title);
            let attributes = [
                ("viewBox", view.as_str()),
                ("preserveAspectRatio", "none"),
                ("role", "img"),
                ("aria-label", label.as_str()),
            ];
            plot.element("svg", &attributes, |svg| {
                for y in ["1", "60", "119"] {
                    let line =
                        [("class", "grid"), ("x1", "0"), ("x2", "600"), ("y1", y), ("y2", y)];
                    svg.empty("line", &line);
                }
                for (class, values) in [("old", &curves.old), ("new", &curves.new)] {
                    let path = path(values, highest);
                    if !path.is_empty() {
                        svg.empty("path", &[("class", class), ("d", &path)]);
                    }
                }
            });
            plot.element("div", &[("class", "times")], |times| {
                for at in curves.times.first().into_iter().chain(curves.times.last()) {
                    times.leaf("span", "", clock(*at));
                }
            });
        });
    });
}

/// The line through the values; where one is not known it is broken.
fn path(values: &[Option<f64>], highest: f64) -> String {
    let step = WIDTH / (values.len().max(2) - 1) as f64;
    let scale = if highest > 0.0 { (HEIGHT - 4.0) / highest } else { 0.0 };
    let mut path = String::new();
    let mut drawing = false;
    for (index, value) in values.iter().enumerate() {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let (x, y) = (index as f64 * step, HEIGHT - 2.0 - value * scale);
        path.push_str(&format!("{}{x:.1} {y:.1}", if drawing { "L" } else { "M" }));
        if !drawing {
            // A value that stands alone is a point.
            path.push_str("h0.1");
        }
        drawing = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_nothing_is_known() {
        let values = [Some(0.0), Some(2.0), None, Some(1.0)];
        assert_eq!(path(&values, 2.0), "M0.0 118.0h0.1L200.0 2.0M600.0 60.0h0.1");
        assert_eq!(path(&[Some(0.0)], 0.0), "M0.0 118.0h0.1", "one sample of nothing");
        assert_eq!(path(&[], 0.0), "");
    }
}
