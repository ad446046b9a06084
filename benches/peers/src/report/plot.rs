//! Throughput against outstanding calls, for GET of 16 B: a panel for each of tokio's runtimes, on
//! white, so that it is readable on any background.

use anyhow::{Result, anyhow};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::line::Line;
use crate::{
    case::{Case, Command, Service},
    comparison::Measured,
    contender::Name,
    measure::Outcome,
    runtime::Flavour,
};

const PANEL: (u32, u32) = (560, 400);
const TITLE_HEIGHT: u32 = 44;
const INK: RGBColor = RGBColor(30, 30, 30);
const LEGEND_COLUMNS: usize = 5;
const LEGEND_ROW_HEIGHT: i32 = 26;
const HEADROOM: f64 = 1.2;
const FLAVOURS: [Flavour; 2] = [Flavour::MultiThread, Flavour::CurrentThread];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Whether a case is a point of the plot.
pub fn shows(case: &Case) -> bool {
    case.service == Service::Server
        && (case.command, case.bytes) == (Command::Get, 16)
        && FLAVOURS.contains(&case.flavour)
}

pub fn svg(cases: &[Measured]) -> Result<String> {
    let mut text = String::new();
    // The library's errors borrow from the text.
    draw(cases, &mut text).map_err(|error| anyhow!("plotting: {error}"))?;
    Ok(text)
}

fn draw(cases: &[Measured], text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let points: Vec<_> = cases
        .iter()
        .filter(|measured| shows(&measured.case))
        .collect();
    let of = |flavour| {
        points
            .iter()
            .filter(move |point| point.case.flavour == flavour)
    };
    let panels: Vec<Vec<&Measured>> = FLAVOURS
        .map(|flavour| of(flavour).copied().collect())
        .into_iter()
        .filter(|panel: &Vec<_>| !panel.is_empty())
        .collect();
    let names: Vec<_> = points[0]
        .outcomes
        .iter()
        .map(|outcome| outcome.peer)
        .collect();

    let legend_rows = names.len().div_ceil(LEGEND_COLUMNS) as u32;
    let legend_height = legend_rows * LEGEND_ROW_HEIGHT as u32 + 16;
    let size = (
        PANEL.0 * panels.len() as u32,
        TITLE_HEIGHT + PANEL.1 + legend_height,
    );
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (title, rest) = root.split_vertically(TITLE_HEIGHT);
    let (middle, bottom) = rest.split_vertically(PANEL.1);
    title.draw(&Text::new(
        "GET of 16 B: operations per second against outstanding calls",
        (size.0 as i32 / 2, TITLE_HEIGHT as i32 / 2 + 4),
        ("sans-serif", 20)
            .into_font()
            .color(&INK)
            .pos(Pos::new(HPos::Center, VPos::Center)),
    ))?;
    let top = highest(&points) * HEADROOM;
    for (area, panel) in middle.split_evenly((1, panels.len())).iter().zip(&panels) {
        draw_panel(area, panel, &names, top)?;
    }
    draw_legend(&bottom, &names)?;
    root.present()?;
    Ok(())
}

fn draw_panel(
    area: &Area,
    panel: &[&Measured],
    names: &[Name],
    top: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let ends = [panel.first(), panel.last()];
    let [first, last] = ends.map(|point| point.map_or(1.0, |point| x(point)));
    let mut chart = ChartBuilder::on(area)
        .caption(
            format!("tokio, {}", panel[0].case.flavour),
            ("sans-serif", 16),
        )
        .margin(10)
        .margin_right(20)
        .x_label_area_size(46)
        .y_label_area_size(62)
        .build_cartesian_2d((first * 0.75..last * 1.35).log_scale().base(2.0), 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(RGBColor(120, 120, 120))
        .label_style(("sans-serif", 14))
        .x_desc("outstanding calls")
        .x_labels(12)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{:.0} k", y / 1e3))
        .draw()?;
    // redis-steward comes first in the list, and is drawn last, over the others.
    for &name in names.iter().rev() {
        let at = |point: &&Measured| Some((x(point), point.of(name)?.throughput()));
        let points: Vec<_> = panel.iter().filter_map(at).collect();
        chart.draw_series(Line::of(name).elements(&below(top, &points)))?;
    }
    Ok(())
}

fn draw_legend(area: &Area, names: &[Name]) -> Result<(), Box<dyn std::error::Error>> {
    let (width, _) = area.dim_in_pixel();
    let columns = LEGEND_COLUMNS.min(names.len());
    let column_width = (width as i32 - 40) / columns as i32;
    for (index, &name) in names.iter().enumerate() {
        let left = 20 + column_width * (index % columns) as i32;
        let middle = LEGEND_ROW_HEIGHT / 2 + LEGEND_ROW_HEIGHT * (index / columns) as i32;
        let line = Line::of(name);
        area.draw(&line.path(&[(left, middle), (left + 40, middle)]))?;
        if let Some(marker) = line.marker((left + 20, middle)) {
            area.draw(&marker)?;
        }
        let label = Pos::new(HPos::Left, VPos::Center);
        let style = ("sans-serif", 15).into_font().color(&INK).pos(label);
        area.draw(&Text::new(name.to_string(), (left + 48, middle), style))?;
    }
    Ok(())
}

fn x(point: &Measured) -> f64 {
    point.case.outstanding as f64
}

/// The fastest client. redis-benchmark may leave the picture: it would press the clients flat.
fn highest(points: &[&Measured]) -> f64 {
    let outcomes = points.iter().flat_map(|point| &point.outcomes);
    let clients = outcomes.filter(|outcome| outcome.peer != Name::RedisBenchmark);
    clients.map(Outcome::throughput).fold(1.0, f64::max)
}

/// A line up to where it leaves the picture.
fn below(top: f64, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let inside = points.iter().take_while(|point| point.1 <= top);
    let mut line: Vec<_> = inside.copied().collect();
    let next = points.get(line.len());
    if let (Some(&(x0, y0)), Some(&(x1, y1))) = (line.last(), next) {
        // Lines are straight where x is drawn by its logarithm.
        let share = (top - y0) / (y1 - y0);
        line.push((x0 * (x1 / x0).powf(share), top));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_it_leaves_the_picture() {
        let line = [(1.0, 10.0), (4.0, 30.0), (16.0, 5.0)];
        assert_eq!(below(40.0, &line), line);
        assert_eq!(below(20.0, &line), [(1.0, 10.0), (2.0, 20.0)]);
        assert_eq!(below(5.0, &line), []);
    }
}
