//! Pictures: lines over two axes, as SVG.

use anyhow::{Context, Result};
use plotters::{
    chart::{ChartBuilder, ChartContext, SeriesLabelPosition},
    coord::{
        Shift,
        cartesian::Cartesian2d,
        ranged1d::{Ranged, ValueFormatter},
        types::RangedCoordf64,
    },
    prelude::{
        Circle, DrawingArea, IntoDrawingArea, IntoFont, IntoLogRange, LineSeries, PathElement,
        RGBColor, SVGBackend,
    },
    style::{BLACK, Color, WHITE},
};
use std::path::Path;

const WIDTH: u32 = 760;
const HEIGHT: u32 = 420;
const COLOURS: [RGBColor; 4] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 98, 20),
    RGBColor(70, 70, 70),
    RGBColor(150, 150, 150),
];

/// What is drawn.
pub struct Chart<'a> {
    /// What goes from left to right.
    pub across: &'a str,
    /// Whether each step to the right is as many times as much; then no point lies at 0.
    pub is_logarithmic: bool,
    /// What goes from below to above.
    pub up: &'a str,
    /// Where the names of the lines stand.
    pub names_at: SeriesLabelPosition,
    /// At least one, each with a point.
    pub lines: Vec<Line<'a>>,
}

/// Points, joined from first to last.
pub struct Line<'a> {
    /// In the legend.
    pub name: &'a str,
    /// Across and up.
    pub points: Vec<(f64, f64)>,
    /// How thick, in pixels.
    pub width: u32,
    /// Whether each point is marked.
    pub is_dotted: bool,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws into a file.
pub fn draw(path: &Path, chart: &Chart<'_>) -> Result<()> {
    let area = SVGBackend::new(path, (WIDTH, HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let points = || chart.lines.iter().flat_map(|line| &line.points);
    let (left, right) = bounds(points().map(|(x, _)| *x)).context("a chart has points")?;
    let (low, high) = bounds(points().map(|(_, y)| *y)).context("a chart has points")?;
    let room = (high - low) * 0.05;
    let mut builder = ChartBuilder::on(&area);
    builder
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56);
    let height = low - room..high + room;
    if chart.is_logarithmic {
        let width = (left * 0.9..right * 1.1).log_scale();
        fill(builder.build_cartesian_2d(width, height)?, chart)?;
    } else {
        fill(builder.build_cartesian_2d(left..right, height)?, chart)?;
    }
    Area::present(&area)?;
    Ok(())
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |bounds, value| {
        let (least, most) = bounds.unwrap_or((value, value));
        Some((value.min(least), value.max(most)))
    })
}

fn fill<'a, X>(
    mut context: ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, RangedCoordf64>>,
    chart: &Chart<'_>,
) -> Result<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let font = ("sans-serif", 13).into_font();
    context
        .configure_mesh()
        .x_desc(chart.across)
        .y_desc(chart.up)
        .label_style(font.clone())
        .max_light_lines(0)
        .draw()?;
    for (line, colour) in chart.lines.iter().zip(COLOURS.into_iter().cycle()) {
        let stroke = colour.stroke_width(line.width);
        context
            .draw_series(LineSeries::new(line.points.iter().copied(), stroke))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], stroke));
        if line.is_dotted {
            let dots = line.points.iter();
            context.draw_series(dots.map(|point| Circle::new(*point, 3, colour.filled())))?;
        }
    }
    context
        .configure_series_labels()
        .position(chart.names_at.clone())
        .label_font(font)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
