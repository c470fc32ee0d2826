// Two charts as inline SVG: runs by state a day, and how long it took from the trigger to the end.

const DAYS = 14;
const dayStart = (at) => { const day = new Date(at); day.setHours(0, 0, 0, 0); return day; };

// The last days, oldest first; the counters' days are those of UTC.
function slots(isUtc) {
  const now = new Date(), today = isUtc ? new Date(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()) : dayStart(now);
  return Array.from({ length: DAYS }, (_, back) => {
    const day = new Date(today); day.setDate(day.getDate() - (DAYS - 1 - back)); return { day, counts: {}, minutes: [] };
  });
}

// From runs: days in the viewer's zone.
function byDay(rows) {
  const days = slots(false);
  for (const row of rows) {
    const created = new Date(row.CreateDate), slot = days.find(({ day }) => dayStart(created).getTime() === day.getTime());
    if (!slot) continue;
    slot.counts[row.State] = (slot.counts[row.State] ?? 0) + 1;
    if (row.State === "Succeeded" && row.MigrationType !== "Unknown") slot.minutes.push((new Date(row.ModifiedDate) - created) / 60000);
  }
  for (const each of days) each.minutes.sort((a, b) => a - b);
  return days;
}

// From the service's counters, however many runs there are.
function fromCounters(counted, durations) {
  const days = slots(true), slotOf = (text) => days.find(({ day }) => day.getTime() === new Date(`${text}T00:00:00`).getTime());
  for (const row of counted) { const slot = slotOf(row.Date); if (slot) slot.counts[row.State] = row.RunCount; }
  for (const row of durations) { const slot = slotOf(row.Date); if (slot) slot.minutes = slot.minutes.concat(Array(row.RunCount).fill(row.Minutes)); }
  return days;
}

const NICE = [1, 2, 4, 5, 10, 20, 40, 50, 100, 200, 400, 500, 1000, 2000, 4000, 5000, 10000, 20000, 40000, 50000];
const ceiling = (value, steps = NICE) => steps.find((step) => step >= value) ?? Math.ceil(value / 100000) * 100000;
const [HIGH, LEFT, BOTTOM, TOP] = [200, 48, 22, 12];
const narrow = matchMedia("(max-width: 46rem)");
let WIDE = 560;
const slotX = (index) => LEFT + ((WIDE - LEFT) / DAYS) * (index + 0.5);
const upTo = (value, most) => HIGH - BOTTOM - ((HIGH - BOTTOM - TOP) * value) / most;

function frame(title, most, unit, days) {
  WIDE = narrow.matches ? 330 : 560;
  const chart = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "chart", role: "img", "aria-label": title });
  for (const part of [0, 0.5, 1]) {
    const y = upTo(most * part, most);
    chart.append(svg("line", { x1: LEFT, x2: WIDE, y1: y, y2: y, class: "grid" }));
    if (Number.isInteger(most * part) || most < 2) chart.append(svg("text", { x: LEFT - 7, y: y + 4, "text-anchor": "end" }, unit(most * part)));
  }
  days.forEach(({ day }, index) => {
    if ((DAYS - 1 - index) % (narrow.matches ? 5 : 3) === 0) chart.append(svg("text", { x: slotX(index), y: HIGH - 5, "text-anchor": narrow.matches && index === DAYS - 1 ? "end" : "middle" }, index === DAYS - 1 ? "today" : DAY.format(day)));
  });
  return chart;
}

function runsChart(days) {
  const totals = days.map(({ counts }) => Object.values(counts).reduce((sum, count) => sum + count, 0));
  const most = ceiling(Math.max(1, ...totals));
  const words = days.filter((_, index) => totals[index]).map(({ day, counts }) => `${DAY.format(day)}: ${STATES.filter((state) => counts[state]).map((state) => `${counts[state]} ${stateWord(state).toLowerCase()}`).join(", ")}`);
  const chart = frame(`Runs by state, a day. ${words.join("; ") || "None yet."}`, most, (value) => number(value), days);
  const width = ((WIDE - LEFT) / DAYS) * 0.62;
  days.forEach(({ day, counts }, index) => {
    let below = 0;
    for (const state of ["Succeeded", "Skipped", "Cancelled", "Failed", "InProgress", "Pending"]) {
      const count = counts[state];
      if (!count) continue;
      const y = upTo(below + count, most);
      chart.append(svg("rect", { x: slotX(index) - width / 2, y, width, height: Math.max(1, upTo(below, most) - y - 0.6), rx: 1.5, class: state },
        svg("title", {}, `${DAY.format(day)}: ${count} ${stateWord(state).toLowerCase()}`)));
      below += count;
    }
  });
  return chart;
}

const STEPS = [2, 5, 10, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 5760, 10080];
const span = (minutes) => minutes === 0 ? "0" : minutes < 120 ? `${Math.round(minutes)} min` : `${Math.round(minutes / 6) / 10} h`;
const at = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];

function timeChart(days, floor) {
  const all = days.flatMap(({ minutes }) => minutes);
  const most = ceiling(Math.max(floor * 1.15, ...days.map(({ minutes }) => at(minutes, 0.9) ?? 0)), STEPS);
  const words = days.filter(({ minutes }) => minutes.length).map(({ day, minutes }) => `${DAY.format(day)}: ${span(at(minutes, 0.5))}`);
  const chart = frame(`Time from trigger to done, median a day; runs wait ${floor} minutes first. ${words.join("; ") || "None yet."}`, most, span, days);
  const y = upTo(floor, most);
  chart.append(svg("line", { x1: LEFT, x2: WIDE, y1: y, y2: y, class: "floor" }), svg("text", { x: LEFT + 4, y: y + 14, class: "floor-text" }, `${floor} min settling time`));
  days.forEach(({ day, minutes }, index) => {
    if (!minutes.length) return;
    const [low, middle, high] = [0.1, 0.5, 0.9].map((part) => at(minutes, part));
    chart.append(svg("line", { x1: slotX(index), x2: slotX(index), y1: upTo(low, most), y2: upTo(Math.min(high, most), most), class: "range" }),
      svg("circle", { cx: slotX(index), cy: upTo(Math.min(middle, most), most), r: 4.5, class: "median" },
        svg("title", {}, `${DAY.format(day)}: half were done in ${span(middle)}, nine of ten in ${span(high)}`)));
  });
  return all.length ? chart : h("p.soft", null, `Nothing has finished in the last ${DAYS} days.`);
}
