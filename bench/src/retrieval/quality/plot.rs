//! One picture: how good the hybrid is by what vectors weigh in it.

use anyhow::Result;
use plotters::{
    coord::Shift,
    prelude::{
        ChartBuilder, DrawingArea, IntoDrawingArea, IntoFont, LineSeries, PathElement, RGBColor,
        SVGBackend, SeriesLabelPosition,
    },
    style::{BLACK, Color, WHITE},
};
use std::path::Path;

const WIDTH: u32 = 760;
const HEIGHT: u32 = 420;
const BLUE: RGBColor = RGBColor(31, 119, 180);
const ORANGE: RGBColor = RGBColor(214, 98, 20);
const GREYS: [RGBColor; 2] = [RGBColor(70, 70, 70), RGBColor(150, 150, 150)];

/// Draws nDCG@10 by the weight of vectors, without guides and with them, and levels that have no weight.
pub fn draw(
    path: &Path,
    plain: &[(f64, f64)],
    guided: &[(f64, f64)],
    levels: &[(&str, f64)],
) -> Result<()> {
    let area = SVGBackend::new(path, (WIDTH, HEIGHT)).into_drawing_area();
    draw_on(&area, plain, guided, levels)?;
    area.present()?;
    Ok(())
}

fn draw_on(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    plain: &[(f64, f64)],
    guided: &[(f64, f64)],
    levels: &[(&str, f64)],
) -> Result<()> {
    area.fill(&WHITE)?;
    let values = plain.iter().chain(guided).map(|(_, ndcg)| *ndcg);
    let values = values.chain(levels.iter().map(|(_, ndcg)| *ndcg));
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..1.0, low - 0.005..high + 0.005)?;
    chart
        .configure_mesh()
        .x_desc("weight of the vectors: 0 is words alone, 1 is vectors alone")
        .y_desc("nDCG@10")
        .label_style(("sans-serif", 13).into_font())
        .max_light_lines(0)
        .draw()?;
    let lines = [
        ("weighted sum", plain, BLUE),
        ("weighted sum with guides", guided, ORANGE),
    ];
    for (name, points, colour) in lines {
        let series = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        chart
            .draw_series(series)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    for ((name, ndcg), colour) in levels.iter().zip(GREYS) {
        let level = [(0.0, *ndcg), (1.0, *ndcg)];
        chart
            .draw_series(LineSeries::new(level, colour.stroke_width(1)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(1)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerMiddle)
        .label_font(("sans-serif", 13).into_font())
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
