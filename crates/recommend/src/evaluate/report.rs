//! Figures as a table for people and as a plot.

use super::metrics::Metrics;
use std::fmt::Write;

/// The name of a figure, how it is taken, and its colour in the plot.
type Figure = (&'static str, fn(&Metrics) -> f64, &'static str);

const FIGURES: [Figure; 5] = [
    ("HR", |of| of.hit_rate, "#4477aa"),
    ("MRR", |of| of.mrr, "#ee6677"),
    ("NDCG", |of| of.ndcg, "#228833"),
    ("recall", |of| of.recall, "#ccbb44"),
    ("coverage", |of| of.coverage, "#66ccee"),
];

/// A table with a line for each variant.
#[must_use]
pub fn table(k: usize, variants: &[(String, Metrics)]) -> String {
    let width = variants.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max("variant".len());
    let mut text = format!("{:<width$}  {:>9}  {:>8}", "variant", "asked", "answered");
    for (name, _, _) in FIGURES {
        let _ = write!(text, "  {:>11}", format!("{name}@{k}"));
    }
    text.push('\n');
    for (name, metrics) in variants {
        let _ = write!(text, "{name:<width$}  {:>9}  {:>8.4}", metrics.asked, metrics.answered);
        for (_, figure, _) in FIGURES {
            let _ = write!(text, "  {:>11.4}", figure(metrics));
        }
        text.push('\n');
    }
    text
}

const BAR: usize = 26;
const GROUP_GAP: usize = 30;
const HEIGHT: usize = 220;
const LEFT: usize = 46;
const TOP: usize = 44;

/// An SVG picture: for each variant a bar for each figure, from 0 to the highest.
#[must_use]
pub fn plot(title: &str, k: usize, variants: &[(String, Metrics)]) -> String {
    let values = variants.iter().flat_map(|(_, metrics)| FIGURES.map(|(_, figure, _)| figure(metrics)));
    let highest = values.fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let group = FIGURES.len() * BAR + GROUP_GAP;
    let (width, height) = (LEFT + variants.len().max(3) * group + GROUP_GAP, TOP + HEIGHT + 60);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{}, at {k}</text>\n",
        escaped(title)
    );
    for step in 0..=4 {
        let (value, y) = (highest * f64::from(step) / 4.0, TOP + HEIGHT - HEIGHT * step as usize / 4);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{width}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{value:.3}</text>",
            LEFT - 4,
            y + 4
        );
    }
    for (number, (name, metrics)) in variants.iter().enumerate() {
        let left = LEFT + GROUP_GAP / 2 + number * group;
        for (place, (_, figure, colour)) in FIGURES.iter().enumerate() {
            let tall = (figure(metrics) / highest * HEIGHT as f64).round() as usize;
            let (x, y) = (left + place * BAR, TOP + HEIGHT - tall);
            let value = figure(metrics);
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{tall}\" fill=\"{colour}\"><title>{value:.4}</title></rect>",
                BAR - 3
            );
        }
        let _ = writeln!(svg, "<text x=\"{left}\" y=\"{}\">{}</text>", TOP + HEIGHT + 18, escaped(name));
    }
    for (place, (name, _, colour)) in FIGURES.iter().enumerate() {
        let (x, y) = (LEFT + place * 84, TOP + HEIGHT + 44);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\">{name}</text>",
            y - 10,
            x + 14
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variants() -> Vec<(String, Metrics)> {
        let half = Metrics { asked: 2, answered: 1.0, hit_rate: 0.5, mrr: 0.25, ndcg: 0.3, recall: 0.5, coverage: 0.1 };
        vec![("item <cf>".to_owned(), half), ("popularity".to_owned(), Metrics::default())]
    }

    #[test]
    fn a_table_has_a_line_for_each_variant() {
        let text = table(20, &variants());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains("HR@20") && lines[0].contains("coverage@20"), "{text}");
        assert!(lines[1].starts_with("item <cf>") && lines[1].contains("0.2500"), "{text}");
    }

    #[test]
    fn a_plot_is_whole_and_names_are_escaped() {
        let svg = plot("sessions", 20, &variants());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("item &lt;cf&gt;") && !svg.contains("NaN"));
        assert_eq!(svg.matches("<title>").count(), 10);
    }
}
