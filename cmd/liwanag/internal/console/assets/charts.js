// Charts are drawn from the table beside them, which is also what there is for
// whoever cannot see them: th in the head name the series, data-tone their color,
// data-v are the figures, time elements the moments.
const drawn = new Map(); // figure: {plot, text}

export function startCharts() {
  if (!window.uPlot) return;
  drawAll();
  document.addEventListener("refreshed", drawAll);
  document.addEventListener("theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

function redraw() {
  for (const { plot } of drawn.values()) plot.destroy();
  drawn.clear();
  drawAll();
}

function drawAll() {
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const table = figure.querySelector("details table");
    const before = drawn.get(figure);
    if (before?.text === table.innerHTML) continue;
    const { times, layers } = read(figure, table);
    if (before) {
      before.plot.layers = layers;
      before.plot.setData([times, ...layers.map((l) => l.tops)]);
      before.text = table.innerHTML;
      continue;
    }
    drawn.set(figure, { plot: draw(figure, times, layers), text: table.innerHTML });
  }
}

// A layer is a series: its figures, and how high it is drawn. In a stack that is
// the sum of itself and those below; the highest is drawn first, so that the others
// cover what is theirs.
function read(figure, table) {
  const lines = [...table.tBodies[0].rows];
  const times = lines.map((tr) => Date.parse(tr.querySelector("time").dateTime) / 1000);
  const layers = [...table.tHead.rows[0].cells].slice(1).map((th, i) => {
    const figures = lines.map((tr) => Number(tr.cells[i + 1].dataset.v));
    return { name: th.textContent.trim(), tone: th.dataset.tone, figures, tops: figures };
  });
  if (figure.dataset.chart === "stack") {
    for (let i = 1; i < layers.length; i++) layers[i].tops = layers[i].figures.map((v, at) => v + layers[i - 1].tops[at]);
    layers.reverse();
  }
  return { times, layers };
}

// color is that of a class ink-…, as it is painted now.
function color(figure, name) {
  const probe = document.createElement("i");
  probe.className = `ink-${name}`;
  figure.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function moment(seconds, step) {
  const options = step < 86400 ? { weekday: "short", hour: "2-digit", minute: "2-digit" } : { weekday: "short", day: "numeric", month: "short" };
  return new Date(seconds * 1000).toLocaleString("en-GB", { ...options, timeZone: "UTC" });
}

// mark is a moment as an axis shows it.
function mark(seconds, step) {
  const options = step < 86400 ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" };
  return new Date(seconds * 1000).toLocaleString("en-GB", { ...options, timeZone: "UTC" });
}

const height = 190;

function draw(figure, times, layers) {
  const place = figure.querySelector(".plot");
  const step = times.length > 1 ? times[1] - times[0] : 3600;
  const axis = { stroke: color(figure, "muted"), grid: { stroke: color(figure, "line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const bars = window.uPlot.paths.bars({ size: [0.72, 36] });
  const series = layers.map((layer, n) => ({
    label: layer.name, stroke: color(figure, layer.tone), fill: color(figure, layer.tone), width: 0, paths: bars, points: { show: false },
    value: (u, _, s, at) => (at == null ? "–" : (u.layers ?? layers)[n].figures[at].toLocaleString("en")),
  }));
  const plot = new window.uPlot({
    width: place.clientWidth || 600,
    height,
    tzDate: (at) => window.uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    series: [{ label: "From", value: (_, at) => (at == null ? "–" : moment(at, step)) }, ...series],
    axes: [{ ...axis, grid: { show: false }, size: 28, space: 64, values: (_, splits) => splits.map((at) => mark(at, step)) }, { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] }],
    scales: { x: { range: (_, low, high) => [low - step / 2, high + step / 2] }, y: { range: (_, low, high) => [0, Math.max(4, high * 1.1)] } },
    padding: [8, 20, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
  }, [times, ...layers.map((l) => l.tops)], place);
  plot.layers = layers;
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height })).observe(place);
  return plot;
}
