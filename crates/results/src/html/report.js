// Draws the charts of a report from the data at the page's end. It only shows what the tables say: the page is complete
// without it. Each plot says in `data-drawn` how many points it has drawn.
(() => {
  "use strict";

  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

  // --- words ---------------------------------------------------------------------------------------------------------

  const digits = (value) => String(+value.toPrecision(3));
  const latency = (us) => us < 1e3 ? digits(us) + " µs" : us < 1e6 ? digits(us / 1e3) + " ms" : digits(us / 1e6) + " s";
  const clock = (seconds) => {
    if (seconds < 120) return digits(seconds) + "s";
    const whole = Math.round(seconds), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60, s = whole % 60;
    return (h ? h + "h" : "") + (m ? m + "m" : "") + (s ? s + "s" : "") || "0s";
  };
  const amount = (value) => value >= 1e6 ? digits(value / 1e6) + "M" : value >= 1e4 ? digits(value / 1e3) + "k" : digits(value);
  const percentile = (oneIn) => {
    const decimals = Math.max(0, Math.floor(Math.log10(oneIn) + 1e-9) - 1);
    return +(100 * (1 - 1 / oneIn)).toFixed(decimals + 1) + "%";
  };
  const orDash = (format) => (u, value) => value == null ? "–" : format(value);

  // --- what all charts have in common --------------------------------------------------------------------------------

  const FONT = "12px system-ui, 'DejaVu Sans', sans-serif";
  const TIMES = [.001, .01, .05, .1, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
  const axis = (label, values, more) => ({
    label, values, stroke: css("dim"), font: FONT, labelFont: FONT, labelSize: 22, size: 58, gap: 4,
    grid: { stroke: css("grid"), width: 1 }, ticks: { stroke: css("grid"), width: 1, size: 4 }, ...more,
  });
  const timeAxis = () => axis("time since the run began", (u, ticks) => ticks.map(clock), { size: 30, incrs: TIMES, space: 60 });
  // Whole powers of ten; of a range that has few of them, parts too.
  const logTicks = (u, at, min, max) => {
    const powers = [], from = Math.floor(Math.log10(min)), to = Math.ceil(Math.log10(max));
    const parts = Math.log10(max / min) > 2.5 ? [1] : [1, 2, 5];
    for (let power = from; power <= to; power += 1) powers.push(...parts.map((part) => part * 10 ** power));
    return powers.filter((us) => us >= min * .999 && us <= max * 1.001);
  };
  const logAxis = () => axis("latency", (u, ticks) => ticks.map(latency), { size: 66, splits: logTicks, filter: (u, ticks) => ticks });
  const line = (label, color, format, more) => ({
    label, stroke: css(color), width: 1.75, value: orDash(format), points: { size: 4 }, spanGaps: false, ...more,
  });
  const time = { label: "at", value: orDash(clock) };
  // A distribution that is all of one time would have no height.
  const logRange = (u, min, max) => {
    if (min == null) return [100, 1e6];
    const low = 10 ** Math.floor(Math.log10(min)), high = 10 ** Math.ceil(Math.log10(max));
    return [low, high > low ? high : low * 10];
  };
  const end = data.at.length ? data.at[data.at.length - 1] + data.width : 1;
  // As far as the last bucket reaches, unless someone looks closer.
  const wholeTime = (u, min, max) => min == null || min <= data.at[0] && max >= end - data.width ? [data.at[0] || 0, end] : [min, max];
  const fromZero = (u, min, max) => [0, max > 0 ? max * 1.08 : 1];
  // The legend shows how a line is drawn, not by its colour alone.
  const legend = {
    live: true,
    markers: {
      width: 3,
      dash: (u, i) => {
        const [first] = u.series[i].dash || [];
        return first ? (first > 3 ? "dashed" : "dotted") : "solid";
      },
    },
  };
  const points = (columns) => columns.reduce((sum, column) => sum + column.filter((value) => value != null).length, 0);

  // Where scenarios or stages begin: a dashed line each, and its name where there is room.
  const marks = (u) => {
    const { ctx, bbox } = u, ratio = uPlot.pxRatio;
    ctx.save();
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.strokeStyle = ctx.fillStyle = css("dim");
    ctx.font = `${11 * ratio}px system-ui, 'DejaVu Sans', sans-serif`;
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 4 * ratio]);
    let free = bbox.left;
    for (const { at, label } of data.marks) {
      const x = Math.round(u.valToPos(at, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.globalAlpha = .6;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.globalAlpha = 1;
      const width = ctx.measureText(label).width;
      if (x >= free && x + width <= bbox.left + bbox.width + 12 * ratio) {
        ctx.fillText(label, x, bbox.top - 10 * ratio);
        free = x + width + 10 * ratio;
      }
    }
    ctx.restore();
  };

  const height = 250;
  const overTime = (series, y, columns, scale, more) => ({
    options: {
      height, padding: [data.marks.length ? 26 : 10, 14, 0, 0],
      cursor: { sync: { key: "time" }, drag: { x: true, y: false } },
      legend, scales: { x: { time: false, range: wholeTime }, y: scale },
      axes: [timeAxis(), y], series: [time, ...series], hooks: { drawAxes: [marks] }, ...more,
    },
    columns: [data.at, ...columns], drawn: points(columns),
  });

  // --- the charts ----------------------------------------------------------------------------------------------------

  const planned = { dash: [7, 5], width: 1.5, points: { show: false } };
  const charts = {
    users: () => overTime(
      [line("users", "c1", amount), line("planned", "c7", amount, planned)],
      axis("users", (u, ticks) => ticks.map(amount)), [data.users, data.plannedUsers], { range: fromZero }),
    rate: () => {
      const series = [line("requests", "c1", (value) => amount(value) + "/s")], columns = [data.rate];
      if (data.plannedRate) {
        series.push(line("planned iterations", "c7", (value) => amount(value) + "/s", planned));
        columns.push(data.plannedRate);
      }
      return overTime(series, axis("requests per second", (u, ticks) => ticks.map(amount)), columns, { range: fromZero });
    },
    latency: () => overTime(
      [line("p50", "c3", latency), line("p95", "c5", latency, { dash: [8, 3] }), line("p99", "c2", latency, { dash: [3, 2] })],
      logAxis(), [data.p50, data.p95, data.p99].map((column) => column.map((us) => us == null ? null : Math.max(1, us))),
      { distr: 3, range: logRange }),
    failed: () => overTime(
      [line("failed", "c2", amount, { fill: css("c2") + "33", paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } })],
      axis("failed requests, in " + clock(data.width), (u, ticks) => ticks.map(amount)), [data.failed], { range: fromZero }),
    server: serverMetric,
    heat: heatmap,
    percentiles: percentilePlot,
  };

  // What the target said of itself, over the same time as the load.
  function serverMetric(plot) {
    const { label, unit, x, y } = data.server[+plot.dataset.series];
    const binary = (value, units) => Math.abs(value) >= 1024 && units.length > 1 ? binary(value / 1024, units.slice(1)) : digits(value) + " " + units[0];
    const formats = {
      bytes: (value) => binary(value, ["B", "KiB", "MiB", "GiB", "TiB"]),
      share: (value) => digits(value * 100) + "%",
      seconds: (value) => latency(value * 1e6),
      number: (value) => Math.abs(value) >= 1e4 ? amount(value) : digits(value),
    };
    const format = formats[unit] || digits;
    const y1 = axis("", (u, ticks) => ticks.map(format), { size: 74 });
    return { ...overTime([line(label, "c3", format)], y1, [y], {}), columns: [x, y] };
  }

  // The share of the busiest cell, as a step on a scale that shows few beside many.
  const shade = (share) => {
    const low = css("heat-low").split(" ").map(Number), high = css("heat-high").split(" ").map(Number);
    return "rgb(" + low.map((from, i) => Math.round(from + (high[i] - from) * share)).join(",") + ")";
  };

  function heatmap(plot) {
    const begin = (band) => 10 ** (band / 8);
    const bands = data.heat.map(([, band]) => band), most = Math.max(...data.heat.map(([, , count]) => count));
    const [lowest, highest] = [Math.min(...bands), Math.max(...bands) + 1];
    const depth = (count) => most > 1 ? Math.log(count) / Math.log(most) : 1;
    const cells = (u) => {
      let drawn = 0;
      const { ctx, bbox } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      for (const [place, band, count] of data.heat) {
        const left = Math.floor(u.valToPos(data.at[place], "x", true));
        const right = Math.ceil(u.valToPos(data.at[place] + data.width, "x", true));
        const top = Math.floor(u.valToPos(begin(band + 1), "y", true)), bottom = Math.ceil(u.valToPos(begin(band), "y", true));
        ctx.fillStyle = shade(depth(count));
        ctx.fillRect(left, top, right - left, bottom - top);
        drawn += 1;
      }
      ctx.restore();
      plot.dataset.drawn = drawn;
    };
    const chart = overTime([{ label: "latency", paths: () => null, points: { show: false } }], logAxis(), [],
      { distr: 3, range: [begin(lowest), begin(highest)] },
      { height: 320, legend: { show: false }, hooks: { drawAxes: [cells, marks] } });
    chart.columns = [data.at, data.at.map(() => null)];
    chart.drawn = null;
    chart.after = () => {
      const scale = document.createElement("div");
      scale.className = "scale";
      scale.append("1 answer");
      for (let step = 0; step <= 6; step += 1) {
        const swatch = document.createElement("i");
        swatch.style.background = shade(step / 6);
        scale.append(swatch);
      }
      scale.append(amount(most) + (most === 1 ? " answer" : " answers") + " in " + clock(data.width) + " (logarithmic)");
      plot.append(scale);
    };
    return chart;
  }

  function percentilePlot() {
    const { x, series } = data.percentiles;
    const columns = series.map(({ y }) => y.map((us) => us == null ? null : Math.max(1, us)));
    const all = columns.flat().filter((us) => us != null);
    // Beside answers a hundred times as slow, fast ones would lie on the axis.
    const wide = Math.max(...all) / Math.min(...all) > 100;
    const percentileTicks = (u, at, min, max) =>
      [1, 2, 4, 10, 20, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9].filter((oneIn) => oneIn >= min && oneIn <= max * 1.001);
    const dashes = [[], [8, 3], [3, 2], [10, 3, 2, 3], [2, 4], [12, 4], [6, 2, 2, 2], [1, 3]];
    return {
      options: {
        height: 340, padding: [12, 24, 0, 0], legend, cursor: { drag: { x: true, y: false } },
        scales: {
          x: { time: false, distr: 3, range: (u, min, max) => [1, Math.max(10, max)] },
          y: wide ? { distr: 3, range: logRange } : { range: fromZero },
        },
        axes: [
          axis("percentile: this part of the requests was as fast or faster",
            (u, ticks) => ticks.map(percentile), { size: 30, splits: percentileTicks, filter: (u, ticks) => ticks }),
          wide ? logAxis() : axis("latency", (u, ticks) => ticks.map(latency), { size: 66 }),
        ],
        series: [
          { label: "percentile", value: orDash(percentile) },
          ...series.map(({ label }, i) => line(label, i ? "c" + i : "c8", latency,
            { dash: dashes[i % dashes.length], width: i ? 1.75 : 2.5, points: { show: false } })),
        ],
      },
      columns: [x, ...columns], drawn: points(columns),
    };
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  let shown = [];
  // On paper the layout is not known before it is printed: two of the small charts stand side by side.
  const onPaper = (plot) => plot.closest(".charts") ? 340 : 690;
  const draw = (isPaper) => {
    shown.forEach((chart) => chart.destroy());
    shown = [];
    for (const plot of document.querySelectorAll("[data-chart]")) {
      plot.replaceChildren();
      const { options, columns, drawn, after } = charts[plot.dataset.chart](plot);
      options.width = isPaper ? onPaper(plot) : plot.clientWidth;
      if (drawn != null) options.hooks = { ...options.hooks, draw: [() => { plot.dataset.drawn = drawn; }] };
      shown.push(new uPlot(options, columns, plot));
      if (after) after();
    }
  };
  const fit = () => shown.forEach((chart) => {
    const width = chart.root.parentElement.clientWidth;
    if (width && width !== chart.width) chart.setSize({ width, height: chart.height });
  });

  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  let chosen = null;
  const paint = (theme, isPaper) => {
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    draw(isPaper);
  };
  const theme = () => chosen || (prefersDark.matches ? "dark" : "light");
  button.hidden = false;
  button.addEventListener("click", () => {
    chosen = theme() === "dark" ? "light" : "dark";
    paint(chosen);
  });
  prefersDark.addEventListener("change", () => paint(theme()));
  // Paper is light.
  addEventListener("beforeprint", () => paint("light", true));
  addEventListener("afterprint", () => paint(theme()));
  let waiting = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(fit);
  });
  paint(theme());
})();
