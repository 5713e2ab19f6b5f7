// Percentile curves on an axis of nines, and the cumulative distribution: the same merged histograms twice.
import { axis, draw, logAxis, showChosen, tip } from './charts.js'
import { byId, simpleTable } from './dom.js'
import { chosenCells, facts, look } from './facts.js'
import { duration, nines } from './number.js'
import { isDark } from './theme.js'
import { t } from './words.js'

const place = (q) => -Math.log10(1 - q)

// pieces are a curve's points as [place on the axis of nines, ln of ns, quantile, ns], up to where values are lower bounds and from there on.
function pieces(cell) {
  const all = cell.curve.map((ns, i) => [place(facts.quantiles[i]), Math.log10(Math.max(ns, 1)), facts.quantiles[i], ns])
  const from = cell.censored == null ? -1 : all.findIndex((p) => p[3] >= cell.censored)
  return from < 0 ? { sound: all, bound: [] } : { sound: all.slice(0, from + 1), bound: all.slice(from) }
}

// series are a cell's two lines and the mark at its end: a ring where the count supports no more, a cross where the bound begins.
function series(n, cell, point) {
  const { color, dash } = look(n, isDark())
  const { sound, bound } = pieces(cell)
  const line = { type: 'line', showSymbol: false, symbol: 'none', lineStyle: { color, width: 2, type: dash }, itemStyle: { color }, emphasis: { disabled: true } }
  const all = bound.length ? bound : sound
  const end = all[all.length - 1]
  const out = [{ ...line, name: 's' + n, data: sound.map(point) }]
  if (bound.length) {
    out.push({ ...line, name: 'b' + n, data: bound.map(point), lineStyle: { color, width: 2, type: 'dotted' } })
    out.push({ type: 'scatter', name: 'x' + n, data: [point(bound[0])], symbol: 'path://M0 0L8 8M8 0L0 8', symbolSize: 8, itemStyle: { color, borderColor: color, borderWidth: 1.6 }, silent: true })
  }
  if (end) out.push({ type: 'scatter', name: 'e' + n, data: [point(end)], symbol: 'circle', symbolSize: 8, itemStyle: { color: 'transparent', borderColor: color, borderWidth: 1.6 }, silent: true })
  return out
}

// bars are the intervals of a cell's percentiles, a little beside those of the others.
function bars(n, cell) {
  const { color } = look(n, isDark())
  return { type: 'custom', silent: true, clip: true, z: 3, data: (cell.limits || []).map((l) => [place(l.q), Math.log10(l.low), Math.log10(l.high)]), renderItem: (_, api) => {
    const [x, low] = api.coord([api.value(0), api.value(1)])
    const high = api.coord([api.value(0), api.value(2)])[1]
    const at = x + 3 * (n - (chosenCells().length - 1) / 2)
    const line = (x1, y1, x2, y2) => ({ type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: color, lineWidth: 1.5 } })
    return { type: 'group', children: [line(at, low, at, high), line(at - 3, low, at + 3, low), line(at - 3, high, at + 3, high)] }
  } }
}

// at is the cells' values at a quantile, for the tooltip.
function at(q) {
  const i = facts.quantiles.findIndex((v) => v >= q - 1e-9)
  return chosenCells().map((c, n) => [n, facts.cells[c], facts.cells[c].curve[i]]).filter((l) => l[2] != null)
    .sort((a, b) => b[2] - a[2])
    .map(([n, cell, ns]) => [n, (cell.censored != null && ns >= cell.censored ? '≥' : '') + duration(ns)])
}

// below is the share of a cell's requests that took no longer than ns.
function below(cell, ns) {
  const i = cell.curve.findIndex((v) => v > ns)
  return i < 0 ? facts.quantiles[cell.curve.length - 1] : facts.quantiles[Math.max(i - 1, 0)]
}

export function drawCurves() {
  showChosen('chosen')
  const cells = chosenCells().map((i) => facts.cells[i])
  const values = cells.flatMap((c) => [...c.curve, ...(c.limits || []).flatMap((l) => [l.low, l.high])])
  const sound = cells.flatMap((c) => pieces(c).sound.filter((p) => p[2] <= 0.999 && !(c.censored <= p[3])).map((p) => p[3])) // the distribution's body
  const longest = Math.max(1, ...cells.map((c) => c.curve.length))
  const far = Math.max(1, place(facts.quantiles[longest - 1]))
  const time = logAxis(t('axis_response'), false, values, duration)
  draw('nines', t('nines') + ': ' + summary(cells), {
    xAxis: axis(t('axis_percentile'), true, { min: 0, max: far * 1.02, interval: 1, axisLabel: { customValues: [...Array(Math.floor(far) + 1).keys()], formatter: (v) => nines(1 - Math.pow(10, -v)) }, splitLine: { customValues: [...Array(Math.floor(far) + 1).keys()] } }),
    yAxis: time,
    series: cells.flatMap((c, n) => [...series(n, c, (p) => [p[0], p[1]]), bars(n, c)]),
    tooltip: { trigger: 'axis', formatter: (p) => { const q = 1 - Math.pow(10, -p[0].axisValue); return tip(nines(q), at(q)) } },
  })
  draw('cdf', t('cdf') + ': ' + summary(cells), {
    xAxis: logAxis(t('axis_response'), true, sound, duration),
    yAxis: axis('', false, { min: 0, max: 1, axisLabel: { formatter: (v) => Math.round(100 * v) + '%' } }),
    series: cells.flatMap((c, n) => series(n, c, (p) => [p[1], p[2]]).slice(0, 1)),
    tooltip: { trigger: 'axis', formatter: (p) => { const ns = Math.pow(10, p[0].axisValue); return tip(duration(ns), cells.map((c, n) => [n, c]).filter(([, c]) => c.curve.length).map(([n, c]) => [n, nines(below(c, ns))])) } },
  })
  byId('curves-data').querySelector('div').replaceChildren(table(cells))
}

const told = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999]

// table is the curves in numbers.
function table(cells) {
  const value = (c, q) => {
    const i = facts.quantiles.findIndex((v) => v >= q - 1e-9)
    const ns = c.curve[i]
    const limits = (c.limits || []).find((l) => l.q === q)
    return ns == null ? '–' : (c.censored != null && ns >= c.censored ? '≥' : '') + duration(ns) + (limits ? ` (${duration(limits.low)} – ${duration(limits.high)})` : '')
  }
  return simpleTable([t('cells'), t('requests'), ...told.map((q) => 'p' + nines(q).replace('%', ''))],
    cells.map((c) => [c.label, c.count.toLocaleString('en'), ...told.map((q) => value(c, q))]))
}

const summary = (cells) => cells.map((c) => c.label).join('; ')
